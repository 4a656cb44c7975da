"""Groups of symmetry functions: radial, angular from moments, angular from pairs of neighbours.

All call one operator; `mhdnn.descriptors.reference.symmetry_functions` says what it computes.
"""

import itertools
import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch
from torch import nn

from mhdnn.descriptors.basis import GaussianBasis
from mhdnn.descriptors.reference import density_pairs
from mhdnn.errors import ConfigError

MAX_DEGREE = 20
"""Of the kernels' spherical harmonics."""


def check_max_degree(max_degree: int) -> None:
    """Refuse degrees that the kernels don't have.

    :raises ConfigError: for an L out of range
    """
    if not 0 <= max_degree <= MAX_DEGREE:
        raise ConfigError(f"`descriptor.angular.max_degree`: expected 0 to {MAX_DEGREE}, got {max_degree}")


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
    return angular_list(itertools.product(range(num_radial), zetas, lambdas))


def angular_list(functions: Iterable[Sequence[float]]) -> AngularList:
    """From the radial function, ζ and λ of each.

    :raises ConfigError: if a ζ is not a positive integer or a λ is not ±1
    """
    checked = []
    for radial_index, zeta, lambda_ in functions:
        if int(zeta) != zeta or zeta < 1:
            raise ConfigError(f"`descriptor.angular.zetas`: expected positive integers, got {zeta}")
        if lambda_ not in (-1, 1):
            raise ConfigError(f"`descriptor.angular.lambdas`: expected +1 or -1, got {lambda_}")
        checked.append((int(radial_index), int(zeta), int(lambda_)))
    return AngularList(*map(list, zip(*checked, strict=True)))


class FunctionGroup(nn.Module):
    """Symmetry functions of one kind.

    :param kind: of the operator
    :param basis: radial functions
    :param cutoff: Å
    :param cutoff_function: name of :math:`f_c`
    :param max_degree: L of kinds made of moments
    :param cross_terms: whether legendre functions of n ≠ n' are included
    :param functions: radial function, ζ and λ of each angular function
    """

    radial_index: list[int]
    zetas: list[int]
    lambdas: list[int]
    num_functions: int

    def __init__(
        self,
        kind: str,
        basis: GaussianBasis,
        cutoff: float,
        cutoff_function: str,
        max_degree: int = 0,
        cross_terms: bool = False,
        functions: AngularList | None = None,
    ) -> None:
        super().__init__()
        self.kind = kind
        self.basis = basis
        self.cutoff = float(cutoff)
        self.cutoff_function = cutoff_function
        self.max_degree = max_degree
        self.cross_terms = cross_terms
        self.radial_index, self.zetas, self.lambdas = functions or ([], [], [])

    def evaluate(
        self,
        kind: str,
        pair_vectors: torch.Tensor,
        channel_table: torch.Tensor,
        first_pair: torch.Tensor,
        neighbor_element: torch.Tensor,
    ) -> torch.Tensor:
        """The operator with the parameters of this group."""
        return torch.ops.mhdnn.symmetry_functions(
            pair_vectors,
            channel_table,
            first_pair,
            neighbor_element,
            self.basis.etas,
            self.basis.shifts,
            self.cutoff,
            self.cutoff_function,
            kind,
            self.max_degree,
            self.cross_terms,
            self.radial_index,
            self.zetas,
            self.lambdas,
        )

    def forward(
        self,
        pair_vectors: torch.Tensor,
        channel_table: torch.Tensor,
        first_pair: torch.Tensor,
        center_element: torch.Tensor,
        neighbor_element: torch.Tensor,
    ) -> torch.Tensor:
        """Shape (num_atoms, num_functions); the arguments are those of the operator, which doesn't need the elements of
        the centres.
        """
        return self.evaluate(self.kind, pair_vectors, channel_table, first_pair, neighbor_element)

    @torch.jit.ignore
    def names(self, channels: list[str]) -> list[str]:
        """Readable name of every function, for channels with these names."""
        return AngularList(self.radial_index, self.zetas, self.lambdas).names(self.kind, self.basis, channels)


class RadialFunctions(FunctionGroup):
    r""":math:`G^2_{cn} = \sum_j w_c(Z_j)\, e^{-\eta_n (r_{ij} - r_{s,n})^2} f_c(r_{ij})`
    (https://doi.org/10.1063/1.3553717, eq. 6), channel-major.
    """

    def __init__(self, basis: GaussianBasis, num_channels: int, cutoff: float, cutoff_function: str) -> None:
        super().__init__("radial", basis, cutoff, cutoff_function)
        self.num_functions = num_channels * len(basis.etas)

    @torch.jit.ignore
    def names(self, channels: list[str]) -> list[str]:
        parameters = zip(self.basis.etas.tolist(), self.basis.shifts.tolist(), strict=True)
        functions = [f"radial eta={eta:.4g} r_s={shift:.4g}" for eta, shift in parameters]
        return [f"{function} [{channel}]" for channel in channels for function in functions]


