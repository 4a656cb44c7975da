"""Validation every few epochs: when, and that checkpoints, schedules, early stopping and resuming go with it."""

import csv
import shutil

import pytest
import pytorch_lightning as pl
import torch
from hydra import compose, initialize_config_module

from mhdnn.deploy.export import read_checkpoint, write_checkpoint
from mhdnn.training import checkpoints
from mhdnn.training.assembly import validation_interval
from tests.unit.test_training_guards import run, write_store


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write_store(tmp_path_factory.mktemp("data") / "small.h5")


@pytest.mark.parametrize(
    ("overrides", "interval"),
    [
        (["trainer.max_epochs=150"], 5), (["trainer.max_epochs=60"], 3), (["trainer.max_epochs=7"], 1),
        (["scheduler=plateau"], 1), (["callbacks=early_stopping"], 1),
        (["scheduler=plateau", "trainer.check_val_every_n_epoch=4"], 4),
        (["trainer.check_val_every_n_epoch=null"], None),
    ],
)  # fmt: skip
def test_interval(overrides, interval):
    with initialize_config_module("mhdnn.configs", version_base="1.3"):
        config = compose("train", overrides=["data.train=x.h5", *overrides])
    assert validation_interval(config) == interval


def validated(folder):
    """Epochs with a validation loss in the log."""
    (path,) = folder.glob("logs/version_*/metrics.csv")
    with open(path) as file:
        return [int(row["epoch"]) for row in csv.DictReader(file) if row.get("validation_loss")]


class KeepBest(pl.Callback):
    """Copies the best checkpoint of an epoch, when the next begins."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def on_train_epoch_start(self, trainer, pl_module):
        if trainer.current_epoch == self.epoch + 1:
            best = trainer.checkpoint_callback.best_model_path
            shutil.copy(best, best.replace("best.ckpt", "kept.ckpt"))


THREE_IN_VAIN = ["callbacks.early_stopping.patience=3", "trainer.max_epochs=9", "trainer.check_val_every_n_epoch=1"]
EVERY_SECOND = ["trainer.max_epochs=5", "trainer.check_val_every_n_epoch=2"]


def test_the_last_epoch_is_always_validated_and_the_best_can_be_resumed(store, tmp_path):
    run(store, tmp_path / "straight", *EVERY_SECOND)
    assert validated(tmp_path / "straight") == [1, 3, 4]
    last = read_checkpoint(tmp_path / "straight/checkpoints/last.ckpt")
    assert last["epoch"] == 4
    run(store, tmp_path / "short", *EVERY_SECOND, f"+callbacks.stop={{_target_: {__name__}.KeepBest, epoch: 1}}")
    best = tmp_path / "short/checkpoints/kept.ckpt"
    assert read_checkpoint(best)["epoch"] == 1
    run(store, tmp_path / "resumed", *EVERY_SECOND, f"resume={best}")
    resumed = read_checkpoint(tmp_path / "resumed/checkpoints/last.ckpt")
    for kind in ("state_dict", "current_model_state"):
        for name, value in last[kind].items():
            assert torch.equal(value, resumed[kind][name]), name
    assert (tmp_path / "straight/errors.json").read_text() == (tmp_path / "resumed/errors.json").read_text()


@pytest.mark.parametrize("more", [["scheduler=plateau", "scheduler.patience=0"], ["callbacks=early_stopping"]])
def test_what_waits_for_the_validation_waits_for_the_next(more, store, tmp_path):
    run(store, tmp_path, *more, *EVERY_SECOND, "weights=best")
    assert validated(tmp_path) == [1, 3, 4]
    states = read_checkpoint(tmp_path / "checkpoints/last.ckpt")
    if states["lr_schedulers"] and "num_bad_epochs" in states["lr_schedulers"][0]:
        assert states["lr_schedulers"][0]["last_epoch"] == 2  # of the validations at epochs 1 and 3


@pytest.mark.parametrize(("seconds", "epochs"), [(1000.0, [0, 3]), (0.0, [0, 1, 2, 3])])
def test_the_last_checkpoint_is_of_the_last_epoch_and_of_few_short_ones(seconds, epochs, store, tmp_path, monkeypatch):
    written = []

    def write(checkpoint, path):
        if path.name == "last.ckpt":
            written.append(checkpoint["epoch"])
        write_checkpoint(checkpoint, path)

    monkeypatch.setattr(checkpoints, "SECONDS_BETWEEN", seconds)
    monkeypatch.setattr(checkpoints, "write_checkpoint", write)
    run(store, tmp_path, "trainer.max_epochs=4")
    assert written == epochs


def test_an_early_end_is_saved(store, tmp_path):
    run(store, tmp_path, "callbacks=early_stopping", "+callbacks.early_stopping.min_delta=1000", *THREE_IN_VAIN)
    assert read_checkpoint(tmp_path / "checkpoints/last.ckpt")["epoch"] == 3
    run(store, tmp_path, "trainer.max_epochs=9", "trainer.max_steps=5", "trainer.check_val_every_n_epoch=1")
    assert read_checkpoint(tmp_path / "checkpoints/last.ckpt")["global_step"] == 5
