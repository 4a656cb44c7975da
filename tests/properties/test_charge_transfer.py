"""Charges of slabs and the potential between them, against the plate capacitor."""

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator

from mhdnn import MHDNNCalculator
from mhdnn.deploy.model_file import metadata_of, save_model
from mhdnn.electrostatics import build_coulomb
from mhdnn.errors import ConfigError, DataError
from mhdnn.properties.charge_transfer import (
    average_of_charges,
    average_of_grid,
    charge_differences,
    charge_transfer,
    charges_of,
    potential_profile,
    widths_of,
)
from mhdnn.properties.charge_transfer_report import charge_transfer_report
from mhdnn.units import COULOMB_CONSTANT
from tests.builders import charge_settings, random_charge_potential

ELEMENTS = [6, 14, 50]


@pytest.fixture(scope="module")
def calculator(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "model.pt"
    potential = random_charge_potential(ELEMENTS)
    save_model(potential, path, metadata_of(potential, charge_settings(ELEMENTS), {"data": "none"}))
    return MHDNNCalculator(path)


def planes(gap=6.0, pbc=(True, True, False)):
    """Two square planes of two atoms each, displaced from one another."""
    positions = [[0, 0, 10], [1.5, 1.5, 10], [0.4, 0.2, 10 + gap], [1.9, 1.7, 10 + gap]]
    atoms = Atoms("C2Si2", positions=positions, cell=[3.0, 3.0, 30.0], pbc=pbc)
    atoms.set_array("slab", np.array([1, 1, 2, 2]))
    return atoms


def plane_average(potential, height, spacing=0.25):
    """Mean over a grid of points, of a square cell of 3 Å."""
    x, y = np.meshgrid(*[np.arange(0, 3, spacing)] * 2, indexing="ij")
    return potential(np.stack([x.ravel(), y.ravel(), np.full(x.size, height)], 1)).mean()


def three_dimensional(atoms, charges, widths):
    """Potential at points, from the Ewald sums of `mhdnn.electrostatics`."""
    system = build_coulomb(
        torch.tensor(atoms.positions),
        torch.tensor(atoms.cell[:])[None],
        torch.tensor(atoms.pbc)[None],
        torch.zeros(len(atoms), dtype=torch.long),
        1,
        torch.tensor(widths),
        accuracy=1e-8,
    )
    return lambda points: system.potential_at(torch.tensor(points), torch.tensor(charges)).numpy()


def test_capacitor():
    """Charges of +-q on the planes: the field between them is 4π k q/A, outside there is none."""
    atoms = planes()
    charges = np.array([0.1, 0.1, -0.1, -0.1])
    width = 0.5
    profile = potential_profile(atoms, average_of_charges(atoms, charges, [width] * 4))
    field = 4 * np.pi * COULOMB_CONSTANT * 0.2 / 9.0
    assert profile.middle_field == pytest.approx(field, rel=1e-8)
    # at a plane the Gaussians round the potential off by 4π k σ s/√(2π) each
    assert profile.gradient == pytest.approx(field * (1 - width * np.sqrt(2 / np.pi) / 6.0), rel=1e-8)
    assert profile.gap == pytest.approx(6.0)
    assert profile.potential[0] == pytest.approx(field * 3.0, rel=1e-8)
    assert profile.potential[-1] == pytest.approx(-field * 3.0, rel=1e-8)
    # narrow charges leave the whole voltage
    narrow = potential_profile(atoms, average_of_charges(atoms, charges, [1e-6] * 4))
    assert narrow.gradient == pytest.approx(field, rel=1e-6)
    result = charge_transfer(atoms, charges)
    assert (result.charge_1, result.charge_2) == pytest.approx((0.2, -0.2))
    assert result.transferred == pytest.approx(-0.2)
    assert result.transferred_per_square_nanometer == pytest.approx(-0.2 / 0.09)


def test_periodic_capacitor():
    """Without a voltage around the cell the field between is smaller by d/L, and returns outside."""
    atoms = planes(pbc=True)
    average = average_of_charges(atoms, [0.1, 0.1, -0.1, -0.1], [0.4] * 4)
    field = 4 * np.pi * COULOMB_CONSTANT * 0.2 / 9.0
    profile = potential_profile(atoms, average)
    assert profile.middle_field == pytest.approx(field * (1 - 6 / 30), rel=1e-8)
    around = average(np.array([0.0, 1.0]))
    assert around[0] - around[1] == pytest.approx(-field * 6 / 30, rel=1e-8)
    assert profile.potential[0] == pytest.approx(profile.potential[-1])


@pytest.mark.parametrize("pbc", [(True, True, False), (True, True, True)])
def test_average_of_three_dimensional_sums(pbc):
    """Charges that don't add up to zero and different widths, against Ewald sums averaged over a plane."""
    atoms = planes(gap=2.5, pbc=pbc)
    charges, widths = np.array([0.3, 0.1, -0.2, 0.1]), [0.5, 0.6, 0.7, 0.8]
    average = average_of_charges(atoms, charges, widths)
    potential = three_dimensional(atoms, charges, widths)
    for height in (8.0, 11.3):
        assert average(np.array([height]))[0] == pytest.approx(plane_average(potential, height), abs=1e-6)


def test_average_of_a_grid():
    """The grid of a potential gives the profile of its charges."""
    atoms = planes(pbc=True)
    charges, widths = np.array([0.1, 0.1, -0.1, -0.1]), [0.9] * 4
    average = average_of_charges(atoms, charges, widths)
    heights = 30.0 / 120 * np.arange(120)
    grid = np.cos(2 * np.pi * np.arange(4) / 4)[:, None, None] + average(heights) + np.zeros((4, 3, 1))
    by_grid = potential_profile(atoms, average_of_grid(atoms, grid))
    by_charges = potential_profile(atoms, average)
    assert by_grid.gradient == pytest.approx(by_charges.gradient, rel=1e-3)
    assert by_grid.middle_field == pytest.approx(by_charges.middle_field, rel=1e-3)
    np.testing.assert_allclose(by_grid.potential, by_charges.potential, atol=1e-2)
    with pytest.raises(DataError, match="`potential`: expected a grid with three dimensions"):
        average_of_grid(atoms, heights)


def test_model(calculator):
    """Sums over slabs, and the profile against the model's own potential averaged over a plane."""
    atoms = planes(gap=2.5)
    charges = charges_of(atoms, calculator)
    result = charge_transfer(atoms, charges)
    assert abs(result.charge_2) > 0.01
    assert result.charge_1 + result.charge_2 == pytest.approx(0.0, abs=1e-9)
    assert result.charge_1 == pytest.approx(charges[:2].sum())
    average = average_of_charges(atoms, charges, widths_of(atoms, calculator))
    for height in (9.0, 11.0):
        found = plane_average(calculator.electrostatic_potential, height)
        assert found == pytest.approx(average(np.array([height]))[0], abs=1e-6)
    total = atoms.copy()
    total.info["total_charge"] = 1.0
    charged = charge_transfer(total, charges_of(total, calculator))
    assert charged.charge_1 + charged.charge_2 == pytest.approx(1.0)


def test_differences_are_the_redistribution(calculator):
    atoms = planes(gap=2.0)
    difference = charge_differences(atoms, calculator)
    assert difference.sum() == pytest.approx(0.0, abs=1e-9)
    # alone, the atoms of a slab are equal and neutral
    np.testing.assert_allclose(difference, charges_of(atoms, calculator), atol=1e-9)


def test_charges_that_come_with_the_atoms():
    atoms = planes()
    with pytest.raises(DataError, match="`charges`: expected charges with the atoms"):
        charges_of(atoms)
    atoms.set_initial_charges([0.1, 0.2, -0.1, -0.2])
    assert charges_of(atoms).tolist() == [0.1, 0.2, -0.1, -0.2]
    atoms.calc = SinglePointCalculator(atoms, charges=np.array([0.3, 0.3, -0.3, -0.3]))
    assert charges_of(atoms).tolist() == [0.3, 0.3, -0.3, -0.3]


def test_report(calculator, tmp_path):
    report = charge_transfer_report(planes(gap=2.5), calculator, num_heights=8)
    report.write(tmp_path)
    assert report.values["charge_1_e"] == pytest.approx(-report.values["charge_2_e"])
    atoms = planes()
    atoms.set_initial_charges([0.1, 0.1, -0.1, -0.1])
    given = charge_transfer_report(atoms, num_heights=8)
    assert given.values["potential_gradient_v_per_angstrom"] > 0


def test_wrong_arguments_are_named():
    atoms = planes()
    with pytest.raises(ConfigError, match="`calculator`: expected one with charges, got EMT"):
        charges_of(atoms, EMT())
    wire = planes(pbc=(True, False, False))
    with pytest.raises(DataError, match="`pbc`: expected a plane that is periodic"):
        average_of_charges(wire, np.zeros(4))
    with pytest.raises(DataError, match="`widths`"):
        average_of_charges(atoms, np.zeros(4), [1, 1, 1, 0])
    with pytest.raises(DataError, match="`charges`: expected one for each of 4 atoms"):
        charge_transfer(atoms, [0.1])
    atoms.arrays["slab"] = np.array([2, 2, 1, 1])
    with pytest.raises(DataError, match="`atoms`: expected slab 2 above slab 1"):
        potential_profile(atoms, average_of_charges(atoms, np.zeros(4)))
