"""The core against torch, for every kind of function and network, with and without charges."""

import math

import numpy as np
import pytest
import torch
from ase import Atoms

from mhdnn.deploy.core_library import CoreError
from mhdnn.deploy.hdnnp.importing import import_potential
from mhdnn.deploy.model_file import load_model, metadata_of, save_model
from mhdnn.factory import build_potential
from mhdnn.layered_network import FUNCTIONS
from mhdnn.prediction import SeenAtoms, predict
from mhdnn.uncertainty.prediction import explained_by
from tests.builders import (
    behler_settings,
    charge_settings,
    contracted_settings,
    geometry_of,
    legendre_settings,
    model_settings,
    random_charge_potential,
    random_potential,
    structures,
)
from tests.core.plain import records_of, with_records
from tests.hdnnp import OwnPotential
from tests.lammps.fitted import save_fitted_models
from tests.lammps.test_grades import give_errors
from tests.lammps.test_imported import water

ELEMENTS = [6, 14, 50]
SYMBOLS = ("C", "Si", "Sn")
DOUBLE = 1e-12
"""Two orders of summation in float64, relative to the largest value."""
MESH = 1e-10
"""The same with charges, whose solution multiplies round-off."""
SINGLE = 1e-5
DESCRIPTORS = {
    "legendre": {},
    "legendre without cross terms": {"angular": {"legendre": legendre_settings(cross_terms=False)}},
    "wide": {"angular": {"wide": behler_settings("wide")}},
    "wide from pairs": {"angular": {"wide": {**behler_settings("wide"), "zetas": [64], "lambdas": [1]}}},
    "wide by triplets": {"angular": {"wide": behler_settings("wide_by_triplets")}},
    "narrow": {"angular": {"narrow": behler_settings("narrow")}},
    "two parts": {"angular": {"narrow": behler_settings("narrow"), "legendre": {**legendre_settings(), "cutoff": 3.3}}},
    "weighted": {"channels": "weighted"},
    "learned": {"channels": "learned", "angular": {"wide": behler_settings("wide")}},
    "contracted": contracted_settings(cutoff=3.8),
    "contracted without four-body": contracted_settings(four_body=None),
    "contracted, degree 0": contracted_settings(max_degree=0, four_body=None),
    "tanh": {"cutoff_function": "tanh"},
    "inner radius": {"cutoff_function": "polynomial:0.4"},
}
NETWORKS = {
    "embedding": {"species_feature": "embedding"},
    "tanh": {"activation": "tanh"},
    "softplus": {"activation": "softplus"},
    "no linear part": {"linear_skip": False},
    "per element": {"kind": "per_element"},
    "one layer": {"hidden": [5]},
    "three layers": {"hidden": [19, 7, 3]},
    "ensemble": {"num_members": 3},
}


def settings_with(changes):
    settings = model_settings(ELEMENTS, **{key: value for key, value in changes.items() if key != "num_members"})
    if "num_members" in changes:
        settings["network"]["num_members"] = changes["num_members"]
    return settings


def random_weights(potential):
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        weight = potential.short_range.network.linear_weight
        weight.copy_(0.05 * torch.randn(weight.shape, generator=generator, dtype=torch.float64))
        potential.function_mean.copy_(0.1 * torch.randn(potential.function_mean.shape, generator=generator))
        potential.function_scale.copy_(0.3 + torch.rand(potential.function_scale.shape, generator=generator))
        potential.short_range.reference_energies.copy_(
            torch.randn(len(ELEMENTS), generator=generator, dtype=torch.float64)
        )
    return potential


def model_with(path, changes):
    torch.manual_seed(1)
    settings = settings_with(changes)
    potential = random_weights(build_potential(settings))
    save_model(potential, path, metadata_of(potential, settings, {}))
    return path


def close(found, expected, relative, name=""):
    expected = np.asarray(expected)
    scale = np.abs(expected).max() if expected.size else 1.0
    np.testing.assert_allclose(found, expected, rtol=0, atol=relative * max(scale, 1e-6), err_msg=name)


def compare(core, path, atoms, relative=DOUBLE, total_charge=0.0, dtype="model"):
    potential, metadata = load_model(path)
    geometry = geometry_of(atoms, cutoff=metadata["cutoff"], total_charge=total_charge)
    vectors = geometry.pair_vectors()
    found = core.evaluate(path, geometry, vectors.numpy(), atoms, total_charge=total_charge, dtype=dtype)
    expected = predict(potential, geometry, uncertainty=True)
    close(found.energies, expected.atomic_energies, relative, "energies")
    close(found.energy, float(expected.energy[0]), relative, "energy")
    close(found.forces, expected.forces, relative, "forces")
    close(found.virial, expected.virial[0], relative, "virial")
    if metadata["charges"]:
        close(found.charges, expected.charges, relative, "charges")
    seen = SeenAtoms(potential, geometry)
    domain = potential.domain
    outside = domain.functions_outside(seen.symmetry_functions.detach(), seen.element_index)
    pairs = (geometry.center_index, geometry.neighbor_index, seen.element_index, geometry.num_atoms)
    outside |= domain.distances_outside(vectors, *pairs)
    if expected.charges is not None:
        outside |= domain.charges_outside(expected.charges, seen.element_index)
    np.testing.assert_array_equal(found.outside, outside.numpy())
    if expected.force_errors is not None:
        errors = potential.uncertainty.raised(expected.force_errors, outside)
        close(found.force_errors, errors, max(relative, 1e-9), "expected errors")
    return found


