r"""The smooth part of the Coulomb kernel of an open structure, on a mesh no larger than each direction needs.

.. math:: \frac{\mathrm{erf}(r/\sqrt2\eta)}{r} = \frac{2}{\sqrt\pi}\int_0^{1/\sqrt2\eta} e^{-t^2r^2}\,dt
          \approx \sum_j w_j\,e^{-t_j^2x^2}\,e^{-t_j^2y^2}\,e^{-t_j^2z^2}

A sum of products can be cut off along each axis by itself: by a window that is 1 within the structure's extent e and
falls to 0, as the error function, before a periodic image of any atom is reached, whose period is

.. math:: P = 2(e + m)

with the margin m (the cutoff of the real-space sum). Within the structure the kernel is what it was, so that the
result is that of the open structure to the accuracy, whatever its shape: a chain of 1000 Å needs
:math:`2000 \times 2m \times 2m` Å³. The transform of each factor is a sum over points in one dimension.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from scipy.special import erfc

from mhdnn.units import COULOMB_CONSTANT

NODES_PER_PANEL = 10
LARGEST_PRODUCTS = 4_000_000
"""Numbers that are held at once for the sum over nodes."""


class OpenBox(NamedTuple):
    """Room of an open structure.

    :param extents: e along x, y and z, Å
    :param margin: m, Å
    """

    extents: tuple[float, float, float]
    margin: float

    @property
    def periods(self) -> list[float]:
        """P, Å."""
        return [2.0 * (extent + self.margin) for extent in self.extents]


def quadrature(smearing: float, largest_distance: float) -> tuple[np.ndarray, np.ndarray]:
    r"""Nodes t_j and weights w_j, with an error of less than 1e-13 of the largest value.

    Gauss and Legendre's, in intervals that are halved down to the inverse of the largest distance.
    """
    end = 1.0 / (math.sqrt(2.0) * smearing)
    num_halvings = max(0, math.ceil(math.log2(largest_distance * end)))
    x, w = np.polynomial.legendre.leggauss(NODES_PER_PANEL)
    nodes, weights = [], []
    high = end
    for panel in range(num_halvings + 1):
        low = 0.5 * high if panel < num_halvings else 0.0
        nodes.append(0.5 * (high + low) + 0.5 * (high - low) * x)
        weights.append(2.0 / math.sqrt(math.pi) * 0.5 * (high - low) * w)
        high = low
    return np.concatenate(nodes), np.concatenate(weights)


def axis_factors(nodes: np.ndarray, period: float, smearing: float, size: int) -> np.ndarray:
    r"""Transforms of :math:`e^{-t^2x^2}` times the window, shape (size // 2 + 1, num_nodes), Å.

    :param nodes: t, 1/Å
    :param size: points of the mesh along this axis
    """
    count = 2 * size
    x = period / count * np.arange(-count, count + 1)  # the window ends before a whole period
    window = 0.5 * erfc((np.abs(x) - 0.5 * period) / (math.sqrt(2.0) * smearing))
    values = np.exp(-np.square(np.multiply.outer(nodes, x))) * window
    folded = values[:, count : 2 * count] + values[:, :count]  # one period
    folded[:, 0] += values[:, -1]
    return np.fft.rfft(folded, axis=1).real[:, : size // 2 + 1].T * (period / count)


def open_green_on_mesh(box: OpenBox, shape: tuple[int, int, int], smearing: float, like: torch.Tensor) -> torch.Tensor:
    r"""Green's function at the wave vectors of the half-complex transform, without gradient, eV/e².

    :param smearing: :math:`\eta`, Å
    """
    nodes, weights = quadrature(smearing, math.hypot(*box.extents))
    volume = math.prod(box.periods)
    factors = []
    for axis, (period, size) in enumerate(zip(box.periods, shape, strict=True)):
        half = axis_factors(nodes, period, smearing, size)
        numbers = np.abs(np.rint(np.fft.fftfreq(size, 1.0 / size))).astype(int)
        factors.append(torch.from_numpy(half[numbers] if axis < 2 else half).to(like))
    x, y, z = factors
    scaled = z * torch.from_numpy(weights * (COULOMB_CONSTANT / volume)).to(like)
    rows = max(1, LARGEST_PRODUCTS // (shape[1] * len(nodes)))
    parts = [(some[:, None, :] * y) @ scaled.T for some in x.split(rows)]
    return torch.cat(parts)
