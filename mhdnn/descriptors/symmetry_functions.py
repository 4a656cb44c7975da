"""The descriptor: radial and angular symmetry functions of every atom from its pair vectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
from ase.data import chemical_symbols
from torch import nn

from mhdnn.descriptors.angular import LegendreFunctions, WideFunctions, angular_products
from mhdnn.descriptors.channels import ElementChannels, build_channels
from mhdnn.descriptors.cutoff import build_cutoff
from mhdnn.descriptors.neighborhood import FunctionGroup, Neighborhood, gather_pairs, neighbor_table
from mhdnn.descriptors.radial import GaussianBasis, RadialFunctions
from mhdnn.descriptors.triplets import NarrowFunctions, WideFunctionsByTriplets
from mhdnn.errors import ConfigError


class SymmetryFunctions(nn.Module):
    """Atom-centred symmetry functions in plain torch: the oracle, and what runs without a compiler.

    :param cutoff: Å
    :param cutoff_function: :math:`f_c`
    :param channels: how neighbours of different elements enter
    :param parts: modules that map a `Neighborhood` to functions, concatenated in this order
    """

    def __init__(
        self, cutoff: float, cutoff_function: nn.Module, channels: ElementChannels, parts: Sequence[FunctionGroup]
    ) -> None:
        super().__init__()
        self.cutoff = float(cutoff)
        self.cutoff_function = cutoff_function
        self.channels = channels
        self.parts = nn.ModuleList(parts)
        self.num_functions: int = sum(part.num_functions for part in parts)

    def forward(
        self,
        pair_vectors: torch.Tensor,
        center_index: torch.Tensor,
        neighbor_element: torch.Tensor,
        num_atoms: int,
    ) -> torch.Tensor:
        """Symmetry functions of every atom, shape (num_atoms, num_functions).

        :param pair_vectors: from centre to neighbour, shape (num_pairs, 3), Å
        :param center_index: ascending, shape (num_pairs,)
        :param neighbor_element: row of the neighbour's element in the channel table, shape (num_pairs,)
        """
        table = neighbor_table(center_index, num_atoms)
        nowhere = torch.zeros(3, dtype=pair_vectors.dtype, device=pair_vectors.device)
        nowhere[0] = 2.0 * self.cutoff
        vectors = gather_pairs(pair_vectors, table, nowhere)
        distance = torch.sqrt((vectors * vectors).sum(-1))
        any_element = torch.zeros(1, dtype=torch.long, device=table.device)
        element = torch.cat([neighbor_element, any_element]).index_select(0, table.reshape(-1))
        neighborhood = Neighborhood(
            distance,
            vectors / distance.unsqueeze(-1),
            self.cutoff_function(distance),
            self.channels(element.reshape(table.shape)),
        )
        result = []
        for part in self.parts:
            result.append(part(neighborhood))
        return torch.cat(result, 1)

    @torch.jit.ignore
    def names(self, atomic_numbers: Sequence[int]) -> list[str]:
        """Readable name of every function."""
        channels = [f"channel{index}" for index in range(self.channels.num_channels)]
        if self.channels.num_channels == len(atomic_numbers):
            channels = [chemical_symbols[number] for number in atomic_numbers]
        return [name for part in self.parts for name in cast(FunctionGroup, part).names(channels)]


def spaced_gaussians(num: int, first: float, last: float, width: float) -> GaussianBasis:
    """Gaussians at equal distances; ``width`` is their standard deviation in units of the spacing.

    :raises ConfigError: if they don't fit between ``first`` and ``last``
    """
    if num < 1 or not last > first:
        raise ConfigError(f"radial functions: expected num >= 1 and last > first, got {num}, {first}, {last}")
    shifts = torch.linspace(first, last, num, dtype=torch.float64)
    spacing = (last - first) / max(num - 1, 1)
    etas = torch.full_like(shifts, 0.5 / (width * spacing) ** 2)
    return GaussianBasis(etas, shifts)


def listed_gaussians(etas: Sequence[float], shifts: Sequence[float]) -> GaussianBasis:
    """Every η with every r_s."""
    pairs = [(eta, shift) for eta in etas for shift in shifts]
    table = torch.tensor(pairs, dtype=torch.float64)
    return GaussianBasis(table[:, 0], table[:, 1])


def build_basis(settings: Mapping[str, Any], cutoff: float) -> GaussianBasis:
    """Radial basis from settings: either ``etas`` and ``shifts``, or ``num``, ``first``, ``last``, ``width``.

    ``last: null`` puts the last Gaussian one spacing inside the cutoff.
    """
    if "etas" in settings:
        return listed_gaussians(settings["etas"], settings["shifts"])
    num, first, last = int(settings["num"]), float(settings["first"]), settings["last"]
    if last is None:
        last = cutoff - (cutoff - first) / num
    return spaced_gaussians(num, first, float(last), float(settings["width"]))


def build_angular(
    settings: Mapping[str, Any], cutoff: float, num_channels: int, cutoff_function: nn.Module
) -> FunctionGroup:
    """Angular functions from settings; ``kind`` is legendre, wide, narrow or wide_by_triplets.

    :raises ConfigError: for an unknown kind
    """
    kind = settings["kind"]
    basis = build_basis(settings["radial"], cutoff)
    if kind == "legendre":
        return LegendreFunctions(basis, int(settings["max_degree"]), num_channels, bool(settings["cross_terms"]))
    triplet_kinds = {"narrow": NarrowFunctions, "wide_by_triplets": WideFunctionsByTriplets}
    if kind == "wide" or kind in triplet_kinds:
        functions = angular_products(len(basis.etas), settings["zetas"], settings["lambdas"])
        if kind == "wide":
            return WideFunctions(basis, functions, num_channels)
        return triplet_kinds[kind](basis, functions, num_channels, cutoff_function)
    raise ConfigError(f"`descriptor.angular.kind`: expected legendre, wide, narrow or wide_by_triplets, got {kind!r}")


def build_descriptor(settings: Mapping[str, Any], atomic_numbers: Sequence[int], cutoff: float) -> SymmetryFunctions:
    """The descriptor that the group ``descriptor`` of the configuration describes.

    :param settings: keys cutoff_function, channels, num_channels, radial, angular (a mapping of parts)
    :param atomic_numbers: elements of the model, ascending
    :param cutoff: Å
    :raises ConfigError: if a setting is unknown or out of range
    """
    cutoff_function = build_cutoff(settings["cutoff_function"], cutoff)
    channels = build_channels(settings["channels"], atomic_numbers, int(settings["num_channels"]))
    parts: list[FunctionGroup] = [RadialFunctions(build_basis(settings["radial"], cutoff), channels.num_channels)]
    for angular in settings["angular"].values():
        if angular is not None:
            parts.append(build_angular(angular, cutoff, channels.num_channels, cutoff_function))
    return SymmetryFunctions(cutoff, cutoff_function, channels, parts)
