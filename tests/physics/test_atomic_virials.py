"""Shares of the atoms in the virial: their sum, their symmetry, and a molecule of charges worked out by hand."""

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import make_supercell

from mhdnn import MHDNNCalculator
from mhdnn.deploy.model_file import metadata_of, save_model
from mhdnn.prediction import SeenAtoms, predict
from mhdnn.structure import VOIGT
from mhdnn.units import COULOMB_CONSTANT
from tests.builders import (
    charge_settings,
    geometry_of,
    random_charge_potential,
    random_potential,
    structures,
)
from tests.tolerances import ROUND_OFF

ELEMENTS = [6, 14, 50]


def shares(potential, atoms, total_charge=None, solver="auto"):
    geometry = geometry_of(atoms, total_charge=total_charge)
    return predict(potential, geometry, solver=solver, atomic_virials=True)


@pytest.mark.parametrize("name", list(structures()))
def test_sum_without_charges(name):
    prediction = shares(random_potential(ELEMENTS), structures()[name])
    scale = prediction.virial.abs().max()
    assert (prediction.atomic_virials.sum(0) - prediction.virial[0]).abs().max() < ROUND_OFF * scale


@pytest.mark.parametrize("solver", ["dense", "iterative"])
@pytest.mark.parametrize("total_charge", [0.0, 1.0])
@pytest.mark.parametrize("name", ["triclinic", "tiny", "slab", "molecule"])
def test_sum_with_charges(name, total_charge, solver):
    """The derivative by strain, which `test_charge_potential` compares with finite differences."""
    prediction = shares(random_charge_potential(ELEMENTS), structures()[name], total_charge, solver)
    scale = prediction.virial.abs().max()
    assert (prediction.atomic_virials.sum(0) - prediction.virial[0]).abs().max() < ROUND_OFF * scale


def test_sum_of_every_structure_of_a_batch():
    chosen = [structures()[name] for name in ("triclinic", "slab", "molecule")]
    geometry = geometry_of(*chosen, total_charge=0.0)
    prediction = predict(random_charge_potential(ELEMENTS), geometry, atomic_virials=True)
    first = 0
    for number, atoms in enumerate(chosen):
        part = prediction.atomic_virials[first : first + len(atoms)].sum(0)
        assert (part - prediction.virial[number]).abs().max() < 10 * ROUND_OFF
        first += len(atoms)


@pytest.mark.parametrize("solver", ["dense", "iterative"])
def test_images_have_equal_shares(solver):
    """An atom's share does not depend on the choice of the cell, nor on where the crystal begins."""
    atoms = structures()["tiny"]
    potential = random_charge_potential(ELEMENTS)
    single = shares(potential, atoms, 0.0, solver).atomic_virials.numpy()
    large = make_supercell(atoms, [[1, 1, 0], [0, 2, 0], [0, 0, 2]])
    large.positions += [0.3, 4.0, -1.0]
    large.wrap()
    several = shares(potential, large, 0.0, solver).atomic_virials.numpy()
    # the same structure summed in another cell: as good as the Ewald sums
    for number in (0, 1):
        same = several[large.numbers == atoms.numbers[number]]
        np.testing.assert_allclose(same, np.tile(single[number], (4, 1)), atol=1e-5 * np.abs(single).max())


def test_molecule_of_far_charges_by_hand():
    """Atoms beyond the cutoff: constant electronegativities, short-range energies of the charges alone."""
    atoms = Atoms("CSiSn", positions=[[0.1, 0.2, 0.0], [5.0, 0.4, 0.3], [1.0, 5.5, -0.7]])
    potential = random_charge_potential(ELEMENTS)
    found = shares(potential, atoms, 0.5).atomic_virials.numpy()
    seen, model = SeenAtoms(potential, geometry_of(atoms)), potential.charge_model
    electronegativity = model.electronegativity(seen.functions, seen.element_index).detach().numpy()
    hardness = model.hardness(seen.element_index).detach().numpy()
    widths = model.charge_widths(seen.element_index).numpy()

    vectors = atoms.positions[None] - atoms.positions[:, None]
    distances = np.linalg.norm(vectors, axis=2) + np.eye(3)
    decay = np.sqrt(2 * (widths[:, None] ** 2 + widths[None] ** 2))
    error_function = torch.erf(torch.tensor(distances / decay)).numpy()
    interaction = COULOMB_CONSTANT * error_function / distances
    np.fill_diagonal(interaction, COULOMB_CONSTANT / (widths * np.sqrt(np.pi)))
    gaussian = 2 / np.sqrt(np.pi) * np.exp(-((distances / decay) ** 2)) / decay
    slope = COULOMB_CONSTANT * (gaussian / distances - error_function / distances**2)
    np.fill_diagonal(slope, 0.0)

    bordered = np.ones((4, 4))
    bordered[3, 3] = 0.0
    bordered[:3, :3] = interaction + np.diag(hardness)
    charges = np.linalg.solve(bordered, [*-electronegativity, 0.5])[:3]

    def energy(q):
        return (
            potential(*seen.pairs, seen.geometry.atomic_numbers, torch.tensor(q)).sum().item()
            + 0.5 * q @ interaction @ q
        )

    step = 1e-5
    by_charge = [(energy(charges + step * e) - energy(charges - step * e)) / (2 * step) for e in np.eye(3)]
    response = -np.linalg.solve(bordered, [*by_charge, 0.0])[:3]
    partner = 0.5 * charges + response
    product = 0.5 * (np.outer(partner, charges) + np.outer(charges, partner))
    expected = np.stack([(product * slope * vectors[..., a] * vectors[..., b] / distances).sum(1) for a, b in VOIGT], 1)
    assert np.abs(expected).max() > 1e-3
    np.testing.assert_allclose(found, expected, atol=1e-7 * np.abs(expected).max())


@pytest.mark.parametrize("charges", [False, True])
def test_stresses_of_the_calculator(charges, tmp_path):
    atoms = structures()["triclinic"]
    potential = random_charge_potential(ELEMENTS) if charges else random_potential(ELEMENTS)
    settings = charge_settings(ELEMENTS)
    if not charges:
        settings.pop("charges")
    save_model(potential, tmp_path / "model.pt", metadata_of(potential, settings, {"data": "none"}))
    atoms.calc = MHDNNCalculator(tmp_path / "model.pt")
    stress = atoms.get_stress()
    assert "stresses" not in atoms.calc.results
    stresses = atoms.get_stresses()
    assert stresses.shape == (len(atoms), 6)
    np.testing.assert_allclose(stresses.sum(0), stress, atol=ROUND_OFF)
    expected = shares(potential, atoms, 0.0 if charges else None).atomic_virials.numpy() / atoms.get_volume()
    np.testing.assert_allclose(stresses, expected, atol=ROUND_OFF)


def test_both_atoms_of_a_pair_have_half_of_its_virial():
    """Of two atoms of different elements, whose energies differ."""
    atoms = Atoms("CSn", positions=[[0.0, 0.0, 0.0], [0.6, 0.7, 0.9]])
    prediction = shares(random_potential(ELEMENTS), atoms)
    assert abs(prediction.atomic_energies[0] - prediction.atomic_energies[1]) > 1e-3
    assert prediction.atomic_virials.abs().max() > 0.01
    np.testing.assert_allclose(prediction.atomic_virials[0], prediction.atomic_virials[1], rtol=1e-12)
