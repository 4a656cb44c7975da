"""Forces and stress are the derivatives of the energy: central differences, and the sums written out."""

import pytest
import torch

from mhdnn.prediction import predict
from mhdnn.structure import VOIGT
from tests.builders import (
    behler_settings,
    contracted_settings,
    geometry_of,
    legendre_settings,
    random_potential,
    structures,
)
from tests.differences import STEP, assert_close, numerical_forces, numerical_virial
from tests.tolerances import ROUND_OFF

ELEMENTS = [6, 14, 50]
VARIANTS = {
    "legendre": {"angular": {"a": legendre_settings()}},
    "wide": {"angular": {"a": {**behler_settings("wide"), "zetas": [1, 2]}}},
    "wide_by_triplets": {"angular": {"a": behler_settings("wide_by_triplets")}},
    "narrow": {"angular": {"a": behler_settings("narrow")}},
    "polynomial": {"cutoff_function": "polynomial"},
    "tanh": {"cutoff_function": "tanh"},
    "weighted": {"channels": "weighted"},
    "learned": {"channels": "learned"},
    "contracted": contracted_settings(),
    "cutoffs of parts": {"angular": {"a": {**legendre_settings(), "cutoff": 3.5}}},
    "embedding": {"species_feature": "embedding"},
    "per_element": {"kind": "per_element"},
}


def energy_by(potential):
    return lambda atoms: predict(potential, geometry_of(atoms)).energy.item()


@pytest.mark.parametrize("name", list(structures()))
def test_forces_and_virial_of_every_kind_of_cell(name):
    atoms = structures()[name]
    potential = random_potential(ELEMENTS)
    prediction = predict(potential, geometry_of(atoms))
    chosen = list(range(min(4, len(atoms))))
    assert_close(prediction.forces.numpy()[chosen], numerical_forces(energy_by(potential), atoms, chosen))
    assert_close(prediction.virial.numpy()[0], numerical_virial(energy_by(potential), atoms))


@pytest.mark.parametrize("variant", list(VARIANTS))
def test_forces_and_virial_of_every_model(variant):
    atoms = structures()["tiny"]
    potential = random_potential(ELEMENTS, **VARIANTS[variant])
    prediction = predict(potential, geometry_of(atoms))
    assert_close(prediction.forces.numpy(), numerical_forces(energy_by(potential), atoms, [0, 1]))
    assert_close(prediction.virial.numpy()[0], numerical_virial(energy_by(potential), atoms))


@pytest.mark.parametrize("name", ["triclinic", "tiny", "slab"])
def test_strain_of_the_pair_vectors(name):
    """The derivative by a strain that pair vectors carry is the virial."""
    potential = random_potential(ELEMENTS)
    geometry = geometry_of(structures()[name])
    vectors = geometry.pair_vectors()
    strain = torch.zeros(3, 3, dtype=torch.float64, requires_grad=True)
    moved = vectors + vectors @ ((strain + strain.T) / 2)
    potential(moved, geometry.center_index, geometry.neighbor_index, geometry.atomic_numbers).sum().backward()
    expected = predict(potential, geometry).virial[0]
    found = torch.stack([strain.grad[a, b] for a, b in VOIGT])
    assert (found - expected).abs().max() < ROUND_OFF * expected.abs().max()


def test_forces_add_up_to_zero():
    for atoms in structures().values():
        forces = predict(random_potential(ELEMENTS), geometry_of(atoms)).forces
        assert forces.sum(0).abs().max() < 1e-12 * len(atoms) * max(1.0, forces.abs().max().item())


def test_force_training_gradient():
    """The gradient of a force loss by the weights, against central differences."""
    potential = random_potential(ELEMENTS)
    geometry = geometry_of(structures()["tiny"])
    weight = potential.short_range.network.perceptron[0].weight

    def loss():
        prediction = predict(potential, geometry, create_graph=True)
        return (prediction.forces**2).sum() + (prediction.virial**2).sum() + prediction.energy.sum()

    (gradient,) = torch.autograd.grad(loss(), weight)
    largest = gradient.abs().flatten().topk(3).indices
    for place in [divmod(int(index), gradient.shape[1]) for index in largest]:
        values = []
        for sign in (1, -1):
            with torch.no_grad():
                weight[place] += sign * STEP
            values.append(loss().item())
            with torch.no_grad():
                weight[place] -= sign * STEP
        assert_close(gradient[place].item(), (values[0] - values[1]) / (2 * STEP))
