"""Drift of the total energy at constant energy with a trained model, 0.5 fs.

    python benchmarks/energy_conservation.py runs/quickstart/model.pt [--picoseconds 2]
    python benchmarks/energy_conservation.py MODEL.pt --data data/carbon_chains.h5 --index 0

Tin on graphene, or a structure of a dataset (with its total charge, for a model with charges). Equilibrates at
300 K, then integrates without thermostat and fits a line to the total energy.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from ase import Atom, Atoms, units
from ase.build import graphene
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import Stationary
from ase.md.verlet import VelocityVerlet

from mhdnn import MHDNNCalculator
from mhdnn.data.ase_bridge import atoms_from_structure
from mhdnn.data.store import StoreReader

TIME_STEP = 0.5  # fs


def tin_on_graphene() -> Atoms:
    atoms = graphene(a=2.46, size=(3, 3, 1), vacuum=7.5)
    atoms.pbc = True
    atoms.append(Atom("Sn", atoms.positions[0] + [0.0, 1.42, 2.8]))
    return atoms


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--picoseconds", type=float, default=2.0)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--index", type=int, default=0)
    parser.add_argument("--temperature", type=float, default=300.0)
    arguments = parser.parse_args()
    if arguments.data is None:
        atoms = tin_on_graphene()
    else:
        atoms = atoms_from_structure(StoreReader(arguments.data)[arguments.index])
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
