"""The pair style, built as a user builds it, and model files for it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from mhdnn.compilation import compiler
from mhdnn.deploy.lammps.build import build_plugin
from mhdnn.deploy.lammps.plugin import remember
from mhdnn.deploy.model_file import metadata_of, save_model
from mhdnn.kernels import load_operators
from tests.builders import (
    charge_settings,
    contracted_settings,
    model_settings,
    random_charge_potential,
    random_potential,
)
from tests.lammps.runs import SCRIPTS, has_lammps

ELEMENTS = [6, 14, 50]


@pytest.fixture(scope="session")
def pair_style() -> Path:
    """Path of the plugin that LAMMPS finds."""
    if not has_lammps() or compiler() is None:
        pytest.skip("no LAMMPS in this environment, or no C++ compiler")
    result = subprocess.run([SCRIPTS / "mhdnn", "lammps", "build"], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return Path(result.stdout.splitlines()[-1])


@pytest.fixture(scope="session")
def torch_pair_style(pair_style) -> Path:
    """Path of the plugin with libtorch; the plain one stays that which LAMMPS finds."""
    if load_operators().library is None:
        pytest.skip("the symmetry functions are not compiled")
    path = build_plugin(torch=True)
    remember(pair_style)
    return path


@pytest.fixture(scope="session")
def short_range_model(pair_style, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("models") / "short.pt"
    potential = random_potential(ELEMENTS)
    save_model(potential, path, metadata_of(potential, model_settings(ELEMENTS), {}))
    return path


@pytest.fixture(scope="session")
def contracted_model(pair_style, tmp_path_factory) -> Path:
    """Functions of the centre's element, and a cutoff of the angular ones."""
    path = tmp_path_factory.mktemp("models") / "contracted.pt"
    descriptor = contracted_settings(cutoff=3.8)
    potential = random_potential(ELEMENTS, **descriptor)
    save_model(potential, path, metadata_of(potential, model_settings(ELEMENTS, **descriptor), {}))
    return path


@pytest.fixture(scope="session")
def charge_model(pair_style, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("models") / "charges.pt"
    screening = {"inner": 0.8, "outer": 2.5}
    potential = random_charge_potential(ELEMENTS, screening=screening)
    save_model(potential, path, metadata_of(potential, charge_settings(ELEMENTS, screening=screening), {}))
    return path
