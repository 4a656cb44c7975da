r"""Atomic networks whose layers are given one by one for each element: those of RuNNer's and n2p2's potentials.

A layer is :math:`\mathbf y = f(W\mathbf x + \mathbf b)`, the last one, too; each element has its own inputs, sizes and
functions f.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from ase.data import chemical_symbols
from torch import nn

from mhdnn.errors import ConfigError
from mhdnn.networks import AtomicNetwork


class Softplus(nn.Module):
    """log(1 + e^x) to the last digit (torch's own is x above 20)."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.softplus(x, 1.0, 50.0)


class Gaussian(nn.Module):
    """exp(-x²/2)."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.exp(-0.5 * x * x)


class Cosine(nn.Module):
    """cos x."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cos(x)


class ReverseLogistic(nn.Module):
    """1 - 1/(1 + e^-x)."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.sigmoid(-x)


class Exponential(nn.Module):
    """e^-x."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.exp(-x)


class Square(nn.Module):
    """x²."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * x


FUNCTIONS: dict[str, type[nn.Module]] = {
    "linear": nn.Identity,
    "tanh": nn.Tanh,
    "logistic": nn.Sigmoid,
    "softplus": Softplus,
    "relu": nn.ReLU,
    "gaussian": Gaussian,
    "cosine": Cosine,
    "reverse_logistic": ReverseLogistic,
    "exponential": Exponential,
    "square": Square,
}
"""Activation functions by name."""


class LayeredNetwork(AtomicNetwork):
    """One network for each element, with inputs and layers of its own.

    :param columns: of each element: which inputs its network takes, in its order
    :param sizes: of each element: nodes of all layers but the first
    :param functions: of each element: names of `FUNCTIONS`, one for each layer
    :raises ConfigError: for an unknown function
    """

    def __init__(
        self,
        columns: Sequence[Sequence[int]],
        sizes: Sequence[Sequence[int]],
        functions: Sequence[Sequence[str]],
    ) -> None:
        super().__init__()
        self.networks = nn.ModuleList(
            [_Network(*of_element) for of_element in zip(columns, sizes, functions, strict=True)]
        )
        self.linear_skip = False
        self.linear_weight = nn.Parameter(torch.zeros(0), requires_grad=False)
        self.register_buffer("output_scale", torch.ones(()))

    @torch.jit.ignore
    def linear_layers(self) -> list[list[nn.Linear]]:
        """The linear part of every layer, for each element."""
        return [[layer for layer in network.modules() if isinstance(layer, nn.Linear)] for network in self.networks]

    def forward(self, functions: torch.Tensor, element_index: torch.Tensor) -> torch.Tensor:
        """Shape (num_atoms,); arguments as of the other networks."""
        result = torch.zeros_like(functions[:, 0])
        for element, network in enumerate(self.networks):
            atoms = torch.nonzero(element_index == element).squeeze(1)
            result = result.index_add(0, atoms, network(functions.index_select(0, atoms)))
        return result * self.output_scale


class _Network(nn.Module):
    """The network of one element."""

    columns: torch.Tensor

    def __init__(self, columns: Sequence[int], sizes: Sequence[int], functions: Sequence[str]) -> None:
        super().__init__()
        if len(sizes) != len(functions) or not sizes or sizes[-1] != 1:
            raise ConfigError(
                f"`network`: expected a function for each layer and one output, got sizes {list(sizes)} and functions "
                f"{list(functions)}"
            )
        layers: list[nn.Module] = []
        size_in = len(columns)
        for size, name in zip(sizes, functions, strict=True):
            if name not in FUNCTIONS:
                raise ConfigError(f"`network.functions`: expected {', '.join(FUNCTIONS)}, got {name!r}")
            layers += [nn.Linear(size_in, size), FUNCTIONS[name]()]
            size_in = size
        self.layers = nn.Sequential(*layers)
        self.register_buffer("columns", torch.tensor(columns, dtype=torch.long))

    def forward(self, functions: torch.Tensor) -> torch.Tensor:
        return self.layers(functions.index_select(1, self.columns)).squeeze(1)


def build_layered_network(settings: Mapping[str, Any], atomic_numbers: Sequence[int]) -> LayeredNetwork:
    """From settings: ``elements``, with ``columns``, ``sizes`` and ``functions`` for each symbol."""
    own = [settings["elements"][chemical_symbols[number]] for number in atomic_numbers]
    return LayeredNetwork(*([of[key] for of in own] for key in ("columns", "sizes", "functions")))
