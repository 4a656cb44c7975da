"""Contracted functions as parts of a descriptor: values by hand, symmetries, cutoffs of their own, model files."""

import copy
import math
from importlib import resources

import numpy as np
import pytest
import torch
import yaml
from ase import Atoms
from ase.build import bulk

from mhdnn.deploy.calculator import MHDNNCalculator
from mhdnn.deploy.model_file import load_model, metadata_of, save_model
from mhdnn.descriptors import build_descriptor
from mhdnn.errors import ConfigError
from mhdnn.factory import build_potential
from mhdnn.potential import default_dtype
from mhdnn.prediction import predict
from tests.builders import contracted_settings, geometry_of, legendre_settings, model_settings, structures
from tests.tolerances import ROUND_OFF

ELEMENTS = [6, 14, 50]
CUTOFF = 4.5


def descriptor_for(settings, elements=ELEMENTS):
    with default_dtype(torch.float64):
        return build_descriptor(settings, elements, CUTOFF)


def evaluate(descriptor, atoms):
    geometry = geometry_of(atoms, cutoff=CUTOFF)
    vectors = geometry.pair_vectors()
    element = torch.tensor([ELEMENTS.index(z) for z in geometry.atomic_numbers.tolist()])
    return descriptor(vectors, geometry.center_index, element, element[geometry.neighbor_index]).detach()


def polynomial_cutoff(r, cutoff=CUTOFF):
    x = min(r / cutoff, 1.0)
    return 1.0 - 10.0 * x**3 + 15.0 * x**4 - 6.0 * x**5


def test_functions_of_three_atoms_by_hand():
    """C at the origin, Si along x and Sn at 60° to it: sums over neighbours and Legendre polynomials written out."""
    lengths, cosine = (1.7, 2.4), 0.5
    positions = [[0, 0, 0], [lengths[0], 0, 0], [lengths[1] * cosine, lengths[1] * math.sqrt(0.75), 0]]
    descriptor = descriptor_for(contracted_settings())
    radial, angular = descriptor.parts
    found = evaluate(descriptor, Atoms([6, 14, 50], positions=positions))[0].tolist()

    def densities(part):
        """g_n of both neighbours."""
        c, basis = part.coefficients.detach(), part.basis
        gaussians = [
            [
                math.exp(-eta * (r - shift) ** 2) * polynomial_cutoff(r)
                for eta, shift in zip(basis.etas.tolist(), basis.shifts.tolist(), strict=True)
            ]
            for r in lengths
        ]
        return [(c[0, 1 + j] @ torch.tensor(gaussians[j], dtype=torch.float64)).tolist() for j in range(2)]

    first, second = densities(radial)
    expected = [a + b for a, b in zip(first, second, strict=True)]
    g, h = densities(angular)
    legendre = [1.0, cosine, 1.5 * cosine**2 - 0.5, 2.5 * cosine**3 - 1.5 * cosine]
    for n in range(3):
        for other in range(n, 3):
            own, mixed = g[n] * g[other] + h[n] * h[other], g[n] * h[other] + h[n] * g[other]
            expected += [own + mixed * value for value in legendre]
    assert found[: len(expected)] == pytest.approx(expected, rel=1e-10)
    assert len(found) == len(expected) + 6 + 4  # (1 1 2) and (2 2 2) of two densities


@pytest.mark.parametrize("name", ["triclinic", "tiny", "slab", "molecule"])
def test_rotation_permutation_and_translation(name):
    atoms = structures()[name]
    descriptor = descriptor_for(contracted_settings())
    expected = evaluate(descriptor, atoms)
    turned = atoms.copy()
    turned.rotate(37, (1, 2, 3), rotate_cell=True)
    turned.positions += [0.3, -0.7, 1.1]
    order = np.random.default_rng(0).permutation(len(atoms))
    found = evaluate(descriptor, turned[order])
    assert (found - expected[order]).abs().max() < ROUND_OFF * expected.abs().max()


def test_reflection_keeps_functions():
    atoms = structures()["molecule"]
    mirrored = atoms.copy()
    mirrored.positions[:, 0] *= -1
    descriptor = descriptor_for(contracted_settings())
    difference = evaluate(descriptor, mirrored) - evaluate(descriptor, atoms)
    assert difference.abs().max() < ROUND_OFF


def test_elements_of_centre_and_neighbour_count():
    descriptor = descriptor_for(contracted_settings())
    pair = Atoms("CSi", positions=[[0, 0, 0], [1.8, 0, 0]])
    of_carbon, of_silicon = evaluate(descriptor, pair)
    assert (of_carbon - of_silicon).abs().max() > 0.01
    assert (evaluate(descriptor, Atoms("CC", positions=pair.positions))[0] - of_carbon).abs().max() > 0.01


def test_length_does_not_depend_on_elements():
    lengths = {descriptor_for(contracted_settings(), elements).num_functions for elements in ([14], ELEMENTS)}
    assert len(lengths) == 1


def test_coefficients_to_start_from():
    """The same every time, others for each pair of elements, rows of length one on average."""
    first, again = (descriptor_for(contracted_settings(num_densities=20)).parts[1].coefficients for _ in range(2))
    assert torch.equal(first, again)
    rows = first.detach().flatten(0, 1)
    assert len({tuple(row.flatten().tolist()) for row in rows}) == len(ELEMENTS) ** 2
    assert (rows**2).sum(-1).mean().item() == pytest.approx(1.0, abs=0.2)


