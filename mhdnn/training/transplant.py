r"""Weights of a potential in one for more elements.

For structures of the old elements the new potential is the old one, to round-off, but without what the last fit of its
linear part has added (`mhdnn.training.final_fit`): that makes weights large which few structures determine, and
structures of another kind begin with large errors. A new element starts as a copy of
the **relative** among the old ones that is the most like it: with its row of every table of elements, and with the
weights of the functions of its density. So an alloy of silicon begins with germanium as an isotope of silicon, which
further training makes another element of.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from ase.data import chemical_symbols, covalent_radii
from torch import nn

from mhdnn.descriptors.contracted import ContractedFunctions
from mhdnn.networks import AtomicNetwork, AtomicNumberFeature, EmbeddingFeature, PerElementNetwork, SharedNetwork
from mhdnn.potential import Potential

NOISE = 0.05
"""Of a new element's embedding and coefficients, relative to their root mean square: copies must be able to part."""
GROUPS = {1: (3, 11, 19, 37, 55, 87), 2: (4, 12, 20, 38, 56, 88), 13: (5, 13, 31, 49, 81), 14: (6, 14, 32, 50, 82),
          15: (7, 15, 33, 51, 83), 16: (8, 16, 34, 52, 84), 17: (9, 17, 35, 53, 85),
          18: (2, 10, 18, 36, 54, 86)}  # fmt: skip
"""Groups of the periodic table; transition metals are compared by their radii alone, hydrogen is like none."""
SAME_GROUP = 0.5
"""Å of covalent radius that the same group is worth."""


def relative_of(number: int, others: Sequence[int]) -> int:
    """Index of the element that is the most like another, by its group and covalent radius.

    :param number: atomic number
    :param others: atomic numbers to choose from
    """

    def distance(other: int) -> float:
        same_group = any(number in group and other in group for group in GROUPS.values())
        return round(abs(covalent_radii[number] - covalent_radii[other]) - SAME_GROUP * same_group, 6)

    return min(range(len(others)), key=lambda index: (distance(others[index]), index))


@dataclass(frozen=True)
class Elements:
    """Elements of the old potential and of the new one, ascending.

    :param old: atomic numbers
    :param new: atomic numbers, all old ones among them
    """

    old: list[int]
    new: list[int]

    @property
    def origin(self) -> list[int]:
        """Row in the old tables that each new row begins as."""
        return [self.old.index(z) if z in self.old else relative_of(z, self.old) for z in self.new]

    @property
    def added(self) -> list[int]:
        """Rows of the new tables that the old ones don't have."""
        return [row for row, number in enumerate(self.new) if number not in self.old]

    @property
    def kept(self) -> list[int]:
        """Row in the new tables of each old row."""
        return [self.new.index(number) for number in self.old]

    def words(self) -> str:
        """New elements and what they begin as."""
        pairs = [(self.new[row], self.old[self.origin[row]]) for row in self.added]
        return ", ".join(f"{chemical_symbols[new]} like {chemical_symbols[old]}" for new, old in pairs)


@dataclass(frozen=True)
class FunctionMap:
    """Where the functions of the new potential come from.

    :param num_old: number of functions of the old potential
    :param origin: number of the old function, shape (num_new_functions,); of a function of a new element's density
        that of its relative, whose weights it begins with
    :param is_old: whether it is that function, shape (num_new_functions,), bool
    :param factor: of the weights, shape (num_new_functions,): in :math:`(A + B)^2 = A^2 + 2AB + B^2`, of the product of
        the densities of relatives, it is two
    """

    num_old: int
    origin: torch.Tensor
    is_old: torch.Tensor
    factor: torch.Tensor


def transplant(old: Potential, new: Potential, elements: Elements) -> FunctionMap:
    """Set the weights of the new potential to those of the old one.

    Ranges, repulsion and expected errors are those of data, and left alone.

    :param old: trained
    :param new: of the same settings but for its elements
    """
    functions = function_map(old, new, elements)
    with torch.no_grad():
        for before, after in matching_modules(old, new):
            copy_module(before, after, elements, functions)
        new.short_range.reference_energies.copy_(old.short_range.reference_energies[elements.origin])
        new.short_range.reference_energies[elements.added] = 0.0
        new.function_mean.copy_(torch.where(functions.is_old, old.function_mean[functions.origin], 0.0))
        new.function_scale.copy_(functions.factor * old.function_scale[functions.origin])
        if old.charge_model is not None and new.charge_model is not None:
            for name in ("electronegativity_shift", "raw_hardness", "charge_mean"):
                getattr(new.charge_model, name).copy_(getattr(old.charge_model, name)[elements.origin])
            new.charge_model.charge_scale.copy_(old.charge_model.charge_scale)
            new.charge_model.widths[elements.kept] = old.charge_model.widths
    return functions


