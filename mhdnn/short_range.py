"""The short-range part of a potential: energies of atoms from what their network takes."""

import torch
from torch import nn

from mhdnn.networks import AtomicNetwork


class ShortRange(nn.Module):
    r"""Energies :math:`E_i = E_{ref}(Z_i) + \mathcal N(\mathbf x_i, Z_i)`.

    :param network: of atoms
    :param num_elements: of the potential
    """

    reference_energies: torch.Tensor

    def __init__(self, network: AtomicNetwork, num_elements: int) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("reference_energies", torch.zeros(num_elements, dtype=torch.float64))

    def forward(self, inputs: torch.Tensor, element_index: torch.Tensor) -> torch.Tensor:
        """Energies, shape (num_atoms,), eV, float64.

        :param inputs: scaled symmetry functions, and the scaled charge of a potential that has charges
        :param element_index: shape (num_atoms,)
        """
        return self.with_references(self.network(inputs, element_index), element_index)

    def with_references(self, energies: torch.Tensor, element_index: torch.Tensor) -> torch.Tensor:
        """What the network gives and the reference energies, shape (..., num_atoms), eV, float64."""
        return energies.to(torch.float64) + self.reference_energies.index_select(0, element_index)
