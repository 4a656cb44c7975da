"""Voltages by hand and by pymatgen."""

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.calculator import CalculationFailed, Calculator
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from pymatgen.apps.battery.insertion_battery import InsertionElectrode
from pymatgen.core import Composition
from pymatgen.entries.computed_entries import ComputedStructureEntry
from pymatgen.io.ase import AseAtomsAdaptor

from mhdnn.errors import ConfigError
from mhdnn.properties.voltage import (
    average_voltage,
    capacity,
    energy_per_atom,
    intercalation,
    lower_hull,
    voltage_profile,
    voltage_report,
)

ION_ENERGY = -2.0


def state(num_ions: int, num_hosts: int, energy: float, volume: float = 40.0) -> Atoms:
    """Li_n(CoO2)_m whose energy is given per formula unit of the host."""
    atoms = Atoms(f"Li{num_ions}" * bool(num_ions) + f"(CoO2){num_hosts}")
    generator = np.random.default_rng(num_ions)
    atoms.set_cell(np.eye(3) * (volume * num_hosts) ** (1 / 3))
    atoms.set_scaled_positions(generator.random((len(atoms), 3)))
    atoms.pbc = True
    atoms.calc = SinglePointCalculator(atoms, energy=energy * num_hosts)
    return atoms


# per CoO2: x = 0, 1/4, 1/2 (two structures), 3/4, 1
TOY = [
    state(4, 4, -26.0, 44.0),
    state(0, 1, -20.0, 40.0),
    state(1, 2, -23.75, 42.0),
    state(2, 4, -23.2, 42.5),
    state(1, 4, -21.5, 41.0),
    state(3, 4, -25.0, 43.0),
]
"""On the hull: 0, 1/2, 3/4, 1; the quarter would need E < -20 - 3.75/2 = -21.875.

V = 2 E_f/Δx with E_Li = -2: (3.75 - 1)/0.5 = 5.5 V, (1.25 - 0.5)/0.25 = 3 V, (1 - 0.5)/0.25 = 2 V; mean 4 V."""


@pytest.fixture
def metal() -> Atoms:
    atoms = bulk("Li", "bcc", a=3.44)
    atoms.calc = SinglePointCalculator(atoms, energy=ION_ENERGY)
    return atoms


def test_toy_hull_by_hand(metal):
    states = intercalation(TOY)
    assert states.host == "CoO2"
    np.testing.assert_allclose(states.ions, [0, 0.25, 0.5, 0.5, 0.75, 1])
    np.testing.assert_allclose(states.formation_energies, [0, 0, -0.75, -0.2, -0.5, 0], atol=1e-12)
    np.testing.assert_allclose(states.energies_above_hull, [0, 0.375, 0, 0.55, 0, 0], atol=1e-12)
    assert states.stable.tolist() == [0, 2, 4, 5]
    plateaus = voltage_profile(states, energy_per_atom(metal, "Li"))
    np.testing.assert_allclose([plateau.voltage for plateau in plateaus], [5.5, 3.0, 2.0])
    assert average_voltage(plateaus) == pytest.approx(4.0)
    np.testing.assert_allclose([plateau.volume_change for plateau in plateaus], [42 / 40 - 1, 43 / 42 - 1, 44 / 43 - 1])
    # LiCoO2 in full: the textbook's 274 mAh/g
    assert capacity(states) == pytest.approx(273.8, abs=0.1)


def test_electrons_share_the_gain(metal):
    states = intercalation(TOY)
    assert voltage_profile(states, ION_ENERGY, electrons=2)[0].voltage == pytest.approx(2.75)
    assert capacity(states, electrons=2) == pytest.approx(2 * capacity(states))
    with pytest.raises(ConfigError, match="`electrons`"):
        voltage_profile(states, ION_ENERGY, electrons=0)


