"""Reading XSF files, also those of aenet: energy in a comment (``# total energy = -1.5 eV``), forces in eV/Å.

XCrySDen defines forces in Hartree/Å; files with aenet's comment have them in eV/Å.
http://ann.atomistic.net/documentation
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from ase.units import Hartree as ASE_HARTREE

from mhdnn.data.formats import ase_files
from mhdnn.data.reading import Frame, ReadOptions, head_of, text_of
from mhdnn.data.schema import Record
from mhdnn.data.unit_names import factor
from mhdnn.errors import DataError

ENERGY = re.compile(r"^\s*#.*\benergy\s*[=:]?\s*([-+]?\d\S*)[ \t]*([^\s\d]\S*)?", re.IGNORECASE | re.MULTILINE)
HEAD_BYTES = 2000


def frames(path: Path, options: ReadOptions) -> Iterator[Frame]:
    """A function for each frame of an XSF file."""
    energy = _energy(path, head_of(path, HEAD_BYTES).decode("utf-8", errors="replace"))
    images = ase_files.frames(path, options, "xsf")
    if energy is None:
        yield from images
        return
    if len(re.findall(r"^\s*(?:PRIMCOORD|ATOMS)", text_of(path), re.MULTILINE)) != 1:
        raise DataError(
            f"{path}: expected one structure beside the energy in a comment, found several; give each a file of its own"
        )
    yield from (partial(_with_energy, frame, energy) for frame in images)


def _energy(path: Path, head: str) -> float | None:
    found = ENERGY.search(head)
    if found is None:
        return None
    try:
        value = float(found.group(1))
    except ValueError as error:
        raise DataError(f"{path}: the energy {found.group(1)!r} in the comment is no number; correct it") from error
    return value * factor(found.group(2) or "eV", "energy", f"{path}: comment")


def _with_energy(frame: Frame, energy: float) -> Record:
    record = frame()
    structure = record.structure
    structure.energy = energy
    if structure.forces is not None:
        structure.forces = structure.forces / ASE_HARTREE  # ASE multiplied them by it
    return record
