"""Radial basis: Gaussians of the distance."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from mhdnn.errors import ConfigError


class GaussianBasis(nn.Module):
    r""":math:`g_n(r) = \exp(-\eta_n (r - r_{s,n})^2)`, without the cutoff function.

    :param etas: η, shape (num_radial,), Å⁻²
    :param shifts: r_s, shape (num_radial,), Å
    """

    etas: torch.Tensor
    shifts: torch.Tensor

    def __init__(self, etas: torch.Tensor, shifts: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("etas", etas.to(torch.get_default_dtype()))
        self.register_buffer("shifts", shifts.to(torch.get_default_dtype()))


def spaced_gaussians(num: int, first: float, last: float, width: float) -> GaussianBasis:
    """Gaussians at equal distances; ``width`` is their standard deviation in units of the spacing.

    :raises ConfigError: if they don't fit between ``first`` and ``last``
    """
    if num < 1 or not last > first:
        raise ConfigError(f"radial functions: expected num >= 1 and last > first, got {num}, {first}, {last}")
    shifts = torch.linspace(first, last, num, dtype=torch.float64)
    spacing = (last - first) / max(num - 1, 1)
    etas = torch.full_like(shifts, 0.5 / (width * spacing) ** 2)
    return GaussianBasis(etas, shifts)


def listed_gaussians(etas: Sequence[float], shifts: Sequence[float]) -> GaussianBasis:
    """Every η with every r_s."""
    return paired_gaussians([(eta, shift) for eta in etas for shift in shifts])


def paired_gaussians(pairs: Sequence[Sequence[float]]) -> GaussianBasis:
    """Each η (Å⁻²) with its own r_s (Å)."""
    table = torch.tensor([[float(eta), float(shift)] for eta, shift in pairs], dtype=torch.float64)
    return GaussianBasis(table[:, 0], table[:, 1])


def build_basis(settings: Mapping[str, Any], cutoff: float) -> GaussianBasis:
    """Radial basis from settings: ``functions`` (pairs of η and r_s); or ``etas`` and ``shifts``; or ``num``,
    ``first``, ``last``, ``width``.

    ``last: null`` puts the last Gaussian one spacing inside the cutoff.
    """
    if "functions" in settings:
        return paired_gaussians(settings["functions"])
    if "etas" in settings:
        return listed_gaussians(settings["etas"], settings["shifts"])
    num, first, last = int(settings["num"]), float(settings["first"]), settings["last"]
    if last is None:
        last = cutoff - (cutoff - first) / num
    return spaced_gaussians(num, first, float(last), float(settings["width"]))
