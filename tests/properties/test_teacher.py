"""CHGNet with D3: the sum of its parts, forces by differences, charges that add up. Needs the extra `teacher`."""

import numpy as np
import pytest
from ase.build import bulk

from mhdnn.dispersion import DispersionCorrection

pytest.importorskip("chgnet")
pytest.importorskip("dftd4")

from mhdnn.properties.teacher import chgnet_d3, equilibrated_charges  # noqa: E402


@pytest.fixture(scope="module")
def calculator():
    return chgnet_d3()


def rocksalt():
    atoms = bulk("LiF", "rocksalt", a=4.03)
    atoms.rattle(0.05, seed=1)
    return atoms


def test_energy_is_the_sum_of_its_parts(calculator):
    atoms = rocksalt()
    atoms.calc = calculator
    energy, forces, stress = atoms.get_potential_energy(), atoms.get_forces(), atoms.get_stress()
    part = DispersionCorrection("bj", "pbe").labels(atoms)
    calculator.network.calculate(atoms)
    found = calculator.network.results
    assert energy == pytest.approx(float(found["energy"]) + part.energy, abs=1e-6)
    assert forces == pytest.approx(found["forces"] + part.forces, abs=1e-6)
    assert stress[0] == pytest.approx(np.asarray(found["stress"]).reshape(-1)[0] + part.stress[0], abs=1e-8)


def test_forces_are_minus_the_slope(calculator):
    atoms = rocksalt()
    atoms.calc = calculator
    force, step = atoms.get_forces()[0, 1], 0.01
    energies = []
    for sign in (1, -1):
        moved = atoms.copy()
        moved.positions[0, 1] += sign * step
        moved.calc = calculator
        energies.append(moved.get_potential_energy())
    assert -(energies[0] - energies[1]) / (2 * step) == pytest.approx(force, abs=5e-3)  # single precision


def test_charges_are_neutral_and_ionic(calculator):
    atoms = rocksalt()
    atoms.calc = calculator
    charges = atoms.get_charges()
    assert charges.sum() == pytest.approx(0.0, abs=1e-8)
    assert charges[0] > 0.3
    assert charges == pytest.approx(equilibrated_charges(atoms))
