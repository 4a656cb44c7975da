"""What happens around the steps of a training."""

from __future__ import annotations

import torch
from pytorch_lightning.callbacks import WeightAveraging


class MovingAverage(WeightAveraging):
    r"""Exponential moving average of the weights, used for validation, checkpoints and the model.

    The decay grows with the number of steps n as :math:`\min(d, (1+n)/(10+n))`, so that the first weights
    don't linger in a short training.

    :param decay: :math:`d`, between 0 and 1
    """

    def __init__(self, decay: float) -> None:
        @torch.no_grad()
        def average(averaged: list[torch.Tensor], current: list[torch.Tensor], num_averaged: torch.Tensor) -> None:
            count = float(num_averaged)
            torch._foreach_lerp_(averaged, current, 1.0 - min(decay, (1.0 + count) / (10.0 + count)))

        super().__init__(use_buffers=False, multi_avg_fn=average)
