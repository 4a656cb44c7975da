"""Reading schema-1 dataset files: checked at opening, streamed afterwards, safe in worker processes."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from mhdnn.data.hdf5_heaps import check_heaps
from mhdnn.data.read_guard import REMEDY, ReadGuard
from mhdnn.data.schema import (
    DISPERSION_FIELDS,
    DISPERSION_PREFIX,
    ENERGY_KINDS,
    GEOMETRY_FIELDS,
    LABEL_FIELDS,
    LARGEST_ATOMIC_NUMBER,
    NUMERIC_FIELDS,
    RESERVED_ATTRIBUTES,
    SCHEMA_VERSION,
    SPLITS,
    WEIGHT,
    Dispersion,
    Record,
    validate_structure,
)
from mhdnn.data.writer import StoreWriter
from mhdnn.errors import DataError
from mhdnn.structure import Structure

__all__ = ["Dispersion", "Record", "StoreReader", "StoreWriter", "validate_structure"]

STRING_ARRAYS = frozenset({"group", "split"})
LARGEST_RATIO = 1100
"""Bytes of an array for each byte of the file; compression gets no further."""
BLOCK_ATOMS = 200_000
"""Atoms read at once when a whole file is gone through."""
SPARSE = 30
"""Reading a structure by itself costs as much as so many in a block."""


class StoreReader:
    """A dataset file as a sequence of structures.

    Opening checks the file and reads the offsets; structures are read when asked for. The file is
    opened once per process, so a reader may be pickled to, or forked into, data-loader workers.

    :param path: the dataset file
    :param subtract_dispersion: give energy, forces and stress without the dispersion part, for
        models to which a dispersion correction is added afterwards
    :raises DataError: if the file is missing, truncated, foreign or inconsistent, or if
        dispersion is to be subtracted and the file does not hold the part of each label
    """

    def __init__(self, path: str | Path, subtract_dispersion: bool = False) -> None:
        self.path = Path(path)
        self.subtract_dispersion = subtract_dispersion
        self._file: h5py.File | None = None
        self._process = -1
        self._datasets: dict[str, h5py.Dataset] = {}  # looking one up costs as much as reading a row
        try:
            with self._guard("file"):
                check_heaps(self.path)
                file = self._handle()
                self.attributes = self._check_root(file)
                self._arrays = frozenset(file)
                self._offsets = self._check_arrays(file)
        finally:
            self.close()  # a handle must not be inherited by workers forked from here

    def __len__(self) -> int:
        return len(self._offsets) - 1

    def __getitem__(self, index: int) -> Structure:
        """One structure; labels it does not have are None.

        :raises IndexError: if there is no such structure
        :raises DataError: if its numbers are not finite or its cell is not valid
        """
        return self.record(index).structure

    def __iter__(self) -> Iterator[Structure]:
        """All structures in order, read in blocks (much faster than one by one)."""
        return (frame().structure for frame in self.frames())

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_file": None, "_process": -1, "_datasets": {}}

    def name_of(self, index: int) -> str:
        """A structure by its file and its number there, for messages."""
        return f"{self.path}: structure {index}"

    @property
    def labels(self) -> frozenset[str]:
        """Labels that at least one structure has."""
        return frozenset(field.name for field in LABEL_FIELDS if field.name in self._arrays)

    @property
    def num_atoms(self) -> np.ndarray:
        """Atoms of each structure, shape (num_structures,), int64."""
        return np.diff(self._offsets)

    @property
    def groups(self) -> list[str]:
        """Where each structure comes from, ``family`` or ``family/member``."""
        return list(self._read("group", 0, len(self)))

    @property
    def split(self) -> np.ndarray | None:
        """``train``, ``validation`` or ``test`` of each structure, or None if no split is stored.

        :raises DataError: if another word stands there
        """
        if "split" not in self._arrays:
            return None
        split = np.array(self._read("split", 0, len(self)), dtype=str)
        unknown = Counter(split[~np.isin(split, SPLITS)].tolist())
        if unknown:
            found = ", ".join(f"{word!r} of {count} structures" for word, count in unknown.most_common(5))
            raise DataError(
                f"{self.path}: array `split`: expected {', '.join(SPLITS)}, found {found}; "
                "rename the words, or choose the parts anew with `mhdnn data split`"
            )
        return split

    def record(self, index: int) -> Record:
        """One structure with its dispersion part and split; raises as ``reader[index]`` does."""
        position = index + len(self) if index < 0 else index
        if not 0 <= position < len(self):
            raise IndexError(f"{self.path}: no structure {index}, the file has {len(self)}")
        return self._assemble(self._read_block(position, position + 1), position, position)

    def select(self, numbers: Sequence[int] | np.ndarray) -> Iterator[Structure]:
        """Structures of ascending numbers, read in blocks where many of a block are asked for.

        :raises IndexError: if one is not there, or they do not ascend
        :raises DataError: as ``reader[index]``
        """
        numbers = np.asarray(numbers, dtype=np.int64)
        if len(numbers) and (numbers[0] < 0 or numbers[-1] >= len(self) or (np.diff(numbers) <= 0).any()):
            raise IndexError(f"{self.path}: expected ascending numbers of structures below {len(self)}")
        done = 0
        while done < len(numbers):
            first = int(numbers[done])
            last = self._end_of_block(first)
            end = int(np.searchsorted(numbers, last))
            last = int(numbers[end - 1]) + 1
            if SPARSE * (end - done) < last - first:
                yield from (self[int(index)] for index in numbers[done:end])
            else:
                block = self._read_block(first, last)
                yield from (self._assemble(block, first, int(index)).structure for index in numbers[done:end])
            done = end

    def _end_of_block(self, first: int) -> int:
        """The structure behind the last of a block that begins with this one."""
        limit = self._offsets[first] + BLOCK_ATOMS
        return max(first + 1, int(np.searchsorted(self._offsets, limit, side="right")) - 1)

    def frames(self) -> Iterator[Callable[[], Record]]:
        """A function for each structure that assembles and checks its record.

        Lets a caller go on after a structure that raises `DataError`.
        """
        first = 0
        while first < len(self):
            last = self._end_of_block(first)
            block = self._read_block(first, last)
            for index in range(first, last):
                yield partial(self._assemble, block, first, index)
            first = last

    def elements(self) -> list[int]:
        """Atomic numbers that occur, ascending."""
        found: set[int] = set()
        for _, numbers in self._number_blocks():
            found.update(np.unique(numbers).tolist())
        return sorted(found)

    def composition(self, elements: Sequence[int]) -> np.ndarray:
        """Atoms of each element in each structure.

        :param elements: atomic numbers, the order of the columns
        :return: shape (num_structures, num_elements), int64
        :raises DataError: if an element of the file is not among ``elements``
        """
        counts = np.zeros((len(self), len(elements)), dtype=np.int64)
        column = np.full(256, -1)
        column[list(elements)] = np.arange(len(elements))
        for first_atom, numbers in self._number_blocks():
            columns = column[numbers]
            atoms = np.arange(first_atom, first_atom + len(numbers))
            structures = np.searchsorted(self._offsets, atoms, side="right") - 1
            if (columns < 0).any():
                atom = int(np.argmin(columns))
                raise DataError(
                    f"{self.path}: structure {structures[atom]} has atomic number {numbers[atom]}, "
                    f"expected only {list(elements)}; add the element to the model or remove the structure"
                )
            np.add.at(counts, (structures, columns), 1)
        return counts

    def energies(self) -> np.ndarray:
        """Energy of each structure, eV, NaN where missing, shape (num_structures,)."""
        if "energy" not in self._arrays:
            return np.full(len(self), np.nan)
        energies = self._read("energy", 0, len(self))
        if self.subtract_dispersion:
            energies = energies - self._read("dispersion_energy", 0, len(self))
        return energies

    def weights(self) -> np.ndarray:
        """Weight of each structure in the loss, shape (num_structures,).

        :raises DataError: if one is negative or infinite
        """
        if WEIGHT.name not in self._arrays:
            return np.ones(len(self))
        weights = self._read(WEIGHT.name, 0, len(self))
        weights = np.where(np.isnan(weights), 1.0, weights)
        wrong = np.flatnonzero(~((weights >= 0) & np.isfinite(weights)))
        if len(wrong):
            found = f"{weights[wrong[0]]} of structure {wrong[0]}"
            raise self._wrong(WEIGHT.name, "finite numbers, at least 0", found)
        return weights

    def close(self) -> None:
        """Close the file; it opens again when a structure is asked for."""
        self._datasets.clear()
        if self._file is not None:
            self._file.close()
            self._file = None

    def _handle(self) -> h5py.File:
        """The file, opened by this very process: HDF5 handles don't survive a fork."""
        if self._file is None or self._process != os.getpid():
            self.close()
            self._file = h5py.File(self.path, "r", locking="best-effort")
            self._process = os.getpid()
        return self._file

    def _guard(self, array: str) -> ReadGuard:
        return ReadGuard(self.path, array)

    def _read(self, name: str, first: int, last: int) -> np.ndarray:
        with self._guard(name):
            file = self._handle()
            if name not in self._datasets:
                dataset = file[name]
                self._datasets[name] = dataset.asstr() if name in STRING_ARRAYS else dataset
            return self._datasets[name][first:last]

    def _number_blocks(self) -> Iterator[tuple[int, np.ndarray]]:
        total = int(self._offsets[-1])
        for first in range(0, total, 5 * BLOCK_ATOMS):
            numbers = self._read("atomic_numbers", first, min(first + 5 * BLOCK_ATOMS, total))
            if numbers.min() < 1 or numbers.max() > LARGEST_ATOMIC_NUMBER:
                raise self._wrong("atomic_numbers", "1 to 118", f"{numbers.min()} to {numbers.max()}")
            yield first, numbers

    def _read_block(self, first: int, last: int) -> dict[str, np.ndarray]:
        """Every array for the structures first to last - 1."""
        atoms = (int(self._offsets[first]), int(self._offsets[last]))
        block = {}
        for field in NUMERIC_FIELDS.values():
            if field.name in self._arrays:
                block[field.name] = self._read(field.name, *(atoms if field.per_atom else (first, last)))
        for name in STRING_ARRAYS & self._arrays:
            block[name] = self._read(name, first, last)
        return block

    def _assemble(self, block: dict[str, np.ndarray], first: int, index: int) -> Record:
        """The record of structure ``index`` from a block that begins at structure ``first``."""
        row = index - first
        begin, end = (int(offset - self._offsets[first]) for offset in self._offsets[index : index + 2])
        values: dict[str, Any] = {}
        for name in NUMERIC_FIELDS.keys() & block.keys():
            rows = slice(begin, end) if NUMERIC_FIELDS[name].per_atom else row
            values[name] = block[name][rows]
        geometry: dict[str, Any] = {field.name: np.array(values[field.name]) for field in GEOMETRY_FIELDS}
        geometry["atomic_numbers"] = geometry["atomic_numbers"].astype(np.int64)
        labels = {f.name: self._label(values, f.name, index) for f in (*LABEL_FIELDS, WEIGHT, *DISPERSION_FIELDS)}
        parts = {f.name.removeprefix(DISPERSION_PREFIX): labels.pop(f.name) for f in DISPERSION_FIELDS}
        dispersion = Dispersion(**parts) if any(part is not None for part in parts.values()) else None
        if self.subtract_dispersion:
            self._subtract(labels, parts, index)
        structure = Structure(**geometry, **labels, group=str(block["group"][row]))
        validate_structure(structure, f"{self.path}: structure {index}")
        split = str(block["split"][row]) if "split" in block else None
        energy_kind, charge_scheme = self.attributes.get("energy_kind"), self.attributes.get("charge_scheme")
        return Record(structure, dispersion, split, energy_kind, charge_scheme=charge_scheme)

    def _label(self, values: dict[str, Any], name: str, index: int) -> Any:
        value = values.get(name)
        if value is None or np.isnan(value).all():
            return None
        if not np.isfinite(value).all():
            raise DataError(
                f"{self.path}: array `{name}`, structure {index}: expected finite numbers, or NaN throughout "
                "for a missing label, found some NaN or infinity; drop the structure with "
                "`mhdnn data convert --skip-invalid`"
            )
        return float(value) if np.ndim(value) == 0 else np.array(value)

    def _subtract(self, labels: dict[str, Any], parts: dict[str, Any], index: int) -> None:
        for name, part in parts.items():
            if labels[name] is None:
                continue
            if part is None:
                raise DataError(
                    f"{self.path}: array `{DISPERSION_PREFIX}{name}`, structure {index}: the dispersion part "
                    f"of `{name}` is missing; add it, or don't subtract dispersion"
                )
            labels[name] = labels[name] - part

    def _check_root(self, file: h5py.File) -> dict[str, str]:
        version = file.attrs.get("schema_version")
        if version is None:
            raise DataError(
                f"{self.path}: root attribute `schema_version` is missing, found arrays {sorted(file)[:5]}: "
                f"this HDF5 file is no mhdnn dataset; {REMEDY}"
            )
        if not np.array_equal(version, SCHEMA_VERSION):
            raise DataError(
                f"{self.path}: root attribute `schema_version` must be {SCHEMA_VERSION}, found {version}; "
                f"update mhdnn, or {REMEDY}"
            )
        attributes = {key: str(value) for key, value in file.attrs.items() if key not in RESERVED_ATTRIBUTES}
        if attributes.get("energy_kind", ENERGY_KINDS[0]) not in ENERGY_KINDS:
            found = attributes["energy_kind"]
            raise DataError(
                f"{self.path}: root attribute `energy_kind` must be one of {', '.join(ENERGY_KINDS)}, "
                f"found {found!r}; {REMEDY}"
            )
        return attributes

    def _check_arrays(self, file: h5py.File) -> np.ndarray:
        """Check every array's shape and return the offsets."""
        for name in ("offsets", "group", *(field.name for field in GEOMETRY_FIELDS)):
            if name not in file:
                raise DataError(f"{self.path}: array `{name}` is missing; {REMEDY}")
        self._check_size(file, "offsets")
        offsets = np.asarray(file["offsets"])
        if offsets.ndim != 1 or offsets.dtype.kind not in "iu" or len(offsets) < 2:
            found = f"{offsets.dtype} of shape {offsets.shape}"
            raise self._wrong("offsets", "num_structures + 1 whole numbers", found)
        offsets = offsets.astype(np.int64)
        if offsets[0] != 0 or (np.diff(offsets) <= 0).any():
            raise self._wrong("offsets", "0 first and then ascending numbers", f"{offsets[:5].tolist()} ...")
        structures, atoms = len(offsets) - 1, int(offsets[-1])
        for field in NUMERIC_FIELDS.values():
            if field.name in file:
                rows = atoms if field.per_atom else structures
                self._check_shape(file, field.name, (rows, *field.row_shape), "biuf")
                if field in GEOMETRY_FIELDS:  # labels that are missing throughout take no space
                    self._check_size(file, field.name)
        for name in STRING_ARRAYS & set(file):
            self._check_shape(file, name, (structures,), "OS")
        self._check_dispersion(file)
        return offsets

    def _check_shape(self, file: h5py.File, name: str, shape: tuple[int, ...], kinds: str) -> None:
        array = file[name]
        if not isinstance(array, h5py.Dataset):
            raise self._wrong(name, f"an array of shape {shape}", "an HDF5 group")
        if array.shape != shape or array.dtype.kind not in kinds:
            raise self._wrong(name, f"shape {shape}", f"shape {array.shape} of {array.dtype}")

    def _check_size(self, file: h5py.File, name: str) -> None:
        """Damaged sizes would ask for more memory than there is."""
        array = file[name]
        size = array.size * array.dtype.itemsize if isinstance(array, h5py.Dataset) else 0
        if size > LARGEST_RATIO * self.path.stat().st_size:
            raise self._wrong(name, "an array that fits into the file", f"{size} bytes")

    def _check_dispersion(self, file: h5py.File) -> None:
        for field in LABEL_FIELDS[:3]:
            part = DISPERSION_PREFIX + field.name
            if self.subtract_dispersion and field.name in file and part not in file:
                raise DataError(
                    f"{self.path}: array `{part}` is missing, so dispersion can't be subtracted from "
                    f"`{field.name}`; `mhdnn data convert --dispersion` works it out, or don't subtract it"
                )

    def _wrong(self, array: str, expected: str, found: str) -> DataError:
        return DataError(f"{self.path}: array `{array}`: expected {expected}, found {found}; {REMEDY}")
