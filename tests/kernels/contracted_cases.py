"""Inputs of the operators of contracted functions."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch

from tests.kernels.cases import CUTOFF, NEIGHBORS, make_case

SHAPES = {
    "radial": {"num_densities": 5, "num_radial": 4, "max_degree": 0, "four_body": (0, 0)},
    "many radial": {"num_densities": 3, "num_radial": 18, "max_degree": 0, "four_body": (0, 0)},
    "three-body": {"num_densities": 5, "num_radial": 3, "max_degree": 4, "four_body": (0, 0)},
    "four-body": {"num_densities": 4, "num_radial": 3, "max_degree": 3, "four_body": (2, 3)},
    "high degrees": {"num_densities": 3, "num_radial": 2, "max_degree": 5, "four_body": (4, 2)},
    "all densities": {"num_densities": 3, "num_radial": 2, "max_degree": 3, "four_body": (3, 3)},
    "many densities": {"num_densities": 19, "num_radial": 2, "max_degree": 1, "four_body": (1, 1)},
}
"""Numbers of densities and radial functions, degrees, and degree and densities of the four-body functions."""


@dataclass(frozen=True)
class DensityCase:
    """Arguments of density_moments, in its order."""

    pair_vectors: torch.Tensor
    coefficients: torch.Tensor
    first_pair: torch.Tensor
    center_element: torch.Tensor
    neighbor_element: torch.Tensor
    etas: torch.Tensor
    shifts: torch.Tensor
    cutoff: float
    cutoff_function: str
    max_degree: int

    def arguments(self) -> tuple:
        return tuple(vars(self).values())

    def settings(self) -> tuple:
        """What follows the pair vectors and the coefficients."""
        return self.arguments()[2:]


@dataclass(frozen=True)
class InvariantCase:
    """Arguments of density_invariants, in its order."""

    moments: torch.Tensor
    four_body_degree: int
    four_body_densities: int

    def arguments(self) -> tuple:
        return tuple(vars(self).values())


def density_case(neighbors: str, shape: str = "three-body", cutoff_function: str = "polynomial") -> DensityCase:
    """A random case; some neighbours lie beyond the cutoff."""
    sizes = SHAPES[shape]
    given = make_case(neighbors)
    num_elements, counts = NEIGHBORS[neighbors]
    generator = torch.Generator().manual_seed(1)
    size = (num_elements, num_elements, sizes["num_densities"], sizes["num_radial"])
    return DensityCase(
        given.pair_vectors,
        torch.randn(size, generator=generator, dtype=torch.float64),
        given.first_pair,
        torch.randint(num_elements, (len(counts),), generator=generator),
        given.neighbor_element,
        torch.linspace(0.4, 0.9, sizes["num_radial"], dtype=torch.float64),
        torch.linspace(0.5, 2.7, sizes["num_radial"], dtype=torch.float64),
        CUTOFF,
        cutoff_function,
        sizes["max_degree"],
    )


def small_density_case(shape: str) -> DensityCase:
    """Small enough for numerical differentiation."""
    case = density_case("two elements", shape)
    center_element = torch.tensor([1, 0, 1])
    return replace(
        case,
        pair_vectors=case.pair_vectors[:7],
        first_pair=torch.tensor([0, 4, 4, 7]),
        center_element=center_element,
        neighbor_element=case.neighbor_element[:7],
    )


def invariant_case(num_atoms: int, shape: str = "four-body") -> InvariantCase:
    """Random moments."""
    sizes = SHAPES[shape]
    generator = torch.Generator().manual_seed(2)
    size = (num_atoms, sizes["num_densities"], (sizes["max_degree"] + 1) ** 2)
    return InvariantCase(torch.randn(size, generator=generator, dtype=torch.float64), *sizes["four_body"])


def in_single_precision(case: Any) -> Any:
    """The same case with float32 tensors."""
    floats = {n: v.float() for n, v in vars(case).items() if isinstance(v, torch.Tensor) and v.is_floating_point()}
    return replace(case, **floats)
