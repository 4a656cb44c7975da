"""What happens around the steps of a training."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import RichProgressBar, WeightAveraging
from pytorch_lightning.profilers import Profiler

NOTHING = nullcontext()
SECONDS_SHOWN = 0.1
"""Before what the progress bar shows changes."""


class NoProfiler(Profiler):
    """Times nothing; Lightning's own way of doing so takes a twentieth of a step of a small system."""

    def start(self, action_name: str) -> None:
        pass

    def stop(self, action_name: str) -> None:
        pass

    def profile(self, action_name: str) -> AbstractContextManager[None]:  # type: ignore[override]
        return NOTHING


class Progress(RichProgressBar):
    """Lightning's progress bar, drawn as often as can be read."""

    _shown_at = -SECONDS_SHOWN

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if time.monotonic() - self._shown_at >= SECONDS_SHOWN or trainer.is_last_batch:
            super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)
            self._shown_at = time.monotonic()


class MovingAverage(WeightAveraging):
    r"""Exponential moving average of the weights, used for validation, checkpoints and the model.

    The decay grows with the number of steps n as :math:`\min(d, (1+n)/(10+n))`, so that the first weights
    don't linger in a short training.

    :param decay: :math:`d`, between 0 and 1
    """

    def __init__(self, decay: float) -> None:
        super().__init__(use_buffers=False)
        self.decay = decay
        self._pairs: tuple[list[torch.Tensor], list[torch.Tensor]] | None = None

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if trainer.global_step > self._latest_update_step:
            self.update(pl_module)
            self._latest_update_step = trainer.global_step

    @torch.no_grad()
    def update(self, model: torch.nn.Module) -> None:
        """Let the average follow the model by a step.

        The tensors of both are looked up once; Lightning does it in every step, which costs as much as an optimiser.
        """
        assert self._average_model is not None
        if self._pairs is None:
            weights = zip(self._average_model.module.parameters(), model.parameters(), strict=True)
            averaged, current = zip(*((a, c) for a, c in weights if c.requires_grad), strict=True)
            self._pairs = list(averaged), list(current)
        count = int(self._average_model.n_averaged)
        share = 1.0 - min(self.decay, (1.0 + count) / (10.0 + count)) if count > 0 else 1.0
        torch._foreach_lerp_(*self._pairs, share)
        self._average_model.n_averaged += 1


def settle_average(trainer: pl.Trainer, module: pl.LightningModule) -> None:
    """The averaged weights become those of the module.

    Lightning does so when the last epoch ends; a training that is resumed after it has none.
    """
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        if isinstance(callback, MovingAverage):
            callback.on_train_end(trainer, module)
