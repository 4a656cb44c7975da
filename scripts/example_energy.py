"""Energy and forces of a tin atom on graphene.

python scripts/example_energy.py runs/quickstart/model.pt
"""

import sys

import numpy as np
from ase import Atom
from ase.build import graphene

from mhdnn import MHDNNCalculator

if len(sys.argv) != 2:
    sys.exit(__doc__)

atoms = graphene(a=2.46, size=(2, 2, 1), vacuum=7.5)
atoms.pbc = True
atoms.append(Atom("Sn", atoms.positions[0] + [0.0, 1.42, 2.8]))  # above the centre of a hexagon
atoms.calc = MHDNNCalculator(sys.argv[1])

energy = atoms.get_potential_energy()
largest_force = np.linalg.norm(atoms.get_forces(), axis=1).max()
print(f"{atoms.get_chemical_formula()}: energy {energy:.4f} eV, largest force {largest_force:.4f} eV/Å")
