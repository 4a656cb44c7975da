"""Insertion against the ideal gas, and driving against the free particle."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk, fcc111
from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.emt import EMT
from ase.constraints import FixAtoms
from ase.md.verlet import VelocityVerlet

from mhdnn.errors import ConfigError, PropertyError
from mhdnn.properties.driving import ConstantForce, drive, settle
from mhdnn.properties.insertion import (
    GrandCanonical,
    Region,
    are_free,
    host_atoms,
    inserted_ions,
    insertion_region,
    random_insertion,
    thermal_wavelength,
    with_ion,
    without_atom,
)


class Gas(Calculator):
    """No forces; an energy for each lithium atom."""

    implemented_properties = ["energy", "forces"]

    def __init__(self, energy=0.0):
        super().__init__()
        self.energy = energy

    def calculate(self, atoms=None, properties=None, system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        count = np.sum(self.atoms.numbers == 3)
        self.results = {"energy": self.energy * float(count), "forces": np.zeros((len(self.atoms), 3))}


def test_thermal_wavelength():
    """17.458 Å/√(M T) with M in g/mol and T in K (NIST constants)."""
    for symbol, mass in (("Li", 6.94), ("Na", 22.98977)):
        assert thermal_wavelength(symbol, 300.0) == pytest.approx(17.4582 / np.sqrt(mass * 300.0), rel=1e-4)


@pytest.mark.parametrize("energy", [0.4, -0.7])
def test_ideal_gas(energy):
    """Poisson's distribution with the mean V/Λ³ exp((μ - ε)/kT), ions of energy ε that don't interact."""
    temperature, mean = 600.0, 4.0
    region = Region(0.2, 0.8)
    gas = Atoms(cell=[6, 5, 8], pbc=True, calculator=Gas(energy))
    places = region.volume(gas) / thermal_wavelength("Li", temperature) ** 3
    assert region.volume(gas) == pytest.approx(0.6 * 240)
    potential = energy + units.kB * temperature * np.log(mean / places)
    moves = GrandCanonical("Li", region, 0.01, potential, temperature, most=1000)
    generator, numbers = np.random.default_rng(4), []
    for _ in range(700):
        gas = moves.run(gas, 8, generator)
        numbers.append(len(gas))
    numbers = np.array(numbers[50:])
    # 650 samples
    assert numbers.mean() == pytest.approx(mean, abs=0.25)
    assert numbers.var() == pytest.approx(mean, abs=0.6)
    heights = gas.cell.scaled_positions(gas.positions)[:, 2]
    assert heights.min() >= 0.2
    assert heights.max() <= 0.8


def test_most_ions_and_smallest_distance_hold():
    gas = Atoms("Si", [[3, 3, 3]], cell=[6, 6, 6], pbc=True, calculator=Gas())
    moves = GrandCanonical("Li", Region(0, 1), 1.9, 5.0, 300.0, most=5)
    gas = moves.run(gas, 500, np.random.default_rng(0))
    assert len(inserted_ions(gas)) == 5
    distances = gas.get_all_distances(mic=True)[np.triu_indices(6, 1)]
    assert distances.min() >= 1.9


def test_lithium_of_the_host_stays():
    """Only what has been inserted is removed."""
    crystal = bulk("Li", cubic=True, a=4.0).repeat(2)
    crystal.calc = Gas()
    emptied = GrandCanonical("Li", Region(0, 1), 0.5, -50.0, 300.0, most=9).run(crystal, 200, np.random.default_rng(0))
    assert len(emptied) == len(crystal)


def test_random_places():
    slab = fcc111("Al", (3, 3, 2), vacuum=8.0)
    slab.pbc = (True, True, False)
    region = insertion_region(slab, "surface", 2.0, 5.0)
    top = slab.positions[:, 2].max()
    generator, places = np.random.default_rng(0), []
    for _ in range(200):
        one = random_insertion(slab, "Li", region, 2.2, generator)
        assert one.get_distances(len(slab), range(len(slab)), mic=True).min() >= 2.2
        places.append(one.cell.scaled_positions(one.positions)[-1])
    heights = np.array(places)[:, 2] * slab.cell[2, 2] - top
    assert heights.min() >= 1.0  # 2 Å from all nuclei, in hollows too, but for half the diagonal of a voxel
    assert heights.max() <= 5.35
    assert np.array(places)[:, :2].mean(axis=0) == pytest.approx(0.5, abs=0.08)
    # over hollows the shell is thicker: a layer of 3 Å, its middle a little below 3.5 Å
    assert heights.mean() == pytest.approx(3.4, abs=0.25)


def test_order_and_removal():
    atoms = bulk("Al", cubic=True)
    for place in ([2.0, 0, 0], [0, 2.0, 0], [0, 0, 2.0]):
        atoms = with_ion(atoms, "Li", np.array(place))
    assert inserted_ions(atoms).tolist() == [4, 5, 6]
    atoms = without_atom(atoms, 5)
    atoms = with_ion(atoms, "Li", np.array([2.0, 2.0, 2.0]))
    assert atoms.positions[inserted_ions(atoms)].tolist() == [[2.0, 0, 0], [0, 0, 2.0], [2.0, 2.0, 2.0]]
    assert host_atoms(atoms).tolist() == [0, 1, 2, 3]


def test_free_places_see_images():
    atoms = Atoms("Al", [[0.1, 0.1, 0.1]], cell=[5, 5, 5], pbc=True)
    places = np.array([[4.9, 4.9, 4.9], [2.5, 2.5, 2.5], [4.9, 2.5, 0.1]])
    assert are_free(atoms, places, 2.0).tolist() == [False, True, True]


def test_no_place_and_no_room():
    crystal = bulk("Al", cubic=True).repeat(2)
    with pytest.raises(PropertyError, match="min_distance"):
        random_insertion(crystal, "Li", Region(0, 1), 2.5, np.random.default_rng(0))
    slab = fcc111("Al", (2, 2, 2), vacuum=2.0)
    with pytest.raises(ConfigError, match="vacuum"):
        insertion_region(slab, "surface", 1.5, 6.0)
    with pytest.raises(ConfigError, match="three vectors"):
        insertion_region(Atoms("Al"), "volume", 1.0, 2.0)
    for where, nearest in (("inside", 1.0), ("surface", 3.0)):
        with pytest.raises(ConfigError, match=r"where|nearest"):
            insertion_region(slab, where, nearest, 2.0)


def test_a_constant_force_accelerates():
    """x = F t²/2m of a free particle in molecular dynamics, and the energy with -F·r is conserved."""
    force = np.array([0.3, 0.0, -0.1])
    atoms = Atoms("LiSi", [[0, 0, 0], [0, 0, 4.0]], calculator=Gas())
    atoms.set_constraint(ConstantForce([0], force))
    start = atoms.get_total_energy()
    steps, time_step = 100, 0.5 * units.fs
    VelocityVerlet(atoms, time_step).run(steps)
    expected = 0.5 * force / atoms.get_masses()[0] * (steps * time_step) ** 2
    assert atoms.positions[0] == pytest.approx(expected, abs=1e-12)
    assert atoms.positions[1] == pytest.approx([0, 0, 4.0])
    assert atoms.get_total_energy() == pytest.approx(start, abs=1e-12)


@pytest.mark.parametrize("temperature", [0.0, 100.0])
def test_driving(temperature):
    """Driven atoms move along the force, fixed ones stay, and the constraints are as before."""
    slab = fcc111("Al", (2, 2, 2), vacuum=8.0)
    slab.append("Cu")
    slab.positions[-1] = slab.positions[:-1, :].mean(axis=0) + [0, 0, 7.0]
    fixed = FixAtoms(range(8))
    slab.set_constraint(fixed)
    slab.calc = EMT()
    before = slab.positions.copy()
    drive(slab, [8], (0, 0, -0.5), 120, temperature, generator=np.random.default_rng(2))
    assert slab.positions[8, 2] < before[8, 2] - 0.1
    assert np.array_equal(slab.positions[:8], before[:8])
    assert [type(constraint) for constraint in slab.constraints] == [FixAtoms]
    assert not slab.get_momenta().any()


def test_settling():
    atoms = bulk("Cu", cubic=True, a=3.7)
    atoms.rattle(0.05, seed=1)
    atoms.calc = EMT()
    assert not settle(atoms, 1e-4, 2)
    assert settle(atoms, 1e-3, 300, cell=True)
    assert atoms.get_volume() ** (1 / 3) == pytest.approx(3.59, abs=0.02)  # EMT's lattice constant
