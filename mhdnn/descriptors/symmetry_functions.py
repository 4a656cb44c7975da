"""The descriptor: radial and angular symmetry functions of every atom from its pair vectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
from ase.data import chemical_symbols
from torch import nn

from mhdnn.descriptors.basis import build_basis
from mhdnn.descriptors.channels import ElementChannels, build_channels
from mhdnn.descriptors.contracted import ContractedFunctions, contracted_angular, contracted_radial
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
from mhdnn.descriptors.listed import ListedFunctions, listed_functions
from mhdnn.errors import ConfigError
from mhdnn.kernels import load_operators

Group = FunctionGroup | ContractedFunctions | ListedFunctions


class SymmetryFunctions(nn.Module):
    """Atom-centred symmetry functions.

    :param cutoff: Å
    :param channels: how neighbours of different elements enter functions that are not contracted
    :param parts: groups of functions, concatenated in this order
    """

    def __init__(self, cutoff: float, channels: ElementChannels, parts: Sequence[Group]) -> None:
        super().__init__()
        self.cutoff = float(cutoff)
        self.channels = channels
        self.parts = nn.ModuleList(parts)
        self.num_functions: int = sum(part.num_functions for part in parts)

    def forward(
        self,
        pair_vectors: torch.Tensor,
        center_index: torch.Tensor,
        center_element: torch.Tensor,
        neighbor_element: torch.Tensor,
    ) -> torch.Tensor:
        """Symmetry functions of every atom, shape (num_atoms, num_functions).

        :param pair_vectors: from centre to neighbour, shape (num_pairs, 3), Å; those beyond a group's cutoff count
            nothing there
        :param center_index: ascending, shape (num_pairs,)
        :param center_element: row of the atom's element in the tables of the model, shape (num_atoms,)
        :param neighbor_element: the same of the neighbours, shape (num_pairs,)
        """
        atoms = torch.arange(center_element.shape[0] + 1, device=center_index.device)
        first_pair = torch.searchsorted(center_index, atoms)
        result = []
        for part in self.parts:
            result.append(part(pair_vectors, self.channels.table, first_pair, center_element, neighbor_element))
        return torch.cat(result, 1)

    @torch.jit.ignore
    def is_learned(self) -> bool:
        """Whether training changes functions: learned channels or contracted functions."""
        return any(parameter.requires_grad for parameter in self.parameters())

    @torch.jit.ignore
    def names(self, atomic_numbers: Sequence[int]) -> list[str]:
        """Readable name of every function."""
        channels = [f"channel{index}" for index in range(self.channels.num_channels)]
        if self.channels.num_channels == len(atomic_numbers):
            channels = [chemical_symbols[number] for number in atomic_numbers]
        return [name for part in self.parts for name in cast(Group, part).names(channels)]


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
            f"`descriptor.angular.kind`: expected contracted, legendre, wide, narrow or wide_by_triplets, got {kind!r}"
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

    :param settings: keys cutoff_function, radial (a part or a list of them), angular (a mapping of parts), and for
        functions that are not contracted channels and num_channels; each part may have its own cutoff. Or
        cutoff_function and functions, which are given one by one (`mhdnn.descriptors.listed`)
    :param atomic_numbers: elements of the model, ascending
    :param cutoff: Å
    :raises ConfigError: if a setting is unknown or out of range
    """
    load_operators()
    cutoff_function = settings["cutoff_function"]
    check_cutoff(cutoff_function, cutoff)
    if "functions" in settings:
        functions = listed_functions(settings, atomic_numbers, cutoff)
        return SymmetryFunctions(cutoff, build_channels("resolved", atomic_numbers, 0), [functions])
    channels = build_channels(
        settings.get("channels", "resolved"), atomic_numbers, int(settings.get("num_channels", 0))
    )
    num_elements = len(atomic_numbers)
    parts: list[Group] = []
    for radial in parts_of(settings["radial"]):
        reach = part_cutoff(radial, "radial", cutoff)
        if radial.get("kind", "plain") == "contracted":
            parts.append(contracted_radial(radial, num_elements, reach, cutoff_function))
        else:
            basis = build_basis(radial, reach)
            parts.append(RadialFunctions(basis, channels.num_channels, reach, cutoff_function))
    for name, angular in settings["angular"].items():
        if angular is None:
            continue
        reach = part_cutoff(angular, f"angular.{name}", cutoff)
        if angular["kind"] == "contracted":
            parts.append(contracted_angular(angular, num_elements, reach, cutoff_function))
        else:
            parts.append(build_angular(angular, reach, cutoff_function, channels.num_channels))
    return SymmetryFunctions(cutoff, channels, parts)


def parts_of(settings: Any) -> list[Mapping[str, Any]]:
    """One group of radial functions, or a list of them."""
    return [settings] if isinstance(settings, Mapping) else list(settings)


def part_cutoff(settings: Mapping[str, Any], name: str, cutoff: float) -> float:
    """The cutoff of a group of functions, Å: its own, or where it has none that of the neighbour list.

    :raises ConfigError: if its own is not positive or reaches beyond the neighbour list
    """
    own = settings.get("cutoff")
    if own is None:
        return cutoff
    if not 0 < float(own) <= cutoff:
        raise ConfigError(
            f"`descriptor.{name}.cutoff`: expected a length up to `cutoff` = {cutoff} Å, that of the neighbour list, "
            f"got {own}; raise `cutoff` or leave this one out (null)"
        )
    return float(own)
