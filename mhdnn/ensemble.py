r"""Several networks on the same symmetry functions: their mean, and how far they are apart.

The members differ in their perceptrons, which start from different random weights; species features and the linear part
are shared. Forces and stress are linear in the energies, so that the potential of the mean energies has the mean
forces. The spread is the standard deviation of the M members (with M - 1). Relatives are shallow ensembles (Kellner,
Ceriotti 2024, https://doi.org/10.1088/2632-2153/ad594a).
"""

from collections.abc import Sequence

import torch
from torch import nn

from mhdnn.networks import ACTIVATIONS, AtomicNumberFeature, EmbeddingFeature, SharedNetwork, multilayer_perceptron


class StackedLinear(nn.Module):
    """Linear layers side by side, from (num_members, num_rows, size_in), or the same rows for all, (num_rows, size_in).

    :param layers: of one size
    """

    def __init__(self, layers: Sequence[nn.Linear]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.stack([layer.weight.detach() for layer in layers]))
        biases = [layer.bias.detach() for layer in layers if layer.bias is not None]
        bias = torch.stack(biases) if biases else torch.zeros(len(layers), layers[0].out_features)
        self.bias = nn.Parameter(bias, requires_grad=bool(biases))

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return torch.matmul(rows, self.weight.transpose(1, 2)) + self.bias.unsqueeze(1)


class EnsembleNetwork(SharedNetwork):
    """The mean of several networks for all elements.

    :param num_members: at least 2
    :param num_functions: length of the descriptor; the other arguments are those of `SharedNetwork`
    """

    def __init__(
        self,
        num_members: int,
        num_functions: int,
        species_feature: AtomicNumberFeature | EmbeddingFeature,
        hidden: Sequence[int],
        activation: str,
        linear_skip: bool,
    ) -> None:
        super().__init__(num_functions, species_feature, hidden, activation, linear_skip)
        num_inputs = num_functions + int(species_feature.num_features)
        others = [multilayer_perceptron(num_inputs, hidden, activation) for _ in range(num_members - 1)]
        layers: list[nn.Module] = []
        for same in zip(self.perceptron, *others, strict=True):
            linear = [layer for layer in same if isinstance(layer, nn.Linear)]
            layers.append(StackedLinear(linear) if linear else ACTIVATIONS[activation]())
        self.perceptron = nn.Sequential(*layers)
        self.num_members = num_members

    @torch.jit.export
    def member_energies(self, functions: torch.Tensor, element_index: torch.Tensor) -> torch.Tensor:
        """Atomic energies of each member without reference energies, shape (num_members, num_atoms), eV."""
        rows = torch.cat([functions, self.species_feature(element_index)], 1)
        energies = self.perceptron(rows).squeeze(2) * self.output_scale
        if self.linear_skip:
            energies = energies + self.linear_part(functions, element_index)
        return energies

    def forward(self, functions: torch.Tensor, element_index: torch.Tensor) -> torch.Tensor:
        """Mean atomic energies, as `SharedNetwork.forward`."""
        return self.member_energies(functions, element_index).mean(0)
