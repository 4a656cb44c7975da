"""The pair style against the ASE calculator: every kind of cell, short-ranged and with charges, 1 and 2 processes."""

import numpy as np
import pytest
from ase.build import graphene
from ase.calculators.calculator import PropertyNotImplementedError

from mhdnn import MHDNNCalculator
from tests.builders import structures
from tests.lammps.runs import evaluate

pytestmark = pytest.mark.slow
RELATIVE = 1e-8  # energies, forces, stress and charges in float64
BETWEEN_RANKS = 1e-9
CELLS = ["triclinic", "tiny", "slab", "sheet", "wire", "molecule", "tin_on_graphene"]


def structure(name):
    if name != "tin_on_graphene":
        return structures()[name]
    atoms = graphene(a=2.46, size=(3, 3, 1), vacuum=6.0)
    atoms.pbc = True
    tin = atoms[:2].copy()
    tin.numbers[:] = 50
    tin.positions += [[0.0, 1.42, 2.8], [2.46, 1.42, 3.0]]
    atoms += tin
    atoms.rattle(0.1, seed=3)
    return atoms


def assert_close(found, expected, relative, scale=None):
    scale = np.abs(expected).max() if scale is None else scale
    np.testing.assert_allclose(found, expected, rtol=0, atol=relative * scale)


def assert_same(result, atoms, relative=RELATIVE):
    """All numbers of LAMMPS are those of the ASE calculator."""
    calculator = atoms.calc
    energies = calculator.get_property("energies", atoms)
    assert_close(result.energy, atoms.get_potential_energy(), relative, scale=np.abs(energies).sum())
    assert_close(result.energies, energies, relative)
    assert_close(result.forces, atoms.get_forces(), relative)
    # per volume of LAMMPS's box, which differs where a direction is open; the virial is the same
    assert_close(result.virials.sum(0), calculator.get_property("virial", atoms), relative)
    if atoms.pbc.all():
        assert_close(result.stress, atoms.get_stress(), 2e-8)  # LAMMPS's constant has 8 digits
    if len(result.charges):
        assert_close(result.charges, atoms.get_charges(), relative)


def with_calculator(atoms, model, **settings):
    atoms = atoms.copy()
    atoms.calc = MHDNNCalculator(model, **settings)
    return atoms


@pytest.mark.parametrize("name", CELLS)
def test_short_range(short_range_model, tmp_path, name):
    atoms = structure(name)
    one = evaluate(tmp_path / "one", atoms, short_range_model)
    assert_same(one, with_calculator(atoms, short_range_model))
    two = evaluate(tmp_path / "two", atoms, short_range_model, ranks=2)
    for quantity in ("energy", "forces", "stress", "energies", "virials"):
        assert_close(getattr(two, quantity), getattr(one, quantity), BETWEEN_RANKS)


@pytest.mark.parametrize("solver", ["dense", "iterative"])
@pytest.mark.parametrize("name", [name for name in CELLS if name != "wire"])
def test_charges(charge_model, tmp_path, name, solver):
    atoms = structure(name)
    style = f"solver {solver} total_charge 0.5"
    one = evaluate(tmp_path / "one", atoms, charge_model, charges=True, style=style)
    assert_same(one, with_calculator(atoms, charge_model, solver=solver, total_charge=0.5))
    assert one.charges.sum() == pytest.approx(0.5, abs=1e-10)
    two = evaluate(tmp_path / "two", atoms, charge_model, charges=True, ranks=2, style=style)
    for quantity in ("energy", "forces", "stress", "energies", "virials", "charges"):
        assert_close(getattr(two, quantity), getattr(one, quantity), BETWEEN_RANKS)
