"""How the files here were made, with the version that wrote them: `python make.py` in this folder.

Model files and a checkpoint of format 3 (mhdnn 0.1.0, no digest in them), of three epochs on data/sn_graphene.h5 and
of two, two and one on data/carbon_chains.h5, with `descriptor=wide network.hidden=[8]`. The structures carry the
energies, forces and charges that those files gave then. Files here are never made again: newer versions must read
them and find the same numbers.
"""

import numpy as np
from ase import Atom, Atoms
from ase.build import graphene
from ase.io import write

from mhdnn import MHDNNCalculator

sheet = graphene(a=2.46, size=(2, 2, 1), vacuum=5.0)
sheet.pbc = True
sheet.append(Atom("Sn", sheet.positions[0] + [0.0, 1.42, 2.8]))
sheet.append(Atom("Li", sheet.positions[3] + [0.1, 0.2, -2.1]))
chain = Atoms("HC4H", positions=[[0, 0, x] for x in (0.0, 1.07, 2.3, 3.66, 4.9, 5.97)])
for atoms, name, total_charge in ((sheet, "short_format3", 0.0), (chain, "charges_format3", 1.0)):
    moved = atoms.positions + np.random.default_rng(0).normal(0, 0.03, atoms.positions.shape)
    atoms.positions = np.round(moved, 6)  # as they stand in the file
    atoms.calc = MHDNNCalculator(f"{name}.pt", total_charge=total_charge, extrapolation="off")
    atoms.get_forces()
    write(f"{name}.extxyz", atoms, format="extxyz")
