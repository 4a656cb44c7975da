"""A small crystal with energies, forces and stresses that belong together, as an ab-initio MD would give them.

The energy is a sum of Morse pairs plus an entropy that depends on the volume and one distance, so the free energy and
the one extrapolated to zero smearing differ by some meV a step. Forces and stress are central differences of F.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

CELL = np.array([[4.1, 0.0, 0.0], [0.5, 3.9, 0.0], [-0.3, 0.2, 4.4]])
SYMBOLS = ("Li", "O", "O")
NUMBERS = (3, 8, 8)
PLACES = np.array([[0.1, 0.2, 0.05], [0.55, 0.6, 0.45], [0.3, 0.75, 0.9]])
MOVE = np.array([[0.02, 0.01, -0.015], [-0.01, 0.015, 0.01], [0.012, -0.02, 0.005]])
STRAIN = np.array([[0.004, 0.001, 0.0], [0.001, -0.002, 0.0015], [0.0, 0.0015, 0.003]])


@dataclass(frozen=True)
class Step:
    """One step; stress 3x3 in eV/Å³, tension positive."""

    positions: np.ndarray
    cell: np.ndarray
    free: float
    extrapolated: float
    forces: np.ndarray
    stress: np.ndarray


def steps(count: int = 3, strained: bool = False) -> list[Step]:
    found = []
    for number in range(count):
        cell = CELL @ (np.eye(3) + number * STRAIN * strained)
        positions = PLACES @ cell + number * MOVE
        free = free_energy(positions, cell)
        found.append(
            Step(
                positions,
                cell,
                free,
                free + entropy(positions, cell) / 2,
                forces(positions, cell),
                stress(positions, cell),
            )
        )
    return found


def entropy(positions: np.ndarray, cell: np.ndarray) -> float:
    """TS in eV."""
    return 0.9 + 0.6 * np.sin(3 * np.linalg.norm(positions[1] - positions[0])) + 0.001 * np.linalg.det(cell)


def free_energy(positions: np.ndarray, cell: np.ndarray) -> float:
    shifts = np.stack(np.meshgrid(*[np.arange(-2, 3)] * 3, indexing="ij"), -1).reshape(-1, 3) @ cell
    vectors = positions[None, :, None] - positions[:, None, None] + shifts
    distances = np.linalg.norm(vectors, axis=-1)
    distances = distances[distances > 1e-9]
    pairs = 0.8 * ((1 - np.exp(-1.4 * (distances - 2.0))) ** 2 - 1) * np.exp(-((distances / 4) ** 4))
    return float(pairs.sum() / 2) - entropy(positions, cell)


def forces(positions: np.ndarray, cell: np.ndarray, step: float = 1e-5) -> np.ndarray:
    result = np.zeros_like(positions)
    for index in np.ndindex(positions.shape):
        moved = [positions.copy(), positions.copy()]
        moved[0][index] += step
        moved[1][index] -= step
        result[index] = -(free_energy(moved[0], cell) - free_energy(moved[1], cell)) / (2 * step)
    return result


def stress(positions: np.ndarray, cell: np.ndarray, step: float = 1e-5) -> np.ndarray:
    result = np.zeros((3, 3))
    for i, j in np.ndindex(3, 3):
        strain = np.zeros((3, 3))
        strain[i, j] += step / 2
        strain[j, i] += step / 2
        plus, minus = np.eye(3) + strain, np.eye(3) - strain
        difference = free_energy(positions @ plus, cell @ plus) - free_energy(positions @ minus, cell @ minus)
        result[i, j] = difference / (2 * step * np.linalg.det(cell))
    return result
