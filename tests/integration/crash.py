"""Callbacks that stop a training as a crash or a user would."""

import os
import signal

import pytorch_lightning as pl


class CrashAtEpoch(pl.Callback):
    """Raise at the start of an epoch."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.current_epoch == self.epoch:
            raise RuntimeError("crash, as asked for")


class InterruptAtEpoch(pl.Callback):
    """Ctrl-C at the start of an epoch."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.current_epoch == self.epoch:
            signal.signal(signal.SIGINT, signal.default_int_handler)  # tests in the background of a shell ignore it
            os.kill(os.getpid(), signal.SIGINT)
