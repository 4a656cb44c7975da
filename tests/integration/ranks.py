"""A callback that tells what each process of a distributed training ends with."""

from pathlib import Path

import pytorch_lightning as pl
import torch


class WriteWeights(pl.Callback):
    """Writes the weights of every rank, as they are before averages replace them.

    :param folder: where to
    """

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        weights = torch.cat([p.detach().flatten() for p in pl_module.potential.parameters()])
        torch.save(weights, self.folder / f"rank{trainer.global_rank}.pt")


class SpoilRank(pl.Callback):
    """From the second epoch on, predictions of one process are NaN.

    :param rank: which process
    :param part: train or validation
    """

    def __init__(self, rank: int, part: str) -> None:
        self.rank, self.part = rank, part

    def _spoil(self, trainer: pl.Trainer, pl_module: pl.LightningModule, part: str) -> None:
        if trainer.current_epoch == 1 and trainer.global_rank == self.rank and part == self.part:
            # a parameter: buffers come anew from the first process
            pl_module.potential.short_range.network.perceptron[-1].weight.data.fill_(torch.nan)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._spoil(trainer, pl_module, "train")

    def on_validation_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._spoil(trainer, pl_module, "validation")
