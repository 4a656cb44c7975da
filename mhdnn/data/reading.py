"""What all readers share: options, the text of (compressed) files, and names of groups."""

from __future__ import annotations

import bz2
import gzip
import lzma
import shutil
import tempfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, cast

from mhdnn.data.ase_bridge import LabelKeys
from mhdnn.data.schema import Record
from mhdnn.errors import DataError

Frame = Callable[[], Record]
"""Parses one structure."""

COMPRESSIONS = {".gz": b"\x1f\x8b", ".bz2": b"BZh", ".xz": b"\xfd7zXZ\x00"}
"""Suffixes, and how such files begin."""
_SUFFIXES = ".xyz .extxyz .exyz .data .out .log .xml .db .h5 .hdf5 .json .traj .xsf .txt .dat .cif .gpw .nc .npz .raw"
_STEMS = "outcar vasprun ml_ab ml_abn input output cp2k pw gpaw aims scf log"
KNOWN_SUFFIXES = frozenset(_SUFFIXES.split())
"""What behind the last dot of a name is no part of it."""
MEANINGLESS_STEMS = frozenset(_STEMS.split())
"""Every calculation calls its file so; the folder tells them apart."""


@dataclass(frozen=True)
class ReadOptions:
    """What the user says about the sources.

    :param format: a key of `mhdnn.data.readers.READERS`; None recognises it
    :param units: ``ev-angstrom``, ``hartree-bohr`` or ``hartree-angstrom``, for formats that don't say
    :param keys: where labels stand in ASE objects
    :param group: group of all structures; None takes what the source names, else its file name
    :param keep_unconverged: give frames whose electronic structure did not converge, too
    :param keep_unlabelled: take structures without any label, too: candidates for labelling
    :param total_charge: of structures that don't have one, e
    :param valence_electrons: of each element (atomic number), where ``charges`` are numbers of electrons
    """

    format: str | None = None
    units: str | None = None
    keys: LabelKeys = LabelKeys()
    group: str | None = None
    keep_unconverged: bool = False
    keep_unlabelled: bool = False
    total_charge: float | None = None
    valence_electrons: Mapping[int, float] = field(default_factory=dict)


def default_group(path: Path) -> str:
    """The name of the file without suffixes, or of its folder where files are all called alike.

    What stands behind other dots belongs to the name: ``Li0.25CoO2.xyz`` is ``Li0.25CoO2``.
    """
    name = uncompressed_name(path)
    if name.split(".")[0].lower() in MEANINGLESS_STEMS:
        return path.absolute().parent.name
    suffix = Path(name).suffix
    return name.removesuffix(suffix) if suffix.lower() in KNOWN_SUFFIXES else name


def uncompressed_name(path: Path) -> str:
    """The name of a file without the suffix of its compression."""
    return path.name.removesuffix(path.suffix) if path.suffix.lower() in COMPRESSIONS else path.name


def compression(path: Path) -> str | None:
    """The suffix of the compression that a file has, from its beginning whatever it is called; None without one."""
    with readable(path), path.open("rb") as file:
        head = file.read(6)
    return next((suffix for suffix, magic in COMPRESSIONS.items() if head.startswith(magic)), None)


def open_binary(path: Path) -> IO[bytes]:
    """The bytes of a file, decompressed."""
    kind = compression(path)
    with readable(path):
        if kind == ".gz":
            return cast(IO[bytes], gzip.open(path, "rb"))
        if kind == ".bz2":
            return bz2.open(path, "rb")
        if kind == ".xz":
            return lzma.open(path, "rb")
        return path.open("rb")


def lines_of(path: Path) -> Iterator[str]:
    """The lines of a (compressed) text file, one after the other, without a byte order mark.

    Lines that are no UTF-8 are read as Latin-1, where every byte is a letter.

    :raises DataError: if the file can't be read on
    """
    with readable(path), open_binary(path) as file:
        first = True
        for line in file:
            yield _decoded(line.removeprefix(b"\xef\xbb\xbf") if first else line)
            first = False


def text_of(path: Path) -> str:
    """The text of a (compressed) file; raises as `lines_of`."""
    return "".join(lines_of(path))


def head_of(path: Path, size: int) -> bytes:
    """The first bytes of a (compressed) file.

    :raises DataError: if it can't be read
    """
    with readable(path), open_binary(path) as file:
        return file.read(size)


@contextmanager
def decompressed(path: Path) -> Iterator[Path]:
    """A file without compression: the file itself, or a copy with the same name and folder name elsewhere."""
    if compression(path) is None:
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="mhdnn-") as folder:
        copy = Path(folder) / path.absolute().parent.name / uncompressed_name(path)
        copy.parent.mkdir(exist_ok=True)
        with readable(path), open_binary(path) as source, copy.open("wb") as target:
            shutil.copyfileobj(source, target)
        yield copy


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turns errors of reading and decompressing into `DataError`."""
    try:
        yield
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise DataError(
            f"{path}: can't be read ({error}); check the file and its permissions, or copy it again if it was cut"
        ) from error


def _decoded(line: bytes) -> str:
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError:
        text = line.decode("latin-1")
    return text.replace("\r\n", "\n")
