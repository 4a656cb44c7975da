"""Two processes train one potential: they see different structures and end with the same weights."""

from pathlib import Path

import pytest
import torch

from tests.integration.conftest import SMALL, run_mhdnn


@pytest.mark.slow
def test_two_processes_keep_the_same_weights(emt_store, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    output = run_mhdnn(
        "train",
        f"data.train={emt_store}",
        "trainer.max_epochs=2",
        "trainer.accelerator=cpu",
        "trainer.devices=2",
        "trainer.strategy=ddp",
        f"+callbacks.weights={{_target_: tests.integration.ranks.WriteWeights, folder: {tmp_path}}}",
        f"hydra.run.dir={tmp_path / 'run'}",
        "report=false",
        *SMALL,
        folder=".",
    )
    assert "sync_dist" not in output
    first, second = (torch.load(tmp_path / f"rank{rank}.pt", weights_only=True) for rank in (0, 1))
    assert torch.equal(first, second)
    assert (tmp_path / "run/model.pt").is_file()
