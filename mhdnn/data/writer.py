"""Writing schema-1 dataset files: buffered, bounded in memory, and all or nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType

import h5py
import numpy as np

from mhdnn.data.partfile import PartFile, interrupts_deferred, unwritable
from mhdnn.data.schema import (
    DISPERSION_FIELDS,
    DISPERSION_PREFIX,
    GEOMETRY_FIELDS,
    LABEL_FIELDS,
    NUMERIC_FIELDS,
    RESERVED_ATTRIBUTES,
    SCHEMA_VERSION,
    SPLITS,
    UNITS,
    WEIGHT,
    Dispersion,
    Field,
    validate_dispersion,
    validate_structure,
)
from mhdnn.errors import DataError
from mhdnn.structure import Structure

BUFFERED_STRUCTURES = 1000
BUFFERED_ATOMS = 200_000
"""Whichever is reached first empties the buffer, so that large cells stay within memory too."""

CHUNK_ROWS = 1024
"""Small enough that reading one random structure decompresses little, large enough to compress well."""

PACKED = {"compression": "gzip", "compression_opts": 4, "shuffle": True}
STRING = h5py.string_dtype("utf-8")


class StoreWriter:
    """Writes a dataset file; use as a context manager.

    Everything goes to ``<path>.part`` beside the destination, which is renamed when the block ends
    without an exception. After any exception, Ctrl-C included, the part file is gone and an
    existing destination is as it was. A label's array exists only if some structure has the label.

    :param path: the dataset file to make; an existing one is replaced at the end
    :param attributes: root attributes: ``code``, ``functional``, ``charge_scheme``, ``energy_kind``, ``source``,
        ``licence`` or others; ``schema_version`` and ``units`` are set here; written at the end
    :raises DataError: if the file can't be written (disk full, no permission), naming the free space
    """

    def __init__(self, path: str | Path, attributes: Mapping[str, str] | None = None) -> None:
        self.path = Path(path)
        self.num_structures = 0
        self.num_atoms = 0
        self.attributes = dict(attributes or {})
        self._part = self.path.with_name(self.path.name + ".part")
        self._file: h5py.File | None = None
        self._disk: PartFile | None = None
        self._buffer: list[tuple[Structure, Dispersion, str]] = []
        self._buffered_atoms = 0
        self._written_structures = 0
        self._written_atoms = 0

    def __enter__(self) -> StoreWriter:
        with self._all_or_nothing():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._disk = PartFile(self._part)
            self._file = h5py.File(self._disk, "w", libver=("v110", "v110"))
            self._create_skeleton(self._file)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._abandon()
            return
        with self._all_or_nothing():
            self._finish()

    def append(self, structure: Structure, dispersion: Dispersion | None = None, split: str | None = None) -> None:
        """Add one structure; its arrays must not be changed until the writer has closed.

        :param dispersion: the part of the labels that came from a dispersion correction
        :param split: ``train``, ``validation`` or ``test``
        :raises DataError: if the structure is not valid or the disk is full
        """
        file = self._open_file()
        name = f"{self.path}: structure {self.num_structures}"
        validate_structure(structure, name)
        if dispersion is not None:
            validate_dispersion(dispersion, structure.num_atoms, name)
        if split is not None and split not in SPLITS:
            raise DataError(f"{name}: `split` must be one of {', '.join(SPLITS)}, found {split!r}")
        self._buffer.append((structure, dispersion or Dispersion(), split or ""))
        self.num_structures += 1
        self.num_atoms += structure.num_atoms
        self._buffered_atoms += structure.num_atoms
        if len(self._buffer) >= BUFFERED_STRUCTURES or self._buffered_atoms >= BUFFERED_ATOMS:
            with self._all_or_nothing():
                self._flush(file)

    @contextmanager
    def _all_or_nothing(self) -> Iterator[None]:
        """For work on the file: after a failure half a block may be in it, and nothing of it is kept."""
        try:
            with interrupts_deferred():
                yield
        except (OSError, RuntimeError) as error:
            self._abandon()
            raise unwritable(self.path, error) from error
        except BaseException:
            self._abandon()
            raise

    def _open_file(self) -> h5py.File:
        if self._file is None:
            raise DataError(
                f"{self.path}: the writer is not open, or an earlier write failed; "
                "use it as `with StoreWriter(...) as writer` and let its errors pass"
            )
        return self._file

    def _require_disk(self) -> PartFile:
        assert self._disk is not None
        return self._disk

    def _create_skeleton(self, file: h5py.File) -> None:
        file.attrs["schema_version"] = SCHEMA_VERSION
        file.attrs["units"] = UNITS
        file.create_dataset("offsets", data=[0], dtype="i8", maxshape=(None,), chunks=(CHUNK_ROWS,), **PACKED)
        for field in GEOMETRY_FIELDS:
            _create(file, field, 0)
        file.create_dataset("group", (0,), STRING, maxshape=(None,), chunks=(CHUNK_ROWS,))

    def _flush(self, file: h5py.File) -> None:
        if not self._buffer:
            return
        structures = [structure for structure, _, _ in self._buffer]
        sizes = [structure.num_atoms for structure in structures]
        _extend(file["offsets"], self._written_atoms + np.cumsum(sizes))
        for field in GEOMETRY_FIELDS:
            self._write(file, field, [getattr(structure, field.name) for structure in structures])
        for field in (*LABEL_FIELDS, WEIGHT):
            self._write(file, field, [getattr(structure, field.name) for structure in structures])
        for field in DISPERSION_FIELDS:
            label = field.name.removeprefix(DISPERSION_PREFIX)
            self._write(file, field, [getattr(dispersion, label) for _, dispersion, _ in self._buffer])
        _extend(file["group"], np.array([structure.group for structure in structures], dtype=object))
        self._write_split(file, [split for _, _, split in self._buffer])
        self._require_disk().raise_failure()
        self._written_structures += len(structures)
        self._written_atoms += sum(sizes)
        self._buffer.clear()
        self._buffered_atoms = 0

    def _write(self, file: h5py.File, field: Field, values: list) -> None:
        """Append one row block; labels are created when the first structure has them."""
        rows_before = self._written_atoms if field.per_atom else self._written_structures
        if field.name not in file:
            if all(value is None for value in values):
                return
            _create(file, field, rows_before)  # the fill value marks the structures so far as missing
        blocks = []
        for (structure, _, _), value in zip(self._buffer, values, strict=True):
            rows = structure.num_atoms if field.per_atom else 1
            filled = np.nan if value is None else np.asarray(value, dtype=field.dtype)
            block = np.empty((rows, *field.row_shape), dtype=field.dtype)
            block[...] = filled
            blocks.append(block)
        _extend(file[field.name], np.concatenate(blocks))

    def _write_split(self, file: h5py.File, splits: list[str]) -> None:
        if "split" not in file:
            if not any(splits):
                return
            file.create_dataset("split", (self._written_structures,), STRING, maxshape=(None,), chunks=(CHUNK_ROWS,))
        _extend(file["split"], np.array(splits, dtype=object))

    def _finish(self) -> None:
        file = self._open_file()
        if self.num_structures == 0:
            raise DataError(f"{self.path}: no structure was written; expected at least one, check the source")
        self._flush(file)
        if "split" in file and "" in file["split"].asstr()[:]:
            raise DataError(f"{self.path}: `split` was given for some structures only; give it for all")
        for key, value in self.attributes.items():
            if key not in RESERVED_ATTRIBUTES:
                file.attrs[key] = str(value)
        file.close()
        self._file = None
        self._require_disk().finish()
        self._part.replace(self.path)

    def _abandon(self) -> None:
        """Leave nothing behind; failures to close a file that can't be written are expected here."""
        file, self._file = self._file, None
        self._buffer.clear()
        with interrupts_deferred():
            if self._disk is not None:
                self._disk.give_up()
            if file is not None:
                with suppress(OSError, RuntimeError):
                    file.close()
            if self._disk is not None:
                self._disk.close()
            with suppress(OSError):
                self._part.unlink(missing_ok=True)


def _create(file: h5py.File, field: Field, rows: int) -> None:
    missing = NUMERIC_FIELDS[field.name] in (*LABEL_FIELDS, WEIGHT, *DISPERSION_FIELDS)
    file.create_dataset(
        field.name,
        shape=(rows, *field.row_shape),
        maxshape=(None, *field.row_shape),
        dtype=field.dtype,
        chunks=(CHUNK_ROWS, *field.row_shape),
        **PACKED,
        fillvalue=np.nan if missing else None,
    )


def _extend(dataset: h5py.Dataset, rows: np.ndarray) -> None:
    before = dataset.shape[0]
    dataset.resize(before + len(rows), axis=0)
    dataset[before:] = rows
