"""What users do with a GPU: the same numbers in ASE as on the CPU, training, evaluation."""

import json

import numpy as np
import pytest
import torch
from ase.build import bulk

from mhdnn import MHDNNCalculator
from mhdnn.deploy.model_file import metadata_of, save_model
from tests.builders import (
    charge_settings,
    contracted_settings,
    model_settings,
    random_charge_potential,
    random_potential,
    structures,
)
from tests.integration.conftest import SMALL, run_mhdnn
from tests.integration.test_charges import arguments, write_charge_store
from tests.tolerances import ROUND_OFF

pytestmark = [pytest.mark.cuda, pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")]

ELEMENTS = [6, 14, 50]
FUNCTIONS = {"legendre": {}, "contracted": contracted_settings()}
GPU = ["trainer.accelerator=gpu", "trainer.devices=1"]


def write_model(kind, path):
    if kind == "charges":
        potential, settings = random_charge_potential(ELEMENTS), charge_settings(ELEMENTS)
    else:
        potential = random_potential(ELEMENTS, **FUNCTIONS[kind])
        settings = model_settings(ELEMENTS, **FUNCTIONS[kind])
    save_model(potential, path, metadata_of(potential, settings, {"data": "none"}))
    return path


def results_of(atoms, model, device):
    atoms.calc = MHDNNCalculator(model, device=device)
    atoms.get_forces()
    return atoms.calc.results


@pytest.mark.parametrize(
    ("kind", "name"),
    [(kind, name) for kind in (*FUNCTIONS, "charges") for name in structures() if (kind, name) != ("charges", "wire")],
)
def test_calculator_as_on_the_cpu(kind, name, tmp_path):
    model = write_model(kind, tmp_path / "model.pt")
    expected, found = (results_of(structures()[name], model, device) for device in ("cpu", "cuda"))
    assert found.keys() == expected.keys()
    for quantity in expected:
        np.testing.assert_allclose(found[quantity], expected[quantity], atol=10 * ROUND_OFF, err_msg=quantity)


def test_training_as_on_the_cpu(emt_store, emt_test_store, tmp_path):
    """From the same seed, up to what the order of sums leaves in double precision."""
    errors = []
    for name, accelerator in (("cpu", ["trainer.accelerator=cpu"]), ("gpu", GPU)):
        folder = tmp_path / name
        run_mhdnn(
            "train", f"data.train={emt_store}", f"data.test={emt_test_store}", "trainer.max_epochs=8",
            f"hydra.run.dir={folder}", "dtype=float64", *SMALL, *accelerator, folder=tmp_path,
        )  # fmt: skip
        errors.append(json.loads((folder / "errors.json").read_text()))
    for quantity, expected in errors[0].items():
        assert errors[1][quantity] == pytest.approx(expected, rel=1e-3), quantity


def test_training_with_charges(tmp_path):
    store = write_charge_store(tmp_path / "charges.h5", 24)
    run_mhdnn(*arguments(store, tmp_path / "run", *GPU), folder=tmp_path)
    model = tmp_path / "run/model.pt"
    expected, found = (results_of(structures()["molecule"], model, device) for device in ("cpu", "cuda"))
    for quantity in ("forces", "charges"):
        np.testing.assert_allclose(found[quantity], expected[quantity], atol=1e-6, err_msg=quantity)


def test_trained_on_the_gpu(emt_store, tmp_path):
    """With the functions of the default, expected errors and ranges of the data; used from both devices."""
    run_mhdnn(
        "train", f"data.train={emt_store}", "trainer.max_epochs=2", f"hydra.run.dir={tmp_path}/run",
        "trainer.enable_progress_bar=false", *GPU, folder=tmp_path,
    )  # fmt: skip
    copper = bulk("Cu", cubic=True)
    copper.rattle(0.05, seed=0)
    expected, found = (results_of(copper.copy(), tmp_path / "run/model.pt", device) for device in ("cpu", "cuda"))
    assert "uncertainty" in expected
    for quantity in expected:
        np.testing.assert_allclose(found[quantity], expected[quantity], rtol=2e-3, atol=2e-4, err_msg=quantity)
