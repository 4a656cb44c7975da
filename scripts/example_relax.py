"""Relaxation with a trained model: atoms and cell of bulk tin, then tin on graphene at fixed cell.

python scripts/example_relax.py runs/quickstart/model.pt
"""

import sys

from ase import Atom
from ase.build import bulk, graphene
from ase.filters import FrechetCellFilter
from ase.optimize import BFGS

from mhdnn import MHDNNCalculator

LARGEST_FORCE = 0.02  # eV/Å
MAX_STEPS = 300

if len(sys.argv) != 2:
    sys.exit(__doc__)
calculator = MHDNNCalculator(sys.argv[1])

tin = bulk("Sn", "diamond", a=6.5, cubic=True)
tin.calc = calculator
# The filter makes the cell's strain a coordinate like any other: this needs the stress.
converged = BFGS(FrechetCellFilter(tin), logfile=None).run(fmax=LARGEST_FORCE, steps=MAX_STEPS)
print(
    f"alpha-Sn: {'relaxed' if converged else 'NOT relaxed'}, lattice constant {tin.cell.lengths()[0]:.3f} Å, "
    f"{tin.get_potential_energy() / len(tin):.4f} eV/atom"
)

slab = graphene(a=2.46, size=(2, 2, 1), vacuum=7.5)
slab.pbc = True
slab.append(Atom("Sn", slab.positions[0] + [0.0, 1.42, 2.8]))  # above the centre of a hexagon
slab.calc = calculator
before = slab.get_potential_energy()
optimizer = BFGS(slab, logfile=None)
converged = optimizer.run(fmax=LARGEST_FORCE, steps=MAX_STEPS)
height = slab.positions[-1, 2] - slab.positions[:-1, 2].mean()
print(
    f"Sn on graphene: {'relaxed' if converged else 'NOT relaxed'} in {optimizer.nsteps} steps, "
    f"{slab.get_potential_energy() - before:+.4f} eV, height {height:.3f} Å"
)
