"""A dataset far larger than the cache streams: 200,000 structures train in less than 2 GB."""

import os
import subprocess
import sys

import numpy as np
import pytest

from mhdnn.data.writer import StoreWriter
from mhdnn.structure import Structure
from tests.integration.conftest import SMALL

GIGABYTE_IN_KB = 2**20


@pytest.mark.slow
def test_two_hundred_thousand_structures(tmp_path):
    rng = np.random.default_rng(0)
    path = tmp_path / "large.h5"
    numbers = np.array([3, 6, 6, 50])
    base = np.array([[0, 0, 0], [2.1, 0, 0], [0, 2.2, 0], [0, 0, 2.6]])
    with StoreWriter(path, {}) as writer:
        for _ in range(200_000):
            shifts = rng.normal(0, 0.1, base.shape)
            writer.append(
                Structure(
                    numbers, base + shifts, 8 * np.eye(3), np.ones(3, bool), (shifts**2).sum(), -2 * shifts, np.zeros(6)
                )
            )
    command = [
        sys.executable, "-m", "mhdnn.cli", "train", f"data.train={path}", "trainer.max_steps=20", "report=false",
        "data.validation_fraction=0.0005", f"hydra.run.dir={tmp_path / 'run'}", *SMALL,
    ]  # fmt: skip
    with open(tmp_path / "output.txt", "w") as output:
        process = subprocess.Popen(command, cwd=tmp_path, stdout=output, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, (tmp_path / "output.txt").read_text()
    assert (tmp_path / "run" / "model.pt").exists()
    assert usage.ru_maxrss < 2 * GIGABYTE_IN_KB
