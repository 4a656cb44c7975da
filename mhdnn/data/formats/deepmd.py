"""Reading DeePMD-kit systems: folders of numpy or raw text arrays, and the same in HDF5 files (eV, Å).

A system has ``type.raw`` and ``type_map.raw``; its frames are in ``set.*/coord.npy`` and so on, or in ``coord.raw``.
https://docs.deepmodeling.com/projects/deepmd/en/stable/data/data-conv.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from ase.data import atomic_numbers

from mhdnn.data.ase_bridge import stress_from_virial
from mhdnn.data.formats.hdf5 import datasets_of, read_array
from mhdnn.data.hdf5_heaps import open_hdf5
from mhdnn.data.reading import Frame, ReadOptions
from mhdnn.data.schema import Record
from mhdnn.errors import DataError
from mhdnn.structure import Structure

ARRAYS = ("coord", "box", "energy", "force", "virial", "real_atom_types")
REAL_TYPES = "real_atom_types"
"""Type of each atom in each frame, for systems that mix compositions; -1 pads."""
LOOKS_LIKE_LABEL = re.compile("ener|force|virial|stress|charge")


@dataclass(frozen=True)
class System:
    """One system, with all its arrays of one set.

    :param name: what error messages call it
    :param types: type of each atom
    :param numbers: atomic number of each type
    :param arrays: with one row per frame
    """

    name: str
    group: str
    types: np.ndarray
    numbers: np.ndarray
    periodic: bool
    arrays: Mapping[str, np.ndarray]
    unused: tuple[str, ...]


def frames(path: Path, options: ReadOptions) -> Iterator[Frame]:
    """A function for each frame of each system below a folder or in an HDF5 file.

    :raises DataError: if there is no system, or a file of it is missing or has the wrong shape
    """
    for system in _systems_in_file(path) if path.is_file() else _systems_in_folder(path):
        for frame in range(len(system.arrays["coord"])):
            yield partial(_record, system, frame)


def _systems_in_folder(path: Path) -> Iterator[System]:
    folders = sorted(found.parent for found in path.rglob("type.raw"))
    if not folders:
        raise DataError(f"{path}: expected DeePMD folders with `type.raw`, found none; check the path")
    for folder in folders:
        types = _types(_text_array(folder / "type.raw"), f"{folder / 'type.raw'}")
        numbers = _numbers(_symbols(folder / "type_map.raw"), types, str(folder))
        periodic = not (folder / "nopbc").exists()
        sets = sorted(part for part in folder.glob("set.*") if part.is_dir())
        if not sets and not (folder / "coord.raw").exists():
            raise DataError(
                f"{folder}: expected folders `set.*` with coord.npy, or coord.raw, found none; check the path"
            )
        for part in sets or [folder]:
            suffix = ".npy" if sets else ".raw"
            found = {file.stem: file for file in part.iterdir() if file.suffix == suffix}
            load = _numpy_array if sets else _text_array
            arrays = {name: load(found[name]) for name in ARRAYS if name in found}
            checked = _checked(arrays, len(types), periodic, str(part), suffix)
            yield System(str(part), folder.absolute().name, types, numbers, periodic, checked, _unused(found))


def _systems_in_file(path: Path) -> Iterator[System]:
    with open_hdf5(path) as file:
        groups = datasets_of(file)
        for name in sorted(group for group, names in groups.items() if "type.raw" in names):
            where = f"{path}: {name or '/'}"
            types = _types(read_array(file, f"{name}/type.raw", path), f"{where}/type.raw")
            if "type_map.raw" not in groups[name]:
                raise DataError(f"{where}/type_map.raw: is missing; write the element symbols of types 0, 1, ... in it")
            texts = np.ravel(read_array(file, f"{name}/type_map.raw", path)).tolist()
            symbols = [text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text) for text in texts]
            numbers = _numbers(symbols, types, where)
            periodic = "nopbc" not in file[name or "/"]
            for part in sorted(group for group in groups if re.fullmatch(rf"{re.escape(name)}/?set\.[^/]*", group)):
                stems = {entry.removesuffix(".npy"): entry for entry in groups[part]}
                arrays = {stem: read_array(file, f"{part}/{stems[stem]}", path) for stem in ARRAYS if stem in stems}
                checked = _checked(arrays, len(types), periodic, f"{path}: {part}", ".npy")
                group = name.rpartition("/")[2] or path.stem
                yield System(f"{path}: {part}", group, types, numbers, periodic, checked, _unused(stems))


def _types(values: np.ndarray, name: str) -> np.ndarray:
    types = np.ravel(values)
    if not len(types) or types.dtype.kind not in "iuf" or not np.all(types == np.round(types)):
        raise DataError(f"{name}: expected one whole number for each atom, found {str(types[:5])}; correct it")
    return types.astype(np.int64)


def _symbols(path: Path) -> list[str]:
    if not path.exists():
        raise DataError(f"{path}: is missing; write the element symbols of types 0, 1, ... in it, one a line")
    try:
        return path.read_text(encoding="utf-8", errors="replace").split()
    except OSError as error:
        raise DataError(f"{path}: can't be read ({error}); check the file and its permissions") from error


def _numbers(symbols: list[str], types: np.ndarray, name: str) -> np.ndarray:
    unknown = [symbol for symbol in symbols if symbol not in atomic_numbers]
    if unknown:
        raise DataError(
            f"{name}/type_map.raw: expected element symbols, found {unknown[0][:20]!r}; replace it by an element"
        )
    if types.min() < 0 or types.max() >= len(symbols):
        raise DataError(
            f"{name}/type.raw: expected types 0 to {len(symbols) - 1} of type_map.raw, "
            f"found {types.min()} to {types.max()}; correct either file"
        )
    return np.array([atomic_numbers[symbol] for symbol in symbols])


def _text_array(path: Path) -> np.ndarray:
    try:
        return np.array([line.split() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()], float)
    except (ValueError, OSError) as error:  # also what is no UTF-8
        raise DataError(
            f"{path}: expected numbers, as many in each line ({error}); correct it, or copy it again"
        ) from error


def _numpy_array(path: Path) -> np.ndarray:
    """Memory-mapped, since sets can be large."""
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError, SyntaxError, TypeError, OverflowError) as error:
        raise DataError(f"{path}: is no complete numpy array ({error}); copy it again") from error


def _checked(
    arrays: dict[str, np.ndarray], num_atoms: int, periodic: bool, part: str, suffix: str
) -> dict[str, np.ndarray]:
    """The arrays with shape (num_frames, columns)."""
    for name in ("coord", "box") if periodic else ("coord",):
        if name not in arrays:
            raise DataError(f"{part}/{name}{suffix}: is missing; add it (without a cell: an empty file `nopbc`)")
    columns = dict(zip(ARRAYS, (3 * num_atoms, 9, 1, 3 * num_atoms, 9, num_atoms), strict=True))
    frames_found = len(arrays["coord"]) if arrays["coord"].ndim else 0
    result = {}
    for name, array in arrays.items():
        if array.size != frames_found * columns[name] or array.dtype.kind not in "iuf":
            raise DataError(
                f"{part}/{name}{suffix}: expected {frames_found} frames of {columns[name]} numbers, "
                f"found shape {array.shape} of {array.dtype}; check type.raw and the array"
            )
        result[name] = array.reshape(frames_found, columns[name])
    return result


def _unused(names: Mapping[str, object]) -> tuple[str, ...]:
    return tuple(sorted(name for name in names if name not in ARRAYS and LOOKS_LIKE_LABEL.search(name)))


def _record(system: System, frame: int) -> Record:
    name = f"{system.name}: frame {frame}"
    row = {key: np.array(array[frame], dtype=float) for key, array in system.arrays.items()}
    types = system.types
    if REAL_TYPES in row:
        if not np.all((row[REAL_TYPES] >= -1) & (row[REAL_TYPES] < len(system.numbers))):
            raise DataError(
                f"{name}: `{REAL_TYPES}` must be -1 (padding) to {len(system.numbers) - 1}, found "
                f"{row[REAL_TYPES].min():g} to {row[REAL_TYPES].max():g}; correct it or type_map.raw"
            )
        types = row[REAL_TYPES].astype(int)
    real = types >= 0
    cell = row["box"].reshape(3, 3) if system.periodic else np.zeros((3, 3))
    virial = row.get("virial") if system.periodic else None
    structure = Structure(
        atomic_numbers=system.numbers[types[real]],
        positions=row["coord"].reshape(-1, 3)[real],
        cell=cell,
        pbc=np.full(3, system.periodic),
        energy=float(row["energy"][0]) if "energy" in row else None,
        forces=row["force"].reshape(-1, 3)[real] if "force" in row else None,
        stress=None if virial is None else stress_from_virial(virial, cell, name),
        group=system.group,
    )
    return Record(structure, unused=system.unused)
