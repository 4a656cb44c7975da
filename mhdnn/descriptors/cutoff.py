"""Cutoff functions :math:`f_c(r)`: one at r = 0, zero with zero slope at the cutoff and beyond."""

from __future__ import annotations

import math

import torch
from torch import nn

from mhdnn.errors import ConfigError


class CosineCutoff(nn.Module):
    r""":math:`f_c = \tfrac12 [1 + \cos(\pi r / r_c)]` (Behler and Parrinello 2007,
    https://doi.org/10.1103/PhysRevLett.98.146401); its second derivative jumps at the cutoff.
    """

    def __init__(self, cutoff: float) -> None:
        super().__init__()
        self.cutoff = cutoff

    def forward(self, distance: torch.Tensor) -> torch.Tensor:
        fraction = torch.clamp(distance / self.cutoff, max=1.0)
        return 0.5 * (1.0 + torch.cos(math.pi * fraction))


class PolynomialCutoff(nn.Module):
    """:math:`f_c = 1 - 10x^3 + 15x^4 - 6x^5`, x = r / r_c; twice continuously differentiable."""

    def __init__(self, cutoff: float) -> None:
        super().__init__()
        self.cutoff = cutoff

    def forward(self, distance: torch.Tensor) -> torch.Tensor:
        x = torch.clamp(distance / self.cutoff, max=1.0)
        return 1.0 + x * x * x * (x * (15.0 - 6.0 * x) - 10.0)


class TanhCutoff(nn.Module):
    r""":math:`f_c = \tanh^3(1 - r / r_c) / \tanh^3(1)`; first and second derivative vanish at the cutoff.

    RuNNer and n2p2 leave out the constant denominator.
    """

    def __init__(self, cutoff: float) -> None:
        super().__init__()
        self.cutoff = cutoff
        self.scale = 1.0 / math.tanh(1.0) ** 3

    def forward(self, distance: torch.Tensor) -> torch.Tensor:
        value = torch.tanh(torch.clamp(1.0 - distance / self.cutoff, min=0.0))
        return self.scale * value * value * value


CUTOFFS: dict[str, type[nn.Module]] = {
    "cosine": CosineCutoff,
    "polynomial": PolynomialCutoff,
    "tanh": TanhCutoff,
}


def build_cutoff(kind: str, cutoff: float) -> nn.Module:
    """Cutoff function by name.

    :raises ConfigError: for an unknown name or a cutoff that is not positive
    """
    if kind not in CUTOFFS:
        raise ConfigError(f"`descriptor.cutoff_function`: expected one of {sorted(CUTOFFS)}, got {kind!r}")
    if not cutoff > 0:
        raise ConfigError(f"`cutoff`: expected a positive length in Å, got {cutoff}")
    return CUTOFFS[kind](cutoff)
