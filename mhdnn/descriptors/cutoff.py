r"""Cutoff functions :math:`f_c(r)`: one at r = 0, zero with zero slope at the cutoff and beyond.

- cosine: :math:`\tfrac12 [1 + \cos(\pi r / r_c)]` (Behler and Parrinello 2007,
  https://doi.org/10.1103/PhysRevLett.98.146401); its second derivative jumps at the cutoff
- polynomial: :math:`1 - 10x^3 + 15x^4 - 6x^5`, x = r / r_c; twice continuously differentiable
- tanh: :math:`\tanh^3(1 - r / r_c) / \tanh^3(1)`; first and second derivative vanish at the cutoff. RuNNer
  and n2p2 leave out the constant denominator.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch

from mhdnn.errors import ConfigError


def _cosine(fraction: torch.Tensor) -> torch.Tensor:
    return 0.5 * (1.0 + torch.cos(math.pi * torch.clamp(fraction, max=1.0)))


def _polynomial(fraction: torch.Tensor) -> torch.Tensor:
    x = torch.clamp(fraction, max=1.0)
    return 1.0 + x * x * x * (x * (15.0 - 6.0 * x) - 10.0)


def _tanh(fraction: torch.Tensor) -> torch.Tensor:
    value = torch.tanh(torch.clamp(1.0 - fraction, min=0.0))
    return value * value * value / math.tanh(1.0) ** 3


CUTOFF_FUNCTIONS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "cosine": _cosine,
    "polynomial": _polynomial,
    "tanh": _tanh,
}


def cutoff_value(kind: str, distance: torch.Tensor, cutoff: float) -> torch.Tensor:
    """:math:`f_c` at distances of any shape.

    :param kind: cosine, polynomial or tanh
    :param distance: Å
    :param cutoff: Å
    """
    return CUTOFF_FUNCTIONS[kind](distance / cutoff)


def check_cutoff(kind: str, cutoff: float) -> None:
    """Refuse what is no cutoff function.

    :raises ConfigError: for an unknown name or a cutoff that is not positive
    """
    if kind not in CUTOFF_FUNCTIONS:
        raise ConfigError(f"`descriptor.cutoff_function`: expected one of {sorted(CUTOFF_FUNCTIONS)}, got {kind!r}")
    if not cutoff > 0:
        raise ConfigError(f"`cutoff`: expected a positive length in Å, got {cutoff}")
