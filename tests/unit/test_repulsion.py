"""The repulsion of nuclei: values by hand, derivatives, smoothness."""

import math

import pytest
import torch

from mhdnn.errors import ConfigError
from mhdnn.prediction import predict, predict_known
from mhdnn.repulsion import Repulsion
from mhdnn.units import COULOMB_CONSTANT
from tests.builders import geometry_of, random_charge_potential, random_potential, structures
from tests.differences import assert_close, numerical_forces, numerical_virial

ELEMENTS = [3, 6, 50]
ELEMENTS_OF_STRUCTURES = [6, 14, 50]


def repulsion(inner=0.5, outer=1.0, shortest=2.0):
    result = Repulsion(ELEMENTS)
    result.set_radii(torch.full((3, 3), shortest, dtype=torch.float64), inner, outer)
    return result


def pair_energy(potential, distance, first=1, second=2):
    """Of two atoms, each a centre."""
    vector = torch.stack([distance, 0 * distance, 0 * distance]).reshape(1, 3)
    index, other = torch.tensor([0, 1]), torch.tensor([1, 0])
    elements = torch.tensor([first, second])
    return potential(torch.cat([vector, -vector]), index, other, elements, 2).sum()


def test_universal_potential_by_hand():
    """Carbon and tin at 0.5 Å, below the inner radius; constants of the book once more."""
    energy = pair_energy(repulsion(), torch.tensor(0.5, dtype=torch.float64))
    x = 0.5 * (6**0.23 + 50**0.23) / 0.4685
    phi = sum(
        c * math.exp(-d * x) for c, d in [(0.18175, 3.1998), (0.50986, 0.94229), (0.28022, 0.4029), (0.02817, 0.20162)]
    )
    assert energy.item() == pytest.approx(COULOMB_CONSTANT * 6 * 50 / 0.5 * phi, rel=1e-12)


def test_is_zero_where_the_data_are():
    assert pair_energy(repulsion(shortest=1.4), torch.tensor(1.4, dtype=torch.float64)).item() == 0.0
    assert pair_energy(repulsion(shortest=1.4), torch.tensor(1.39, dtype=torch.float64)).item() > 0.0


def test_falls_monotonically_and_is_twice_differentiable():
    potential = repulsion()
    distances = torch.linspace(0.2, 2.2, 2001, dtype=torch.float64)
    energies = torch.stack([pair_energy(potential, r) for r in distances])
    assert (energies.diff() <= 0).all()
    for edge in (1.0, 2.0):
        for order in (0, 1, 2):
            values = []
            for side in (edge - 1e-7, edge + 1e-7):
                r = torch.tensor(side, dtype=torch.float64, requires_grad=True)
                value = pair_energy(potential, r)
                for _ in range(order):
                    if value.requires_grad:
                        (value,) = torch.autograd.grad(value, r, create_graph=True, allow_unused=True)
                        value = torch.zeros(()) if value is None else value
                values.append(value.item())
            assert values[0] == pytest.approx(values[1], abs=3e-3), (edge, order)


def test_derivatives():
    potential = repulsion()
    generator = torch.Generator().manual_seed(0)
    vectors = torch.rand(6, 3, generator=generator, dtype=torch.float64, requires_grad=True)
    center, neighbor = torch.tensor([0, 0, 1, 1, 2, 2]), torch.tensor([1, 2, 0, 2, 0, 3])
    elements = torch.tensor([0, 1, 2, 1])

    def energies(v):
        return potential(v, center, neighbor, elements, 3)

    assert torch.autograd.gradcheck(energies, vectors)
    assert torch.autograd.gradgradcheck(energies, vectors)
    torch.testing.assert_close(
        torch.jit.script(potential)(vectors, center, neighbor, elements, 3), energies(vectors), rtol=1e-14, atol=0
    )


def test_pairs_never_seen_are_repelled_below_their_covalent_radii():
    potential = Repulsion(ELEMENTS)
    shortest = torch.full((3, 3), torch.inf, dtype=torch.float64)
    shortest[0, 1] = shortest[1, 0] = 2.1
    potential.set_radii(shortest, 0.5, 1.0)
    assert potential.outer[0, 1].item() == pytest.approx(2.1)
    assert potential.outer[1, 1].item() == pytest.approx(0.7 * 2 * 0.76)  # covalent radius of carbon


def test_radii_must_be_ordered():
    with pytest.raises(ConfigError, match="inner < outer"):
        repulsion(inner=1.0, outer=0.5)


def with_repulsion(build, shortest=4.2, inner=0.5, **changes):
    """A random potential whose nuclei repel each other below 4.2 Å."""
    potential = build(ELEMENTS_OF_STRUCTURES, repulsion={"inner": inner, "outer": 1.0}, **changes)
    number = len(ELEMENTS_OF_STRUCTURES)
    potential.repulsion.set_radii(torch.full((number, number), shortest, dtype=torch.float64), inner, 1.0)
    return potential


@pytest.mark.parametrize("build", [random_potential, random_charge_potential])
@pytest.mark.parametrize("name", ["triclinic", "tiny", "slab", "molecule"])
def test_forces_and_virial_by_differences(build, name):
    atoms = structures()[name]
    potential = with_repulsion(build)
    geometry = geometry_of(atoms, total_charge=0.0)
    found = predict(potential, geometry)
    without = build(ELEMENTS_OF_STRUCTURES)
    assert found.energy > predict(without, geometry).energy + 0.1
    known = predict_known(potential, geometry)
    if build is random_potential:
        assert known.energy.item() == pytest.approx((found.energy - predict(without, geometry).energy).item(), abs=1e-9)

    def energy(moved):
        return predict(potential, geometry_of(moved, total_charge=0.0)).energy.item()

    chosen = [0, 1]
    assert_close(found.forces.numpy()[chosen], numerical_forces(energy, atoms, chosen))
    if atoms.cell.rank == 3:
        assert_close(found.virial[0].numpy(), numerical_virial(energy, atoms))


def test_forward_is_what_predict_sums():
    potential = with_repulsion(random_potential)
    geometry = geometry_of(structures()["triclinic"])
    vectors = geometry.pair_vectors()
    energies = torch.jit.script(potential)(
        vectors, geometry.center_index, geometry.neighbor_index, geometry.atomic_numbers
    )
    torch.testing.assert_close(energies, predict(potential, geometry).atomic_energies, rtol=1e-12, atol=1e-12)
