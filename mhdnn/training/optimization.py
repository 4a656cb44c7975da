"""Optimiser and learning-rate schedules."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

UNFITTED = 0.2
FEW_ELEMENTS = 2
CHARGE_TABLES = ("electronegativity_shift", "raw_hardness")
SLOW_CONTRACTION = 0.1
"""Of the learning rate. With one or two elements the first coefficients of contracted functions are good, and functions
that stay near them make smaller errors; with three and four elements they have to move far (benchmarks/accuracy.md)."""


def parameter_groups(
    potential: nn.Module, lr: float, linear_lr: float, weight_decay: float, contraction_lr: float | None = None
) -> list[dict[str, Any]]:
    """Hidden layers, the linear part, the coefficients of contracted functions, and all other parameters.

    Weight decay is for the matrices of the hidden layers only. The linear part was fitted directly and its
    functions are nearly dependent: the step that suits the hidden layers would only shake it. Beside functions that
    are learned it was not fitted and takes larger steps, a fraction `UNFITTED` of those of the other parameters.
    """
    is_fitted = not any(p.requires_grad for name, p in potential.named_parameters() if name.startswith("descriptor."))
    groups: list[dict[str, Any]] = [
        {"name": "hidden layers", "params": [], "lr": lr, "weight_decay": weight_decay},
        {"name": "linear part", "params": [], "lr": linear_lr if is_fitted else UNFITTED * lr, "weight_decay": 0.0},
        {"name": "contraction", "params": [], "lr": contraction_lr, "weight_decay": 0.0},
        {"name": "other", "params": [], "lr": lr, "weight_decay": 0.0},
    ]
    # tables of the charge model first: checkpoints know parameters by their places, which older versions have chosen
    for name, parameter in sorted(potential.named_parameters(), key=lambda item: not item[0].endswith(CHARGE_TABLES)):
        if not parameter.requires_grad:
            continue
        if "perceptron" in name and name.endswith("weight"):
            groups[0]["params"].append(parameter)
        elif "linear_weight" in name:
            groups[1]["params"].append(parameter)
        elif name.startswith("descriptor.") and name.endswith(".coefficients"):
            few = parameter.shape[0] <= FEW_ELEMENTS
            groups[2]["lr"] = contraction_lr or (SLOW_CONTRACTION * lr if few else lr)
            groups[2]["params"].append(parameter)
        else:
            groups[3]["params"].append(parameter)
    return [group for group in groups if group["params"]]


def adamw(
    potential: nn.Module,
    lr: float,
    linear_lr: float,
    weight_decay: float,
    contraction_lr: float | None = None,
    amsgrad: bool = False,
) -> Optimizer:
    """Adam with decoupled weight decay (https://arxiv.org/abs/1711.05101); plain Adam without decay.

    :param lr: learning rate
    :param linear_lr: learning rate of a linear part that was fitted
    :param weight_decay: of the matrices of the hidden layers
    :param contraction_lr: learning rate of the coefficients of contracted functions; None: ``lr``, or with one or two
        elements a tenth of it
    """
    groups = parameter_groups(potential, lr, linear_lr, weight_decay, contraction_lr)
    return torch.optim.AdamW(groups, amsgrad=amsgrad, fused=True)


def warmup_cosine(optimizer: Optimizer, total_steps: int, warmup_steps: int, first_step: int = 0) -> LambdaLR:
    """Linear warm-up, then half a cosine down to zero at the last step.

    :param total_steps: of the cosine
    :param first_step: where in it this optimiser begins, with a warm-up of its own
    """
    warmup = max(1, min(warmup_steps, (total_steps - first_step) // 10))

    def factor(step: int) -> float:
        decay = 0.5 * (1.0 + math.cos(math.pi * min((first_step + step) / max(1, total_steps), 1.0)))
        return min(1.0, (step + 1) / warmup) * decay

    return LambdaLR(optimizer, factor)


def carry_state(previous: Optimizer, optimizer: Optimizer) -> None:
    """Let an optimiser go on with the moments that another has of the parameters of both."""
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            for name, value in previous.state.get(parameter, {}).items():
                on_device = value if name == "step" or not torch.is_tensor(value) else value.to(parameter.device)
                optimizer.state[parameter][name] = on_device


def lengthen_steps(optimizer: Optimizer, masks: Mapping[nn.Parameter, torch.Tensor], factor: float) -> None:
    """Let some numbers of parameters take longer steps than the rest.

    Adam's steps don't depend on the scale of gradients, and its groups are of whole parameters: so the step is made,
    and then lengthened.

    :param masks: which numbers, of the parameters' shapes, bool
    :param factor: of the steps
    """
    before: dict[nn.Parameter, torch.Tensor] = {}

    def remember(*_: Any) -> None:
        before.update({parameter: parameter.detach().clone() for parameter in masks})

    def lengthen(*_: Any) -> None:
        with torch.no_grad():
            for parameter, mask in masks.items():
                step = parameter - before[parameter]
                parameter.add_(step * mask.to(parameter), alpha=factor - 1.0)

    optimizer.register_step_pre_hook(remember)
    optimizer.register_step_post_hook(lengthen)


def is_plateau(scheduler: object) -> bool:
    """Whether a schedule waits for the validation loss to stop falling."""
    return isinstance(scheduler, torch.optim.lr_scheduler.ReduceLROnPlateau)
