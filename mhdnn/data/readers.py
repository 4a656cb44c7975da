"""One reader for each source of DFT data, and how a file's format is recognised.

A reader gives one function per structure; calling it parses the structure. So a broken structure
can be reported, or skipped, without losing those after it.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

import ase.db
import ase.io
from ase import Atoms
from ase.db.row import AtomsRow
from ase.io.extxyz import key_val_str_to_dict, read_xyz
from ase.io.formats import UnknownFileTypeError, filetype, ioformats, open_with_compression

from mhdnn.data import cp2k, deepmd, n2p2
from mhdnn.data.ase_bridge import LabelKeys, structure_from_atoms
from mhdnn.data.schema import Record
from mhdnn.data.store import StoreReader
from mhdnn.errors import DataError
from mhdnn.structure import VOIGT, Structure

Frame = Callable[[], Record]
"""Parses one structure."""

COMPRESSIONS = (".gz", ".bz2", ".xz")
MEANINGLESS_STEMS = ("OUTCAR", "vasprun", "input", "output", "cp2k", "pw", "gpaw")
"""Every calculation calls its file so; the folder tells them apart."""

HEAD_BYTES = 20_000
STRESS_VALUE = re.compile(r"""(?<!\S)stress=(["'{\[])([^"'}\]]*)(["'}\]])""")


@dataclass(frozen=True)
class ReadOptions:
    """What the user says about the sources.

    :param format: a key of `READERS`; None recognises it
    :param units: ``ev-angstrom`` or ``hartree-bohr``, for formats that don't say
    :param keys: where labels stand in ASE objects
    :param group: group of all structures; None takes what the source names, else its file name
    :param keep_unconverged: give frames whose electronic structure did not converge, too
    """

    format: str | None = None
    units: str | None = None
    keys: LabelKeys = LabelKeys()
    group: str | None = None
    keep_unconverged: bool = False


def read_frames(path: Path, options: ReadOptions) -> Iterator[Frame]:
    """The structures of one source, each as a function that parses it.

    :raises DataError: if the file is missing, or its format is unknown or can't be read on
    """
    if not path.exists():
        raise DataError(f"{path}: no such file or folder; check the path")
    form = options.format or detect_format(path)
    if form not in READERS:
        raise DataError(f"{path}: `--format` must be one of {', '.join(READERS)}, found {form!r}; choose one")
    if options.units is not None and form != "n2p2":
        raise DataError(f"{path}: `--units` is for n2p2 only, found format {form}, whose units are fixed; leave it out")
    return READERS[form](path, options)


def detect_format(path: Path) -> str:
    """The format of a file or folder, from its name and its beginning.

    :raises DataError: if it is not recognised
    """
    if path.is_dir():
        return "deepmd"
    name = path.name.removesuffix(path.suffix) if path.suffix in COMPRESSIONS else path.name
    head = _head(path)
    by_content = {
        "mhdnn": head.startswith(b"\x89HDF\r\n\x1a\n"),
        "ase-db": head.startswith(b"SQLite format 3"),
        "n2p2": head.split()[:1] == [b"begin"],
        "cp2k": b" CP2K| " in head or b" DBCSR| " in head,
        "qe": b"Program PWSCF" in head,
        "extxyz": name.endswith((".xyz", ".extxyz")),
        "vasp-outcar": "OUTCAR" in name,
        "vasp-xml": "vasp" in name and name.endswith(".xml"),
    }
    for form, matches in by_content.items():
        if matches:
            return form
    try:
        known = filetype(str(path))
    except UnknownFileTypeError:
        known = ""
    if known not in ioformats:  # ASE may also give back the suffix
        raise DataError(f"{path}: the format is not recognised; give `--format`, one of {', '.join(READERS)}")
    return "extxyz" if known in ("xyz", "extxyz") else "ase"


def default_group(path: Path) -> str:
    """The name of the file without suffixes, or of its folder where files are all called alike."""
    stem = path.name.split(".")[0]
    return path.absolute().parent.name if stem in MEANINGLESS_STEMS else stem


def _read_extxyz(path: Path, options: ReadOptions) -> Iterator[Frame]:
    with open_with_compression(str(path), "rt") as lines:
        number = 0
        for header in lines:
            if not header.strip():
                continue
            try:
                count = int(header)
            except ValueError as error:
                raise DataError(
                    f"{path}: frame {number}: expected the number of atoms, found {header.strip()[:60]!r}; "
                    "the frame before it has more or fewer atoms than it says"
                ) from error
            block = [header, *islice(lines, count + 1)]
            yield partial(_extxyz_record, block, count, path, number, options)
            number += 1


def _extxyz_record(block: list[str], count: int, path: Path, number: int, options: ReadOptions) -> Record:
    if len(block) != count + 2:
        raise DataError(
            f"{path}: frame {number}: expected {count} atoms, found {max(len(block) - 2, 0)} before the end; "
            "the file is cut, copy it again"
        )

    def parse() -> Atoms:
        return next(read_xyz(io.StringIO("".join(block)), index=0, properties_parser=_properties))

    return _ase_record(parse, path, number, options)


def _properties(line: str) -> dict:
    """ASE's parser, with six stress components where ASE insists on nine."""
    found = STRESS_VALUE.search(line)
    if found and len(found.group(2).replace(",", " ").split()) == len(VOIGT):
        line = f"{line[: found.start()]}stress_voigt{line[found.start() + len('stress') :]}"
    return key_val_str_to_dict(line)


