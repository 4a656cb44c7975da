r"""Angular symmetry functions from moments: cost linear in the number of neighbours.

With moments :math:`A_{lm}^{cn} = \sum_j w_c(Z_j) g_n(r_{ij}) Y_{lm}(\mathbf u_{ij})` the addition theorem
turns the sum over pairs of neighbours into a product:
:math:`\sum_{jk} w_a w_b\, g_n g_{n'} P_l(\cos\theta_{jik}) = \sum_m A_{lm}^{an} A_{lm}^{bn'}`.
"""

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import nn

from mhdnn.descriptors.neighborhood import FunctionGroup, Neighborhood
from mhdnn.descriptors.radial import GaussianBasis
from mhdnn.descriptors.spherical_harmonics import normalization_table, spherical_harmonics
from mhdnn.errors import ConfigError


def legendre_expansion(zeta: int) -> list[float]:
    r"""Coefficients a_l of :math:`2^{1-\zeta}(1+x)^\zeta = \sum_l a_l P_l(x)`, l = 0..ζ.

    :math:`a_l = 2(2l+1)\,\zeta!^2 / [(\zeta-l)!\,(\zeta+l+1)!]`.
    """
    square = math.factorial(zeta) ** 2
    return [
        2 * (2 * degree + 1) * square / (math.factorial(zeta - degree) * math.factorial(zeta + degree + 1))
        for degree in range(zeta + 1)
    ]


class AngularList(NamedTuple):
    """Wide or narrow functions, one entry for each.

    :param radial_index: which function of the radial basis g is
    :param zetas: ζ, positive integers
    :param lambdas: λ, +1 or -1
    """

    radial_index: list[int]
    zetas: list[int]
    lambdas: list[int]

    def names(self, kind: str, basis: GaussianBasis, channels: list[str]) -> list[str]:
        """Readable names, channel-pair-major."""
        etas, shifts = basis.etas.tolist(), basis.shifts.tolist()
        functions = [
            f"{kind} eta={etas[n]:.4g} r_s={shifts[n]:.4g} zeta={zeta} lambda={lambda_:+d}"
            for n, zeta, lambda_ in zip(*self, strict=True)
        ]
        pairs = [f"{a} {b}" for index, a in enumerate(channels) for b in channels[index:]]
        return [f"{function} [{pair}]" for pair in pairs for function in functions]


def angular_products(num_radial: int, zetas: Sequence[int], lambdas: Sequence[int]) -> AngularList:
    """Every radial function with every ζ and λ.

    :raises ConfigError: if there is no ζ or λ, a ζ is not a positive integer or a λ is not ±1
    """
    if not zetas or not lambdas:
        raise ConfigError("`descriptor.angular`: expected at least one of `zetas` and of `lambdas`, got none")
    for zeta in zetas:
        if int(zeta) != zeta or zeta < 1:
            raise ConfigError(f"`descriptor.angular.zetas`: expected positive integers, got {zeta}")
    for lambda_ in lambdas:
        if lambda_ not in (-1, 1):
            raise ConfigError(f"`descriptor.angular.lambdas`: expected +1 or -1, got {lambda_}")
    products = itertools.product(range(num_radial), map(int, zetas), map(int, lambdas))
    return AngularList(*map(list, zip(*products, strict=True)))


class Moments(nn.Module):
    """Moments :math:`A_{lm}^{cn}` of the neighbour density, l ≤ max_degree."""

    norms: torch.Tensor

    def __init__(self, basis: GaussianBasis, max_degree: int) -> None:
        super().__init__()
        self.basis = basis
        self.max_degree = max_degree
        self.register_buffer("norms", normalization_table(max_degree))

    def weighted_basis(self, neighborhood: Neighborhood) -> torch.Tensor:
        """:math:`w_c(Z_j) g_n(r_{ij}) f_c(r_{ij})`, shape (num_atoms, max_neighbors, num_channels · num_radial)."""
        radial = self.basis(neighborhood.distance) * neighborhood.cutoff_value.unsqueeze(-1)
        product = neighborhood.channel_weight.unsqueeze(-1) * radial.unsqueeze(-2)
        return product.reshape(radial.shape[0], radial.shape[1], product.shape[2] * product.shape[3])

    def forward(self, neighborhood: Neighborhood, weighted_basis: torch.Tensor) -> torch.Tensor:
        """Shape (num_atoms, num_channels · num_radial, (max_degree + 1)²)."""
        harmonics = spherical_harmonics(neighborhood.direction, self.max_degree, self.norms)
        return torch.bmm(weighted_basis.transpose(1, 2), harmonics)


