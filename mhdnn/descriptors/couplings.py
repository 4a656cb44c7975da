r"""Real Gaunt coefficients, by which three moments are coupled to an invariant (four-body functions).

:math:`G^{l_1 l_2 l_3}_{m_1 m_2 m_3} = \frac{1}{4\pi}\int Y_{l_1 m_1} Y_{l_2 m_2} Y_{l_3 m_3}\,d\Omega` with the
harmonics of `mhdnn.descriptors.spherical_harmonics`.
"""

from __future__ import annotations

import functools
import itertools
import math
from typing import NamedTuple

import numpy as np
import torch

from mhdnn.descriptors.spherical_harmonics import normalization_table, spherical_harmonics

MAX_FOUR_BODY_DEGREE = 6
"""Of the kernels."""


class Coupling(NamedTuple):
    """Degrees of three moments and the triples of densities that give different functions, in their order."""

    degrees: tuple[int, int, int]
    densities: list[tuple[int, int, int]]


def couplings(max_degree: int, num_densities: int) -> list[Coupling]:
    r"""Four-body functions of the first densities, for all :math:`1 \le l_1 \le l_2 \le l_3 \le` max_degree.

    :math:`l_1 + l_2 + l_3` is even and :math:`l_3 \le l_1 + l_2`, else they vanish. Where degrees are equal, densities
    can be exchanged: one order is taken.
    """
    result = []
    for degrees in itertools.combinations_with_replacement(range(1, max_degree + 1), 3):
        first, second, third = degrees
        if sum(degrees) % 2 or third > first + second:
            continue
        densities = [
            (a, b, c)
            for a, b, c in itertools.product(range(num_densities), repeat=3)
            if (first != second or a <= b) and (second != third or b <= c)
        ]
        result.append(Coupling(degrees, densities))
    return result


@functools.cache
def gaunt(first: int, second: int, third: int) -> torch.Tensor:
    """Coefficients of three degrees, shape (2 l1 + 1, 2 l2 + 1, 2 l3 + 1), float64.

    By Gauss-Legendre quadrature in z and equal steps of the azimuth, exact for polynomials of this degree.
    """
    total = first + second + third
    nodes, weights = np.polynomial.legendre.leggauss(total // 2 + 1)
    angles = np.arange(total + 1) * 2.0 * math.pi / (total + 1)
    z, angle = (grid.ravel() for grid in np.meshgrid(nodes, angles, indexing="ij"))
    radius = np.sqrt(1.0 - z * z)
    points = torch.from_numpy(np.stack([radius * np.cos(angle), radius * np.sin(angle), z], 1))
    share = torch.from_numpy(np.repeat(weights, len(angles)) / (2.0 * len(angles)))
    highest = max(first, second, third)
    values = spherical_harmonics(points, highest, normalization_table(highest))
    blocks = [values[:, degree**2 : (degree + 1) ** 2] for degree in (first, second, third)]
    return torch.einsum("p,pa,pb,pc->abc", share, *blocks)
