r"""Groups of contracted functions, whose radial functions are learned for the centre's and the neighbour's element.

Neither the length of the descriptor nor its cost grows with the number of elements.

:math:`g_n^{ab}(r) = \sum_k c_{nk}^{ab} f_k(r)` with Gaussians times cutoff :math:`f_k`; contraction by both elements as
in NEP (https://doi.org/10.1103/PhysRevB.104.104309), products of densities by rotation-invariant couplings as in the
atomic cluster expansion (https://doi.org/10.1103/PhysRevB.99.014104).
"""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from mhdnn.descriptors.basis import GaussianBasis, build_basis
from mhdnn.descriptors.couplings import MAX_FOUR_BODY_DEGREE, couplings
from mhdnn.descriptors.groups import check_max_degree
from mhdnn.errors import ConfigError

NOISE = 0.1
"""Of the coefficients that start from unit vectors."""


class ContractedFunctions(nn.Module):
    """Radial or angular functions of contracted densities; `mhdnn.descriptors.contracted_reference` says what they are.

    :param kind: radial or angular
    :param basis: Gaussians f_k
    :param num_elements: of the model
    :param num_densities: n = 1..N
    :param cutoff: Å
    :param cutoff_function: name of :math:`f_c`
    :param max_degree: L of angular functions
    :param four_body_degree: highest degree of four-body functions; 0 for none
    :param four_body_densities: of how many densities, from the first on, four-body functions are made
    :raises ConfigError: for numbers out of range
    """

    def __init__(
        self,
        kind: str,
        basis: GaussianBasis,
        num_elements: int,
        num_densities: int,
        cutoff: float,
        cutoff_function: str,
        max_degree: int = 0,
        four_body_degree: int = 0,
        four_body_densities: int = 0,
    ) -> None:
        super().__init__()
        name = f"descriptor.{kind}"
        if num_densities < 1:
            raise ConfigError(f"`{name}`: expected at least one contracted function, got {num_densities}")
        check_max_degree(max_degree)
        check_four_body(four_body_degree, four_body_densities, min(max_degree, MAX_FOUR_BODY_DEGREE), num_densities)
        self.kind = kind
        self.basis = basis
        self.cutoff = float(cutoff)
        self.cutoff_function = cutoff_function
        self.max_degree = max_degree
        self.num_densities = num_densities
        self.four_body_degree, self.four_body_densities = four_body_degree, four_body_densities
        self.coefficients = nn.Parameter(initial_coefficients(num_elements, num_densities, basis))
        self.num_functions: int = len(self.names([]))

    def forward(
        self,
        pair_vectors: torch.Tensor,
        channel_table: torch.Tensor,
        first_pair: torch.Tensor,
        center_element: torch.Tensor,
        neighbor_element: torch.Tensor,
    ) -> torch.Tensor:
        """Shape (num_atoms, num_functions); as of the other groups, whose channel table is not needed here."""
        return torch.ops.mhdnn.contracted_functions(
            pair_vectors,
            self.coefficients,
            first_pair,
            center_element,
            neighbor_element,
            self.basis.etas,
            self.basis.shifts,
            self.cutoff,
            self.cutoff_function,
            self.max_degree,
            self.kind,
            self.four_body_degree,
            self.four_body_densities,
        )

    @torch.jit.ignore
    def names(self, channels: list[str]) -> list[str]:
        """Readable name of every function; the channels of other groups are not theirs."""
        if self.kind == "radial":
            return [f"contracted radial {n}" for n in range(self.num_densities)]
        three_body = [
            f"contracted l={degree} [{n} {other}]"
            for n in range(self.num_densities)
            for other in range(n, self.num_densities)
            for degree in range(self.max_degree + 1)
        ]
        four_body = [
            f"contracted l={'{} {} {}'.format(*degrees)} [{'{} {} {}'.format(*densities)}]"
            for degrees, triples in couplings(self.four_body_degree, self.four_body_densities)
            for densities in triples
        ]
        return three_body + four_body


def check_four_body(degree: int, densities: int, max_degree: int, num_densities: int) -> None:
    """Refuse four-body functions of moments that aren't there.

    :raises ConfigError: naming the setting
    """
    if not 0 <= degree <= max_degree:
        raise ConfigError(
            f"`descriptor.angular.four_body.max_degree`: expected 0 (none) to {max_degree}, the `max_degree` of the "
            f"angular functions or {MAX_FOUR_BODY_DEGREE}, got {degree}"
        )
    if not 0 <= densities <= num_densities:
        raise ConfigError(
            f"`descriptor.angular.four_body.num_densities`: expected 0 (none) to `num_densities` = {num_densities}, "
            f"got {densities}"
        )


def initial_coefficients(num_elements: int, num_densities: int, basis: GaussianBasis) -> torch.Tensor:
    """Reproducible random coefficients to start from, shape (num_elements, num_elements, num_densities, num_radial).

    Rows are of length one on average and different for each pair of elements. Orthonormal rows did worse: an error of
    0.076 instead of 0.072 eV/Å of the forces of TiO2 after 40 epochs. With one element and as many densities as
    Gaussians there is nothing to mix, and density n is nearly Gaussian n: 0.054 instead of 0.056 eV/Å for silicon.
    """
    generator = torch.Generator().manual_seed(0)
    num_radial = len(basis.etas)
    shape = (num_elements, num_elements, num_densities, num_radial)
    values = torch.randn(shape, generator=generator, dtype=torch.float64) / math.sqrt(num_radial)
    if num_elements == 1 and num_densities == num_radial:
        values = torch.eye(num_radial, dtype=torch.float64) + NOISE * values
    return values.to(torch.get_default_dtype())


def contracted_radial(
    settings: Mapping[str, Any], num_elements: int, cutoff: float, cutoff_function: str
) -> ContractedFunctions:
    """Radial functions from settings: those of the basis, and ``num_functions`` (null: as many as Gaussians)."""
    basis = build_basis(settings, cutoff)
    number = settings["num_functions"]
    number = len(basis.etas) if number is None else int(number)
    return ContractedFunctions("radial", basis, num_elements, number, cutoff, cutoff_function)


def contracted_angular(
    settings: Mapping[str, Any], num_elements: int, cutoff: float, cutoff_function: str
) -> ContractedFunctions:
    """Angular functions from settings: keys radial, num_densities, max_degree, and four_body (max_degree and
    num_densities, or null).
    """
    basis = build_basis(settings["radial"], cutoff)
    four_body = settings["four_body"] or {"max_degree": 0, "num_densities": 0}
    return ContractedFunctions(
        "angular",
        basis,
        num_elements,
        int(settings["num_densities"]),
        cutoff,
        cutoff_function,
        int(settings["max_degree"]),
        int(four_body["max_degree"]),
        int(four_body["num_densities"]),
    )
