"""Central differences of an energy by positions and strain."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from ase import Atoms

from mhdnn.structure import VOIGT
from tests.tolerances import FINITE_DIFFERENCE

STEP = 1e-4

Energy = Callable[[Atoms], float]


def assert_close(found: np.ndarray, expected: np.ndarray) -> None:
    scale = np.abs(expected).max()
    assert scale > 1e-3, "nothing is compared"
    np.testing.assert_allclose(found, expected, atol=FINITE_DIFFERENCE * scale, rtol=0)


def numerical_forces(energy: Energy, atoms: Atoms, chosen: Sequence[int]) -> np.ndarray:
    """Forces on the chosen atoms, eV/Å."""
    forces = np.zeros((len(chosen), 3))
    for row, atom in enumerate(chosen):
        for axis in range(3):
            values = []
            for sign in (1, -1):
                moved = atoms.copy()
                moved.positions[atom, axis] += sign * STEP
                values.append(energy(moved))
            forces[row, axis] = -(values[0] - values[1]) / (2 * STEP)
    return forces


def numerical_virial(energy: Energy, atoms: Atoms) -> np.ndarray:
    """Derivative by the strain, Voigt, eV."""
    result = np.zeros(6)
    for place, (a, b) in enumerate(VOIGT):
        values = []
        for sign in (1, -1):
            strain = np.eye(3)
            strain[a, b] += sign * STEP / 2
            strain[b, a] += sign * STEP / 2
            moved = atoms.copy()
            moved.set_cell(atoms.cell[:] @ strain)
            moved.positions = atoms.positions @ strain
            values.append(energy(moved))
        result[place] = (values[0] - values[1]) / (2 * STEP)
    return result
