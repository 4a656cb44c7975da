"""What happens around the steps of a training."""

from __future__ import annotations

from pathlib import Path

import pytorch_lightning as pl


class InterruptionCheckpoint(pl.Callback):
    """Save a checkpoint when training ends by Ctrl-C or an error.

    :param path: where; the file is usable with ``mhdnn export`` and ``resume``
    """

    def __init__(self, path: str) -> None:
        self.path = Path(path)

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        if trainer.optimizers:  # nothing has been set up before
            trainer.save_checkpoint(self.path)