class LegendreFunctions(FunctionGroup):
    r""":math:`\sum_m A_{lm}^{an} A_{lm}^{bn'}` for all unordered pairs (a,n) ≤ (b,n') and l = 0..L.

    The span of the wide functions without a choice of ζ and λ, and with the mixed radial terms; the
    square of each neighbour's own term (j = k) stays in.

    :param cross_terms: whether n ≠ n' are included
    :raises ConfigError: for an L out of range
    """

    def __init__(
        self,
        basis: GaussianBasis,
        max_degree: int,
        num_channels: int,
        cross_terms: bool,
        cutoff: float,
        cutoff_function: str,
    ) -> None:
        check_max_degree(max_degree)
        super().__init__("legendre", basis, cutoff, cutoff_function, max_degree, cross_terms)
        self.num_channels = num_channels
        first, _ = density_pairs(num_channels, len(basis.etas), cross_terms)
        self.num_functions = len(first) * (max_degree + 1)

    @torch.jit.ignore
    def names(self, channels: list[str]) -> list[str]:
        num_radial = len(self.basis.etas)
        pairs = zip(*density_pairs(self.num_channels, num_radial, self.cross_terms), strict=True)

        def label(density: int) -> str:
            return f"{channels[density // num_radial]}{density % num_radial}"

        return [
            f"legendre l={degree} [{label(first)} {label(second)}]"
            for first, second in pairs
            for degree in range(self.max_degree + 1)
        ]


class TripletFunctions(FunctionGroup):
    r""":math:`2^{1-\zeta} \sum_{j<k} (1+\lambda\cos\theta_{jik})^\zeta\, g(r_{ij})\, g(r_{ik})\, h(r_{jk})`.

    Narrow (type 3 of RuNNer and n2p2; Behler's G⁴, https://doi.org/10.1063/1.3553717):
    :math:`h = e^{-\eta r_{jk}^2} f_c(r_{jk})`. Wide (type 9; G⁵): h = 1. Resolved by unordered pairs of channels.

    :param kind: narrow or wide
    """

    def __init__(
        self,
        kind: str,
        basis: GaussianBasis,
        functions: AngularList,
        num_channels: int,
        cutoff: float,
        cutoff_function: str,
    ) -> None:
        super().__init__(kind, basis, cutoff, cutoff_function, functions=functions)
        self.num_functions = len(functions.zetas) * num_channels * (num_channels + 1) // 2


def legendre_expansion(zeta: int) -> list[float]:
    r"""Coefficients a_l of :math:`2^{1-\zeta}(1+x)^\zeta = \sum_l a_l P_l(x)`, l = 0..ζ.

    :math:`a_l = 2(2l+1)\,\zeta!^2 / [(\zeta-l)!\,(\zeta+l+1)!]`.
    """
    square = math.factorial(zeta) ** 2
    return [
        2 * (2 * degree + 1) * square / (math.factorial(zeta - degree) * math.factorial(zeta + degree + 1))
        for degree in range(zeta + 1)
    ]


class WideFunctions(TripletFunctions):
    r"""Wide functions from moments: cost linear in the number of neighbours.

    :math:`2^{1-\zeta}(1+\lambda\cos\theta)^\zeta` is a sum of Legendre polynomials of degree ≤ ζ, and the sum of one
    of these over pairs of neighbours is a product of moments. With few neighbours and a large ζ the sum over
    pairs is cheaper; `fewest_neighbors` decides.
    """

    coefficients: torch.Tensor

    def __init__(
        self, basis: GaussianBasis, functions: AngularList, num_channels: int, cutoff: float, cutoff_function: str
    ) -> None:
        super().__init__("wide", basis, functions, num_channels, cutoff, cutoff_function)
        self.max_degree = max(functions.zetas)
        num_degrees = self.max_degree + 1
        self.fewest_neighbors = fewest_neighbors_for_moments(len(basis.etas), self.max_degree, len(functions.zetas))
        coefficients = torch.zeros(len(basis.etas), num_degrees, len(functions.zetas), dtype=torch.float64)
        for column, (n, zeta, lambda_) in enumerate(zip(*functions, strict=True)):
            for degree, value in enumerate(legendre_expansion(zeta)):
                coefficients[n, degree, column] = value * lambda_**degree
        self.register_buffer("coefficients", coefficients.flatten(0, 1).to(torch.get_default_dtype()))

    def forward(
        self,
        pair_vectors: torch.Tensor,
        channel_table: torch.Tensor,
        first_pair: torch.Tensor,
        center_element: torch.Tensor,
        neighbor_element: torch.Tensor,
    ) -> torch.Tensor:
        num_atoms = first_pair.shape[0] - 1
        if pair_vectors.shape[0] < self.fewest_neighbors * num_atoms:
            return self.evaluate("wide", pair_vectors, channel_table, first_pair, neighbor_element)
        sums = self.evaluate("degrees", pair_vectors, channel_table, first_pair, neighbor_element)
        functions = sums.reshape(-1, self.coefficients.shape[0]) @ self.coefficients
        return functions.reshape(num_atoms, self.num_functions)


def fewest_neighbors_for_moments(num_radial: int, max_degree: int, num_functions: float) -> float:
    """Mean number of neighbours from which on moments are cheaper than pairs of neighbours.

    A neighbour costs a constant and (L + 1)² terms for the moments, a pair of neighbours a constant and a
    term for each function; the constants (ns) are those of ``benchmarks/crossover.py``, which shows how
    well they do.

    :param num_functions: of a pair of neighbours
    """
    if max_degree > MAX_DEGREE:
        return math.inf
    by_neighbor = 20.0 + (max_degree + 1) ** 2 * (0.85 + 0.2 * num_radial)
    by_pair = 6.0 + 0.6 * num_functions
    return 2.0 + 2.0 * by_neighbor / by_pair