class LegendreFunctions(FunctionGroup):
    r""":math:`\sum_m A_{lm}^{an} A_{lm}^{bn'}` for l = 0..L and all unordered pairs (a,n) ≤ (b,n').

    The span of the wide functions without a choice of ζ and λ, and with the mixed radial terms; the
    square of each neighbour's own term (j = k) stays in.

    :param cross_terms: whether n ≠ n' are included
    """

    pair_index: torch.Tensor

    def __init__(self, basis: GaussianBasis, max_degree: int, num_channels: int, cross_terms: bool) -> None:
        super().__init__()
        self.moments = Moments(basis, max_degree)
        self.max_degree = max_degree
        self.num_radial = len(basis.etas)
        size = num_channels * self.num_radial
        pairs = [
            (first, second)
            for first in range(size)
            for second in range(first, size)
            if cross_terms or first % self.num_radial == second % self.num_radial
        ]
        self.pairs = pairs
        flat = torch.tensor([first * size + second for first, second in pairs], dtype=torch.long)
        self.register_buffer("pair_index", flat)
        self.num_functions = len(pairs) * (max_degree + 1)

    def forward(self, neighborhood: Neighborhood) -> torch.Tensor:
        """Shape (num_atoms, (L + 1) · num_pairs), degree-major."""
        moments = self.moments(neighborhood, self.moments.weighted_basis(neighborhood))
        num_atoms, size = moments.shape[0], moments.shape[1]
        result = []
        for degree in range(self.max_degree + 1):
            block = moments[:, :, degree * degree : (degree + 1) * (degree + 1)]
            products = torch.bmm(block, block.transpose(1, 2)).reshape(num_atoms, size * size)
            result.append(products.index_select(1, self.pair_index))
        return torch.cat(result, 1)

    @torch.jit.ignore
    def names(self, channels: list[str]) -> list[str]:
        def label(flat: int) -> str:
            return f"{channels[flat // self.num_radial]}{flat % self.num_radial}"

        return [
            f"legendre l={degree} [{label(first)} {label(second)}]"
            for degree in range(self.max_degree + 1)
            for first, second in self.pairs
        ]


class WideFunctions(FunctionGroup):
    r"""Angular functions without the third side (type 9 of RuNNer and n2p2; Behler's G⁵).

    :math:`2^{1-\zeta} \sum_{j<k} (1+\lambda\cos\theta_{jik})^\zeta\, g(r_{ij})\, g(r_{ik})`,
    https://doi.org/10.1063/1.3553717, for integer ζ; resolved by unordered pairs of channels.

    :param basis: radial functions that the angular ones refer to
    :param functions: radial function, ζ and λ of each function
    """

    coefficients: torch.Tensor
    radial_index: torch.Tensor

    def __init__(self, basis: GaussianBasis, functions: AngularList, num_channels: int) -> None:
        super().__init__()
        zetas, lambdas = functions.zetas, functions.lambdas
        max_degree = max(zetas)
        self.moments = Moments(basis, max_degree)
        self.max_degree = max_degree
        self.num_radial = len(basis.etas)
        self.num_channels = num_channels
        coefficients = torch.zeros(len(zetas), max_degree + 1, dtype=torch.float64)
        for row, (zeta, lambda_) in enumerate(zip(zetas, lambdas, strict=True)):
            for degree, value in enumerate(legendre_expansion(zeta)):
                coefficients[row, degree] = value * lambda_**degree
        self.functions = functions
        self.register_buffer("coefficients", coefficients.to(torch.get_default_dtype()))
        self.register_buffer("radial_index", torch.tensor(functions.radial_index, dtype=torch.long))
        self.num_functions = len(zetas) * num_channels * (num_channels + 1) // 2

    def forward(self, neighborhood: Neighborhood) -> torch.Tensor:
        """Shape (num_atoms, num_channel_pairs · num_functions), channel-pair-major."""
        weighted = self.moments.weighted_basis(neighborhood)
        moments = self.moments(neighborhood, weighted)
        num_atoms = moments.shape[0]
        shape = [num_atoms, self.num_channels, self.num_radial, moments.shape[2]]
        moments = moments.reshape(shape)
        weighted = weighted.reshape(num_atoms, weighted.shape[1], self.num_channels, self.num_radial)
        result = []
        for first in range(self.num_channels):
            for second in range(first, self.num_channels):
                products = moments[:, first] * moments[:, second]
                degrees = []
                for degree in range(self.max_degree + 1):
                    block = products[:, :, degree * degree : (degree + 1) * (degree + 1)]
                    degrees.append(block.sum(-1))
                by_degree = torch.stack(degrees, -1)  # (num_atoms, num_radial, L + 1)
                own_terms = (weighted[:, :, first] * weighted[:, :, second]).sum(1).unsqueeze(-1)
                ordered = ((by_degree - own_terms).index_select(1, self.radial_index) * self.coefficients).sum(-1)
                result.append(0.5 * ordered if first == second else ordered)
        return torch.cat(result, 1)

    @torch.jit.ignore
    def names(self, channels: list[str]) -> list[str]:
        return self.functions.names("wide", self.moments.basis, channels)
