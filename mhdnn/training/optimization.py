"""Optimiser groups and learning-rate schedules."""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR


def parameter_groups(network: nn.Module, weight_decay: float) -> list[dict[str, object]]:
    """Weight decay for the matrices of the hidden layers only, none for biases, tables and the linear part."""
    decayed: list[nn.Parameter] = []
    free: list[nn.Parameter] = []
    for name, parameter in network.named_parameters():
        is_matrix = "perceptron" in name and parameter.ndim == 2
        (decayed if is_matrix else free).append(parameter)
    return [{"params": decayed, "weight_decay": weight_decay}, {"params": free, "weight_decay": 0.0}]


def warmup_cosine(optimizer: Optimizer, total_steps: int, warmup_steps: int) -> LambdaLR:
    """Linear warm-up, then half a cosine down to zero at the last step."""
    warmup = max(1, min(warmup_steps, total_steps // 10))

    def factor(step: int) -> float:
        decay = 0.5 * (1.0 + math.cos(math.pi * min(step / max(1, total_steps), 1.0)))
        return min(1.0, (step + 1) / warmup) * decay

    return LambdaLR(optimizer, factor)


def is_plateau(scheduler: object) -> bool:
    """Whether a schedule waits for the validation loss to stop falling."""
    return isinstance(scheduler, torch.optim.lr_scheduler.ReduceLROnPlateau)
