"""A potential for more elements: the old energies of the old elements, new elements as isotopes of their relatives."""

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk

from mhdnn.factory import build_potential
from mhdnn.prediction import predict
from mhdnn.training import transplant as module
from mhdnn.training.optimization import lengthen_steps
from mhdnn.training.ridge import change_linear_part
from mhdnn.training.transplant import Elements, relative_of, rows_of_new_elements, scale_functions, transplant
from tests.builders import (
    behler_settings,
    charge_settings,
    contracted_settings,
    geometry_of,
    model_settings,
    random_charge_potential,
    random_potential,
)

CASES = {
    "resolved": ({}, [14]),
    "resolved, two elements": ({"species_feature": "embedding"}, [6, 50]),
    "wide": ({"angular": {"wide": behler_settings("wide")}}, [6, 50]),
    "contracted": ({"descriptor": contracted_settings(), "species_feature": "embedding"}, [6, 50]),
    "learned channels": ({"channels": "learned"}, [6, 50]),
    "atomic number": ({"descriptor": contracted_settings()}, [6, 50]),
    "one network each": ({"kind": "per_element"}, [6, 50]),
    "ensemble": ({"num_members": 2, "species_feature": "embedding"}, [6, 50]),
    "without linear part": ({"linear_skip": False}, [14]),
}


def settings_of(numbers, changes):
    changes = dict(changes)
    descriptor, members = changes.pop("descriptor", None), changes.pop("num_members", None)
    settings = model_settings(numbers, **changes)
    if descriptor:
        settings["descriptor"] = descriptor
    if members:
        settings["network"]["num_members"] = members
    return settings


