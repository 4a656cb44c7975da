"""Ensembles: mean and spread against the members one by one, their training, their model file."""

import numpy as np
import pytest
import torch

from mhdnn import MHDNNCalculator
from mhdnn.deploy.model_file import metadata_of, save_model
from mhdnn.errors import ConfigError
from mhdnn.factory import build_potential
from mhdnn.potential import Potential
from mhdnn.prediction import mean_of, predict, predict_members, spread_of
from mhdnn.training.loss import Loss, Ramp
from tests.builders import batch_of, charge_settings, geometry_of, model_settings, structures
from tests.tolerances import ROUND_OFF

ELEMENTS = [6, 14, 50]
NUM_MEMBERS = 3


def settings(num_members: int = NUM_MEMBERS) -> dict:
    result = model_settings(ELEMENTS, species_feature="embedding")
    return {**result, "network": {**result["network"], "num_members": num_members}}


@pytest.fixture(scope="module")
def potential() -> Potential:
    torch.manual_seed(0)
    result = build_potential(settings())
    with torch.no_grad():
        result.short_range.network.linear_weight.normal_(0.0, 0.05)
        result.short_range.network.output_scale.fill_(2.0)
        result.function_scale.fill_(0.5)
        result.short_range.reference_energies.copy_(torch.tensor([1.0, 2.0, 3.0]))
    return result


def member(potential: Potential, number: int) -> Potential:
    """A single network with the weights of one member."""
    single = build_potential(settings(1))
    state = {}
    for name in single.state_dict():
        own = potential.state_dict()[name]
        state[name] = own[number] if name.startswith("short_range.network.perceptron") else own
    single.load_state_dict(state)
    return single


def test_mean_and_spread_are_those_of_the_members_one_by_one(potential):
    geometry = geometry_of(*(structures()[name] for name in ("triclinic", "slab", "tiny")))
    alone = [predict(member(potential, number), geometry) for number in range(NUM_MEMBERS)]
    together = predict_members(potential, geometry)
    prediction = predict(potential, geometry)
    for name in ("energy", "forces", "virial", "atomic_energies"):
        expected = torch.stack([getattr(one, name) for one in alone])
        found = torch.stack([getattr(one, name) for one in together])
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
        torch.testing.assert_close(getattr(prediction, name), expected.mean(0), rtol=0, atol=1e-11)
        torch.testing.assert_close(getattr(mean_of(together), name), expected.mean(0), rtol=0, atol=1e-12)
    for found, name in zip(spread_of(together), ("energy", "forces", "virial"), strict=True):
        expected = np.std([getattr(one, name).numpy() for one in alone], axis=0, ddof=1)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)
        assert expected.max() > 0


def test_gradients_of_the_loss_are_those_of_members_trained_alone(potential):
    """Each member's weights get the gradient of its own loss, over their number."""
    batch, loss = batch_of(structures()["triclinic"]), Loss(Ramp(1.0, 1.0), 1.0, 1.0)
    batch.labels.energy.fill_(1.0)
    batch.labels.forces.fill_(0.1)
    batch.labels.stress.fill_(0.01)
    members = predict_members(potential, batch.geometry, create_graph=True)
    weight = potential.short_range.network.perceptron[0].weight
    total = torch.stack([loss(one, batch) for one in members]).mean()
    (found,) = torch.autograd.grad(total, weight)
    for number in range(NUM_MEMBERS):
        single = member(potential, number)
        own = loss(predict(single, batch.geometry, create_graph=True), batch)
        (expected,) = torch.autograd.grad(own, single.short_range.network.perceptron[0].weight)
        torch.testing.assert_close(found[number], expected / NUM_MEMBERS, rtol=1e-9, atol=1e-12)


def test_spread_takes_no_second_pass(potential):
    geometry = geometry_of(structures()["triclinic"])
    passes = []
    handle = potential.descriptor.register_forward_hook(lambda *_: passes.append(1))
    found = predict(potential, geometry, spread=True, atomic_virials=True)
    handle.remove()
    assert len(passes) == 1
    for name in ("energy", "forces", "virial", "atomic_virials"):
        expected = getattr(predict(potential, geometry, atomic_virials=True), name)
        torch.testing.assert_close(getattr(found, name), expected, rtol=0, atol=1e-11)
    torch.testing.assert_close(found.spread, spread_of(predict_members(potential, geometry)), rtol=0, atol=1e-12)
    assert predict(potential, geometry).spread is None


def test_results_of_the_calculator(potential, tmp_path):
    path = tmp_path / "model.pt"
    save_model(potential, path, metadata_of(potential, settings(), {}))
    atoms = structures()["triclinic"]
    prediction, geometry = predict(potential, geometry_of(atoms)), geometry_of(atoms)
    energy, forces, virial = spread_of(predict_members(potential, geometry))
    atoms.calc = MHDNNCalculator(path, extrapolation="off")
    assert atoms.get_potential_energy() == pytest.approx(float(prediction.energy), abs=ROUND_OFF)
    assert atoms.calc.results["energy_spread"] == pytest.approx(float(energy), abs=ROUND_OFF)
    np.testing.assert_allclose(atoms.calc.results["forces_spread"], forces, atol=ROUND_OFF)
    np.testing.assert_allclose(atoms.calc.results["stress_spread"], virial[0] / atoms.get_volume(), atol=ROUND_OFF)


def test_members_start_apart(potential):
    weights = potential.short_range.network.perceptron[0].weight.detach()
    assert float((weights[0] - weights[1]).abs().max()) > 0.01


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({**settings(), "network": {**settings()["network"], "kind": "per_element"}}, "members share their network"),
        ({**charge_settings(ELEMENTS), "network": settings()["network"]}, "with `charges=equilibration` only 1"),
    ],
)
def test_what_has_no_ensemble(changed, words):
    with pytest.raises(ConfigError, match=words):
        build_potential(changed)
