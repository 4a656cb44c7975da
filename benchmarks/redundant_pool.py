"""A pool as molecular dynamics leaves it, many frames that are nearly the same, and a test set of all kinds alike.

    python benchmarks/redundant_pool.py TEACHER.pt FOLDER

Silicon, labelled by a model that knows it: 180 frames of the crystal at 300 K, and few of others (1000 K, strained, a
vacancy, slabs, a melt). FOLDER/test.h5 has 12 of each. For

    python benchmarks/active_selection.py FOLDER/pool.h5 --test FOLDER/test.h5 --sizes 16 32 64 128 --seen 1600
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import torch
from ase import Atoms, units
from ase.build import bulk, diamond100, diamond111
from ase.calculators.calculator import Calculator
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution

from mhdnn import MHDNNCalculator
from mhdnn.data.ase_bridge import structure_from_atoms
from mhdnn.data.store import StoreWriter
from mhdnn.deploy.guard import ExtrapolationWarning

LATTICE_CONSTANT = 5.469  # Å
POOL = {"crystal_300": 180, "crystal_1000": 16, "strained": 16, "vacancy": 12, "slab": 16, "melt": 10}
TEST = dict.fromkeys(POOL, 12)
LARGEST_FORCE = 15.0
"""eV/Å, beyond which a frame is left out."""
STRAIN, RATTLING = 0.05, 0.03  # Å


def frames(
    atoms: Atoms, calculator: Calculator, temperature: float, num: int, seed: int, steps: int
) -> Iterator[Atoms]:
    """Of Langevin dynamics with 2 fs a step, after a hundred steps; so many steps lie between two."""
    generator = np.random.default_rng(seed)
    atoms = atoms.copy()
    atoms.calc = calculator
    MaxwellBoltzmannDistribution(atoms, temperature_K=temperature, rng=generator)
    friction = 0.02 / units.fs
    dynamics = Langevin(atoms, 2 * units.fs, temperature_K=temperature, friction=friction, rng=generator)
    dynamics.run(250 if temperature > 3000 else 100)
    for _ in range(num):
        dynamics.run(steps)
        yield atoms.copy()


def strained(atoms: Atoms, num: int, seed: int) -> Iterator[Atoms]:
    """At random, and rattled."""
    generator = np.random.default_rng(seed)
    for _ in range(num):
        result, tensor = atoms.copy(), generator.uniform(-STRAIN, STRAIN, (3, 3))
        result.set_cell(result.cell @ (np.eye(3) + (tensor + tensor.T) / 2), scale_atoms=True)
        result.rattle(RATTLING, rng=generator)
        yield result


def structures(calculator: Calculator, numbers: Mapping[str, int], seed: int) -> Iterator[tuple[str, Atoms]]:
    """Of each kind so many."""
    crystal = bulk("Si", a=LATTICE_CONSTANT).repeat(2)
    with_vacancy = crystal[1:]
    slabs = [build("Si", (2, 2, 6), a=LATTICE_CONSTANT, vacuum=6.0) for build in (diamond100, diamond111)]
    kinds = {
        "crystal_300": frames(crystal, calculator, 300.0, numbers["crystal_300"], seed, 10),
        "crystal_1000": frames(crystal, calculator, 1000.0, numbers["crystal_1000"], seed + 1, 15),
        "strained": strained(crystal, numbers["strained"], seed),
        "vacancy": frames(with_vacancy, calculator, 600.0, numbers["vacancy"], seed + 2, 15),
        "melt": frames(crystal, calculator, 3500.0, numbers["melt"], seed + 4, 15),
    }
    for kind, made in kinds.items():
        yield from ((kind, atoms) for atoms in made)
    for slab in slabs:
        slab.pbc = True
        half = numbers["slab"] // 2
        yield from (("slab", atoms) for atoms in frames(slab, calculator, 500.0, half, seed + 3, 15))


def write(calculator: Calculator, numbers: Mapping[str, int], seed: int, path: Path) -> None:
    """With labels of the calculator."""
    with StoreWriter(path, {"energy_kind": "free", "source": "redundant_pool.py"}) as writer:
        for kind, atoms in structures(calculator, numbers, seed):
            atoms.calc = calculator
            if abs(atoms.get_forces()).max() < LARGEST_FORCE:
                writer.append(structure_from_atoms(atoms, group=kind))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("teacher", type=Path)
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", ExtrapolationWarning)
    calculator = MHDNNCalculator(arguments.teacher)
    arguments.folder.mkdir(parents=True, exist_ok=True)
    write(calculator, POOL, 0, arguments.folder / "pool.h5")
    write(calculator, TEST, 100, arguments.folder / "test.h5")


if __name__ == "__main__":
    main()