@pytest.mark.parametrize("name", list(structures()))
def test_structures(core, tmp_path, name):
    compare(core, model_with(tmp_path / "model.pt", {}), structures()[name])


@pytest.mark.parametrize("name", list(DESCRIPTORS))
def test_functions(core, tmp_path, name):
    compare(core, model_with(tmp_path / "model.pt", DESCRIPTORS[name]), structures()["triclinic"].repeat((2, 1, 1)))


@pytest.mark.parametrize("name", list(DESCRIPTORS))
def test_functions_of_one_element(core, tmp_path, name):
    settings = {**model_settings([14], **DESCRIPTORS[name])}
    torch.manual_seed(2)
    potential = build_potential(settings)
    save_model(potential, tmp_path / "model.pt", metadata_of(potential, settings, {}))
    atoms = structures()["triclinic"]
    atoms.numbers[:] = 14
    compare(core, tmp_path / "model.pt", atoms)


@pytest.mark.parametrize("name", list(NETWORKS))
def test_networks(core, tmp_path, name):
    compare(core, model_with(tmp_path / "model.pt", NETWORKS[name]), structures()["slab"])


@pytest.mark.parametrize("name", list(DESCRIPTORS))
def test_single_precision(core, tmp_path, name):
    """Of a file in float32, and of one in float64 read as float32."""
    atoms = structures()["triclinic"]
    compare(core, model_with(tmp_path / "single.pt", {**DESCRIPTORS[name], "dtype": "float32"}), atoms, SINGLE)
    compare(core, model_with(tmp_path / "double.pt", DESCRIPTORS[name]), atoms, SINGLE, dtype="float32")


@pytest.mark.parametrize("charges", [False, True])
def test_repulsion(core, tmp_path, charges):
    build, settings = (random_charge_potential, charge_settings) if charges else (random_potential, model_settings)
    potential = build(ELEMENTS, repulsion={"inner": 0.5, "outer": 1.0})
    potential.repulsion.set_radii(torch.full((3, 3), 4.2, dtype=torch.float64), 0.5, 1.0)
    known = settings(ELEMENTS, repulsion={"inner": 0.5, "outer": 1.0})
    save_model(potential, tmp_path / "model.pt", metadata_of(potential, known, {}))
    compare(core, tmp_path / "model.pt", structures()["triclinic"], MESH if charges else DOUBLE)


