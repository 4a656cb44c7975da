r"""Coulomb interaction of two Gaussian charges, and its derivatives to any order.

Two normalised Gaussians whose widths add up to :math:`\gamma^2 = s_i^2 + s_j^2` interact by

.. math:: \varphi_0(u, \gamma) = \frac{\mathrm{erf}(\sqrt u/\sqrt2\gamma)}{\sqrt u}
          = \frac{2}{\sqrt\pi}\int_0^{1/\sqrt2\gamma} e^{-u t^2}\,dt, \qquad u = r^2,

which is smooth at :math:`u = 0`: there it is the interaction of a Gaussian with itself,
:math:`\varphi_0(0, \sqrt2 s) = 1/(s\sqrt\pi)`. Under the integral one sees all derivatives,

.. math:: \varphi_m = \frac{2}{\sqrt\pi}\int_0^{1/\sqrt2\gamma} t^{2m} e^{-u t^2}\,dt, \qquad
          \frac{\partial\varphi_m}{\partial u} = -\varphi_{m+1}, \qquad
          \frac{\partial\varphi_m}{\partial\gamma}
          = -\sqrt{\frac2\pi}\,\frac{e^{-u/2\gamma^2}}{\gamma^2(2\gamma^2)^m},

and :math:`\varphi_m = \sqrt{2/\pi}\,F_m(u/2\gamma^2)/(\gamma(2\gamma^2)^m)` with the Boys functions
:math:`F_m` (S. F. Boys, Proc. R. Soc. A 200, 542 (1950), https://doi.org/10.1098/rspa.1950.0036).
"""

from __future__ import annotations

import math
from typing import Any

import torch

SERIES_BELOW = 1.0
"""Below this argument Boys functions come from their series: the upward recursion loses digits there."""
NUM_TERMS = 20
CHUNK = 65536
"""Elements computed at once; what they need in between stays in the cache."""


def boys_function(order: int, argument: torch.Tensor) -> torch.Tensor:
    r""":math:`F_m(T) = \int_0^1 t^{2m} e^{-T t^2} dt` for :math:`T \ge 0`.

    :param order: m
    :param argument: T, any shape
    """
    clamped = argument.clamp_min(SERIES_BELOW)
    root = clamped.sqrt()
    result = (0.5 * math.sqrt(math.pi)) * torch.erf(root) / root
    if order > 0:
        exponential = torch.exp(-clamped)
        for m in range(order):
            result = ((2 * m + 1) * result - exponential) / (2 * clamped)
    small = argument < SERIES_BELOW
    if bool(small.any()):
        result[small] = _boys_series(order, argument[small])
    return result


def _boys_series(order: int, argument: torch.Tensor) -> torch.Tensor:
    r""":math:`e^{-T}\sum_k (2T)^k / ((2m+1)(2m+3)\cdots(2m+2k+1))`."""
    term = torch.full_like(argument, 1.0 / (2 * order + 1))
    total = term.clone()
    for k in range(1, NUM_TERMS):
        term = term * (2.0 * argument / (2 * order + 2 * k + 1))
        total = total + term
    return torch.exp(-argument) * total


def _potential_values(squared_distance: torch.Tensor, width: torch.Tensor, order: int) -> torch.Tensor:
    r""":math:`\varphi_m`, without gradient."""
    doubled = 2.0 * width * width
    scale = math.sqrt(2.0 / math.pi) / (width * doubled**order)
    return scale * boys_function(order, squared_distance / doubled)


class _GaussianPotential(torch.autograd.Function):
    r""":math:`\varphi_m(u, \gamma)`; its derivative calls it with :math:`m + 1`."""

    @staticmethod
    def forward(ctx: Any, squared_distance: torch.Tensor, width: torch.Tensor, order: int) -> torch.Tensor:
        ctx.save_for_backward(squared_distance, width)
        ctx.order = order
        if squared_distance.ndim != 1 or width.numel() not in (1, len(squared_distance)):
            return _potential_values(squared_distance, width, order)
        result = torch.empty_like(squared_distance)
        for start in range(0, len(squared_distance), CHUNK):
            some = slice(start, start + CHUNK)
            own = width if width.numel() == 1 else width[some]
            result[some] = _potential_values(squared_distance[some], own, order)
        return result

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (gradient,) = gradients
        squared_distance, width = ctx.saved_tensors
        by_distance = by_width = None
        if ctx.needs_input_grad[0]:
            by_distance = -gradient * _GaussianPotential.apply(squared_distance, width, ctx.order + 1)
            by_distance = by_distance.sum_to_size(squared_distance.shape)
        if ctx.needs_input_grad[1]:
            doubled = 2.0 * width * width
            scale = math.sqrt(2.0 / math.pi) / (width * width * doubled**ctx.order)
            by_width = (-gradient * scale * torch.exp(-squared_distance / doubled)).sum_to_size(width.shape)
        return by_distance, by_width, None


def gaussian_potential(squared_distance: torch.Tensor, width: torch.Tensor) -> torch.Tensor:
    r""":math:`\mathrm{erf}(r/\sqrt2\gamma)/r`, its limit at r = 0 included; differentiable to any order.

    :param squared_distance: :math:`r^2`, Å²
    :param width: :math:`\gamma > 0`, Å; broadcast against the distances
    :return: 1/Å
    """
    return _GaussianPotential.apply(squared_distance, width, 0)


def pair_width(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    r""":math:`\gamma_{ij} = \sqrt{s_i^2 + s_j^2}`, Å."""
    return torch.sqrt(first * first + second * second)
