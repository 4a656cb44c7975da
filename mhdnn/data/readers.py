"""The reader of each format, and how a file's format is recognised.

A reader gives one function per structure; calling it parses the structure. So a broken structure
can be reported, or skipped, without losing those after it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TypeVar

from ase.io.formats import UnknownFileTypeError, filetype, ioformats

from mhdnn.data.codes import aims, cp2k, gpaw, quantum_espresso, vasp_mlab, vasp_outcar, vasp_xml
from mhdnn.data.formats import aenet, ase_files, chargemol, deepmd, extxyz, molecules, n2p2
from mhdnn.data.formats.hdf5 import datasets_of
from mhdnn.data.hdf5_heaps import open_hdf5
from mhdnn.data.reading import Frame, ReadOptions, decompressed, default_group, head_of, uncompressed_name
from mhdnn.data.store import StoreReader
from mhdnn.errors import DataError, MHDNNError, UnconvergedError

__all__ = ["READERS", "Frame", "ReadOptions", "default_group", "detect_format", "read_frames"]

HEAD_BYTES = 20_000
HDF5 = b"\x89HDF\r\n\x1a\n"
Result = TypeVar("Result")
Reader = Callable[[Path, ReadOptions], Iterator[Frame]]


def read_frames(path: Path, options: ReadOptions) -> Iterator[Frame]:
    """The structures of one source, each as a function that parses it.

    Whatever goes wrong in a reader or in the functions that it gives is a `DataError` that names the source.

    :raises DataError: if the file is missing, or its format is unknown or can't be read on
    """
    if not path.exists():
        raise DataError(f"{path}: no such file or folder; check the path")
    form = options.format or detect_format(path)
    if form not in READERS:
        raise DataError(f"{path}: `--format` must be one of {', '.join(READERS)}, found {form!r}; choose one")
    if options.units is not None and options.units not in UNITS.get(form, ()):
        raise DataError(
            f"{path}: `--units` {options.units} is for {' and '.join(UNITS)} only ({', '.join(molecules.UNITS)}), "
            f"found format {form}; leave it out, or choose another"
        )
    return _guarded(path, _decompressing(READERS[form], path, options, form))


def detect_format(path: Path) -> str:
    """The format of a file or folder, from its name and its beginning.

    :raises DataError: if it is not recognised
    """
    if path.is_dir():
        return "deepmd"
    name = uncompressed_name(path)
    head = head_of(path, HEAD_BYTES)
    if head.startswith(HDF5):
        return _hdf5_format(path)
    by_content = {
        "chargemol": chargemol.recognised(path, head),
        "ase-db": head.startswith(b"SQLite format 3"),
        "n2p2": n2p2.recognised(head),
        "cp2k": b" CP2K| " in head or b" DBCSR| " in head,
        "qe": b"Program PWSCF" in head,
        "gpaw": b"|__ |  _|___|_____|" in head or b"|__||  | ||/\\|" in head,
        "aims": b"Invoking FHI-aims" in head,
        "extxyz": name.lower().endswith((".xyz", ".extxyz", ".exyz")),
        "xsf": name.lower().endswith((".xsf", ".axsf")),
        "vasp-outcar": "OUTCAR" in name or head.lstrip().startswith(b"vasp."),
        "vasp-xml": b"<modeling>" in head or ("vasp" in name and name.endswith(".xml")),
        "vasp-mlab": name.startswith(("ML_AB", "ML_ABN")) or b"The number of configurations" in head[:400],
    }
    for form, matches in by_content.items():
        if matches:
            return form
    try:
        known = filetype(str(path))
    except UnknownFileTypeError:
        known = ""
    except Exception as error:  # it opens the file and guesses
        raise DataError(
            f"{path}: the format is not recognised ({type(error).__name__}: {error}); give `--format`"
        ) from error
    if known not in ioformats:  # ASE may also give back the suffix
        raise DataError(f"{path}: the format is not recognised; give `--format`, one of {', '.join(READERS)}")
    return "extxyz" if known in ("xyz", "extxyz") else "ase"


def _hdf5_format(path: Path) -> str:
    """Which of the formats that use HDF5; those that are none of them are refused by the reader of datasets."""
    try:
        with decompressed(path) as plain, open_hdf5(plain) as file:
            if "schema_version" in file.attrs:
                return "mhdnn"
            groups = datasets_of(file)
    except Exception:  # of a damaged file HDF5 raises anything
        return "mhdnn"  # whose reader says what is wrong with the file
    if any("type.raw" in names for names in groups.values()):
        return "deepmd"
    return "molecules" if any(molecules.arrays_of(names) for names in groups.values()) else "mhdnn"


def _guarded(path: Path, frames: Iterator[Frame]) -> Iterator[Frame]:
    """The frames of a reader, with every error turned into one of the package's."""
    number = 0
    while True:
        name = f"{path}: frame {number}"
        frame = _call(partial(next, frames, None), name)
        if frame is None:
            return
        yield partial(_call, frame, name)
        number += 1


def _call(function: Callable[[], Result], name: str) -> Result:
    try:
        return function()
    except MHDNNError:
        raise
    except Exception as error:  # damaged files make parsers, numpy and HDF5 raise anything
        raise DataError(
            f"{name}: can't be read ({type(error).__name__}: {error}); check that the file is complete, or give "
            "`--format`"
        ) from error


def _decompressing(reader: Reader, path: Path, options: ReadOptions, form: str) -> Iterator[Frame]:
    """The frames of a file; a compressed one is decompressed for readers that don't do it themselves."""
    if path.is_dir() or form in DECOMPRESSING:
        yield from reader(path, options)
        return
    with decompressed(path) as plain:
        if plain == path:
            yield from reader(path, options)
            return
        frames = reader(plain, options)
        while True:
            frame = _renamed(partial(next, frames, None), plain, path)
            if frame is None:
                return
            yield partial(_renamed, frame, plain, path)


def _renamed(function: Callable[[], Result], plain: Path, path: Path) -> Result:
    """Calls a function whose errors name the decompressed copy."""
    try:
        return function()
    except (DataError, UnconvergedError) as error:
        raise type(error)(str(error).replace(str(plain), str(path))) from error


def _read_store(path: Path, options: ReadOptions) -> Iterator[Frame]:
    reader = StoreReader(path)
    yield from reader.frames()
    reader.close()


READERS: dict[str, Reader] = {
    "extxyz": extxyz.frames,
    "ase-db": ase_files.database_frames,
    "vasp-outcar": vasp_outcar.frames,
    "vasp-xml": vasp_xml.frames,
    "vasp-mlab": vasp_mlab.frames,
    "qe": quantum_espresso.frames,
    "cp2k": cp2k.frames,
    "aims": aims.frames,
    "gpaw": gpaw.frames,
    "xsf": aenet.frames,
    "chargemol": chargemol.frames,
    "n2p2": n2p2.frames,
    "deepmd": deepmd.frames,
    "molecules": molecules.frames,
    "mhdnn": _read_store,
    "ase": ase_files.frames,
}
"""Formats by the name that ``--format`` takes; ``ase`` is any other that ASE recognises."""
CODES = frozenset({"vasp-outcar", "vasp-xml", "vasp-mlab", "qe", "cp2k", "aims", "gpaw"})
DECOMPRESSING = frozenset({"extxyz", "n2p2", "chargemol"}) | CODES
"""Formats whose readers decompress files themselves."""
UNITS = {"n2p2": tuple(n2p2.SCALES), "molecules": molecules.UNITS}
"""What ``--units`` may be for formats that don't always say their units."""
