"""The descriptor: radial and angular symmetry functions of every atom from its pair vectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
from ase.data import chemical_symbols
from torch import nn

from mhdnn.descriptors.basis import build_basis
from mhdnn.descriptors.channels import ElementChannels, build_channels
from mhdnn.descriptors.cutoff import check_cutoff
from mhdnn.descriptors.groups import (
    FunctionGroup,
    LegendreFunctions,
    RadialFunctions,
    TripletFunctions,
    WideFunctions,
    angular_list,
    angular_products,
)
from mhdnn.errors import ConfigError
from mhdnn.kernels import load_operators


class SymmetryFunctions(nn.Module):
    """Atom-centred symmetry functions.

    :param cutoff: Å
    :param channels: how neighbours of different elements enter
    :param parts: groups of functions, concatenated in this order
    """

    def __init__(self, cutoff: float, channels: ElementChannels, parts: Sequence[FunctionGroup]) -> None:
        super().__init__()
        self.cutoff = float(cutoff)
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
        atoms = torch.arange(num_atoms + 1, device=center_index.device)
        first_pair = torch.searchsorted(center_index, atoms)
        result = []
        for part in self.parts:
            result.append(part(pair_vectors, self.channels.table, first_pair, neighbor_element))
        return torch.cat(result, 1)

    @torch.jit.ignore
    def names(self, atomic_numbers: Sequence[int]) -> list[str]:
        """Readable name of every function."""
        channels = [f"channel{index}" for index in range(self.channels.num_channels)]
        if self.channels.num_channels == len(atomic_numbers):
            channels = [chemical_symbols[number] for number in atomic_numbers]
        return [name for part in self.parts for name in cast(FunctionGroup, part).names(channels)]


def build_angular(settings: Mapping[str, Any], cutoff: float, cutoff_function: str, num_channels: int) -> FunctionGroup:
    """Angular functions from settings; ``kind`` is legendre, wide, narrow or wide_by_triplets.

    :raises ConfigError: for an unknown kind
    """
    kind = settings["kind"]
    basis = build_basis(settings["radial"], cutoff)
    if kind == "legendre":
        degree, cross_terms = int(settings["max_degree"]), bool(settings["cross_terms"])
        return LegendreFunctions(basis, degree, num_channels, cross_terms, cutoff, cutoff_function)
    if kind not in ("wide", "narrow", "wide_by_triplets"):
        raise ConfigError(
            f"`descriptor.angular.kind`: expected legendre, wide, narrow or wide_by_triplets, got {kind!r}"
        )
    if "functions" in settings:
        functions = angular_list(settings["functions"])
    else:
        functions = angular_products(len(basis.etas), settings["zetas"], settings["lambdas"])
    if kind == "wide":
        return WideFunctions(basis, functions, num_channels, cutoff, cutoff_function)
    kind = "narrow" if kind == "narrow" else "wide"
    return TripletFunctions(kind, basis, functions, num_channels, cutoff, cutoff_function)


def build_descriptor(settings: Mapping[str, Any], atomic_numbers: Sequence[int], cutoff: float) -> SymmetryFunctions:
    """The descriptor that the group ``descriptor`` of the configuration describes.

    :param settings: keys cutoff_function, channels, num_channels, radial, angular (a mapping of parts)
    :param atomic_numbers: elements of the model, ascending
    :param cutoff: Å
    :raises ConfigError: if a setting is unknown or out of range
    """
    load_operators()
    cutoff_function = settings["cutoff_function"]
    check_cutoff(cutoff_function, cutoff)
    channels = build_channels(settings["channels"], atomic_numbers, int(settings["num_channels"]))
    basis = build_basis(settings["radial"], cutoff)
    parts: list[FunctionGroup] = [RadialFunctions(basis, channels.num_channels, cutoff, cutoff_function)]
    for angular in settings["angular"].values():
        if angular is not None:
            parts.append(build_angular(angular, cutoff, cutoff_function, channels.num_channels))
    return SymmetryFunctions(cutoff, channels, parts)
