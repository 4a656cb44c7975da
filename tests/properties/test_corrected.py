"""A calculator with D3 added: sums of what both say on their own, and finite differences."""

import numpy as np
import pytest
from ase.build import bulk, molecule
from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.emt import EMT

from mhdnn.active.calculation import computed
from mhdnn.dispersion import DispersionCorrection
from mhdnn.errors import ConfigError, UnconvergedError
from mhdnn.properties.calculators import description_of, resolve_calculator
from mhdnn.properties.corrected import CorrectedCalculator

NAME = "mhdnn.properties.corrected:CorrectedCalculator"
SETTINGS = {"calculator": "ase.calculators.emt:EMT", "dispersion": "d3 bj pbe", "settings": {"asap_cutoff": True}}


def copper():
    atoms = bulk("Cu", cubic=True)
    atoms.rattle(0.1, seed=3)
    return atoms


def test_sum_of_both():
    atoms = copper()
    part = DispersionCorrection("bj", "pbe").labels(atoms)
    record = computed(copper(), resolve_calculator(NAME, SETTINGS))
    atoms.calc = EMT(asap_cutoff=True)
    assert record.structure.energy == pytest.approx(atoms.get_potential_energy() + part.energy, abs=1e-12)
    np.testing.assert_allclose(record.structure.forces, atoms.get_forces() + part.forces, atol=1e-12)
    np.testing.assert_allclose(record.structure.stress, atoms.get_stress() + part.stress, atol=1e-14)
    assert abs(part.energy) > 0.1


def test_forces_are_the_gradient():
    atoms = copper()
    atoms.calc = CorrectedCalculator(**SETTINGS)
    force = atoms.get_forces()[1, 2]
    energies = []
    for step in (1e-4, -1e-4):
        moved = copper()
        moved.positions[1, 2] += step
        moved.calc = atoms.calc
        energies.append(moved.get_potential_energy())
    assert force == pytest.approx(-(energies[0] - energies[1]) / 2e-4, abs=1e-6)


def test_description_tells_settings_apart():
    one = description_of(CorrectedCalculator(**SETTINGS))
    assert one["dispersion"] == "d3 bj pbe"
    assert one["calculator"]["class"].endswith("EMT")
    assert one != description_of(CorrectedCalculator(**SETTINGS | {"settings": {}}))


class Unconverged(Calculator):
    implemented_properties = ["energy", "forces"]
    converged = False

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        self.results = {"energy": 0.0, "forces": np.zeros((len(atoms), 3))}


def test_what_the_calculator_says_passes():
    calculator = CorrectedCalculator(Unconverged(), "d3 bj pbe")
    assert calculator.implemented_properties == ["energy", "forces"]
    with pytest.raises(UnconvergedError):
        computed(molecule("H2O"), calculator)


@pytest.mark.parametrize(("changes", "words"), [({"dispersion": "d9"}, "d3"), ({"calculator": "no:where"}, "no:where")])
def test_wrong_settings(changes, words):
    with pytest.raises(ConfigError, match=words):
        resolve_calculator(NAME, SETTINGS | changes)
