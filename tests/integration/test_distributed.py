"""Two processes train one potential: they see different structures and end with the same weights."""

from pathlib import Path

import pytest
import torch

from tests.integration.conftest import SMALL, run_process
from tests.integration.test_charges import arguments, write_charge_store

TWO_PROCESSES = ["trainer.accelerator=cpu", "trainer.devices=2", "trainer.strategy=ddp", "report=false"]


def train_on_two_processes(command, folder, monkeypatch):
    """Train, and compare the weights of both processes; nothing is warned of."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    callback = f"+callbacks.weights={{_target_: tests.integration.ranks.WriteWeights, folder: {folder}}}"
    output = run_process(*command, *TWO_PROCESSES, callback, folder=".")
    first, second = (torch.load(folder / f"rank{rank}.pt", weights_only=True) for rank in (0, 1))
    assert torch.equal(first, second)
    assert (folder / "run/model.pt").is_file()
    assert "sync_dist" not in output
    assert "Grad strides" not in output


@pytest.mark.slow
def test_two_processes_keep_the_same_weights(emt_store, tmp_path, monkeypatch):
    run = [f"data.train={emt_store}", "trainer.max_epochs=2", f"hydra.run.dir={tmp_path / 'run'}", *SMALL]
    train_on_two_processes(["train", *run], tmp_path, monkeypatch)


@pytest.mark.slow
def test_all_stages_with_charges_on_two_processes(tmp_path, monkeypatch):
    store = write_charge_store(tmp_path / "charges.h5", 16)
    command = arguments(store, tmp_path / "run", "charges.joint_epochs=1", "network.linear_skip=false")
    train_on_two_processes(command, tmp_path, monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize("part", ["train", "validation"])
def test_both_processes_stop_where_one_has_no_number(part, emt_store, tmp_path, monkeypatch):
    """With one sentence, and the checkpoint of the epoch before."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    callback = f"+callbacks.spoil={{_target_: tests.integration.ranks.SpoilRank, rank: 1, part: {part}}}"
    run = [f"data.train={emt_store}", "trainer.max_epochs=3", f"hydra.run.dir={tmp_path / 'run'}", *SMALL, callback]
    output = run_process("train", *run, *TWO_PROCESSES, folder=".", expect=1)
    assert output.count("its energy came out as NaN or infinite") == 1
    assert f", {part})" in output
    assert "Traceback" not in output
    assert torch.load(tmp_path / "run/checkpoints/last.ckpt", weights_only=True)["epoch"] == 0
