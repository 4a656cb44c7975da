"""The ASE calculator in the core, against the same one in torch."""

import copy
import os
import shutil
import warnings

import numpy as np
import pytest
import torch

from mhdnn import MHDNNCalculator
from mhdnn.compilation import compiler
from mhdnn.deploy.core_library import CoreError, core_library
from mhdnn.deploy.core_model import CoreModel
from mhdnn.deploy.model_file import metadata_of, save_model
from mhdnn.errors import ConfigError, DataError, ModelError, NotFiniteError
from mhdnn.factory import build_potential
from tests.builders import charge_settings, model_settings, random_charge_potential, random_potential, structures
from tests.lammps.fitted import save_fitted_models
from tests.lammps.test_grades import give_errors

ELEMENTS = [6, 14, 50]
RELATIVE = {"short": 1e-11, "charges": 1e-9}

pytestmark = pytest.mark.skipif(compiler() is None, reason="no C++ compiler")


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Models of either kind that know their training data and their errors."""
    folder = tmp_path_factory.mktemp("models")
    save_fitted_models(folder, give_errors)
    return folder


def pair_of(path, **options):
    """The calculator, and the same without the core."""
    core, plain = (MHDNNCalculator(path, **options) for _ in range(2))
    assert core.core is not None
    plain.core = None
    return core, plain


def results_of(calculator, atoms, **info):
    atoms = atoms.copy()
    atoms.info.update(info)
    atoms.calc = calculator
    atoms.get_potential_energy()
    return calculator.results


def hot_structure(name="triclinic"):
    atoms = structures()[name]
    atoms.rattle(0.1, seed=2)
    return atoms


@pytest.mark.parametrize(
    ("kind", "name"),
    [(kind, name) for kind in RELATIVE for name in structures() if (kind, name) != ("charges", "wire")],
)
def test_all_results_are_the_same(models, kind, name):
    core, plain = pair_of(models / f"{kind}.pt", extrapolation="off")
    found, expected = (results_of(calculator, structures()[name], total_charge=0.5) for calculator in (core, plain))
    assert set(found) == set(expected)
    assert {"uncertainties", "uncertainty"} <= set(found)
    for key, values in expected.items():
        scale = max(np.abs(values).max(initial=0.0), 1e-6)
        np.testing.assert_allclose(found[key], values, rtol=0, atol=RELATIVE[kind] * scale, err_msg=key)


@pytest.mark.parametrize("kind", ["short", "charges"])
def test_expected_error_of_the_energy(models, kind):
    core, plain = pair_of(models / f"{kind}.pt", extrapolation="off")
    for calculator in (core, plain):
        calculator.potential.uncertainty.energy_weights.copy_(torch.tensor([0.3, 0.01]))
        calculator.potential.uncertainty.num_calibrated.copy_(torch.tensor([10, 100]))
    path = models / f"{kind}.pt"
    core.core = CoreModel(core.core.library, path.read_bytes(), path, core.potential, "auto")
    atoms = hot_structure().repeat((2, 1, 1))
    found, expected = (results_of(calculator, atoms)["energy_uncertainty"] for calculator in (core, plain))
    assert expected > 0.01 * np.sqrt(len(atoms))
    assert found == pytest.approx(expected, rel=1e-9)


def test_atoms_that_move(models):
    """Along a path that outlives the neighbour list and the kept neighbours of the electrostatics."""
    core, plain = pair_of(models / "charges.pt", extrapolation="off")
    atoms = structures()["triclinic"].repeat(2)
    for step in range(8):
        atoms.rattle(0.08, seed=step)
        found, expected = (results_of(calculator, atoms) for calculator in (core, plain))
        np.testing.assert_allclose(found["charges"], expected["charges"], atol=1e-7)
        np.testing.assert_allclose(found["forces"], expected["forces"], atol=1e-6 * np.abs(expected["forces"]).max())
    assert core.num_neighbor_searches == plain.num_neighbor_searches > 1


@pytest.mark.parametrize("kind", ["short", "charges"])
def test_extrapolation_in_the_same_words(models, kind):
    atoms = structures()["triclinic"]
    atoms.positions[1] = atoms.positions[0] + [0.7, 0.0, 0.0]
    told = []
    for calculator in pair_of(models / f"{kind}.pt"):
        with warnings.catch_warnings(record=True) as found:
            warnings.simplefilter("always")
            results_of(calculator, atoms)
        told.append([str(one.message) for one in found])
        assert calculator.outside_training.any()
        assert calculator.num_extrapolations == 1
    assert told[0] == told[1] != []
    stopped = []
    for calculator in pair_of(models / f"{kind}.pt", extrapolation="stop"):
        with pytest.raises(ModelError, match="outside the range of the training data") as error:
            results_of(calculator, atoms)
        stopped.append(str(error.value))
    assert stopped[0].split("(")[0] == stopped[1].split("(")[0]


def test_where_torch_is_needed(tmp_path, monkeypatch):
    settings = model_settings(ELEMENTS)
    settings["network"]["num_members"] = 3
    ensemble = build_potential(settings)
    save_model(ensemble, tmp_path / "ensemble.pt", metadata_of(ensemble, settings, {}))
    assert MHDNNCalculator(tmp_path / "ensemble.pt", extrapolation="off").core is None
    monkeypatch.setattr("mhdnn.deploy.core_model.core_library", lambda: None)
    potential = random_potential(ELEMENTS)
    save_model(potential, tmp_path / "model.pt", metadata_of(potential, model_settings(ELEMENTS), {}))
    assert MHDNNCalculator(tmp_path / "model.pt", extrapolation="off").core is None


def test_shares_of_atoms_in_the_stress(models):
    core, plain = pair_of(models / "short.pt", extrapolation="off")
    atoms = hot_structure()
    atoms.calc = core
    stress, shares = atoms.get_stress(), core.get_property("stresses", atoms)
    np.testing.assert_allclose(shares.sum(0), stress, atol=1e-12)
    np.testing.assert_allclose(stress, results_of(plain, atoms)["stress"], atol=1e-12)


def test_errors_are_those_of_torch(models):
    core, plain = pair_of(models / "charges.pt", extrapolation="off")
    wire = structures()["triclinic"]
    wire.pbc = [True, False, False]
    for calculator in (core, plain):
        with pytest.raises(DataError, match="charges in a wire are not supported"):
            results_of(calculator, wire)
    with pytest.raises(ConfigError, match="`solver`: expected one of auto, dense, iterative, got 'exact'"):
        results_of(MHDNNCalculator(models / "charges.pt", solver="exact"), structures()["triclinic"])
    together = structures()["triclinic"]
    together.positions[1] = together.positions[0]
    messages = []
    for calculator in pair_of(models / "short.pt", extrapolation="off"):
        with pytest.raises(NotFiniteError) as error:
            results_of(calculator, together)
        messages.append(str(error.value))
    assert "is NaN or infinite; look for atoms at the same place" in messages[0]


@pytest.mark.parametrize("solver", ["dense", "iterative"])
def test_solvers(tmp_path, solver):
    potential = random_charge_potential(ELEMENTS)
    path = tmp_path / "model.pt"
    save_model(potential, path, metadata_of(potential, charge_settings(ELEMENTS), {}))
    core, plain = pair_of(path, solver=solver, extrapolation="off")
    atoms = hot_structure().repeat(2)
    found, expected = (results_of(calculator, atoms)["charges"] for calculator in (core, plain))
    np.testing.assert_allclose(found, expected, atol=1e-6 if solver == "iterative" else 1e-11)


def test_a_copy_is_its_own(models):
    core, _ = pair_of(models / "charges.pt", extrapolation="off")
    expected = results_of(core, structures()["triclinic"])["energy"]
    other = copy.deepcopy(core)
    assert other.core.handle != core.core.handle
    results_of(other, structures()["slab"])
    assert results_of(core, structures()["triclinic"])["energy"] == expected


def test_a_copy_has_the_model_that_was_opened(models, tmp_path):
    """Whatever has been written to the same path since."""
    path = tmp_path / "model.pt"
    shutil.copy(models / "short.pt", path)
    core, _ = pair_of(path, extrapolation="off")
    expected = results_of(core, structures()["triclinic"])["energy"]
    shutil.copy(models / "charges.pt", path)
    for other in (copy.deepcopy(core), copy.copy(core)):
        other.reset()
        assert results_of(other, structures()["triclinic"])["energy"] == expected
    path.unlink()
    assert results_of(copy.deepcopy(core), structures()["triclinic"])["energy"] == expected


@pytest.mark.parametrize("with_core", [True, False])
def test_foreign_atoms_count_though_nothing_is_said(models, with_core):
    """Expected errors don't depend on whether one is told of what is outside."""
    atoms = structures()["triclinic"]
    atoms.positions[1] = atoms.positions[0] + [0.7, 0.0, 0.0]
    found = {}
    for choice in ("off", "warn"):
        calculator = pair_of(models / "short.pt", extrapolation=choice)[0 if with_core else 1]
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            found[choice] = results_of(calculator, atoms)
        assert calculator.outside_training.any()
        assert calculator.num_extrapolations == bool(caught) == (choice == "warn")
    outside = calculator.outside_training
    least = 2.0 * float(calculator.potential.uncertainty.largest_error)
    assert (found["off"]["uncertainties"][outside] >= least).all()
    np.testing.assert_array_equal(found["off"]["uncertainties"], found["warn"]["uncertainties"])


def test_a_name_in_any_bytes(models, tmp_path):
    """Folders of other systems: names that are no UTF-8."""
    path = os.fsdecode(os.fsencode(tmp_path) + b"/m\xff.pt")
    shutil.copy(models / "short.pt", path)
    core, _ = pair_of(path, extrapolation="off")
    assert results_of(core, structures()["tiny"])["energy"] != 0.0


def test_a_file_that_the_core_refuses(tmp_path):
    library = core_library()
    path = tmp_path / "nothing.pt"
    path.write_bytes(b"nothing")
    assert not library.open(str(path).encode(), b"model")
    assert isinstance(library.error(), CoreError)
    assert "nothing.pt" in str(library.error())
