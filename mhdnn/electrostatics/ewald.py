r"""Ewald sums of Gaussian charges: parameters, pairs of the real-space sum, wave vectors.

P. P. Ewald, Ann. Phys. 369, 253 (1921), https://doi.org/10.1002/andp.19213690304; for charges that are
Gaussians of unequal widths and a neutralising background

.. math:: A_{ij}/k_e = \sum_{\mathbf n} \Bigl[\frac{\mathrm{erfc}(r/\sqrt2\eta)
          - \mathrm{erfc}(r/\sqrt2\gamma_{ij})}{r}\Bigr]_{r = |\mathbf r_{ij} + \mathbf n|}
          + \frac{4\pi}{V}\sum_{\mathbf k \ne 0} \frac{e^{-\eta^2 k^2/2}}{k^2} \cos\mathbf k\cdot\mathbf r_{ij}
          - \frac{2\pi}{V}(\eta^2 - \gamma_{ij}^2).

The bracket is :math:`\varphi_0(r^2, \gamma_{ij}) - \varphi_0(r^2, \eta)` of `gaussians`, whose limit at
r = 0 is the self term :math:`1/(s\sqrt\pi) - 2/(\sqrt{2\pi}\eta)` of i = j. The last term makes the average
potential of the cell zero, as that of Gaussian charges in a uniform background is; without
:math:`\gamma^2` it would be the background of point charges, which depends on nothing but :math:`\eta`.

Error. With :math:`\mathrm{erfc}(x/\sqrt2) = \epsilon`, a tenth of the accuracy, the real-space sum ends at
:math:`r_c = x\max(\eta, \gamma_{max})` and the reciprocal one at :math:`k_c = x/\eta`. What is left out of
an element of :math:`A/k_e` is about :math:`(4\pi\max(\eta, \gamma)^2/V)\,\epsilon` of the real sum, if many
atoms lie beyond, and at most :math:`(2/\pi\eta x)\,e^{-x^2/2} \approx \epsilon/\eta` of the reciprocal one;
their errors are of either sign. A derivative brings a factor of about :math:`x/\eta`: forces and stress are some
ten times less accurate than potentials. The :math:`\eta` that costs least scales as :math:`V^{1/3}`, whatever
the number of atoms.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from scipy.special import ndtri

from mhdnn.neighbors import find_half_pairs

SMEARING_PER_LENGTH = 0.17
r""":math:`\eta/V^{1/3}` at which pairs and wave vectors cost the same in the dense matrix (measured)."""

SMEARING_STEP = 1.1


class Splitting(NamedTuple):
    r"""Parameters of an Ewald sum.

    :param smearing: :math:`\eta`, Å
    :param cutoff: of the real-space sum, Å
    :param reciprocal_cutoff: largest wave vector, 1/Å
    """

    smearing: float
    cutoff: float
    reciprocal_cutoff: float


def decay_length(accuracy: float) -> float:
    r"""The x with :math:`\mathrm{erfc}(x/\sqrt2) = \epsilon`, a tenth of the accuracy."""
    return float(-ndtri(0.5 * 0.1 * accuracy))


def choose_splitting(volume: float, largest_width: float, accuracy: float, smearing: float | None = None) -> Splitting:
    r"""Parameters for an accuracy.

    :param volume: Å³
    :param largest_width: largest :math:`\gamma_{ij}`, Å; the pairs reach so far in any case, so that a
        smaller :math:`\eta` gains nothing
    :param accuracy: error of an element of A relative to :math:`k_e/\eta`
    :param smearing: :math:`\eta` if not the cheapest one, Å
    """
    eta = smearing
    if eta is None:
        eta = max(in_steps(SMEARING_PER_LENGTH * volume ** (1.0 / 3.0)), largest_width)
    reach = decay_length(accuracy)
    return Splitting(eta, reach * max(eta, largest_width), reach / eta)


def in_steps(smearing: float) -> float:
    """The nearest power of a step: a smearing that follows every change of the cell would make noise in the energy."""
    return SMEARING_STEP ** round(math.log(smearing, SMEARING_STEP))


class RealSpacePairs(NamedTuple):
    """Each pair of atoms and images once.

    :param first: shape (num_pairs,), int64
    :param second: shape (num_pairs,), int64
    :param shifts: cells between the atoms, shape (num_pairs, 3), float64 whole numbers
    """

    first: torch.Tensor
    second: torch.Tensor
    shifts: torch.Tensor


def real_space_pairs(positions: torch.Tensor, cell: torch.Tensor, cutoff: float) -> RealSpacePairs:
    """Pairs within a cutoff in a cell with three periodic directions, each once, sorted by the first atom."""
    box, periodic = cell.detach().cpu().numpy(), np.ones(3, dtype=bool)
    found = find_half_pairs(positions.detach().cpu().numpy(), box, periodic, cutoff)
    return RealSpacePairs(*(torch.from_numpy(array).to(positions.device) for array in found))


def wave_vectors(cell: np.ndarray, cutoff: float) -> np.ndarray:
    """Whole-number coordinates of the wave vectors up to a cutoff, one of each k and -k, without zero.

    :param cell: shape (3, 3), Å
    :param cutoff: 1/Å
    :return: shape (num_vectors, 3)
    """
    reciprocal = 2.0 * math.pi * np.linalg.inv(cell).T
    most = np.floor(cutoff * np.linalg.norm(cell, axis=1) / (2.0 * math.pi)).astype(int)
    grid = [np.arange(-count, count + 1) for count in most]
    grid[0] = grid[0][grid[0] >= 0]
    numbers = np.stack(np.meshgrid(*grid, indexing="ij"), -1).reshape(-1, 3)
    first, second, third = numbers.T
    half = (first > 0) | ((first == 0) & ((second > 0) | ((second == 0) & (third > 0))))
    numbers = numbers[half]
    inside = ((numbers @ reciprocal) ** 2).sum(1) <= cutoff**2
    return numbers[inside].astype(np.float64)


def greens_function(squared: torch.Tensor, volume: torch.Tensor, smearing: torch.Tensor | float) -> torch.Tensor:
    r""":math:`(4\pi/V)\,e^{-\eta^2k^2/2}/k^2`, 1/Å.

    :param squared: :math:`k^2 > 0`, 1/Å²
    """
    return 4.0 * math.pi / volume * torch.exp(-0.5 * smearing * smearing * squared) / squared
