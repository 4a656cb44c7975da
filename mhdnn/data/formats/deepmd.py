"""Reading DeePMD-kit folders: type.raw, type_map.raw and set.*/ with numpy arrays (eV, Å)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
from ase.data import atomic_numbers

from mhdnn.data.ase_bridge import stress_from_virial
from mhdnn.data.reading import Frame, ReadOptions
from mhdnn.data.schema import Record
from mhdnn.errors import DataError
from mhdnn.structure import Structure

ARRAYS = ("coord", "box", "energy", "force", "virial", "real_atom_types")
REAL_TYPES = "real_atom_types"
"""Type of each atom in each frame, for folders that mix compositions; -1 pads."""


def systems(folder: Path) -> list[Path]:
    """The folders below (or at) ``folder`` that hold a ``type.raw``.

    :raises DataError: if there is none
    """
    found = sorted(path.parent for path in folder.rglob("type.raw"))
    if not found:
        raise DataError(f"{folder}: expected DeePMD folders with `type.raw`, found none; check the path")
    return found


def frames(path: Path, options: ReadOptions) -> Iterator[Frame]:
    """A function for each frame of each system below a folder; raises as `systems` and `system_frames`."""
    for folder in systems(path):
        for frame in system_frames(folder, folder.absolute().name):
            yield partial(_as_record, frame)


def _as_record(parse: Callable[[], Structure]) -> Record:
    return Record(parse())


def system_frames(folder: Path, group: str) -> Iterator[Callable[[], Structure]]:
    """A function for each frame of one system that makes its structure.

    :raises DataError: if a file is missing or has the wrong shape
    """
    types = np.loadtxt(folder / "type.raw", dtype=int, ndmin=1)
    numbers = _type_map(folder)
    if types.min() < 0 or types.max() >= len(numbers):
        raise DataError(
            f"{folder / 'type.raw'}: expected types 0 to {len(numbers) - 1} of type_map.raw, "
            f"found {types.min()} to {types.max()}; correct either file"
        )
    periodic = not (folder / "nopbc").exists()
    sets = sorted(folder.glob("set.*"))
    if not sets:
        raise DataError(f"{folder}: expected folders `set.*` with coord.npy, found none; check the path")
    for part in sets:
        arrays = _load(part, len(types), periodic)
        for frame in range(len(arrays["coord"])):
            name = f"{part}: frame {frame}"
            yield partial(_structure, arrays, frame, types, numbers, periodic, group, name)


def _type_map(folder: Path) -> np.ndarray:
    path = folder / "type_map.raw"
    if not path.exists():
        raise DataError(f"{path}: is missing; write the element symbols of types 0, 1, ... in it, one a line")
    symbols = path.read_text(encoding="utf-8").split()
    unknown = [symbol for symbol in symbols if symbol not in atomic_numbers]
    if unknown:
        raise DataError(f"{path}: expected element symbols, found {unknown[0]!r}; replace it by an element")
    return np.array([atomic_numbers[symbol] for symbol in symbols])


def _load(part: Path, num_atoms: int, periodic: bool) -> dict[str, np.ndarray]:
    """The arrays of one set, with one row per frame; memory-mapped, since sets can be large."""
    arrays: dict[str, np.ndarray] = {}
    for name in ARRAYS:
        path = part / f"{name}.npy"
        if path.exists():
            try:
                arrays[name] = np.load(path, mmap_mode="r", allow_pickle=False)
            except ValueError as error:
                raise DataError(f"{path}: is no complete numpy array ({error}); copy it again") from error
    for name in ("coord", "box") if periodic else ("coord",):
        if name not in arrays:
            raise DataError(f"{part / name}.npy: is missing; add it (without a cell: an empty file `nopbc`)")
    columns = dict(zip(ARRAYS, (3 * num_atoms, 9, 1, 3 * num_atoms, 9, num_atoms), strict=True))
    frames_found = len(arrays["coord"])
    for name, array in arrays.items():
        if array.size != frames_found * columns[name]:
            raise DataError(
                f"{part / name}.npy: expected {frames_found} frames of {columns[name]} numbers, "
                f"found shape {array.shape}; check type.raw and the array"
            )
        arrays[name] = array.reshape(frames_found, columns[name])
    return arrays


def _structure(
    arrays: dict[str, np.ndarray],
    frame: int,
    types: np.ndarray,
    numbers: np.ndarray,
    periodic: bool,
    group: str,
    name: str,
) -> Structure:
    row = {key: np.array(array[frame], dtype=float) for key, array in arrays.items()}
    frame_types = row[REAL_TYPES].astype(int) if REAL_TYPES in row else types
    real = frame_types >= 0
    cell = row["box"].reshape(3, 3) if periodic else np.zeros((3, 3))
    virial = row.get("virial") if periodic else None
    return Structure(
        atomic_numbers=numbers[frame_types[real]],
        positions=row["coord"].reshape(-1, 3)[real],
        cell=cell,
        pbc=np.full(3, periodic),
        energy=float(row["energy"][0]) if "energy" in row else None,
        forces=row["force"].reshape(-1, 3)[real] if "force" in row else None,
        stress=None if virial is None else stress_from_virial(virial, cell, name),
        group=group,
    )
