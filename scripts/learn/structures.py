"""The structures that silicon_graphene.yaml starts from: Si(111) on graphene at three gaps, and with lithium.

python scripts/learn/structures.py FOLDER     writes clean.extxyz and lithiated.extxyz
"""

from __future__ import annotations

import sys
from pathlib import Path

import ase.io
from ase import Atoms

from mhdnn.properties.frames import for_a_file
from mhdnn.properties.interfaces import with_gap
from mhdnn.properties.screening.pairs import join, with_ions
from mhdnn.properties.screening.plan import InsertionPlan, InterfacePlan
from mhdnn.properties.structures.crystals import element_crystal
from mhdnn.properties.structures.layers import graphene_sheet
from mhdnn.properties.structures.surfaces import surface_slab

INTERFACE = InterfacePlan(max_area=60.0, max_strain=0.05, gap=3.3, vacuum=20.0)
CONTENTS = ((1 / 16, "gap"), (1 / 16, "material"), (1 / 4, "material"))
"""Lithium for each silicon atom, and where."""
SEED = 1
GAPS = (3.2, 3.3, 3.4)
"""Å, around rest."""


def interface() -> Atoms:
    """Two bilayers of Si(111) on graphene."""
    return join(graphene_sheet(), surface_slab(element_crystal("Si"), (1, 1, 1), 2), INTERFACE)[0]


def lithiated(atoms: Atoms, seed: int = SEED) -> list[Atoms]:
    """The interface with lithium at random free places."""
    return [
        with_ions(atoms, "Li", content, InsertionPlan(where, min_distance=2.0, seed=seed))
        for content, where in CONTENTS
    ]


def main(folder: Path) -> None:
    """Write both files."""
    folder.mkdir(parents=True, exist_ok=True)
    clean = interface()
    ase.io.write(folder / "clean.extxyz", [for_a_file(with_gap(clean, gap)) for gap in GAPS])
    ase.io.write(folder / "lithiated.extxyz", [for_a_file(atoms) for atoms in lithiated(clean)])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
