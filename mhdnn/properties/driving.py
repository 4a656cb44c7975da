r"""A constant force on some atoms: driven molecular dynamics and driven minimisation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from ase import Atoms, units
from ase.constraints import FixConstraint
from ase.filters import FrechetCellFilter
from ase.md.langevin import Langevin
from ase.optimize import FIRE

from mhdnn.properties.velocities import thermal_momenta


class ConstantForce(FixConstraint):
    r"""A constant force on each of some atoms, with the energy :math:`-\sum \mathbf f \cdot \mathbf r`.

    ASE adds what has an energy to the forces of molecular dynamics as well as of optimisers.

    :param indices: of the atoms
    :param force: on each, shape (3,) or (num_indices, 3), eV/Å
    """

    def __init__(self, indices: Sequence[int] | np.ndarray, force: Sequence[float] | np.ndarray) -> None:
        self.index = np.asarray(indices, dtype=int)
        self.force = np.asarray(force, dtype=float)

    def get_removed_dof(self, atoms: Atoms) -> int:
        """None: the atoms move freely."""
        return 0

    def adjust_momenta(self, atoms: Atoms, momenta: np.ndarray) -> None:
        """Nothing: momenta are not forces."""

    def adjust_forces(self, atoms: Atoms, forces: np.ndarray) -> None:
        """Add the force."""
        forces[self.index] += self.force

    def adjust_potential_energy(self, atoms: Atoms) -> float:
        """Its energy, eV."""
        return -float((atoms.positions[self.index] * self.force).sum())

    def todict(self) -> dict[str, Any]:
        """For ASE's trajectories."""
        return {"name": "ConstantForce", "kwargs": {"indices": self.index.tolist(), "force": self.force.tolist()}}


def drive(
    atoms: Atoms,
    indices: Sequence[int] | np.ndarray,
    force: Sequence[float] | np.ndarray,
    num_steps: int,
    temperature: float,
    time_step: float = 1.0,
    friction: float = 0.02,
    generator: np.random.Generator | None = None,
) -> None:
    """Move the atoms under an additional force on some of them, in place; constraints of the atoms hold.

    :param atoms: with a calculator
    :param indices: of the atoms that are driven
    :param force: on each, shape (3,) or (num_indices, 3), eV/Å
    :param num_steps: of Langevin dynamics; at 0 K of minimisation (FIRE)
    :param temperature: K
    :param time_step: fs
    :param friction: 1/fs
    :param generator: of velocities and thermostat
    """
    constraints = list(atoms.constraints)
    atoms.set_constraint([*constraints, ConstantForce(indices, force)])
    if temperature > 0:
        generator = generator or np.random.default_rng()
        atoms.set_momenta(thermal_momenta(atoms, temperature, generator))
        Langevin(
            atoms,
            time_step * units.fs,
            temperature_K=temperature,
            friction=friction / units.fs,
            fixcm=False,
            rng=generator,
        ).run(num_steps)
        atoms.set_momenta(np.zeros((len(atoms), 3)))
    else:
        FIRE(atoms, logfile=None).run(fmax=0.0, steps=num_steps)
    atoms.set_constraint(constraints)


def settle(atoms: Atoms, max_force: float, num_steps: int, cell: bool = False) -> bool:
    """Relax in place by at most so many steps of FIRE; whether the forces are then below the limit.

    :param max_force: eV/Å
    :param cell: whether the cell relaxes, too
    """
    moving: Any = FrechetCellFilter(atoms) if cell else atoms
    return bool(FIRE(moving, logfile=None).run(fmax=max_force, steps=num_steps))