def with_cutoffs(settings, radial, angular):
    settings = copy.deepcopy(settings)
    settings["radial"]["cutoff"] = radial
    for part in settings["angular"].values():
        part["cutoff"] = angular
    return settings


def plain_settings():
    settings = model_settings(ELEMENTS, angular={"legendre": legendre_settings()})["descriptor"]
    last = {"last": 4.0}
    settings["radial"] = {**settings["radial"], **last}
    settings["angular"]["legendre"]["radial"] = {**settings["angular"]["legendre"]["radial"], **last}
    return settings


@pytest.mark.parametrize("settings", [contracted_settings(), plain_settings()], ids=["contracted", "plain"])
def test_cutoffs_of_parts(settings):
    """Every part is as in a descriptor whose neighbour list has its cutoff."""
    settings["radial"]["last"] = 3.0
    for part in settings["angular"].values():
        part["radial"] = {**part["radial"], "last": 2.8}
    atoms = structures()["triclinic"]
    both = evaluate(descriptor_for(with_cutoffs(settings, None, 3.2)), atoms)
    num_radial = descriptor_for(settings).parts[0].num_functions
    assert torch.equal(both[:, :num_radial], evaluate(descriptor_for(settings), atoms)[:, :num_radial])
    with default_dtype(torch.float64):
        short = build_descriptor(settings, ELEMENTS, 3.2)
    geometry = geometry_of(atoms, cutoff=3.2)
    vectors = geometry.pair_vectors()
    element = torch.tensor([ELEMENTS.index(z) for z in geometry.atomic_numbers.tolist()])
    expected = short(vectors, geometry.center_index, element, element[geometry.neighbor_index]).detach()
    difference = (both[:, num_radial:] - expected[:, num_radial:]).abs().max()
    assert difference < ROUND_OFF * expected.abs().max()


@pytest.mark.parametrize("own", [3.0, CUTOFF])
def test_second_derivatives_are_continuous_at_the_cutoffs(own):
    """Second differences of all functions of a dimer on both sides of the angular and of the radial cutoff."""
    descriptor = descriptor_for(with_cutoffs(contracted_settings(), None, 3.0))
    step = 1e-3

    def second_derivative(distance):
        values = [
            evaluate(descriptor, Atoms("SiC", positions=[[0, 0, 0], [distance + shift, 0, 0]]))[0]
            for shift in (-step, 0.0, step)
        ]
        return (values[0] - 2.0 * values[1] + values[2]) / step**2

    jump = (second_derivative(own - 2 * step) - second_derivative(own + 2 * step)).abs().max()
    assert jump < 50.0 * step
    assert second_derivative(2.0).abs().max() > 0.1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            with_cutoffs(contracted_settings(), 5.0, None),
            "`descriptor.radial.cutoff`: expected a length up to",
        ),
        (with_cutoffs(contracted_settings(), None, -1.0), "`descriptor.angular.contracted.cutoff`: expected a length"),
        (contracted_settings(num_densities=0), "`descriptor.angular`: expected at least one contracted function"),
        (contracted_settings(max_degree=21), "`descriptor.angular.max_degree`: expected 0 to 20, got 21"),
        (contracted_settings(four_body={"max_degree": 4, "num_densities": 2}), "four_body.max_degree`: expected 0"),
        (contracted_settings(four_body={"max_degree": 2, "num_densities": 4}), "four_body.num_densities`: expected 0"),
        (contracted_settings(kind="cubic"), "`descriptor.angular.kind`: expected contracted, legendre"),
    ],
)
def test_wrong_settings_are_named(settings, message):
    with pytest.raises(ConfigError, match=message):
        descriptor_for(settings)


def test_every_function_has_a_name():
    descriptor = descriptor_for(contracted_settings())
    names = descriptor.names(ELEMENTS)
    assert len(names) == len(set(names)) == descriptor.num_functions


def test_model_file_gives_the_same_energies(tmp_path):
    torch.manual_seed(0)
    settings = {**model_settings(ELEMENTS), "descriptor": contracted_settings()}
    potential = build_potential(settings)
    save_model(potential, tmp_path / "model.pt", metadata_of(potential, settings, {}))
    atoms = structures()["triclinic"]
    expected = predict(potential, geometry_of(atoms, cutoff=CUTOFF))
    _, metadata = load_model(tmp_path / "model.pt")
    assert len(metadata["functions"]) == potential.descriptor.num_functions
    atoms.calc = MHDNNCalculator(tmp_path / "model.pt")
    assert atoms.get_potential_energy() == pytest.approx(expected.energy.item(), rel=1e-10)
    np.testing.assert_allclose(atoms.get_forces(), expected.forces.detach().numpy(), atol=1e-10)


def test_the_configuration_builds():
    settings = yaml.safe_load((resources.files("mhdnn.configs") / "descriptor/contracted.yaml").read_text())
    with default_dtype(torch.float64):
        descriptor = build_descriptor(settings, [14], 5.0)
    assert descriptor.num_functions == 12 + 36 * 5 + 60
    element = torch.zeros(8, dtype=torch.long)
    geometry = geometry_of(bulk("Si", cubic=True), cutoff=5.0)
    vectors = geometry.pair_vectors()
    values = descriptor(vectors, geometry.center_index, element, element[geometry.neighbor_index])
    assert (values - values[0]).abs().max() < 1e-8
