"""A callback that stops a training as a crash would."""

import pytorch_lightning as pl


class CrashAtEpoch(pl.Callback):
    """Raise at the start of an epoch."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.current_epoch == self.epoch:
            raise RuntimeError("crash, as asked for")