def _read_ase_db(path: Path, options: ReadOptions) -> Iterator[Frame]:
    with ase.db.connect(str(path), type="db") as database:
        for number, row in enumerate(database.select()):
            yield partial(_ase_record, partial(_row_atoms, row), path, number, options)


def _row_atoms(row: AtomsRow) -> Atoms:
    atoms = row.toatoms()
    atoms.info.update(row.key_value_pairs)
    atoms.info.update(row.data)
    return atoms


def _read_with_ase(path: Path, options: ReadOptions, form: str | None = None) -> Iterator[Frame]:
    frames = ase.io.iread(str(path), index=":", format=form, do_not_split_by_at_sign=True)
    number = 0
    while True:
        try:
            atoms = next(frames, None)
        except Exception as error:  # parsers of foreign formats raise anything
            raise DataError(
                f"{path}: frame {number}: ASE can't read it ({type(error).__name__}: {error}); "
                "check that the calculation is complete, or give `--format`"
            ) from error
        if atoms is None:
            return
        yield partial(_ase_record, partial(_same, atoms), path, number, options)
        number += 1


def _same(atoms: Atoms) -> Atoms:
    return atoms


def _ase_record(parse: Callable[[], Atoms], path: Path, number: int, options: ReadOptions) -> Record:
    name = f"{path}: frame {number}"
    try:
        atoms = parse()
    except Exception as error:  # parsers of foreign formats raise anything
        raise DataError(
            f"{name}: ASE can't read it ({type(error).__name__}: {error}); correct the frame or remove it"
        ) from error
    structure = structure_from_atoms(atoms, options.keys, default_group(path), name)
    return Record(structure)


def _read_n2p2(path: Path, options: ReadOptions) -> Iterator[Frame]:
    if options.units not in n2p2.SCALES:
        raise DataError(
            f"{path}: n2p2 data does not say its units; give `--units`, one of {', '.join(n2p2.SCALES)} "
            f"(n2p2's examples are hartree-bohr), found {options.units}"
        )
    for number, block in enumerate(n2p2.blocks(path)):
        name = f"{path}: frame {number}"
        parse = partial(n2p2.structure_from_block, block, options.units, default_group(path), name)
        yield partial(_as_record, parse)


def _read_deepmd(path: Path, options: ReadOptions) -> Iterator[Frame]:
    for folder in deepmd.systems(path):
        for frame in deepmd.frames(folder, folder.absolute().name):
            yield partial(_as_record, frame)


def _as_record(parse: Callable[[], Structure]) -> Record:
    return Record(parse())


def _read_cp2k(path: Path, options: ReadOptions) -> Iterator[Frame]:
    yield partial(_as_record, partial(cp2k.read_structure, path, default_group(path)))


def _read_store(path: Path, options: ReadOptions) -> Iterator[Frame]:
    reader = StoreReader(path)
    yield from reader.frames()
    reader.close()


READERS: dict[str, Callable[[Path, ReadOptions], Iterator[Frame]]] = {
    "extxyz": _read_extxyz,
    "ase-db": _read_ase_db,
    "vasp-outcar": partial(_read_with_ase, form="vasp-out"),
    "vasp-xml": partial(_read_with_ase, form="vasp-xml"),
    "qe": partial(_read_with_ase, form="espresso-out"),
    "cp2k": _read_cp2k,
    "gpaw": partial(_read_with_ase, form="gpaw-out"),
    "n2p2": _read_n2p2,
    "deepmd": _read_deepmd,
    "mhdnn": _read_store,
    "ase": _read_with_ase,
}
"""Formats by the name that ``--format`` takes; ``ase`` is any other that ASE recognises."""


def _head(path: Path) -> bytes:
    try:
        with open_with_compression(str(path), "rb") as file:
            return file.read(HEAD_BYTES)
    except (OSError, EOFError) as error:
        raise DataError(f"{path}: can't be read ({error}); check the file and its permissions") from error
