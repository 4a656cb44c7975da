r"""Real spherical harmonics in Racah normalisation, by recurrences that need no angles.

:math:`\sum_m Y_{lm}(\mathbf u) Y_{lm}(\mathbf v) = P_l(\mathbf u\cdot\mathbf v)` for unit vectors.
"""

from __future__ import annotations

import math

import torch


def normalization(degree: int) -> list[float]:
    r"""Factors :math:`\sqrt{(2-\delta_{m0}) (l-m)!/(l+m)!}` for m = 0..l."""
    return [
        math.sqrt((1.0 if m == 0 else 2.0) * math.factorial(degree - m) / math.factorial(degree + m))
        for m in range(degree + 1)
    ]


def spherical_harmonics(direction: torch.Tensor, max_degree: int, norms: torch.Tensor) -> torch.Tensor:
    r"""Values for all l ≤ max_degree, each l in the order m = -l..l.

    With :math:`(x+iy)^m = c_m + i s_m` and :math:`Q_l^m` the associated Legendre function divided by
    :math:`\sin^m\theta` (a polynomial in z), :math:`Y_{lm} = N_{lm} Q_l^m c_m` and
    :math:`Y_{l,-m} = N_{lm} Q_l^m s_m`.

    :param direction: unit vectors, shape (..., 3)
    :param norms: ``normalization(l)`` for each l, zero-padded, shape (max_degree + 1, max_degree + 1)
    :return: shape (..., (max_degree + 1)²)
    """
    x, y, z = direction[..., 0:1], direction[..., 1:2], direction[..., 2:3]
    cosine, sine = torch.ones_like(x), torch.zeros_like(x)
    cosines, sines = cosine, sine  # columns are powers m = 0, 1, ...
    legendre = torch.ones_like(x)  # Q_l^m for m = 0..l
    previous = torch.zeros_like(x)  # Q_{l-1}^m
    result = [legendre]
    for degree in range(1, max_degree + 1):
        cosine, sine = x * cosine - y * sine, x * sine + y * cosine
        cosines, sines = torch.cat([cosines, cosine], -1), torch.cat([sines, sine], -1)
        order = torch.arange(degree, device=z.device, dtype=z.dtype)
        # (l - m) Q_l^m = (2l - 1) z Q_{l-1}^m - (l + m - 1) Q_{l-2}^m  for m < l; Q_{l-2}^{l-1} = 0
        lower = ((2 * degree - 1) * z * legendre - (degree - 1 + order) * previous) / (degree - order)
        highest = (2 * degree - 1) * legendre[..., -1:]
        previous = torch.cat([legendre, torch.zeros_like(x)], -1)
        legendre = torch.cat([lower, highest], -1)
        scaled = legendre * norms[degree, : degree + 1]
        negative_orders = (scaled * sines)[..., 1:].flip(-1)
        result.append(torch.cat([negative_orders, scaled * cosines], -1))
    return torch.cat(result, -1)


def normalization_table(max_degree: int) -> torch.Tensor:
    """``normalization(l)`` of every l as rows, zero-padded, shape (max_degree + 1, max_degree + 1), float64."""
    table = torch.zeros(max_degree + 1, max_degree + 1, dtype=torch.float64)
    for degree in range(max_degree + 1):
        table[degree, : degree + 1] = torch.tensor(normalization(degree), dtype=torch.float64)
    return table
