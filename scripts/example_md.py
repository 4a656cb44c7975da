"""Molecular dynamics of a tin atom on graphene: 300 K by a thermostat, then constant energy.

python scripts/example_md.py runs/quickstart/model.pt [steps]

The drift of the total energy without thermostat shows whether forces and energy belong together.
"""

import sys

import numpy as np
from ase import Atom, units
from ase.build import graphene
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import Stationary
from ase.md.verlet import VelocityVerlet

from mhdnn import MHDNNCalculator

TEMPERATURE = 300.0  # K
TIME_STEP = 1.0 * units.fs

if len(sys.argv) not in (2, 3):
    sys.exit(__doc__)
steps = int(sys.argv[2]) if len(sys.argv) == 3 else 300

atoms = graphene(a=2.46, size=(3, 3, 1), vacuum=7.5)
atoms.pbc = True
atoms.append(Atom("Sn", atoms.positions[0] + [0.0, 1.42, 2.8]))  # above the centre of a hexagon
atoms.calc = MHDNNCalculator(sys.argv[1])

thermostat = Langevin(
    atoms,
    TIME_STEP,
    temperature_K=TEMPERATURE,
    friction=0.05 / units.fs,
    fixcm=False,
    rng=np.random.default_rng(0),
)
thermostat.run(max(1, steps // 2))
Stationary(atoms)

dynamics = VelocityVerlet(atoms, TIME_STEP)
start = atoms.get_total_energy()


def report() -> None:
    drift = 1000.0 * (atoms.get_total_energy() - start) / len(atoms)
    height = atoms.positions[-1, 2] - atoms.positions[:-1, 2].mean()
    print(
        f"{dynamics.nsteps:6d} fs  {atoms.get_temperature():6.1f} K  "
        f"drift {drift:8.4f} meV/atom  Sn height {height:.3f} Å"
    )


dynamics.attach(report, interval=max(1, steps // 10))
dynamics.run(steps)
