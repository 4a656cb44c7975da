"""A tin bilayer on graphene from which tin_graphene.sh draws candidates: rigid, at random registries and gaps.

    python scripts/learn/tin_graphene_structures.py FOLDER

The slabs are those of data/sn_graphene_interface.extxyz, none of whose points is among the candidates. `pool.extxyz`
has both together, `apart.extxyz` each alone.
"""

from __future__ import annotations

import sys
from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms

sys.path.insert(0, str(Path(__file__).parents[1]))

from dft.adhesion import HEIGHT, wide_sheet
from dft.interface import LATTICE
from dft.structures import tin_layer

NUM, SEED = 80, 11
GAPS = (2.4, 6.5)
"""Å; one in each of as many parts of the range, whose widths grow with it."""
GROUP = "rigid"


def slabs() -> tuple[Atoms, Atoms]:
    """Graphene, and tin with its lowest atom at the height of graphene, both in the cell of the interface."""
    sheet, tin = wide_sheet(LATTICE), tin_layer(1, LATTICE)
    tin.set_cell([*tin.cell[:2], [0, 0, HEIGHT]])
    tin.positions[:, 2] += sheet.positions[0, 2]
    for atoms in (sheet, tin):
        atoms.info["group"] = GROUP
    return sheet, tin


def pool(generator: np.random.Generator) -> list[Atoms]:
    """The array ``slab`` says which atoms belong together."""
    edges, result = np.geomspace(*GAPS, NUM + 1), []
    for gap in generator.uniform(edges[:-1], edges[1:]):
        sheet, tin = slabs()
        tin.positions += [*(generator.uniform(size=2) @ sheet.cell[:2, :2]), gap]
        atoms = sheet + tin
        atoms.set_array("slab", np.repeat([1, 2], [len(sheet), len(tin)]))
        result.append(atoms)
    return result


def main(folder: Path) -> None:
    """Write both files."""
    folder.mkdir(parents=True, exist_ok=True)
    ase.io.write(folder / "pool.extxyz", pool(np.random.default_rng(SEED)))
    ase.io.write(folder / "apart.extxyz", slabs())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
