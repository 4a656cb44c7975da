"""The C interface as a library: compiled once for its source, called by ctypes."""

from __future__ import annotations

import ctypes
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from mhdnn.compilation import cache_root, compiler, compiler_flags, digest_of, only_one, source_digest, threads
from mhdnn.deploy.lammps.plugin import CORE_FOLDER, KERNEL_FOLDER
from mhdnn.structure import Geometry

DOUBLES, INTEGERS, LONGS = (ctypes.POINTER(kind) for kind in (ctypes.c_double, ctypes.c_int, ctypes.c_int64))
FLAGS = ["-std=c++17", "-fPIC", "-Wall", "-Wextra", "-Werror", "-Wno-psabi"]


class CAtoms(ctypes.Structure):
    _fields_ = (
        ("num_atoms", ctypes.c_int64), ("atomic_numbers", INTEGERS), ("num_pairs", ctypes.c_int64), ("pairs", LONGS),
        ("vectors", DOUBLES), ("positions", DOUBLES), ("cell", DOUBLES), ("periodic", INTEGERS),
        ("total_charge", ctypes.c_double),
    )  # fmt: skip


class CResult(ctypes.Structure):
    _fields_ = (
        ("energy", ctypes.c_double), ("virial", ctypes.c_double * 6), ("energies", DOUBLES), ("forces", DOUBLES),
        ("charges", DOUBLES), ("force_errors", DOUBLES), ("outside", INTEGERS),
    )  # fmt: skip


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


def objects_of(folder: Path) -> list[Path]:
    """The core, compiled into a folder."""
    sources = sorted(CORE_FOLDER.rglob("*.cpp"))
    includes = [f"-I{CORE_FOLDER}", f"-I{KERNEL_FOLDER}"]
    targets = [folder / f"{number}-{source.stem}.o" for number, source in enumerate(sources)]

    def compile_one(source: Path, target: Path) -> None:
        run([str(compiler()), *compiler_flags(), *FLAGS, *includes, "-c", str(source), "-o", str(target)])

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(compile_one, sources, targets))
    return targets


def build() -> Path:
    """The library, from the cache if it was compiled before."""
    digest = digest_of(CORE_FOLDER, [source_digest(KERNEL_FOLDER, []), *FLAGS])
    library = cache_root() / "mhdnn_tests" / f"core_{digest}" / "mhdnn.so"
    with only_one(library.parent):
        if not library.exists():
            objects = objects_of(library.parent)
            aside = library.parent / "aside.so"
            run([str(compiler()), "-shared", *threads(), *map(str, objects), "-o", str(aside)])
            aside.replace(library)
    return library


def run(command: list[str]) -> str:
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


class CoreError(RuntimeError):
    """What the library says of its last failure."""


def pointer(values: np.ndarray | None, kind: Any) -> Any:
    return None if values is None else values.ctypes.data_as(kind)


class Library:
    """Functions of the library."""

    def __init__(self, path: Path) -> None:
        self.functions = ctypes.CDLL(str(path))
        self.functions.mhdnn_open.restype = ctypes.c_void_p
        self.functions.mhdnn_cutoff.restype = ctypes.c_double
        self.functions.mhdnn_last_error.restype = ctypes.c_char_p
        for name in ("cutoff", "close", "has_charges"):
            getattr(self.functions, f"mhdnn_{name}").argtypes = [ctypes.c_void_p]
        self.functions.mhdnn_compute.argtypes = [ctypes.c_void_p, ctypes.POINTER(CAtoms), ctypes.POINTER(CResult)]

    def open(self, path: Path | str, dtype: str = "model") -> Any:
        model = self.functions.mhdnn_open(str(path).encode(), dtype.encode())
        if not model:
            raise CoreError(self.functions.mhdnn_last_error().decode())
        return model

    def evaluate(
        self, path: Path | str, geometry: Geometry, vectors: np.ndarray, atoms: Atoms, **options: Any
    ) -> Found:
        """Everything of one structure.

        :param geometry: of the atoms alone
        :param vectors: of its pairs
        :param options: dtype, total_charge
        """
        model = self.open(path, options.get("dtype", "model"))
        numbers = np.ascontiguousarray(geometry.atomic_numbers.numpy(), dtype=np.int32)
        pairs = np.ascontiguousarray(np.stack([geometry.center_index, geometry.neighbor_index], 1), dtype=np.int64)
        vectors, positions, cell = (
            np.ascontiguousarray(values, dtype=np.float64) for values in (vectors, atoms.positions, atoms.cell[:])
        )
        periodic = np.ascontiguousarray(atoms.pbc, dtype=np.int32)
        given = CAtoms(
            len(numbers), pointer(numbers, INTEGERS), len(pairs), pointer(pairs, LONGS), pointer(vectors, DOUBLES),
            pointer(positions, DOUBLES), pointer(cell, DOUBLES), pointer(periodic, INTEGERS),
            options.get("total_charge", 0.0),
        )  # fmt: skip
        arrays = {name: np.zeros(len(numbers)) for name in ("energies", "charges", "force_errors")}
        arrays["forces"] = np.zeros((len(numbers), 3))
        outside = np.zeros(len(numbers), dtype=np.int32)
        result = CResult(outside=pointer(outside, INTEGERS))
        for name, values in arrays.items():
            setattr(result, name, pointer(values, DOUBLES))
        failed = self.functions.mhdnn_compute(model, ctypes.byref(given), ctypes.byref(result))
        self.functions.mhdnn_close(model)
        if failed:
            raise CoreError(self.functions.mhdnn_last_error().decode())
        return Found(result.energy, np.array(result.virial), outside=outside.astype(bool), **arrays)
