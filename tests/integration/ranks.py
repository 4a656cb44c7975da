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