def test_the_same_as_pymatgen(metal):
    entries = []
    for atoms in TOY:
        structure = AseAtomsAdaptor.get_structure(atoms)
        entries.append(ComputedStructureEntry(structure, atoms.get_potential_energy()))
    lithium = ComputedStructureEntry(AseAtomsAdaptor.get_structure(metal), ION_ENERGY)
    assert lithium.composition == Composition("Li")
    electrode = InsertionElectrode.from_entries(entries, lithium)
    values = voltage_report(TOY, metal, relax=False).values
    expected = [pair.voltage for pair in electrode.voltage_pairs]
    np.testing.assert_allclose([plateau["voltage_v"] for plateau in values["plateaus"]], expected)
    assert values["average_voltage_v"] == pytest.approx(electrode.get_average_voltage())
    assert values["capacity_mah_per_g"] == pytest.approx(electrode.get_capacity_grav(), rel=1e-4)
    assert values["specific_energy_wh_per_kg"] == pytest.approx(electrode.get_specific_energy(), rel=1e-4)
    assert values["volume_change_percent"] == pytest.approx(10.0)
    assert values["volume_change_percent"] == pytest.approx(100 * electrode.max_delta_volume)


def sheared(num_ions: int, energy: float, lengths: tuple[float, float, float], gamma: float) -> Atoms:
    atoms = state(num_ions, 4, energy)
    atoms.set_cell([*lengths, 90.0, 90.0, gamma], scale_atoms=True)
    atoms.calc = SinglePointCalculator(atoms, energy=4 * energy)
    return atoms


def test_a_host_that_shrinks(metal):
    """5·5·8 = 200, 5.1·5·8 = 204 and 5·5·7.304 = 182.6 Å³: -8.7 % at the end, a range of 10.7 %; and an angle alone."""
    structures = [
        sheared(0, -20.0, (5.0, 5.0, 8.0), 90.0),
        sheared(2, -24.0, (5.1, 5.0, 8.0), 90.0),
        sheared(4, -26.0, (5.0, 5.0, 7.304), 90.0),
    ]
    report = voltage_report(structures, metal, relax=False)
    assert report.values["volume_change_percent"] == pytest.approx(-8.7)
    assert report.values["volume_change_peak_to_peak_percent"] == pytest.approx(10.7)
    np.testing.assert_allclose(report.values["length_changes_percent"], [0, 0, -8.7], atol=1e-9)
    np.testing.assert_allclose(report.values["length_changes_peak_to_peak_percent"], [2, 0, 8.7], atol=1e-9)
    np.testing.assert_allclose(report.values["cell_lengths_angstrom"][1], [5.1, 5.0, 8.0])
    assert not report.warnings
    structures[2] = sheared(4, -26.0, (5.0, 5.0, 8.0), 84.0)
    values = voltage_report(structures, metal, relax=False).values
    assert values["volume_change_percent"] == pytest.approx(100 * (np.sin(np.radians(84.0)) - 1))
    np.testing.assert_allclose(values["angle_changes_degree"], [0, 0, -6], atol=1e-9)


def test_edges_of_different_supercells_are_not_compared(metal):
    report = voltage_report(TOY, metal, relax=False)
    assert np.isnan(report.values["length_changes_percent"]).all()
    assert "1, 2, 4, 4 formula units" in report.warnings[0]


@pytest.mark.parametrize("seed", range(20))
def test_hull_of_random_points(seed):
    """A point is on the lower hull exactly if no pair of others has its line below or through it."""
    generator = np.random.default_rng(seed)
    x, y = generator.integers(0, 8, 15) / 4, generator.normal(size=15)
    expected = []
    for point in range(15):
        others = [other for other in range(15) if other != point]
        undercut = any(x[o] == x[point] and y[o] < y[point] for o in others)
        for left in others:
            for right in others:
                if x[left] < x[point] < x[right]:
                    share = (x[point] - x[left]) / (x[right] - x[left])
                    undercut |= y[left] + share * (y[right] - y[left]) <= y[point]
        if not undercut:
            expected.append(point)
    assert lower_hull(x, y).tolist() == sorted(expected, key=lambda point: x[point])


