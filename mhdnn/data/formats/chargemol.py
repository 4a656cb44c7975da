"""Reading Chargemol's ``DDEC6_even_tempered_net_atomic_charges.xyz``: positions, cell and DDEC charges.

Behind the atoms (element, x, y, z in Å, charge) stand the parameters of the partitioning and atomic multipoles.
Manz and Gabaldon Limas, RSC Adv. 6, 47771 (2016), https://doi.org/10.1039/C6RA04656H
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
from ase.data import atomic_numbers

from mhdnn.data.reading import Frame, ReadOptions, default_group, text_of, uncompressed_name
from mhdnn.data.schema import Record
from mhdnn.errors import DataError
from mhdnn.structure import Structure

FILE_NAME = "net_atomic_charges"
HEADING = b"net_charge"
NUMBER = r"([-+]?\d*\.\d+)"
ATOM = re.compile(rf"^\s*([A-Za-z]{{1,2}})\s*{NUMBER}\s*{NUMBER}\s*{NUMBER}\s*{NUMBER}\s*$")
VECTOR = re.compile(rf"\{{\s*{NUMBER}\s+{NUMBER}\s+{NUMBER}\s*\}}")


def recognised(path: Path, head: bytes) -> bool:
    """Whether a file is one of net atomic charges (spin moments and bond orders look alike)."""
    comment = head.split(b"\n", 2)[1].lower() if head.count(b"\n") > 1 else b""
    of_chargemol = b"jmolscript" in comment or b"nonperiodic system" in comment
    return FILE_NAME in uncompressed_name(path).lower() or (of_chargemol and HEADING in head)


def frames(path: Path, options: ReadOptions) -> Iterator[Frame]:
    """A function that makes the record of the one structure of the file."""
    yield partial(_record, path)


def _record(path: Path) -> Record:
    first, comment, *rows = text_of(path).split("\n")
    count = int(first) if first.strip().isdigit() and len(first.strip()) < 9 else 0
    atoms = [match for row in rows[:count] if (match := ATOM.match(row))]
    if count < 1 or len(atoms) != count:
        raise DataError(
            f"{path}: expected the number of atoms, a comment, and for each atom element, x, y, z and charge, found "
            f"{len(atoms)} of {first.strip()[:20]!r} atoms; the file is cut or is none of net atomic charges"
        )
    unknown = [match.group(1) for match in atoms if match.group(1).capitalize() not in atomic_numbers]
    if unknown:
        raise DataError(f"{path}: expected an element, found {unknown[0]!r}; correct it")
    numbers = np.array([match.groups()[1:] for match in atoms], dtype=float)
    vectors = np.array(VECTOR.findall(comment), dtype=float)
    if vectors.shape != (3, 3) and "unitcell" in comment.lower():
        raise DataError(f"{path}: expected three cell vectors behind `unitcell`, found {comment[:120]!r}; correct it")
    cell = vectors if vectors.shape == (3, 3) else np.zeros((3, 3))
    structure = Structure(
        atomic_numbers=np.array([atomic_numbers[match.group(1).capitalize()] for match in atoms]),
        positions=numbers[:, :3],
        cell=cell,
        pbc=np.array([vector.any() for vector in cell]),
        charges=numbers[:, 3],
        group=default_group(path),
    )
    return Record(structure, charge_scheme="ddec3" if "DDEC3" in path.name else "ddec6")