def randomised(potential, seed=0):
    """Every parameter, scale and mean random."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in potential.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype))
        shape = potential.function_mean.shape
        potential.function_mean.copy_(0.3 * torch.randn(shape, generator=generator, dtype=torch.float64))
        potential.function_scale.copy_(0.5 + torch.rand(shape, generator=generator, dtype=torch.float64))
        potential.short_range.reference_energies.copy_(
            torch.arange(1.0, 1.0 + len(potential.short_range.reference_energies))
        )
    return potential


def mixed(numbers, seed=0):
    atoms = bulk("Si", cubic=True)
    rng = np.random.default_rng(seed)
    atoms.numbers[:] = rng.choice(numbers, len(atoms))
    atoms.numbers[: len(numbers)] = numbers
    atoms.rattle(0.1, seed=seed)
    return atoms


def both(name):
    changes, old_numbers = CASES[name]
    new_numbers = sorted([*old_numbers, 3, 32])
    torch.manual_seed(0)
    old = randomised(build_potential(settings_of(old_numbers, changes)))
    new = randomised(build_potential(settings_of(new_numbers, changes)), seed=1)
    return old, new, Elements(old_numbers, new_numbers)


def assert_same(first, second):
    for name in ("energy", "forces", "virial"):
        torch.testing.assert_close(getattr(first, name), getattr(second, name), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", CASES)
def test_old_elements_have_the_old_energies(name):
    old, new, elements = both(name)
    transplant(old, new, elements)
    geometry = geometry_of(mixed(elements.old), mixed(elements.old, 1))
    assert_same(predict(new, geometry), predict(old, geometry))


@pytest.mark.parametrize("name", ["contracted", "one network each", "ensemble"])
def test_what_the_last_fit_has_added_is_left_out(name):
    old, new, elements = both(name)
    geometry = geometry_of(mixed(elements.old))
    expected = predict(old, geometry)
    network = old.short_range.network
    change_linear_part(network, torch.linspace(-1.0, 1.0, len(network.linear_weight), dtype=torch.float64))
    assert not torch.allclose(predict(old, geometry).forces, expected.forces)
    transplant(old, new, elements)
    assert_same(predict(new, geometry), expected)


@pytest.mark.parametrize("name", [name for name in CASES if name != "atomic number"])
def test_new_elements_begin_as_their_relatives(name, monkeypatch):
    """But for the noise that lets them part, and for reference energies, which are fitted."""
    monkeypatch.setattr(module, "NOISE", 0.0)
    if name in ("resolved", "without linear part"):
        pytest.skip("the element enters by its atomic number")
    old, new, elements = both(name)
    if name not in ("one network each",) and "species_feature" not in CASES[name][0]:
        pytest.skip("the element enters by its atomic number")
    transplant(old, new, elements)
    atoms = mixed(elements.new)
    twin = atoms.copy()
    twin.numbers = [elements.old[elements.origin[elements.new.index(number)]] for number in atoms.numbers]
    seen, expected = predict(new, geometry_of(atoms)), predict(old, geometry_of(twin))
    references = sum(float(old.short_range.reference_energies[elements.old.index(z)]) for z in twin.numbers) - sum(
        float(new.short_range.reference_energies[elements.new.index(z)]) for z in atoms.numbers
    )
    torch.testing.assert_close(seen.forces, expected.forces, rtol=1e-8, atol=1e-8)
    assert float(seen.energy + references) == pytest.approx(float(expected.energy), abs=1e-8)


def test_charges_and_their_energies_stay():
    old = random_charge_potential([6, 14])
    torch.manual_seed(1)
    new = build_potential(charge_settings([6, 14, 32]))
    with torch.no_grad():
        old.charge_model.charge_mean.copy_(torch.tensor([0.2, -0.1]))
        old.charge_model.raw_hardness.add_(torch.tensor([0.3, -0.2]))
    transplant(old, new, Elements([6, 14], [6, 14, 32]))
    geometry = geometry_of(mixed([6, 14]), total_charge=0.0)
    first, second = predict(new, geometry), predict(old, geometry)
    assert_same(first, second)
    torch.testing.assert_close(first.charges, second.charges)
    assert float(new.charge_model.charge_mean[2]) == float(old.charge_model.charge_mean[1])


@pytest.mark.parametrize("name", CASES)
def test_what_is_of_new_elements_alone_does_not_touch_the_old(name):
    old, new, elements = both(name)
    transplant(old, new, elements)
    masks, parameters = rows_of_new_elements(old, new, elements), dict(new.named_parameters())
    geometry, alloy = geometry_of(mixed(elements.old)), geometry_of(mixed(elements.new))
    before, of_alloy = predict(new, geometry), predict(new, alloy)
    with torch.no_grad():
        for key, mask in masks.items():
            parameters[key].add_(mask * torch.randn(mask.shape, dtype=torch.float64))
    assert_same(predict(new, geometry), before)
    if name != "atomic number":  # whose functions and features are those of numbers
        assert not torch.allclose(predict(new, alloy).forces, of_alloy.forces)


@pytest.mark.parametrize("name", ["resolved, two elements", "one network each", "ensemble", "contracted"])
def test_another_scale_changes_nothing(name):
    _, potential, elements = both(name)
    geometry = geometry_of(mixed(elements.new))
    before = predict(potential, geometry)
    scale_functions(potential, torch.linspace(0.5, 2.0, len(potential.function_scale), dtype=torch.float64))
    assert_same(predict(potential, geometry), before)


def test_relatives():
    numbers = [1, 6, 8, 14, 50]
    assert [numbers[relative_of(number, numbers)] for number in (32, 82, 7, 16)] == [14, 50, 6, 8]
    assert relative_of(28, [29, 79]) == 0


def test_longer_steps_of_some_numbers():
    """Adam's first step is the learning rate, whatever the gradient; later ones are lengthened alike."""
    parameter = torch.nn.Parameter(torch.zeros(4, dtype=torch.float64))
    optimizer = torch.optim.AdamW([parameter], lr=0.01, weight_decay=0.0)
    lengthen_steps(optimizer, {parameter: torch.tensor([False, True, False, True])}, 5.0)
    for steps in (1, 2):
        optimizer.zero_grad()
        (parameter * torch.tensor([1.0, 1.0, -3.0, -3.0])).sum().backward()
        optimizer.step()
        expected = 0.01 * steps * torch.tensor([-1.0, -5.0, 1.0, 5.0], dtype=torch.float64)
        torch.testing.assert_close(parameter.detach(), expected, rtol=1e-6, atol=0)


def test_an_isolated_new_atom_has_the_energy_of_its_relative():
    """By hand: without neighbours nothing but the constants of the elements is left."""
    old = random_potential([14], **{"species_feature": "embedding"})
    new = build_potential(model_settings([14, 32], species_feature="embedding"))
    elements = Elements([14], [14, 32])
    transplant(old, new, elements)
    with torch.no_grad():
        new.short_range.network.species_feature.table[1] = new.short_range.network.species_feature.table[0]
    room = {"cell": [20.0] * 3, "pbc": True}
    energies = predict(new, geometry_of(Atoms("Si", **room), Atoms("Ge", **room))).energy
    assert float(energies[1]) == pytest.approx(float(energies[0] - old.short_range.reference_energies[0]))