def test_relaxed_alloy_with_a_calculator(tmp_path):
    """Copper into nickel: energies and volumes of the relaxed cells, whatever cell is given."""
    structures = []
    for num_copper in range(3):
        atoms = bulk("Ni", cubic=True)
        atoms.symbols[:num_copper] = "Cu"
        atoms.set_cell(atoms.cell[:] * 1.02, scale_atoms=True)
        structures.append(atoms)
    report = voltage_report(structures, bulk("Cu", a=3.5), EMT(), ion="Cu", max_force=1e-4)
    # the cubic cell of nickel: the minimum over its volume alone
    by_volume = []
    for scale in np.linspace(0.99, 1.01, 41) / 1.02:
        scaled = structures[0].copy()
        scaled.set_cell(scaled.cell[:] * scale, scale_atoms=True)
        scaled.calc = EMT()
        by_volume.append((scaled.get_potential_energy(), scaled.get_volume()))
    volume = min(by_volume)[1] / 4
    assert report.values["volumes_cubic_angstrom_per_formula_unit"][0] == pytest.approx(volume, rel=2e-3)
    assert report.values["host"] == "Ni"
    report.write(tmp_path)
    assert (tmp_path / "voltage.json").is_file()


class Counting(EMT):
    """Fails for two copper atoms, if it shall."""

    calls, fails = 0, False

    def calculate(self, *arguments, **keywords):
        type(self).calls += 1
        super().calculate(*arguments, **keywords)
        if type(self).fails and self.atoms.symbols.count("Cu") == 2:
            raise CalculationFailed("no convergence")


def test_one_failure_leaves_the_others_and_the_journal_continues(tmp_path):
    structures = []
    for num_copper in range(4):
        atoms = bulk("Ni", cubic=True)
        atoms.symbols[:num_copper] = "Cu"
        structures.append(atoms)
    journal = tmp_path / "steps.json"
    Counting.fails = True
    report = voltage_report(structures, bulk("Cu"), Counting(), ion="Cu", max_force=0.05, journal=journal)
    assert report.warnings[0].startswith("structure 2, Cu2Ni2, failed and is left out (CalculationFailed")
    assert len(report.values["ions_per_formula_unit"]) == 3
    report.write(tmp_path)
    energies = [atoms.get_potential_energy() for atoms in ase.io.read(tmp_path / "voltage.extxyz", ":")]
    assert energies == pytest.approx([atoms.get_potential_energy() for atoms in report.structures], abs=1e-6)
    Counting.fails, Counting.calls = False, 0
    complete = voltage_report(structures, bulk("Cu"), Counting(), ion="Cu", max_force=0.05, journal=journal)
    assert not any("failed" in warning for warning in complete.warnings)
    assert Counting.calls < 20  # the missing one, and the journal's identity
    expected = voltage_report(structures, bulk("Cu"), EMT(), ion="Cu", max_force=0.05).values["average_voltage_v"]
    assert complete.values["average_voltage_v"] == pytest.approx(expected, abs=1e-9)


class NoStress(Calculator):
    implemented_properties = ["energy", "forces"]

    def calculate(self, atoms=None, properties=None, system_changes=None):
        super().calculate(atoms, properties, system_changes)
        self.results = {"energy": 0.0, "forces": np.zeros((len(atoms), 3))}


def test_bad_input(metal):
    with pytest.raises(ConfigError, match="expected one host, CoO2, but number 1 has Ni"):
        intercalation([TOY[0], bulk("Ni")])
    with pytest.raises(ConfigError, match="no atoms other than Li"):
        intercalation([metal])
    with pytest.raises(ConfigError, match="at least two compositions"):
        intercalation([TOY[2], TOY[3]])
    with pytest.raises(ConfigError, match="`ion`"):
        intercalation(TOY, ion="Xx")
    with pytest.raises(ConfigError, match="`metal`: expected Na alone"):
        energy_per_atom(metal, "Na")
    with pytest.raises(ConfigError, match="expected one to relax with"):
        voltage_report(TOY, metal)
    bare = TOY[0].copy()
    with pytest.raises(ConfigError, match="`CoLiO2`|`Co4Li4O8`: expected a structure with an energy"):
        voltage_report([bare, TOY[1]], metal, relax=False)
    with pytest.raises(ConfigError, match="forces and stress to relax"):
        voltage_report(TOY, metal, NoStress())
