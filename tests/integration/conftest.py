"""A small dataset that everything can be run on: copper and nickel under ASE's effective-medium theory."""

import os
import subprocess
import sys

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT

from mhdnn.data.store import StoreReader
from mhdnn.data.writer import StoreWriter
from tests.builders import structure_of

SMALL = [
    "cutoff=5.5",
    "descriptor.radial.num=14",
    "descriptor.angular.legendre.max_degree=2",
    "descriptor.angular.legendre.radial.num=2",
    "network.hidden=[8]",
    "trainer.enable_progress_bar=false",
]


def write_emt_store(path, count, seed):
    rng = np.random.default_rng(seed)
    with StoreWriter(path, {"code": "EMT", "functional": "none", "source": "ASE"}) as writer:
        for number in range(count):
            atoms = bulk("Cu", cubic=True).repeat((2, 1, 1)) if number % 2 else bulk("Cu").repeat((2, 2, 2))
            atoms.numbers[rng.uniform(size=len(atoms)) < rng.uniform(0, 0.5)] = 28
            atoms.rattle(rng.uniform(0.03, 0.25), seed=seed + number)
            atoms.set_cell(atoms.cell[:] * rng.uniform(0.95, 1.08), scale_atoms=True)
            atoms.calc = EMT()
            writer.append(
                structure_of(
                    atoms,
                    energy=float(atoms.get_potential_energy()),
                    forces=atoms.get_forces(),
                    stress=atoms.get_stress(),
                    group=f"{'cubic' if number % 2 else 'primitive'}/{number // 4}",
                )
            )
    return path


@pytest.fixture(scope="session")
def emt_store(tmp_path_factory):
    return write_emt_store(tmp_path_factory.mktemp("data") / "emt.h5", 80, seed=0)


@pytest.fixture(scope="session")
def emt_test_store(tmp_path_factory):
    return write_emt_store(tmp_path_factory.mktemp("data") / "emt_test.h5", 12, seed=1000)


def run_mhdnn(*arguments, folder, expect=0, timeout=300):
    """The command as a user runs it, in a process of its own."""
    result = subprocess.run(
        [sys.executable, "-m", "mhdnn.cli", *map(str, arguments)],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=timeout,
        env={**os.environ, "COLUMNS": "200"},
    )
    assert result.returncode == expect, f"{result.stdout}\n{result.stderr}"
    return result.stdout + result.stderr


@pytest.fixture(scope="session")
def trained(tmp_path_factory, emt_store, emt_test_store):
    """Folder of a short training, through the command line."""
    folder = tmp_path_factory.mktemp("run")
    output = run_mhdnn(
        "train", f"data.train={emt_store}", f"data.test={emt_test_store}", "trainer.max_epochs=30",
        f"hydra.run.dir={folder}", *SMALL, folder=folder,
    )  # fmt: skip
    (folder / "output.txt").write_text(output)
    return folder


@pytest.fixture
def reader(emt_store):
    return StoreReader(emt_store)
