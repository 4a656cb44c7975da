"""Calculators without ASE's base class: the same numbers as those of what they stand for."""

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.calculator import PropertyNotImplementedError
from ase.calculators.emt import EMT

from mhdnn.active.calculation import Calculation, computed
from mhdnn.data.ase_bridge import structure_from_atoms
from mhdnn.data.store import StoreWriter
from mhdnn.errors import ConfigError
from mhdnn.properties.adapted import AdaptedCalculator
from mhdnn.properties.calculators import description_of, resolve_calculator
from mhdnn.properties.corrected import CorrectedCalculator


class Stranger:
    """EMT as GPAW shows itself: a property at a time, KeyError for an unknown one; each energy is counted."""

    implemented_properties = ["energy", "free_energy", "forces", "stress", "dipole"]
    made = 0

    def __init__(self, asap_cutoff=False):
        type(self).made += 1
        self.asap_cutoff = asap_cutoff
        self.inner = EMT(asap_cutoff=asap_cutoff)

    def get_property(self, name, atoms):
        if name == "dipole":
            raise KeyError(name)
        return self.inner.get_property(name, atoms)

    def todict(self):
        return {"asap_cutoff": self.asap_cutoff}


def copper():
    atoms = bulk("Cu", cubic=True)
    atoms.rattle(0.1, seed=3)
    return atoms


@pytest.fixture
def module(monkeypatch, tmp_path):
    monkeypatch.setattr(Stranger, "made", 0)
    monkeypatch.setattr("ase.calculators.emt.Stranger", Stranger, raising=False)
    return "ase.calculators.emt:Stranger"


@pytest.mark.parametrize("make", [lambda name: name, lambda name: Stranger()])
def test_labels_are_those_of_what_it_stands_for(module, make):
    record = computed(copper(), resolve_calculator(make(module)))
    atoms = copper()
    atoms.calc = EMT()
    assert record.structure.energy == pytest.approx(atoms.get_potential_energy(), abs=1e-12)
    np.testing.assert_allclose(record.structure.forces, atoms.get_forces(), atol=1e-12)
    np.testing.assert_allclose(record.structure.stress, atoms.get_stress(), atol=1e-14)


def test_what_it_lacks_is_said_as_ase_does(module):
    calculator = resolve_calculator(module)
    with pytest.raises(PropertyNotImplementedError, match="Stranger has no dipole"):
        calculator.get_property("dipole", copper())


def test_each_label_is_made_by_a_new_one(module, tmp_path):
    """Wave functions of the structure before would make labels depend on their order; inside a correction, too."""
    pool = tmp_path / "pool.h5"
    with StoreWriter(pool) as writer:
        for _ in range(3):
            writer.append(structure_from_atoms(copper()))
    name = "mhdnn.properties.corrected:CorrectedCalculator"
    settings = f'{{"calculator": "{module}", "dispersion": "d3 bj pbe"}}'
    work = Calculation(pool, name, settings, tmp_path)
    for number in range(3):
        work.label(number)
    assert Stranger.made == 4
    assert AdaptedCalculator(Stranger()).start_afresh() is None  # there's nothing to make it with
    assert Stranger.made == 5


def test_description_tells_settings_apart(module):
    one, other = (description_of(resolve_calculator(module, {"asap_cutoff": flag})) for flag in (False, True))
    assert one["class"].endswith("Stranger")
    assert one != other


def test_settings_of_one_that_is_made_already():
    with pytest.raises(ConfigError, match="`settings`: expected none"):
        resolve_calculator(Stranger(), {"asap_cutoff": True})
    with pytest.raises(ConfigError, match="`calculator`: expected"):
        CorrectedCalculator(object(), "d3 bj pbe")
