"""The potential with charge equilibration: its derivatives against central differences, its charges, its limits."""

import numpy as np
import pytest
import torch

from mhdnn.errors import ConfigError, DataError
from mhdnn.factory import build_potential
from mhdnn.prediction import predict, predict_charges, predict_known
from tests.builders import charge_settings, geometry_of, random_charge_potential, structures
from tests.differences import STEP, assert_close, numerical_forces, numerical_virial
from tests.tolerances import ROUND_OFF

ELEMENTS = [6, 14, 50]
KINDS = ["triclinic", "tiny", "slab", "molecule"]


def charged(atoms, total_charge):
    return geometry_of(atoms, total_charge=total_charge)


def energy(potential, atoms, total_charge, solver="auto"):
    return predict(potential, charged(atoms, total_charge), solver=solver).energy.item()


@pytest.mark.parametrize("solver", ["dense", "iterative"])
@pytest.mark.parametrize("total_charge", [0.0, 1.0])
@pytest.mark.parametrize("name", KINDS)
def test_forces_and_virial(name, total_charge, solver):
    atoms = structures()[name]
    potential = random_charge_potential(ELEMENTS)
    prediction = predict(potential, charged(atoms, total_charge), solver=solver)
    chosen = list(range(min(2, len(atoms))))

    def value(moved):
        return energy(potential, moved, total_charge, solver)

    assert_close(prediction.forces.numpy()[chosen], numerical_forces(value, atoms, chosen))
    assert_close(prediction.virial.numpy()[0], numerical_virial(value, atoms))
    assert prediction.atomic_energies.sum().item() == pytest.approx(prediction.energy.item(), rel=1e-12)
    assert prediction.charges.sum().item() == pytest.approx(total_charge, abs=1e-9)


@pytest.mark.parametrize("screening", [None, {"inner": 1.0, "outer": 4.0}])
def test_screening(screening):
    atoms = structures()["triclinic"]
    potential = random_charge_potential(ELEMENTS, screening=screening)
    prediction = predict(potential, charged(atoms, 0.0))
    assert_close(
        prediction.forces.numpy()[:2],
        numerical_forces(lambda moved: energy(potential, moved, 0.0), atoms, [0, 1]),
    )


def test_a_screened_pair_has_no_electrostatics():
    """Within the inner radius nothing of the pair's Coulomb energy and self energies is left."""
    atoms = structures()["molecule"][:2]
    potential = random_charge_potential(ELEMENTS, screening={"inner": 3.0, "outer": 4.0})
    assert np.linalg.norm(atoms.positions[0] - atoms.positions[1]) < 3.0
    left = predict_known(potential, charged(atoms, 1.0))
    assert abs(left.energy.item()) < 1e-12
    assert left.forces.abs().max() < 1e-12


def test_batch_of_mixed_cells_equals_single_structures():
    potential = random_charge_potential(ELEMENTS)
    chosen = [structures()[name] for name in KINDS]
    together = predict(potential, geometry_of(*chosen, total_charge=[0.0, 1.0, 0.0, -1.0]))
    for number, (atoms, total_charge) in enumerate(zip(chosen, (0.0, 1.0, 0.0, -1.0), strict=True)):
        alone = predict(potential, charged(atoms, total_charge))
        first = sum(len(a) for a in chosen[:number])
        part = slice(first, first + len(atoms))
        assert together.energy[number].item() == pytest.approx(alone.energy.item(), rel=ROUND_OFF)
        assert (together.charges[part] - alone.charges).abs().max() < ROUND_OFF
        assert (together.forces[part] - alone.forces).abs().max() < 10 * ROUND_OFF
        assert (together.virial[number] - alone.virial[0]).abs().max() < 10 * ROUND_OFF


def test_gradients_of_force_and_charge_losses():
    """By weights of both networks and the hardness, against central differences."""
    potential = random_charge_potential(ELEMENTS)
    geometry = charged(structures()["tiny"], 0.0)
    parameters = [
        potential.charge_model.network.perceptron[0].weight,
        potential.short_range.network.perceptron[0].weight,
        potential.charge_model.raw_hardness,
    ]

    def loss():
        prediction = predict(potential, geometry, create_graph=True)
        return (prediction.forces**2).sum() + (prediction.virial**2).sum() + (prediction.charges**2).sum()

    gradients = torch.autograd.grad(loss(), parameters)
    for parameter, gradient in zip(parameters, gradients, strict=True):
        place = int(gradient.abs().flatten().argmax())
        values = []
        for sign in (1, -1):
            with torch.no_grad():
                parameter.view(-1)[place] += sign * STEP
            values.append(loss().item())
            with torch.no_grad():
                parameter.view(-1)[place] -= sign * STEP
        assert_close(gradient.flatten()[place].item(), (values[0] - values[1]) / (2 * STEP))


def test_charges_answer_to_the_far_end():
    """Adding a charge at one end of a chain longer than twice the cutoff changes the other end."""
    atoms = structures()["molecule"][:1]
    chain = atoms.copy()
    for number in range(1, 10):
        link = atoms.copy()
        link.positions += [2.0 * number, 0.1 * (number % 2), 0.0]
        chain += link
    potential = random_charge_potential(ELEMENTS)
    neutral, positive = (predict_charges(potential, charged(chain, q)).detach() for q in (0.0, 1.0))
    assert abs(positive[-1] - neutral[-1]).item() > 1e-3


def test_missing_total_charge_is_named():
    potential = random_charge_potential(ELEMENTS)
    with pytest.raises(DataError, match=r"`total_charge`: structure 0 has none.*data\.total_charge=0"):
        predict(potential, geometry_of(structures()["tiny"]))


def test_short_range_energies_need_charges():
    potential = random_charge_potential(ELEMENTS)
    geometry = charged(structures()["tiny"], 0.0)
    with pytest.raises(ValueError, match="`charges`"):
        potential(geometry.cell_shifts + 2.0, geometry.center_index, geometry.neighbor_index, geometry.atomic_numbers)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"widths": {"C": 0.7, "Si": 1.1}}, "width in Å for Sn"),
        ({"widths": {"C": 0.7, "Si": -1.1, "Sn": 1.0}}, "positive width in Å for Si"),
        ({"widths": "big"}, "`charges.widths`"),
        ({"initial_hardness": 0.0}, "`charges.initial_hardness`"),
        ({"accuracy": 1.0}, "`charges.accuracy`"),
        ({"screening": {"inner": 3.0, "outer": 2.0}}, "`charges.screening`"),
        ({"screening": {"inner": 0.0, "outer": 9.0}}, "`charges.screening`"),
    ],
)
def test_wrong_settings_are_named(change, message):
    with pytest.raises(ConfigError, match=message):
        build_potential(charge_settings(ELEMENTS, **change))


def test_hardness_and_widths_are_those_of_the_settings():
    potential = build_potential(charge_settings(ELEMENTS, widths={"C": 0.7, "Si": 1.1, "Sn": 1.4}))
    element, model = potential.element_index(torch.tensor([50, 6, 14])), potential.charge_model
    assert model.charge_widths(element).tolist() == [1.4, 0.7, 1.1]
    assert model.hardness(element).tolist() == pytest.approx([10.0] * 3)
