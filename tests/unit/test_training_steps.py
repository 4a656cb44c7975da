"""The package's own steps are Lightning's: the same hooks in the same order, counts, weights and logged numbers."""

from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch

from mhdnn.deploy.export import read_checkpoint
from mhdnn.training.steps import HOOKS, PlainSteps
from tests.unit.test_training_guards import run, write_store

told: list[tuple[Any, ...]] = []
LIGHTNING = "+trainer.profiler={_target_: pytorch_lightning.profilers.PassThroughProfiler}"
"""Whoever wants to see Lightning's actions gets its loop."""


class Told(pl.Callback):
    """Writes down what it is told, and logs in a hook as users' callbacks do."""

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *arguments: Any) -> None:
        outputs, batch, number = arguments
        told.append(("on_train_batch_end", number, float(outputs["loss"]), batch.geometry.num_atoms))
        pl_module.log("told", float(number))


def teller(hook: str) -> Any:
    def tell(self: Told, trainer: pl.Trainer, pl_module: pl.LightningModule, *arguments: Any) -> None:
        gradients = [parameter.grad is not None for parameter in pl_module.parameters()]
        told.append((hook, len(arguments), trainer.global_step, any(gradients)))

    return tell


for name in HOOKS:
    if name != "on_train_batch_end":
        setattr(Told, name, teller(name))


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Path, list[tuple[Any, ...]]]]:
    folder, result = tmp_path_factory.mktemp("steps"), []
    store = write_store(folder / "small.h5")
    callback = f"+callbacks.told={{_target_: {__name__}.Told}}"
    for own, options in ((folder / "plain", ()), (folder / "lightning", (LIGHTNING,))):
        told.clear()
        run(store, own, callback, *options)
        result.append((own, list(told)))
    return result


def test_hooks_are_told_the_same(runs: Any) -> None:
    (_, plain), (_, lightning) = runs
    assert plain == lightning
    assert {entry[0] for entry in plain} == set(HOOKS)


def test_checkpoints_are_the_same(runs: Any) -> None:
    (plain, _), (lightning, _) = runs
    first, second = (read_checkpoint(folder / "checkpoints/last.ckpt") for folder in (plain, lightning))
    for key in ("loops", "epoch", "global_step", "lr_schedulers", "callbacks"):
        assert str(first[key]).replace(str(plain), str(lightning)) == str(second[key]), key
    for part, other in zip(first["state_dict"].values(), second["state_dict"].values(), strict=True):
        torch.testing.assert_close(part, other, rtol=0, atol=0)


def test_logs_are_the_same(runs: Any) -> None:
    (plain, _), (lightning, _) = runs
    (first,), (second,) = (sorted(folder.rglob("metrics.csv")) for folder in (plain, lightning))
    assert first.read_text() == second.read_text()


def test_other_ways_of_training_are_lightnings(monkeypatch: pytest.MonkeyPatch, runs: Any, tmp_path: Path) -> None:
    steps: list[int] = []
    plain = PlainSteps._step
    monkeypatch.setattr(PlainSteps, "_step", lambda self, *arguments: steps.append(1) or plain(self, *arguments))
    store = runs[0][0].parent / "small.h5"
    run(store, tmp_path / "plain")
    assert steps
    steps.clear()
    run(store, tmp_path / "accumulated", "+trainer.accumulate_grad_batches=2")
    assert not steps
