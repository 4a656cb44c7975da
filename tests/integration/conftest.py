"""A small dataset that everything can be run on: copper and nickel under ASE's effective-medium theory."""

import contextlib
import io
import logging
import os
import subprocess
import sys
import warnings

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from hydra.core.global_hydra import GlobalHydra

from mhdnn.cli import main
from mhdnn.data.store import StoreReader
from mhdnn.data.writer import StoreWriter
from tests.builders import structure_of

SMALL = [
    "cutoff=5.5",
    "descriptor.radial.num=14",
    "descriptor=legendre",
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


@contextlib.contextmanager
def working_in(folder):
    before = os.getcwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def run_mhdnn(*arguments, folder, expect=0):
    """What the command prints, in this process: starting one takes longer than most of the tests.

    What the command changes in the process is put back: arguments, folder, logging, Hydra's global state.
    """
    output = io.StringIO()
    arguments_before, module = sys.argv, sys.modules["__main__"]
    spec_before = module.__spec__
    handlers, level = logging.root.handlers[:], logging.root.level
    with (
        working_in(folder), contextlib.redirect_stdout(output), contextlib.redirect_stderr(output),
        warnings.catch_warnings(),
    ):  # fmt: skip
        warnings.simplefilter("default")  # as in a process of its own
        warnings.showwarning = lambda *what: print(warnings.formatwarning(*what[:4]), file=output)
        try:
            status = main([str(argument) for argument in arguments])
        except SystemExit as error:
            status = error.code
            if isinstance(status, str):
                print(status)
                status = 1
        finally:
            GlobalHydra.instance().clear()
            sys.argv, module.__spec__ = arguments_before, spec_before
            for handler in set(logging.root.handlers) - set(handlers):
                handler.close()
            logging.root.handlers[:], logging.root.level = handlers, level
    assert (status or 0) == expect, output.getvalue()
    return output.getvalue()


def run_process(*arguments, folder, expect=0):
    """The command as a user runs it, in a process of its own; what it prints."""
    command = [sys.executable, "-m", "mhdnn.cli", *map(str, arguments)]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert result.returncode == expect, f"{result.stdout}\n{result.stderr}"
    return result.stdout + result.stderr


@pytest.fixture(scope="session")
def trained(tmp_path_factory, emt_store, emt_test_store):
    """Folder of a short training, through the command line."""
    folder = tmp_path_factory.mktemp("run")
    output = run_process(
        "train", f"data.train={emt_store}", f"data.test={emt_test_store}", "trainer.max_epochs=30",
        f"hydra.run.dir={folder}", *SMALL, folder=folder,
    )  # fmt: skip
    (folder / "output.txt").write_text(output)
    return folder


@pytest.fixture
def reader(emt_store):
    return StoreReader(emt_store)
