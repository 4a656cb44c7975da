"""Relaxation of atoms, alone or with their cell."""

from __future__ import annotations

from typing import Any

from ase import Atoms
from ase.calculators.calculator import BaseCalculator
from ase.filters import FrechetCellFilter
from ase.optimize import BFGS, FIRE

from mhdnn.errors import PropertyError

LARGEST_FOR_BFGS = 300
"""Atoms up to which the Hessian of BFGS costs less than the steps that it saves."""


def relaxed(
    atoms: Atoms, calculator: BaseCalculator, max_force: float = 1e-4, cell: bool = False, max_steps: int = 2000
) -> Atoms:
    """A relaxed copy; the constraints of the atoms hold.

    :param max_force: largest force on an atom at the end, eV/Å; with the cell also the largest component of the
        virial per atom, eV
    :param cell: whether the cell relaxes, too
    :raises PropertyError: if it is not relaxed after ``max_steps`` steps
    """
    result = atoms.copy()
    result.calc = calculator
    optimizer = BFGS if len(atoms) <= LARGEST_FOR_BFGS else FIRE
    moving: Any = FrechetCellFilter(result) if cell else result
    if not optimizer(moving, logfile=None).run(fmax=max_force, steps=max_steps):
        raise PropertyError(
            f"`{atoms.get_chemical_formula()}`: expected a relaxation to {max_force} eV/Å within {max_steps} steps, "
            "which it did not reach; relax it beforehand or allow a larger force"
        )
    return result
