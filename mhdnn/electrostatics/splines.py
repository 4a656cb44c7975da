r"""Cardinal B-splines: weights with which a charge is spread over the points of a mesh.

.. math:: M_p(x) = \frac{x}{p-1} M_{p-1}(x) + \frac{p-x}{p-1} M_{p-1}(x-1)

U. Essmann et al., J. Chem. Phys. 103, 8577 (1995), https://doi.org/10.1063/1.470117. They are polynomials of
degree p - 1 with p - 2 continuous derivatives, so that order 5 is the least for forces and their derivatives.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import torch

NUM_ALIASES = 12


@cache
def spline_coefficients(order: int) -> np.ndarray:
    r"""Coefficients of :math:`M_p(t + j) = \sum_k c_{jk} t^k` for t in [0, 1), shape (order, order)."""
    pieces = np.array([[1.0]])
    for p in range(2, order + 1):
        longer = np.zeros((p, p))
        for j in range(p):
            for previous, slope, intercept in ((j, 1.0, float(j)), (j - 1, -1.0, float(p - j))):
                if 0 <= previous < p - 1:
                    longer[j, : p - 1] += intercept * pieces[previous]
                    longer[j, 1:] += slope * pieces[previous]
        pieces = longer / (p - 1)
    return pieces


def spline_weights(
    coordinates: torch.Tensor, shape: tuple[int, int, int], order: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Weights along each axis, with gradient, and the mesh points they belong to.

    :param coordinates: in units of the mesh spacing, shape (num_atoms, 3)
    :param shape: points of the mesh along each axis
    :return: weights, shape (num_atoms, 3, order), and point numbers, shape (num_atoms, order**3)
    """
    first = torch.floor(coordinates.detach())
    offset = coordinates - first
    powers = [torch.ones_like(offset)]
    for _ in range(order - 1):
        powers.append(powers[-1] * offset)
    coefficients = torch.from_numpy(spline_coefficients(order)).to(coordinates)
    weights = torch.stack(powers, -1) @ coefficients.T
    steps = torch.arange(order, device=coordinates.device)
    sizes = torch.tensor(shape, device=coordinates.device)
    points = ((first.to(torch.int64)[:, :, None] - steps) % sizes[:, None]).to(torch.int32)
    x, y, z = points[:, 0, :, None, None], points[:, 1, None, :, None], points[:, 2, None, None, :]
    return weights, ((x * shape[1] + y) * shape[2] + z).reshape(len(coordinates), -1)


def spline_products(weights: torch.Tensor) -> torch.Tensor:
    """Products of the weights along three axes, shape (num_atoms, order**3)."""
    x, y, z = weights[:, 0, :, None, None], weights[:, 1, None, :, None], weights[:, 2, None, None, :]
    return (x * y * z).reshape(len(weights), -1)


def influence_factor(size: int, order: int) -> np.ndarray:
    r""":math:`U^2(m)/(\sum_l U^2(m + lK))^2` with :math:`U(m) = \mathrm{sinc}^p(m/K)` along one axis.

    Multiplied with the Green's function it makes the mean error of the energy smallest (V. Ballenegger,
    J. J. Cerdà, O. Lenz and C. Holm, J. Chem. Phys. 128, 034109 (2008), https://doi.org/10.1063/1.2816570).
    The highest wave number of an even mesh, which has no sign, is left out.

    :param size: mesh points K
    :return: in the order of `torch.fft.fftfreq`, shape (size,)
    """
    fraction = np.fft.fftfreq(size)
    aliases = np.arange(-NUM_ALIASES, NUM_ALIASES + 1)
    power = np.sinc(fraction[:, None] + aliases[None, :]) ** (2 * order)
    factor = np.sinc(fraction) ** (2 * order) / power.sum(1) ** 2
    if size % 2 == 0:
        factor[size // 2] = 0.0
    return factor