def matching_modules(old: Potential, new: Potential) -> Iterator[tuple[nn.Module, nn.Module]]:
    """Parts of both that have weights of their own."""
    yield old.descriptor.channels, new.descriptor.channels
    yield from zip(old.descriptor.parts, new.descriptor.parts, strict=True)
    yield old.short_range.network, new.short_range.network
    if old.charge_model is not None and new.charge_model is not None:
        yield old.charge_model.network, new.charge_model.network


def function_map(old: Potential, new: Potential, elements: Elements) -> FunctionMap:
    """By their names; of functions of a new element's density by the names of the relatives."""
    number = old.descriptor.num_functions
    if number == new.descriptor.num_functions:
        every = torch.arange(number)
        return FunctionMap(number, every, torch.ones(number, dtype=torch.bool), torch.ones(number))
    place = {name: number for number, name in enumerate(old.descriptor.names(elements.old))}
    relatives = {
        chemical_symbols[new]: chemical_symbols[elements.old[origin]]
        for new, origin in zip(elements.new, elements.origin, strict=True)
    }
    names = new.descriptor.names(elements.new)
    found = [(place[name], 1.0) if name in place else _of_relatives(name, relatives, place) for name in names]
    origin, factor = zip(*found, strict=True)
    is_old = torch.tensor([name in place for name in names])
    return FunctionMap(number, torch.tensor(origin), is_old, torch.tensor(factor))


DENSITIES = re.compile(r"\[(.*)\]")
"""In the name of a function, such as ``legendre l=2 [Si0 Ge1]``."""


def _of_relatives(name: str, relatives: Mapping[str, str], place: Mapping[str, int]) -> tuple[int, float]:
    """Number of the old function of the densities of relatives, and the factor of its weights."""
    found = DENSITIES.search(name)
    assert found is not None, name
    words = found[1].split(" ")
    exchanged = [re.sub(r"^[A-Za-z]+", lambda symbol: relatives[symbol[0]], word) for word in words]
    twice = name.startswith("legendre") and words[0] != words[-1] and exchanged[0] == exchanged[-1]
    for order in (exchanged, exchanged[::-1]):  # a product is named by the first of its densities first
        candidate = DENSITIES.sub(f"[{' '.join(order)}]", name)
        if candidate in place:
            return place[candidate], 2.0 if twice else 1.0
    raise AssertionError(f"`{name}`: no function of the relatives {exchanged}")


def copy_module(old: nn.Module, new: nn.Module, elements: Elements, functions: FunctionMap) -> None:
    """Weights of a part, row by row of its table of elements, column by column of its functions."""
    if isinstance(old, ContractedFunctions):
        rows = old.coefficients[elements.origin][:, elements.origin]
        new.get_parameter("coefficients").copy_(rows)
        is_new = torch.zeros(len(elements.new), dtype=torch.bool)
        is_new[elements.added] = True
        shake(new.get_parameter("coefficients"), is_new.unsqueeze(0) | is_new.unsqueeze(1))
    elif isinstance(old, AtomicNetwork):
        copy_network(old, cast(AtomicNetwork, new), elements, functions)
    elif dict(old.named_parameters()):  # channels that are learned
        new.get_parameter("table").copy_(old.get_parameter("table")[elements.origin])
        shake(new.get_parameter("table"), elements.added)


