"""The pair style with libtorch says the same as the plain one."""

import numpy as np
import pytest
import torch

from mhdnn.deploy.model_file import metadata_of, save_model
from tests.builders import charge_settings, model_settings, random_charge_potential, random_potential, structures
from tests.lammps.conftest import ELEMENTS
from tests.lammps.runs import evaluate

pytestmark = pytest.mark.slow
GPU = pytest.param("cuda", marks=[pytest.mark.cuda, pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")])
on_each_device = pytest.mark.parametrize("device", ["cpu", GPU])
DOUBLE, MESH, SINGLE = 1e-12, 1e-10, 1e-5
REPULSION = {"inner": 0.5, "outer": 1.0}


def compare(folder, plugin, atoms, model, relative, device="cpu", style="", **options):
    plain = evaluate(folder / "plain", atoms, model, style=style, **options)
    with_torch = evaluate(folder / "torch", atoms, model, plugin=plugin, style=f"{style} device {device}", **options)
    assert "plain C++" in plain.output
    assert f"libtorch on {device}" in with_torch.output
    for name in ("energy", "energies", "forces", "stress", "virials", "charges"):
        found, expected = np.asarray(getattr(plain, name)), np.asarray(getattr(with_torch, name))
        scale = np.abs(expected).max() if expected.size else 1.0
        np.testing.assert_allclose(found, expected, rtol=0, atol=relative * scale, err_msg=name)


@on_each_device
@pytest.mark.parametrize("ranks", [1, 2])
def test_short_range(torch_pair_style, short_range_model, tmp_path, ranks, device):
    atoms = structures()["triclinic"]
    compare(tmp_path, torch_pair_style, atoms, short_range_model, DOUBLE, device, ranks=ranks)


@on_each_device
def test_contracted(torch_pair_style, contracted_model, tmp_path, device):
    atoms = structures()["slab"]
    compare(tmp_path, torch_pair_style, atoms, contracted_model, DOUBLE, device)
    compare(tmp_path, torch_pair_style, atoms, contracted_model, SINGLE, device, style="dtype float32")


@on_each_device
@pytest.mark.parametrize("charges", [False, True])
def test_repulsion(torch_pair_style, tmp_path, charges, device):
    build, settings = (random_charge_potential, charge_settings) if charges else (random_potential, model_settings)
    potential = build(ELEMENTS, repulsion=REPULSION)
    potential.repulsion.set_radii(torch.full((3, 3), 4.2, dtype=torch.float64), 0.5, 1.0)
    model = tmp_path / "model.pt"
    save_model(potential, model, metadata_of(potential, settings(ELEMENTS, repulsion=REPULSION), {}))
    relative = MESH if charges else DOUBLE
    compare(tmp_path, torch_pair_style, structures()["triclinic"], model, relative, device, charges=charges)


@on_each_device
@pytest.mark.parametrize("solver", ["dense", "iterative"])
def test_charges(torch_pair_style, charge_model, tmp_path, solver, device):
    options = {"charges": True, "style": f"solver {solver} total_charge 0.5"}
    compare(tmp_path, torch_pair_style, structures()["triclinic"], charge_model, MESH, device, **options)