@pytest.mark.parametrize(("distance", "share"), [(0.5, 1.0), (1.5, 0.5), (1.75, 53 / 512), (2.0, 0.0)])
def test_repulsion_by_hand(core, tmp_path, distance, share):
    """Of carbon and tin: 1 - 10t³ + 15t⁴ - 6t⁵ of it, t of the way from the inner radius, 1 Å, to the outer one."""
    energies = []
    for outer in (2.0, 0.0):
        potential = random_potential(ELEMENTS, repulsion={"inner": 0.5, "outer": 1.0})
        potential.repulsion.set_radii(torch.full((3, 3), outer, dtype=torch.float64), 0.5, 1.0)
        known = model_settings(ELEMENTS, repulsion={"inner": 0.5, "outer": 1.0})
        save_model(potential, tmp_path / "model.pt", metadata_of(potential, known, {}))
        atoms = Atoms("CSn", [[0.0, 0.0, 0.0], [distance, 0.0, 0.0]])
        geometry = geometry_of(atoms)
        energies.append(core.evaluate(tmp_path / "model.pt", geometry, geometry.pair_vectors().numpy(), atoms).energy)
    x = distance * (6**0.23 + 50**0.23) / 0.4685
    screening = 0.18175 * math.exp(-3.1998 * x) + 0.50986 * math.exp(-0.94229 * x)
    screening += 0.28022 * math.exp(-0.4029 * x) + 0.02817 * math.exp(-0.20162 * x)
    expected = share * 14.3996454784936 * 6 * 50 / distance * screening
    assert energies[0] - energies[1] == pytest.approx(expected, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("screening", [None, "self", {"inner": 0.8, "outer": 2.5}])
@pytest.mark.parametrize("name", ["triclinic", "slab", "molecule"])
def test_charges(core, tmp_path, name, screening):
    potential = random_charge_potential(ELEMENTS, screening=screening)
    settings = charge_settings(ELEMENTS, screening=screening)
    save_model(potential, tmp_path / "model.pt", metadata_of(potential, settings, {}))
    compare(core, tmp_path / "model.pt", structures()[name], MESH, total_charge=0.5)


def test_imported_potentials(core, tmp_path):
    """Functions given one by one, networks with layers of their own."""
    for charges in (False, True):
        keywords = {"scale_symmetry_functions": ""} | ({"screen_electrostatics": "2.0 8.0"} if charges else {})
        potential = OwnPotential(charges=charges, keywords=keywords)
        path = import_potential(potential.write(tmp_path / str(charges)), tmp_path / f"{charges}.pt")
        compare(core, path, water(), MESH if charges else DOUBLE)


def test_layer_functions(core, tmp_path):
    """All functions of layers, whose derivatives are written by hand."""
    columns = list(range(96))
    layers = {"columns": columns, "sizes": [5] * len(FUNCTIONS) + [1], "functions": [*FUNCTIONS, "tanh"]}
    settings = {**model_settings(ELEMENTS), "network": {"kind": "layers", "elements": dict.fromkeys(SYMBOLS, layers)}}
    torch.manual_seed(4)
    potential = random_weights(build_potential(settings))
    save_model(potential, tmp_path / "model.pt", metadata_of(potential, settings, {}))
    compare(core, tmp_path / "model.pt", structures()["tiny"])


def test_expected_errors(core, tmp_path):
    save_fitted_models(tmp_path, give_errors)
    hot = structures()["triclinic"].repeat((2, 1, 1))
    hot.rattle(0.2, seed=1)
    for name in ("short", "charges"):
        assert compare(core, tmp_path / f"{name}.pt", hot, MESH).force_errors.min() > 0
        assert compare(core, tmp_path / f"{name}.pt", structures()["tiny"], MESH).outside.sum() == 0


def test_older_files_have_errors_by_the_excess_of_the_atom_alone(core, tmp_path):
    """Their weights don't say from where on surroundings are foreign: above one the excess counts at once."""
    save_fitted_models(tmp_path, give_errors)
    new = tmp_path / "short.pt"
    records = records_of(new)
    for name in ("alone", "foreign_from", "steepness"):
        del records[f"uncertainty.{name}"]
    (tmp_path / "old").mkdir()
    path, atoms = with_records(new, tmp_path / "old", records), structures()["triclinic"].repeat((2, 1, 1))
    atoms.rattle(0.2, seed=1)
    potential, metadata = load_model(new)
    geometry = geometry_of(atoms, cutoff=metadata["cutoff"])
    model, seen = potential.uncertainty, SeenAtoms(potential, geometry)
    found = core.evaluate(path, geometry, geometry.pair_vectors().numpy(), atoms)
    grades = model.grades(seen.functions.detach(), seen.element_index)
    regressors, _ = explained_by(potential, seen, predict(potential, geometry).forces)
    inside = model.errors_of(regressors, torch.zeros(len(atoms), 2), seen.element_index)
    jumped = torch.where(grades[:, 1] > 1.0, torch.maximum(inside, grades[:, 1] * model.largest_error), inside)
    assert 0 < int((grades[:, 1] > 1.0).sum()) < len(atoms)
    expected = model.raised(jumped, torch.from_numpy(found.outside.astype(bool)))
    np.testing.assert_allclose(found.force_errors, expected, rtol=1e-7)


def test_mesh(core, tmp_path):
    """Enough atoms for the iterative solver, whose Fourier transforms are the core's own."""
    potential = random_charge_potential(ELEMENTS)
    save_model(potential, tmp_path / "model.pt", metadata_of(potential, charge_settings(ELEMENTS), {}))
    atoms = structures()["triclinic"].repeat(4)
    compare(core, tmp_path / "model.pt", atoms, 1e-7)


def test_vectors_from_positions(core, tmp_path):
    path, atoms = model_with(tmp_path / "model.pt", {}), structures()["triclinic"]
    geometry = geometry_of(atoms)
    vectors = geometry.pair_vectors().numpy()
    expected = core.evaluate(path, geometry, vectors, atoms)
    found = core.evaluate(path, geometry, None, atoms, shifts=geometry.cell_shifts.numpy())
    close(found.forces, torch.from_numpy(expected.forces), DOUBLE, "forces")
    with pytest.raises(CoreError, match="expected vectors of the pairs, or positions and shifts, got NULL"):
        core.evaluate(path, geometry, None, atoms)


def test_unknown_element_and_missing_file(core, tmp_path):
    atoms = structures()["tiny"]
    atoms.numbers[0] = 8
    path = model_with(tmp_path / "model.pt", {})
    geometry = geometry_of(atoms)
    vectors = geometry.pair_vectors().numpy()
    with pytest.raises(CoreError, match="atom 0 has the atomic number 8, which the model was not trained for"):
        core.evaluate(path, geometry, vectors, atoms)
    with pytest.raises(CoreError, match=r"nowhere.pt: no such model file"):
        core.model(tmp_path / "nowhere.pt")
    with pytest.raises(CoreError, match="dtype: expected model, float32 or float64, got half"):
        core.model(path, "half")
