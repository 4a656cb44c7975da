"""How Lightning's checkpoints reach the disk: sealed, atomically, and only with weights that are numbers."""

from __future__ import annotations

import time
from functools import cached_property
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.plugins.io import CheckpointIO

from mhdnn.deploy.export import read_checkpoint, write_checkpoint
from mhdnn.errors import MHDNNError

SECONDS_BETWEEN = 5.0
"""Of training that a killed process may lose, beside the epoch that it is in."""


class SealedCheckpoints(CheckpointIO):
    """Replaces checkpoints in their own folder.

    Lightning's own way leads through the folder of temporary files, and where that is another file system, a full
    disk destroys the checkpoint that was there.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        write_checkpoint(checkpoint, Path(path))

    def load_checkpoint(self, path: Any, map_location: Any | None = None, weights_only: bool | None = None) -> Any:
        return read_checkpoint(path)

    def remove_checkpoint(self, path: Any) -> None:
        Path(path).unlink(missing_ok=True)


class LastCheckpoint(ModelCheckpoint):
    """The state after the last epoch, and while epochs are short after some of them: writing takes as long as steps.

    Its name in checkpoints is made once, and not at each of its hooks in each step.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._saved_at = -SECONDS_BETWEEN

    @cached_property
    def state_key(self) -> str:
        return super().state_key.replace(type(self).__qualname__, ModelCheckpoint.__qualname__)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        is_due = time.monotonic() - self._saved_at >= SECONDS_BETWEEN or is_last_epoch(trainer)
        if trainer.strategy.broadcast(is_due):  # processes save together
            super().on_train_epoch_end(trainer, pl_module)
            self._saved_at = time.monotonic()


def is_last_epoch(trainer: pl.Trainer) -> bool:
    """Whether the epoch whose steps are done is the last one."""
    ends_here = trainer.current_epoch + 1 == trainer.max_epochs or 0 < trainer.max_steps <= trainer.global_step
    return trainer.should_stop or ends_here


class BestCheckpoint(ModelCheckpoint):
    """The best of the epochs that were validated, saved when they have ended: so that it can be resumed like the last.

    Lightning itself saves in the middle of an epoch where not every epoch is validated.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(save_on_train_epoch_end=True, **options)
        self.is_validated = False

    @cached_property
    def state_key(self) -> str:
        return super().state_key

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.is_validated = True

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self.is_validated or not str(self.monitor).startswith("validation"):
            super().on_train_epoch_end(trainer, pl_module)
        self.is_validated = False


class InterruptionCheckpoint(pl.Callback):
    """Save a checkpoint when training ends by Ctrl-C or an error.

    Not where a number became NaN, data are wrong or the disk is full: what was saved before is the better checkpoint.

    :param path: where; the file is usable with ``mhdnn export`` and ``resume``
    """

    def __init__(self, path: str) -> None:
        self.path = Path(path)

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        if trainer.optimizers and not isinstance(exception, (OSError, MHDNNError)):  # something has been set up
            trainer.save_checkpoint(self.path)
