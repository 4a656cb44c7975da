"""A tin bilayer on graphene from which tin_graphene.sh draws candidates: rigid, at random registries and gaps.

    python scripts/learn/tin_graphene_structures.py FOLDER

The slabs are those of data/sn_graphene_interface.extxyz, none of whose points is among the candidates. `pool.h5` has
both together, `apart.h5` each alone, without labels.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from ase import Atoms

from mhdnn.data.ase_bridge import structure_from_atoms
from mhdnn.data.writer import StoreWriter

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
    return sheet, tin


def pool(generator: np.random.Generator) -> list[Atoms]:
    """Both together, at random."""
    edges, result = np.geomspace(*GAPS, NUM + 1), []
    for gap in generator.uniform(edges[:-1], edges[1:]):
        sheet, tin = slabs()
        tin.positions += [*(generator.uniform(size=2) @ sheet.cell[:2, :2]), gap]
        result.append(sheet + tin)
    return result


def write(path: Path, structures: Iterable[Atoms]) -> None:
    """A dataset without labels."""
    with StoreWriter(path, {"source": "scripts/learn/tin_graphene_structures.py"}) as writer:
        for atoms in structures:
            writer.append(structure_from_atoms(atoms, group=GROUP))


def main(folder: Path) -> None:
    """Write both files."""
    folder.mkdir(parents=True, exist_ok=True)
    write(folder / "pool.h5", pool(np.random.default_rng(SEED)))
    write(folder / "apart.h5", slabs())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
