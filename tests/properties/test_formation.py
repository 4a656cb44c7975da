"""Formation energies by hand."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bcc100, bulk, fcc111, graphene, molecule
from ase.calculators.calculator import Calculator
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator

from mhdnn.errors import ConfigError
from mhdnn.properties.formation import (
    distances,
    formation_report,
    interphase_formation_energies,
    sei_formation_energy,
)
from mhdnn.properties.interphase import RESOLUTION, composition_of, growth_of, species_of


def with_energy(atoms: Atoms, energy: float) -> Atoms:
    atoms.calc = SinglePointCalculator(atoms, energy=energy)
    return atoms


def test_sei_by_hand():
    """2 Li with H2O and CO: (-20 - 2 (-1.5) - (-14)) / 2 = -1.5 eV per Li."""
    sei = with_energy(Atoms("Li2H2OCO"), -20.0)
    electrolyte = with_energy(Atoms("H2OCO"), -14.0)
    lithium = with_energy(Atoms("Li4"), -6.0)
    assert sei_formation_energy(sei, electrolyte, lithium) == pytest.approx(-1.5)
    # lithium that was in the electrolyte does not count
    salt = with_energy(Atoms("LiH2OCO"), -16.0)
    assert sei_formation_energy(sei, salt, lithium) == pytest.approx(-20 + 1.5 + 16)
    report = formation_report([sei, sei], electrolyte, metal=lithium)
    np.testing.assert_allclose(report.values["sei_formation_energies_ev_per_metal_atom"], [-1.5, -1.5])


class Spring(Calculator):
    """Energy (d - 3)² of the water's lowest atom above the slab's highest, -5 for water, -7 for the slab."""

    implemented_properties = ["energy"]

    def calculate(self, atoms=None, properties=None, system_changes=None):
        super().calculate(atoms, properties, system_changes)
        water, slab = atoms.symbols.search("OH"), atoms.symbols.search("Cu")
        energy = -5.0 * bool(len(water)) - 7.0 * bool(len(slab))
        if len(water) and len(slab):
            gap = atoms.positions[water, 2].min() - atoms.positions[slab, 2].max()
            energy += (gap - 3) ** 2 - 1
        self.results = {"energy": energy}


def interphases(*gaps: float) -> list[Atoms]:
    result = []
    for gap in gaps:
        slab, water = fcc111("Cu", (2, 2, 2), vacuum=8.0), molecule("H2O")
        water.positions[:, 2] += slab.positions[:, 2].max() + gap - water.positions[:, 2].min()
        result.append(slab + water)
    return result


def test_interphase_at_several_distances(tmp_path):
    gaps = [2.0, 3.0, 4.5]
    structures = interphases(*gaps)
    water, slab = molecule("H2O"), fcc111("Cu", (2, 2, 2), vacuum=8.0)
    report = formation_report(structures, water, Spring(), electrode=slab)
    np.testing.assert_allclose(report.values["distances_angstrom"], gaps, atol=1e-12)
    np.testing.assert_allclose(report.values["interphase_formation_energies_ev"], [0.0, -1.0, 1.25], atol=1e-12)
    assert report.values["distance_of_lowest_energy_angstrom"] == pytest.approx(3.0)
    electrolyte_only = formation_report(structures, water, Spring()).values
    np.testing.assert_allclose(electrolyte_only["interphase_formation_energies_ev"], [-7.0, -8.0, -5.75], atol=1e-12)
    report.write(tmp_path)
    assert (tmp_path / "formation.png").is_file()


def test_relaxed_interphase():
    """Copper on copper: nothing is left of the gap, and each part has relaxed on its own."""
    slab, layer = fcc111("Cu", (2, 2, 2), vacuum=8.0), fcc111("Cu", (2, 2, 1), vacuum=8.0)
    layer.positions[:, 2] += slab.positions[:, 2].max() + 2.5 - layer.positions[:, 2].min()
    together = slab + layer
    relaxed = formation_report([together], layer, EMT(), electrode=slab, relax=True).values
    rigid = formation_report([together], layer, EMT(), electrode=slab).values
    change = relaxed["interphase_formation_energies_ev"][0] - rigid["interphase_formation_energies_ev"][0]
    assert -2.0 < change < 0.0
    assert relaxed["distances_angstrom"][0] < 2.5


def test_a_reacted_interphase():
    """Water that has split over lithium: OH and H are its species, and both reach into each other."""
    slab = bcc100("Li", (2, 2, 3), vacuum=9.0)
    intact = slab + molecule("H2O", positions=molecule("H2O").positions + [3.5, 3.5, 18.0])
    split = intact.copy()
    top = slab.positions[:, 2].max()
    split.positions[-3:] = [[3.5, 3.5, top + 0.2], [3.5, 3.5, top + 1.15], [1.7, 1.7, top - 1.0]]  # O, H, H
    for atoms, energy in ((intact, -20.0), (split, -24.0), (slab, -8.0)):
        with_energy(atoms, energy)
    report = formation_report([intact, split], with_energy(molecule("H2O"), -12.0), electrode=slab)
    assert report.values["is_reacted"] == [False, True]
    assert report.values["species"] == [{"H2O": 1}, {"HO": 1, "H": 1}]
    np.testing.assert_allclose(report.values["interphase_formation_energies_ev"], [0.0, -4.0])
    assert report.values["widths_angstrom"][0] < 0.1 < report.values["widths_angstrom"][1]
    assert report.values["distances_angstrom"][1] < 0


def mixed(width: float, seed: int = 0) -> tuple[Atoms, np.ndarray]:
    """Atoms between 0 and 40 Å, of the electrode with the probability (1 - tanh(2 (z - 20)/w))/2."""
    generator = np.random.default_rng(seed)
    positions = generator.random((6000, 3)) * [20.0, 20.0, 40.0]
    electrode = generator.random(6000) < 0.5 * (1 - np.tanh(2 * (positions[:, 2] - 20.0) / width))
    order = np.argsort(~electrode, kind="stable")
    atoms = Atoms("Al6000", positions[order], cell=[20, 20, 60], pbc=(True, True, False))
    return atoms, ~electrode[order]


@pytest.mark.parametrize("width", [6.0, 10.0])
def test_width_of_a_known_profile(width):
    """The integral of 4 f (1 - f) is w; smeared out a little more."""
    assert composition_of(*mixed(width)).width == pytest.approx(width, rel=0.06)


def test_width_of_a_sharp_contact_is_the_resolution():
    assert composition_of(*mixed(1e-6)).width == pytest.approx(RESOLUTION, abs=0.1)


def test_growth_of_a_diffusing_interphase():
    """Widths √(4 + 2·1.5 t) give k = 1.5 and, without the start, the exponent 1/2."""
    times = np.arange(10.0)
    assert growth_of(times, np.sqrt(4.0 + 3.0 * times)).constant == pytest.approx(1.5)
    assert growth_of(times, np.sqrt(3.0 * times)).exponent == pytest.approx(0.5)
    structures = []
    for number in range(4):
        atoms, is_electrolyte = mixed(np.sqrt(9.0 + 40.0 * number))
        structures.append(with_energy(atoms, 0.0))
    count = min(int(mixed(np.sqrt(9.0 + 40.0 * number))[1].sum()) for number in range(4))
    report = formation_report(structures, with_energy(Atoms(f"Al{count}"), 0.0), time_between_frames=2.0)
    assert report.values["growth_constant_square_angstrom_per_ps"] == pytest.approx(10.0, rel=0.2)
    with pytest.raises(ConfigError, match="at least three structures"):
        growth_of([0.0, 1.0], [1.0, 2.0])


def test_species():
    """Molecules, a salt's ions, and what is bound to a graphite electrode."""
    together = molecule("C2H4") + molecule("H2O", positions=molecule("H2O").positions + 6.0)
    assert species_of(together) == {"C2H4": 1, "H2O": 1}
    carbonate = Atoms(
        "CO3Li2", [[0, 0, 0], [1.28, 0, 0], [-0.64, 1.11, 0], [-0.64, -1.11, 0], [2.2, 1.5, 0], [2.2, -1.5, 0]]
    )
    assert species_of(carbonate) == {"CO3": 1}
    sheet = graphene(a=2.46, size=(2, 2, 1), vacuum=8.0)
    bound = sheet + Atoms("OH", [sheet.positions[0] + [0, 0, 1.45], sheet.positions[0] + [0.3, 0, 2.4]])
    is_electrolyte = np.arange(len(bound)) >= len(sheet)
    assert species_of(bound, is_electrolyte) == {"HO bound": 1}


def test_bad_input():
    structures = interphases(3.0)
    water, slab, gold = molecule("H2O"), fcc111("Cu", (2, 2, 2), vacuum=8.0), bulk("Au")
    for atoms in (water, slab, gold, *structures):
        atoms.calc = SinglePointCalculator(atoms, energy=0.0)
    with pytest.raises(ConfigError, match="does not consist of Au"):
        interphase_formation_energies(structures, gold)
    with pytest.raises(ConfigError, match="does not consist of H2O and Au"):
        interphase_formation_energies(structures, water, gold)
    with pytest.raises(ConfigError, match="expected the electrolyte above the electrode"):
        formation_report([with_energy(slab + water, 0.0)], water)
    with pytest.raises(ConfigError, match="expected more atoms"):
        distances(structures, 11)
    with pytest.raises(ConfigError, match="and more Au"):
        sei_formation_energy(structures[0], water, gold)
    with pytest.raises(ConfigError, match="`metal`: expected one element"):
        sei_formation_energy(structures[0], slab, water)
    with pytest.raises(ConfigError, match="`electrode`"):
        formation_report(structures, water, electrode=slab, metal=gold)
    with pytest.raises(ConfigError, match="with an energy, got none"):
        formation_report([Atoms("Cu")], water)
