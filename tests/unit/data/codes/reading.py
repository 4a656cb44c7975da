"""Reading outputs in tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mhdnn.data.ase_bridge import LabelKeys
from mhdnn.data.readers import read_frames
from mhdnn.data.reading import ReadOptions
from mhdnn.data.schema import Record
from mhdnn.errors import DataError
from mhdnn.structure import Structure

FILES = Path(__file__).parent / "files"
VOIGT = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))
KILOBAR = 1602.176634
"""1 eV/Å³ in kB."""


def records(path: Path, energy: str | None = None, charges: str | None = None, **options: object) -> list[Record]:
    keys = LabelKeys(energy=energy, charges=charges)
    return [frame() for frame in read_frames(path, ReadOptions(keys=keys, **options))]


def structures(path: Path, energy: str | None = None, **options: object) -> list[Structure]:
    return [record.structure for record in records(path, energy, **options)]


def outcomes(path: Path, **options: object) -> list[Record | DataError]:
    """What each frame gives, its error in the place of a broken one."""
    found: list[Record | DataError] = []
    for frame in read_frames(path, ReadOptions(**options)):
        try:
            found.append(frame())
        except DataError as error:
            found.append(error)
    return found


def voigt(tensor: np.ndarray) -> np.ndarray:
    return np.array([tensor[pair] for pair in VOIGT])


def works(path: list[Structure]) -> np.ndarray:
    """-∫F·dr + V∫σ:dε from each structure to the next, by the trapezoid rule, eV."""
    found = []
    for first, second in zip(path, path[1:], strict=False):
        strain = np.linalg.solve(first.cell, second.cell) - np.eye(3)
        moved = second.positions - first.positions @ (np.eye(3) + strain)
        volumes = [abs(np.linalg.det(s.cell)) for s in (first, second)]
        mean = (first.forces + second.forces) / 2
        work = -(mean * moved).sum()
        if np.abs(strain).max() > 1e-12:
            symmetric = (strain + strain.T) / 2
            stresses = [_tensor(s.stress) * volume for s, volume in zip((first, second), volumes, strict=True)]
            work += ((stresses[0] + stresses[1]) / 2 * symmetric).sum()
        found.append(work)
    return np.array(found)


def differences(path: list[Structure]) -> np.ndarray:
    return np.diff([s.energy for s in path])


def _tensor(values: np.ndarray) -> np.ndarray:
    tensor = np.zeros((3, 3))
    for (i, j), value in zip(VOIGT, values, strict=True):
        tensor[i, j] = tensor[j, i] = value
    return tensor
