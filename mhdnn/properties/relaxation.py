"""Energies of structures, and their relaxation, alone or with their cell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ase import Atoms
from ase.calculators.calculator import BaseCalculator, PropertyNotImplementedError
from ase.filters import FrechetCellFilter
from ase.optimize import BFGS, FIRE

from mhdnn.errors import ConfigError, PropertyError

LARGEST_FOR_BFGS = 300
"""Atoms up to which the Hessian of BFGS costs less than the steps that it saves."""


def relaxed(
    atoms: Atoms,
    calculator: BaseCalculator,
    max_force: float = 1e-4,
    cell: bool | Sequence[bool] = False,
    max_steps: int = 2000,
) -> Atoms:
    """A relaxed copy with the calculator; the constraints of the atoms hold.

    :param max_force: largest force on an atom at the end, eV/Å; with the cell also the largest component of the
        virial per atom, eV
    :param cell: whether the cell relaxes, too; or for each strain xx yy zz yz xz xy whether it does
    :raises ConfigError: if the calculator has no forces, or no stress, which the cell needs
    :raises PropertyError: if it is not relaxed after ``max_steps`` steps
    """
    result = atoms.copy()
    result.calc = calculator
    optimizer = BFGS if len(atoms) <= LARGEST_FOR_BFGS else FIRE
    mask = None if isinstance(cell, bool) else list(cell)
    moving: Any = FrechetCellFilter(result, mask=mask) if cell else result
    try:
        converged = optimizer(moving, logfile=None).run(fmax=max_force, steps=max_steps)
    except PropertyNotImplementedError as error:
        needed = "forces and stress" if cell else "forces"
        raise ConfigError(
            f"`calculator`: expected one with {needed} to relax `{atoms.get_chemical_formula()}`, got "
            f"{type(calculator).__name__} without ({error})"
        ) from error
    if not converged:
        raise PropertyError(
            f"`{atoms.get_chemical_formula()}`: expected a relaxation to {max_force} eV/Å within {max_steps} steps, "
            "which it did not reach; relax it beforehand or allow a larger force"
        )
    return result


def with_energy(
    atoms: Atoms,
    calculator: BaseCalculator | None,
    relax: bool = False,
    cell: bool = False,
    max_force: float = 0.01,
) -> Atoms:
    """A structure whose calculator knows its energy: the given calculator, or the energy that came with it.

    :param atoms: with the energy that its file held, if no calculator is given
    :param relax: whether a copy is relaxed, with the calculator
    :param cell: whether its cell is relaxed, too
    :param max_force: at the end, eV/Å
    :raises ConfigError: if no calculator is given and it has no energy or shall be relaxed
    """
    if calculator is not None:
        if relax:
            return relaxed(atoms, calculator, max_force, cell)
        result = atoms.copy()
        result.calc = calculator
        return result
    if relax:
        raise ConfigError("`calculator`: expected one to relax with, got none; give one or choose `relax=false`")
    if atoms.calc is None or "energy" not in atoms.calc.results:
        raise ConfigError(
            f"`{atoms.get_chemical_formula()}`: expected a structure with an energy, got none; give a `calculator`"
        )
    return atoms
