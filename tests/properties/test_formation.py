"""Formation energies by hand."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc111, molecule
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


def test_bad_input():
    structures = interphases(3.0)
    water, slab, gold = molecule("H2O"), fcc111("Cu", (2, 2, 2), vacuum=8.0), bulk("Au")
    for atoms in (water, slab, gold, *structures):
        atoms.calc = SinglePointCalculator(atoms, energy=0.0)
    with pytest.raises(ConfigError, match="does not consist of Au"):
        interphase_formation_energies(structures, gold)
    with pytest.raises(ConfigError, match="does not consist of H2O and Au"):
        interphase_formation_energies(structures, water, gold)
    with pytest.raises(ConfigError, match="above all others"):
        distances([slab + water], len(water))
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
