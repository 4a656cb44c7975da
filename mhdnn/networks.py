r"""Atomic networks: from symmetry functions to the energy of an atom.

`SharedNetwork` is the MHDNN: the same weights for all atoms, the element is an input. `PerElementNetwork`
is the Behler–Parrinello baseline behind the same interface.

Both are a small multilayer perceptron plus a linear skip: the energy is
:math:`E_i = s\,\mathrm{MLP}(G_i, x_i) + \mathbf w\cdot[1, x_i]\otimes[1, G_i]` with the species feature
x. The linear part can be fitted directly (ridge regression) before training starts.
"""

from collections.abc import Sequence
from typing import cast

import torch
from torch import nn

from mhdnn.errors import ConfigError
from mhdnn.kernels import load_operators

ACTIVATIONS: dict[str, type[nn.Module]] = {"silu": nn.SiLU, "tanh": nn.Tanh, "softplus": nn.Softplus}


class AtomicNumberFeature(nn.Module):
    """The atomic number, centred and scaled over the elements of the model (the published MHDNN)."""

    table: torch.Tensor

    def __init__(self, atomic_numbers: Sequence[int]) -> None:
        super().__init__()
        numbers = torch.tensor(atomic_numbers, dtype=torch.float64)
        spread = numbers.std(correction=0) if len(atomic_numbers) > 1 else torch.tensor(1.0)
        table = ((numbers - numbers.mean()) / spread).unsqueeze(1)
        self.register_buffer("table", table.to(torch.get_default_dtype()))
        self.num_features = 1

    def forward(self, element_index: torch.Tensor) -> torch.Tensor:
        return self.table.index_select(0, element_index)


