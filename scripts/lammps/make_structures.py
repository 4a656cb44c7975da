"""Data files for the LAMMPS inputs of this folder.

    python scripts/lammps/make_structures.py sn_graphene sn_graphene.data    # for nve.in and npt.in: types C, Sn
    python scripts/lammps/make_structures.py host.extxyz host.data C Li      # for charging.in: your host, then the ion
    python scripts/lammps/make_structures.py crystal.extxyz tension.data Si         # for tension.in: a supercell

The first is a tin ball on graphene in a rectangular cell. The second takes any structure that ASE reads and elements
in the order of the atom types; one that the structure does not have yet, the ion, is given a type, too.
"""

from __future__ import annotations

import sys
from pathlib import Path

import ase.io
from ase import Atoms
from ase.build import make_supercell

from mhdnn.properties.structures.layers import graphene_sheet
from mhdnn.properties.structures.particles import nanoparticle

GAP = 2.8  # Å, between graphene and the lowest tin atom
VACUUM = 8.0  # Å, below and above


def tin_on_graphene() -> Atoms:
    """A ball of white tin, 9 Å wide, on 19.7 x 21.3 Å of graphene."""
    sheet = make_supercell(graphene_sheet(), [[1, 0, 0], [1, 2, 0], [0, 0, 1]]).repeat((8, 5, 1))
    tin = nanoparticle("Sn", diameter=9.0, vacuum=0.0)
    tin.positions += sheet.cell.sum(axis=0) / 2 - tin.positions.mean(axis=0)
    tin.positions[:, 2] += sheet.positions[:, 2].max() + GAP - tin.positions[:, 2].min()
    atoms = sheet + Atoms(tin.symbols, tin.positions)
    atoms.center(vacuum=VACUUM, axis=2)
    atoms.pbc = True
    return atoms


def write_data(atoms: Atoms, path: Path, elements: list[str]) -> None:
    """Write a data file of units metal and atom_style atomic, with masses."""
    missing = set(atoms.get_chemical_symbols()) - set(elements)
    if missing:
        sys.exit(f"{', '.join(sorted(missing))}: in the structure, but not among the elements {' '.join(elements)}")
    ase.io.write(path, atoms, format="lammps-data", specorder=elements, masses=True, units="metal", atom_style="atomic")


if __name__ == "__main__":
    if len(sys.argv) == 3 and sys.argv[1] == "sn_graphene":
        write_data(tin_on_graphene(), Path(sys.argv[2]), ["C", "Sn"])
    elif len(sys.argv) > 3:
        write_data(ase.io.read(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
    else:
        sys.exit(__doc__)
