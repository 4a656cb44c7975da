"""Tin bilayers on graphene from which tin_graphene.sh draws candidates: random gap, registry and lattice constant.

python scripts/learn/tin_graphene_structures.py FILE.extxyz
"""

from __future__ import annotations

import sys
from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms

sys.path.insert(0, str(Path(__file__).parents[1]))

from dft.adhesion import LATTICES, bilayer, wide_sheet

NUM, SEED = 60, 11
GAPS = (2.6, 5.6)
"""Å; more of the narrow ones."""


def interface(generator: np.random.Generator) -> Atoms:
    """A bilayer anywhere over a sheet with its lattice constant; the array ``slab`` says what is which."""
    lattice = generator.uniform(*LATTICES)
    sheet, tin = wide_sheet(lattice), bilayer(lattice, generator)
    gap = np.exp(generator.uniform(*np.log(GAPS)))
    tin.positions += [*(generator.uniform(size=2) @ sheet.cell[:2, :2]), sheet.positions[0, 2] + gap]
    atoms = sheet + tin
    atoms.set_array("slab", np.repeat([1, 2], [len(sheet), len(tin)]))
    return atoms


def main(path: Path) -> None:
    """Write the structures."""
    generator = np.random.default_rng(SEED)
    path.parent.mkdir(parents=True, exist_ok=True)
    ase.io.write(path, [interface(generator) for _ in range(NUM)])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
