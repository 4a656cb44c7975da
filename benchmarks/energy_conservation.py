"""Drift of the total energy at constant energy with a trained model: tin on graphene, 0.5 fs.

    python benchmarks/energy_conservation.py runs/quickstart/model.pt [--picoseconds 2]

Equilibrates at 300 K, then integrates without thermostat and fits a line to the total energy.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from ase import Atom, units
from ase.build import graphene
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import Stationary
from ase.md.verlet import VelocityVerlet

from mhdnn import MHDNNCalculator

TIME_STEP = 0.5  # fs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--picoseconds", type=float, default=2.0)
    parser.add_argument("--temperature", type=float, default=300.0)
    arguments = parser.parse_args()
    atoms = graphene(a=2.46, size=(3, 3, 1), vacuum=7.5)
    atoms.pbc = True
    atoms.append(Atom("Sn", atoms.positions[0] + [0.0, 1.42, 2.8]))
    atoms.calc = MHDNNCalculator(arguments.model)
    thermostat = Langevin(
        atoms,
        TIME_STEP * units.fs,
        temperature_K=arguments.temperature,
        friction=0.02 / units.fs,
        fixcm=False,
        rng=np.random.default_rng(0),
    )
    thermostat.run(1000)
    Stationary(atoms)
    dynamics = VelocityVerlet(atoms, TIME_STEP * units.fs)
    times, energies, temperatures = [], [], []
    for block in range(int(1000 * arguments.picoseconds / TIME_STEP / 10)):
        times.append(block * 10 * TIME_STEP / 1000)
        energies.append(atoms.get_total_energy() / len(atoms))
        temperatures.append(atoms.get_temperature())
        dynamics.run(10)
    slope = np.polyfit(times, energies, 1)[0]
    scatter = np.std(energies)
    print(f"mean temperature {np.mean(temperatures):.0f} K, {times[-1]:.2f} ps")
    print(f"drift {slope:.2e} eV/atom/ps, fluctuation {scatter:.2e} eV/atom")


if __name__ == "__main__":
    main()