class EmbeddingFeature(nn.Module):
    """A learned vector for each element; starts at distinct unit vectors."""

    def __init__(self, num_elements: int, dimension: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        table = torch.randn(num_elements, dimension, generator=generator, dtype=torch.float64)
        square = min(num_elements, dimension)
        table[:square, :square] = torch.eye(square, dtype=torch.float64)
        self.table = nn.Parameter(table.to(torch.get_default_dtype()))
        self.num_features = dimension

    def forward(self, element_index: torch.Tensor) -> torch.Tensor:
        return self.table.index_select(0, element_index)


def multilayer_perceptron(num_inputs: int, hidden: Sequence[int], activation: str) -> nn.Sequential:
    """Fully connected layers with one linear output; the output layer starts small."""
    if activation not in ACTIVATIONS:
        raise ConfigError(f"`network.activation`: expected one of {sorted(ACTIVATIONS)}, got {activation!r}")
    layers: list[nn.Module] = []
    sizes = [num_inputs, *hidden]
    for size_in, size_out in zip(sizes[:-1], sizes[1:], strict=True):
        layers += [nn.Linear(size_in, size_out), ACTIVATIONS[activation]()]
    output = nn.Linear(sizes[-1], 1, bias=False)
    with torch.no_grad():
        output.weight.mul_(0.1)
    return nn.Sequential(*layers, output)


class AtomicNetwork(nn.Module):
    """What a potential needs of its network.

    :param linear_weight: weights of the linear part, empty without one
    :param linear_change: what of them the last fit of a training has added (`mhdnn.training.final_fit`)
    :param output_scale: energy scale of the perceptron's output, eV
    """

    linear_skip: bool
    linear_weight: torch.Tensor
    linear_change: torch.Tensor
    output_scale: torch.Tensor

    def linear_table(self) -> torch.Tensor:
        """Numbers t of the elements in the linear part, shape (num_elements, num_blocks)."""
        raise TypeError(f"{type(self).__name__} has no linear part")

    def linear_blocks(self) -> torch.Tensor:
        """Weights w of each number of the table, shape (num_blocks, 1 + num_functions)."""
        return self.linear_weight.view(self.linear_table().shape[1], -1)

    def trained_blocks(self) -> torch.Tensor:
        """`linear_blocks` as gradient descent has left them, from which further training begins."""
        return (self.linear_weight - self.linear_change).view_as(self.linear_blocks())

    def linear_energies(self, products: torch.Tensor, element_index: torch.Tensor) -> torch.Tensor:
        r""":math:`\mathbf w\cdot\mathbf t_{Z_i}\otimes[1, G_i]`, shape (num_atoms,), eV.

        :param products: of functions and weights of each block, shape (num_atoms, num_blocks)
        """
        table = self.linear_table().index_select(0, element_index)
        return (table * (products + self.linear_blocks()[:, 0])).sum(1)

    def linear_part(self, functions: torch.Tensor, element_index: torch.Tensor) -> torch.Tensor:
        """`linear_energies` of functions."""
        products = nn.functional.linear(functions, self.linear_blocks()[:, 1:])
        return self.linear_energies(products, element_index)


def with_linear_change(network: nn.Module, state: dict[str, torch.Tensor], prefix: str, *_: object) -> None:
    """Hook of `load_state_dict`: of older files is not known what their last fit has added."""
    state.setdefault(f"{prefix}linear_change", torch.zeros_like(cast(AtomicNetwork, network).linear_change))


class SharedNetwork(AtomicNetwork):
    """One network for all elements.

    :param num_functions: length of the descriptor
    :param species_feature: maps element indices to features, shape (num_atoms, num_features)
    :param hidden: nodes of each hidden layer
    :param linear_skip: whether the linear part exists
    """

    def __init__(
        self,
        num_functions: int,
        species_feature: AtomicNumberFeature | EmbeddingFeature,
        hidden: Sequence[int],
        activation: str,
        linear_skip: bool,
    ) -> None:
        super().__init__()
        num_species_features = int(species_feature.num_features)
        self.species_feature = species_feature
        self.activation = activation
        self.perceptron = multilayer_perceptron(num_functions + num_species_features, hidden, activation)
        self.linear_skip = linear_skip
        num_linear = (1 + num_functions) * (1 + num_species_features) if linear_skip else 0
        self.linear_weight = nn.Parameter(torch.zeros(num_linear), requires_grad=linear_skip)
        self.register_buffer("linear_change", torch.zeros(num_linear))
        self.register_load_state_dict_pre_hook(with_linear_change)
        self.register_buffer("output_scale", torch.ones(()))

    def linear_table(self) -> torch.Tensor:
        """One and the species features: :math:`[1, x_Z]`."""
        species = self.species_feature.table
        return torch.cat([torch.ones_like(species[:, :1]), species], 1)

    def forward(self, functions: torch.Tensor, element_index: torch.Tensor) -> torch.Tensor:
        """Atomic energies without reference energies, shape (num_atoms,), eV.

        :param functions: scaled symmetry functions, shape (num_atoms, num_functions)
        :param element_index: row of each atom's element, shape (num_atoms,)
        """
        if not torch.jit.is_scripting():  # noqa: SIM102  TorchScript leaves out what is within this condition alone
            if self.training and load_operators().kind == "compiled":
                return self._compiled(functions, element_index)
        weight, bias = self.perceptron[0].weight, self.perceptron[0].bias
        assert isinstance(weight, torch.Tensor)  # tells the type checker
        assert isinstance(bias, torch.Tensor)
        num_functions, num_nodes = functions.shape[1], weight.shape[0]
        # what the first layer adds for the species is the same for all atoms of an element
        shares = nn.functional.linear(self.species_feature.table, weight[:, num_functions:], bias)
        weight = weight[:, :num_functions]
        if self.linear_skip:  # in one product: the functions are the largest of all arrays
            weight = torch.cat([weight, self.linear_blocks()[:, 1:]])
        products = nn.functional.linear(functions, weight)
        values = products[:, :num_nodes] + shares.index_select(0, element_index)
        for number, layer in enumerate(self.perceptron):
            if number > 0:
                values = layer(values)
        energies = values.squeeze(1) * self.output_scale
        if self.linear_skip:
            energies = energies + self.linear_energies(products[:, num_nodes:], element_index)
        return energies

    @torch.jit.unused
    def _compiled(self, functions: torch.Tensor, element_index: torch.Tensor) -> torch.Tensor:
        """The same by one operator, with the two derivatives that a training needs; it can't be traced."""
        weights, activation = self.for_operators()
        energies: torch.Tensor = torch.ops.mhdnn.network_energies(
            functions, element_index, *weights[:3], weights[3:], activation
        )
        return energies

    def for_operators(self) -> tuple[list[torch.Tensor], str]:
        """Species table, weights of the linear part, scale, weights and biases of the layers; the activation."""
        layers = self.perceptron.parameters()
        return [self.species_feature.table, self.linear_weight, self.output_scale, *layers], self.activation


class PerElementNetwork(AtomicNetwork):
    """One network for each element (Behler and Parrinello 2007)."""

    def __init__(
        self,
        num_functions: int,
        num_elements: int,
        hidden: Sequence[int],
        activation: str,
        linear_skip: bool,
    ) -> None:
        super().__init__()
        self.num_elements = num_elements
        self.perceptrons = nn.ModuleList(
            [multilayer_perceptron(num_functions, hidden, activation) for _ in range(num_elements)]
        )
        self.linear_skip = linear_skip
        num_linear = (1 + num_functions) * num_elements if linear_skip else 0
        self.linear_weight = nn.Parameter(torch.zeros(num_linear), requires_grad=linear_skip)
        self.register_buffer("linear_change", torch.zeros(num_linear))
        self.register_load_state_dict_pre_hook(with_linear_change)
        self.register_buffer("output_scale", torch.ones(()))

    def linear_table(self) -> torch.Tensor:
        """A block for each element."""
        return torch.eye(self.num_elements, dtype=self.linear_weight.dtype, device=self.linear_weight.device)

    def forward(self, functions: torch.Tensor, element_index: torch.Tensor) -> torch.Tensor:
        """Atomic energies without reference energies, shape (num_atoms,), eV."""
        energies = torch.zeros_like(functions[:, 0])
        for element, perceptron in enumerate(self.perceptrons):
            atoms = torch.nonzero(element_index == element).squeeze(1)
            values = perceptron(functions.index_select(0, atoms)).squeeze(1)
            energies = energies.index_add(0, atoms, values)
        energies = energies * self.output_scale
        if self.linear_skip:
            energies = energies + self.linear_part(functions, element_index)
        return energies
