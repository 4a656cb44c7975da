"""What of the benchmark for GPUs runs on the CPU: its neighbour search, and all of it with few atoms."""

import json
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from mhdnn.neighbors import find_pairs

ROOT = Path(__file__).parents[2]
# not by `sys.path`: a file beside it has the name of LAMMPS's Python module
pairs_on_device = runpy.run_path(str(ROOT / "benchmarks/gpu_neighbors.py"))["pairs_on_device"]

SHORT = ("descriptor=legendre", "descriptor.angular.legendre.max_degree=0", "network.hidden=[4]", "data.batch_size=64",
         "initialization.ridge_atoms=600")  # fmt: skip


@pytest.mark.parametrize("lengths", [(10.0, 9.0, 13.5), (9.0, 9.0, 9.0)])
def test_pairs_are_those_of_the_package(lengths):
    generator = np.random.default_rng(0)
    positions = generator.uniform(-5, 15, (300, 3))
    found = pairs_on_device(torch.tensor(positions), torch.tensor(lengths, dtype=torch.float64), 3.0)
    center, neighbor, shifts = find_pairs(positions, np.diag(lengths), np.ones(3, bool), 3.0)
    expected = positions[neighbor] - positions[center] + shifts
    assert np.all(np.diff(found.center_index) >= 0)

    def in_order(center, neighbor, vectors):
        rows = np.column_stack([center, neighbor, np.asarray(vectors)])
        return rows[np.lexsort(np.round(rows, 6).T)]

    np.testing.assert_allclose(in_order(*found), in_order(center, neighbor, expected), atol=1e-9)


def test_boxes_of_less_than_three_cutoffs_are_refused():
    with pytest.raises(ValueError, match="`lengths`: expected at least three cutoffs"):
        pairs_on_device(torch.zeros(1, 3), torch.full((3,), 8.0), 3.0)


@pytest.mark.slow
def test_benchmark_runs_on_the_cpu(tmp_path):
    overrides = [word for override in SHORT for word in ("--override", override)]
    command = [
        sys.executable,
        ROOT / "benchmarks/gpu.py",
        "--device",
        "cpu",
        "--quick",
        "--output",
        tmp_path,
        *overrides,
    ]
    result = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    records = json.loads((tmp_path / "gpu.json").read_text())["records"]
    assert not [record for record in records if "failed" in record]
    whats = {record["what"] for record in records}
    assert len(whats) == 4, whats
    assert {record["dtype"] for record in records} == {"float32", "float64"}
    assert (tmp_path / "gpu.md").read_text().count("| energy and forces |") == 10
