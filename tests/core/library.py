"""The core's library with what tests ask of it."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from mhdnn.deploy.core_library import INTEGERS, LONGS, CAtoms, CoreLibrary, CResult, pointer
from mhdnn.structure import Geometry


@dataclass
class Found:
    """What the library says of some atoms; units and order as in `mhdnn.prediction.Prediction`."""

    energy: float
    virial: np.ndarray
    energies: np.ndarray
    forces: np.ndarray
    charges: np.ndarray
    force_errors: np.ndarray
    outside: np.ndarray


def run(command: list[str]) -> str:
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


class Library(CoreLibrary):
    """The library, with models of files and their numbers."""

    def model(self, path: Path | str, dtype: str = "model") -> Any:
        model = self.open(str(path).encode(), dtype.encode())
        if not model:
            raise self.error()
        return model

    def evaluate(
        self, path: Path | str, geometry: Geometry, vectors: np.ndarray | None, atoms: Atoms, **options: Any
    ) -> Found:
        """Everything of one structure.

        :param geometry: of the atoms alone
        :param vectors: of its pairs, or None
        :param options: dtype, total_charge, shifts of the pairs
        """
        model = self.model(path, options.get("dtype", "model"))
        numbers = np.ascontiguousarray(geometry.atomic_numbers.numpy(), dtype=np.int32)
        pairs = np.ascontiguousarray(np.stack([geometry.center_index, geometry.neighbor_index], 1), dtype=np.int64)
        shifts = options.get("shifts")
        given_vectors = None if vectors is None else np.ascontiguousarray(vectors, dtype=np.float64)
        positions, cell = (
            np.ascontiguousarray(values, dtype=np.float64) for values in (atoms.positions, atoms.cell[:])
        )
        periodic = np.ascontiguousarray(atoms.pbc, dtype=np.int32)
        given = CAtoms(
            len(numbers), pointer(numbers, INTEGERS), len(pairs), pointer(pairs, LONGS), pointer(given_vectors),
            pointer(positions), pointer(cell), pointer(periodic, INTEGERS), options.get("total_charge", 0.0),
            pointer(shifts),
        )  # fmt: skip
        arrays = {name: np.zeros(len(numbers)) for name in ("energies", "charges", "force_errors")}
        arrays["forces"] = np.zeros((len(numbers), 3))
        outside = np.zeros(len(numbers), dtype=np.int32)
        result = CResult(outside=pointer(outside, INTEGERS))
        for name, values in arrays.items():
            setattr(result, name, pointer(values))
        failed = self.compute(model, given, result)
        self.close(model)
        if failed:
            raise self.error()
        return Found(result.energy, np.array(result.virial), outside=outside.astype(bool), **arrays)
