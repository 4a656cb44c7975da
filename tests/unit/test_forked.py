"""Calculations in a forked process: OpenMP's threads are not in it, and whoever waits for them waits forever."""

import os
import subprocess
import sys

import pytest

from mhdnn.compilation import compiler
from mhdnn.deploy.model_file import metadata_of, save_model
from tests.builders import batch_of, legendre_settings, model_settings, random_potential, structures
from tests.lammps.test_grades import give_errors

pytestmark = [
    pytest.mark.skipif(compiler() is None, reason="no C++ compiler"),
    pytest.mark.skipif(sys.platform != "linux", reason="forks"),
]

SCRIPT = """
import os, signal, sys
import torch
from ase.build import bulk
from mhdnn import MHDNNCalculator

path, with_core = sys.argv[1], sys.argv[2] == "core"
torch.set_num_threads(2)
atoms = bulk("Si", cubic=True) * (6, 6, 6)  # so many pairs that torch would share them among threads
atoms.rattle(0.05, seed=1)
atoms.calc = MHDNNCalculator(path, extrapolation="off")
assert atoms.calc.core is not None
if not with_core:
    atoms.calc.core = None
energy = atoms.get_potential_energy()
assert torch.get_num_threads() == 2
torch.ones(1000, 1000) @ torch.ones(1000, 1000)  # the parent has threads
child = os.fork()
if child == 0:
    signal.alarm(200)  # it ends by itself if it waits forever
    atoms.calc.reset()
    same = abs(atoms.get_potential_energy() - energy) < 1e-9 * abs(energy)
    again = MHDNNCalculator(path, extrapolation="off")
    os._exit(0 if same else 3)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.fixture(scope="module")
def model_path(tmp_path_factory):
    """A model with so many functions that the product of matrices for the error of the energy is shared by threads."""
    path, elements = tmp_path_factory.mktemp("model") / "model.pt", [6, 14, 50]
    angular = {"legendre": legendre_settings(num=8)}
    potential = random_potential(elements, angular=angular)
    give_errors(potential, batch_of(*structures().values()))
    save_model(potential, path, metadata_of(potential, model_settings(elements, angular=angular), {}))
    return path


@pytest.mark.parametrize("engine", ["core", "torch"])
def test_a_child_calculates(model_path, engine):
    environment = {**os.environ, "OMP_NUM_THREADS": "2"}
    command = [sys.executable, "-c", SCRIPT, str(model_path), engine]
    result = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert result.returncode == 0, result.stderr
