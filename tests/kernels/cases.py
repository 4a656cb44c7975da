"""Inputs of the operator: every kind of function, channels, neighbourhoods."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

CUTOFF = 4.0

KINDS = ("radial", "legendre", "legendre_diagonal", "degrees", "narrow", "wide")
LISTS = ("radial list", "narrow list", "wide list")
CUTOFF_FUNCTIONS = (
    "cosine", "polynomial", "tanh", "tanh_unscaled", "exponential", "polynomial3", "polynomial7", "polynomial9", "hard",
    "cosine:0.3", "polynomial:0.5", "exponential:0.6",
)  # fmt: skip
NEIGHBORS = {
    "one element": (1, [5, 9, 7]),
    "two elements": (2, [12, 3, 8, 7, 15]),
    "three elements": (3, [6, 14, 11]),
    "atoms without neighbors": (2, [0, 6, 0, 0, 4, 0]),
    "one atom": (2, [9]),
    "no pairs": (2, [0, 0]),
    "no atoms": (2, []),
    "many atoms": (2, [(7 * i) % 13 for i in range(45)]),
    "300 neighbors": (2, [300, 2]),
}


@dataclass(frozen=True)
class Case:
    """Arguments of the operator, in its order."""

    pair_vectors: torch.Tensor
    channel_table: torch.Tensor
    first_pair: torch.Tensor
    neighbor_element: torch.Tensor
    etas: torch.Tensor
    shifts: torch.Tensor
    cutoff: float
    cutoff_function: str
    kind: str
    max_degree: int
    cross_terms: bool
    radial_index: list[int]
    zetas: list[int]
    lambdas: list[int]
    elements: list[int] = field(default_factory=list)

    def arguments(self) -> tuple:
        return tuple(vars(self).values())

    def settings(self) -> tuple:
        """What follows the pair vectors and the channel table."""
        return self.arguments()[2:]


def make_case(
    neighbors: str,
    kind: str = "legendre",
    dtype: torch.dtype = torch.float64,
    cutoff_function: str = "cosine",
    channels: str = "resolved",
    device: str = "cpu",
    seed: int = 0,
) -> Case:
    """A random case; some neighbours lie beyond the cutoff."""
    num_elements, counts = NEIGHBORS[neighbors]
    generator = torch.Generator().manual_seed(seed)
    num_pairs = sum(counts)
    directions = torch.randn(num_pairs, 3, generator=generator, dtype=torch.float64)
    distances = 0.9 + (1.05 * CUTOFF - 0.9) * torch.rand(num_pairs, 1, generator=generator, dtype=torch.float64)
    table = torch.eye(num_elements, dtype=torch.float64)
    if channels == "mixed":
        table = torch.randn(num_elements, 2, generator=generator, dtype=torch.float64)
    elements = torch.randint(num_elements, (num_pairs,), generator=generator)
    first_pair = torch.cumsum(torch.tensor([0, *counts]), 0)
    is_list = kind in LISTS
    kind = kind.removesuffix(" list")
    radial_index, zetas, lambdas = [0, 1, 2, 2, 0], [1, 2, 4, 7, 2], [1, -1, 1, -1, -1]
    if is_list:
        radial_index.sort()
    is_angular = kind in ("narrow", "wide")
    last = num_elements - 1
    return Case(
        (distances * directions / directions.norm(dim=1, keepdim=True)).to(device, dtype),
        table.to(device, dtype),
        first_pair.to(device),
        elements.to(device),
        torch.tensor([0.05, 0.4, 1.1], device=device, dtype=dtype),
        torch.tensor([0.0, 1.5, 2.2], device=device, dtype=dtype),
        CUTOFF,
        cutoff_function,
        "legendre" if kind == "legendre_diagonal" else kind,
        5 if kind in ("legendre", "legendre_diagonal", "degrees") else 0,
        kind == "legendre",
        radial_index if is_angular else [],
        zetas if is_angular else [],
        lambdas if is_angular else [],
        ([0, last, 0, last, last, last] if is_angular else [last, last, 0]) if is_list else [],
    )


def small_case(kind: str, **changes: str) -> Case:
    """A case small enough for numerical differentiation, away from the kink of the cutoff function."""
    case = make_case("two elements", kind, cutoff_function="tanh", **changes)
    kept = slice(0, 7)
    return Case(
        case.pair_vectors[kept], case.channel_table, torch.tensor([0, 4, 4, 7]), case.neighbor_element[kept],
        *case.arguments()[4:],
    )  # fmt: skip
