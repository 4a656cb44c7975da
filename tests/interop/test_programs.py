"""The exported program against its potential, for structures of other sizes than it was traced with."""

import pytest
import torch

from mhdnn.errors import ConfigError
from mhdnn.factory import build_potential
from mhdnn.interop.programs import eager_potential, exported_program, load_program, save_program
from mhdnn.potential import forces_from_pairs, pair_virials
from mhdnn.prediction import predict
from tests.builders import contracted_settings, geometry_of, model_settings, random_potential, structures

ELEMENTS = [6, 14, 50]
REPULSION = {"kind": "zbl"}


@pytest.fixture(scope="module", params=["legendre", "contracted with repulsion"])
def potential(request):
    if request.param == "legendre":
        return random_potential(ELEMENTS)
    potential = random_potential(ELEMENTS, repulsion=REPULSION, **contracted_settings())
    potential.repulsion.set_radii(torch.full((3, 3), 2.5, dtype=torch.float64), 0.5, 1.0)
    return potential


@pytest.fixture(scope="module")
def program(potential, tmp_path_factory):
    path = tmp_path_factory.mktemp("program") / "model.pt2"
    torch.export.save(exported_program(potential), str(path))
    return load_program(path)


@pytest.mark.parametrize("name", list(structures()))
def test_energies_forces_and_virials_are_equal(potential, program, name):
    geometry = geometry_of(structures()[name])
    vectors = geometry.pair_vectors()
    pairs = (geometry.center_index, geometry.neighbor_index)
    energies, gradient = program(vectors, *pairs, potential.element_index(geometry.atomic_numbers))
    expected = predict(potential, geometry)
    torch.testing.assert_close(energies, expected.atomic_energies, rtol=1e-12, atol=1e-12)
    forces = forces_from_pairs(gradient, *pairs, geometry.num_atoms)
    torch.testing.assert_close(forces, expected.forces, rtol=0, atol=1e-10)
    torch.testing.assert_close(pair_virials(vectors, gradient).sum(0, True), expected.virial, rtol=0, atol=1e-10)


def test_program_of_a_model_file(short_model, tmp_path):
    path = save_program(short_model, tmp_path / "model.pt2")
    potential = eager_potential(short_model)
    geometry = geometry_of(structures()["tiny"])
    vectors = geometry.pair_vectors()
    element = potential.element_index(geometry.atomic_numbers)
    energies, _ = load_program(path)(vectors, geometry.center_index, geometry.neighbor_index, element)
    torch.testing.assert_close(energies.sum(), predict(potential, geometry).energy[0], rtol=1e-12, atol=0)


def test_charges_are_refused(charge_model):
    with pytest.raises(ConfigError, match="`model`: expected a short-range potential, got one with charges"):
        exported_program(eager_potential(charge_model))


def test_ensembles_are_refused():
    settings = model_settings(ELEMENTS)
    ensemble = build_potential({**settings, "network": {**settings["network"], "num_members": 2}})
    with pytest.raises(ConfigError, match="`model`: expected one network, got an ensemble"):
        exported_program(ensemble)
