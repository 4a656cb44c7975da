"""Balanced reactions by hand."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator

from mhdnn.errors import ConfigError
from mhdnn.properties.reactions import balance, compound_of, reaction_report
from mhdnn.properties.structures.molecules import molecule as electrolyte


def with_energy(atoms: Atoms, energy: float) -> Atoms:
    atoms.calc = SinglePointCalculator(atoms, energy=energy)
    return atoms


def crystal(formula: str, energy: float) -> Atoms:
    return with_energy(
        Atoms(formula, np.arange(3.0 * len(Atoms(formula))).reshape(-1, 3), cell=[9, 9, 9], pbc=True), energy
    )


def test_carbonate_and_ethylene():
    """EC + 2 Li → Li2CO3 + C2H4: with -85, -2, -40 and -52 eV it gives (-92 + 89)/2 = -1.5 eV per lithium."""
    ec = with_energy(electrolyte("EC"), -85.0)
    lithium = crystal("Li2", -4.0)
    carbonate = crystal("Li4C2O6", -80.0)
    ethylene = with_energy(molecule("C2H4"), -52.0)
    report = reaction_report([ec, lithium], [carbonate, ethylene])
    assert report.values["numbers"] == [1, 2, 1, 1]
    assert report.values["equation"] == "C3H4O3 + 2 Li → CLi2O3 + C2H4"
    assert report.values["reaction_energy_ev"] == pytest.approx(-3.0)
    assert report.values["reaction_energy_ev_per_metal_atom"] == pytest.approx(-1.5)


@pytest.mark.parametrize(
    ("left", "right", "numbers"),
    [
        ([molecule("H2"), molecule("O2")], [molecule("H2O")], [2, 1, 2]),
        ([molecule("C2H6"), molecule("O2")], [molecule("CO2"), molecule("H2O")], [2, 7, 4, 6]),
    ],
)
def test_smallest_whole_numbers(left, right, numbers):
    left, right = ([compound_of(with_energy(atoms, 0.0)) for atoms in side] for side in (left, right))
    assert balance(left, right) == numbers


def test_a_crystal_counts_by_its_formula_unit():
    assert compound_of(crystal("Li4C2O6", -80.0)).energy == pytest.approx(-40.0)
    assert compound_of(with_energy(molecule("C2H4"), -52.0)).energy == pytest.approx(-52.0)


def test_alloying_with_a_calculator(tmp_path):
    """3 Cu + Au → Cu3Au of relaxed cells."""
    alloy = bulk("Cu", cubic=True)
    alloy.symbols[0] = "Au"
    report = reaction_report([bulk("Cu"), bulk("Au")], [alloy], EMT(), metal="Cu", relax=True)
    assert report.values["equation"] == "3 Cu + Au → AuCu3"
    assert -1.0 < report.values["reaction_energy_ev"] < 0.0
    report.write(tmp_path)


def test_what_can_not_be_balanced():
    hydrogen, oxygen, water, neon = (with_energy(molecule(n), 0.0) for n in ("H2", "O2", "H2O", "H2O2"))
    with pytest.raises(ConfigError, match="got none"):
        reaction_report([hydrogen], [water])
    with pytest.raises(ConfigError, match="2 independent ones"):
        reaction_report([hydrogen, oxygen], [water, neon])
    with pytest.raises(ConfigError, match="but O2 does not"):
        reaction_report([hydrogen], [water, oxygen])
    with pytest.raises(ConfigError, match="`metal`"):
        reaction_report([hydrogen, oxygen], [water], metal="Li")