def shake(values: torch.Tensor, rows: torch.Tensor | list[int]) -> None:
    """Reproducible noise on some rows."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(values.shape, generator=generator, dtype=torch.float64).to(values)
    values[rows] += NOISE * values.square().mean().sqrt() * noise[rows]


def copy_network(old: AtomicNetwork, new: AtomicNetwork, elements: Elements, functions: FunctionMap) -> None:
    """Weights of an atomic network: of either kind, or of an ensemble."""
    new.output_scale.copy_(old.output_scale)
    if isinstance(old, PerElementNetwork) and isinstance(new, PerElementNetwork):
        for row, origin in enumerate(elements.origin):
            copy_perceptron(old.perceptrons[origin], new.perceptrons[row], functions)
        if old.linear_skip:
            blocks = columns_of(old.trained_blocks(), functions, first=1)[elements.origin]
            new.linear_weight.copy_(blocks.flatten())
        return
    assert isinstance(old, SharedNetwork)
    assert isinstance(new, SharedNetwork)
    copy_perceptron(old.perceptron, new.perceptron, functions)
    if old.linear_skip:
        new.linear_weight.copy_(columns_of(old.trained_blocks(), functions, first=1).flatten())
    copy_species(old, new, elements)


def copy_perceptron(old: nn.Module, new: nn.Module, functions: FunctionMap) -> None:
    """Of the first layer the columns of the functions, what stands behind them, and all else as it is."""
    state = dict(old.state_dict())
    state["0.weight"] = columns_of(state["0.weight"], functions, first=0)
    new.load_state_dict(state)


def columns_of(weights: torch.Tensor, functions: FunctionMap, first: int) -> torch.Tensor:
    """Columns for the new functions; those before and behind (constant, charge, species) stay.

    :param weights: its last dimension are columns
    :param first: column of the first old function
    """
    before, own, behind = weights.tensor_split([first, first + functions.num_old], dim=-1)
    return torch.cat([before, own[..., functions.origin], behind], dim=-1)


def scale_functions(potential: Potential, scale: torch.Tensor) -> None:
    """Another scale of the functions, and weights with which the potential stays what it is.

    :param scale: positive where the scale so far is, shape (num_functions,)
    """
    ratio = torch.where(scale > 0, potential.function_scale / torch.where(scale > 0, scale, 1.0), 1.0)
    number = len(scale)
    with torch.no_grad():
        for module in potential.modules():
            if isinstance(module, SharedNetwork):
                cast(torch.Tensor, module.perceptron[0].weight)[..., :number] *= ratio
            elif isinstance(module, PerElementNetwork):
                for perceptron in module.perceptrons:
                    cast(nn.Linear, cast(nn.Sequential, perceptron)[0]).weight[:, :number] *= ratio
            if isinstance(module, AtomicNetwork) and module.linear_skip:
                module.linear_blocks()[:, 1 : 1 + number] *= ratio
        potential.function_scale.copy_(scale)


def copy_species(old: SharedNetwork, new: SharedNetwork, elements: Elements) -> None:
    """Features of the elements; where they are scaled atomic numbers, the weights follow the new scale."""
    feature = new.species_feature
    if isinstance(feature, EmbeddingFeature):
        feature.table.copy_(old.species_feature.table[elements.origin])
        shake(feature.table, elements.added)
        return
    assert isinstance(feature, AtomicNumberFeature)
    before, after = old.species_feature.table[:, 0], feature.table[elements.kept, 0]
    slope = 1.0 if len(before) == 1 else float((before[-1] - before[0]) / (after[-1] - after[0]))
    shift = float(before[0] - slope * after[0])  # old feature = slope · new feature + shift
    weight, bias = new.perceptron[0].weight, new.perceptron[0].bias
    species = cast(torch.Tensor, weight)[..., -1]
    cast(torch.Tensor, bias).add_(shift * species)
    species.mul_(slope)
    if new.linear_skip:
        blocks = new.linear_blocks()
        blocks[0] += shift * blocks[1]
        blocks[1] *= slope


def rows_of_new_elements(old: Potential, new: Potential, elements: Elements) -> dict[str, torch.Tensor]:
    """What in the parameters of the new potential is of new elements alone: masks, by the names of the parameters.

    For structures of the old elements these numbers don't count.
    """
    if not elements.added:
        return {}
    functions, is_new = function_map(old, new, elements), torch.zeros(len(elements.new), dtype=torch.bool)
    is_new[elements.added] = True
    masks = {}
    for name, parameter in new.named_parameters():
        mask = torch.zeros(parameter.shape, dtype=torch.bool)
        if name.endswith(".coefficients"):
            mask |= (is_new.unsqueeze(0) | is_new.unsqueeze(1))[..., None, None]
        elif name.endswith(("species_feature.table", "channels.table")):
            mask |= is_new.unsqueeze(1)
        elif name.endswith(("electronegativity_shift", "raw_hardness")):
            mask |= is_new
        elif found := re.search(r"perceptrons\.(\d+)\.", name):
            mask |= is_new[int(found[1])]
        if name.endswith((".perceptron.0.weight", ".linear_weight")) or re.search(
            r"perceptrons\.\d+\.0\.weight$", name
        ):
            columns = ~functions.is_old
            network = new.get_submodule(name.partition("network.")[0] + "network")
            if name.endswith("linear_weight") and isinstance(network, AtomicNetwork) and network.linear_skip:
                blocks = mask.view(network.linear_table().shape[1], -1)
                blocks[:, 1 : 1 + len(columns)] |= columns
                if isinstance(network, PerElementNetwork):
                    blocks |= is_new.unsqueeze(1)
            elif not name.endswith("linear_weight"):
                mask[..., : len(columns)] |= columns
        if bool(mask.any()):
            masks[name] = mask
    return masks
