"""The potential: atomic energies from pair vectors; forces and stress as their derivatives.

The core knows neither cells nor periodic images: it takes atomic numbers, pairs sorted by centre and
pair vectors. Whatever makes pair vectors (an ASE cell, a batch of structures, ghost atoms) can use it.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Optional

import torch
from torch import nn

from mhdnn.descriptors import SymmetryFunctions
from mhdnn.domain import TrainingDomain, with_older_ranges
from mhdnn.networks import AtomicNetwork
from mhdnn.repulsion import Repulsion
from mhdnn.segments import segment_sum
from mhdnn.structure import VOIGT
from mhdnn.uncertainty.model import ErrorModel, with_error_model

DTYPES = {"float32": torch.float32, "float64": torch.float64}
MAX_ATOMIC_NUMBER = 118


class Potential(nn.Module):
    r"""Short-range MHDNN energy :math:`E = \sum_i E_i(G_i, Z_i)`, and a repulsion of nuclei if it has one.

    :param descriptor: symmetry functions
    :param network: atomic network; takes scaled functions and element indices
    :param atomic_numbers: elements the potential knows, ascending
    :param repulsion: below the distances of the training data, or None
    :ivar domain: what it was trained on, `mhdnn.domain`
    :ivar uncertainty: how wrong it may be, `mhdnn.uncertainty`
    """

    element_of_atomic_number: torch.Tensor
    reference_energies: torch.Tensor
    function_mean: torch.Tensor
    function_scale: torch.Tensor

    def __init__(
        self,
        descriptor: SymmetryFunctions,
        network: AtomicNetwork,
        atomic_numbers: Sequence[int],
        repulsion: Optional[Repulsion] = None,
    ) -> None:
        super().__init__()
        self.descriptor = descriptor
        self.network = network
        self.repulsion = repulsion
        self.cutoff = float(descriptor.cutoff)
        self.domain = TrainingDomain(atomic_numbers, descriptor.names(atomic_numbers), descriptor.cutoff)
        elements = torch.full((MAX_ATOMIC_NUMBER + 1,), -1, dtype=torch.long)
        elements[torch.tensor(atomic_numbers, dtype=torch.long)] = torch.arange(len(atomic_numbers))
        self.register_buffer("element_of_atomic_number", elements)
        self.register_buffer("reference_energies", torch.zeros(len(atomic_numbers), dtype=torch.float64))
        self.register_buffer("function_mean", torch.zeros(descriptor.num_functions))
        self.register_buffer("function_scale", torch.ones(descriptor.num_functions))
        self.register_load_state_dict_pre_hook(with_older_ranges)
        self.uncertainty = ErrorModel(len(atomic_numbers), descriptor.num_functions, descriptor.cutoff)
        self.register_load_state_dict_pre_hook(with_error_model)

    @torch.jit.export
    def element_index(self, atomic_numbers: torch.Tensor) -> torch.Tensor:
        """Row of each atom's element in the tables of the model, shape (num_atoms,)."""
        index = self.element_of_atomic_number.index_select(0, atomic_numbers)
        if bool((index < 0).any()):
            raise ValueError("`atomic_numbers`: an element that the model was not trained for")
        return index

    @torch.jit.export
    def symmetry_functions(
        self,
        vectors: torch.Tensor,
        center_index: torch.Tensor,
        neighbor_index: torch.Tensor,
        element_index: torch.Tensor,
        num_centers: int,
    ) -> torch.Tensor:
        """Symmetry functions, shape (num_centers, num_functions).

        :param num_centers: atoms from this number on are neighbours only (ghosts of other processes)
        """
        return self.descriptor(
            vectors.to(self.function_mean.dtype),
            center_index,
            element_index[:num_centers],
            element_index.index_select(0, neighbor_index),
        )

    @torch.jit.export
    def scaled(self, functions: torch.Tensor) -> torch.Tensor:
        """Symmetry functions as the networks see them: centred, in units of their spread."""
        return (functions - self.function_mean) * self.function_scale

    @torch.jit.export
    def scaled_functions(
        self,
        vectors: torch.Tensor,
        center_index: torch.Tensor,
        neighbor_index: torch.Tensor,
        element_index: torch.Tensor,
        num_centers: int,
    ) -> torch.Tensor:
        """`symmetry_functions`, `scaled`."""
        return self.scaled(self.symmetry_functions(vectors, center_index, neighbor_index, element_index, num_centers))

    @torch.jit.export
    def energies_of(
        self, functions: torch.Tensor, element_index: torch.Tensor, charges: Optional[torch.Tensor] = None
    ) -> torch.Tensor:
        """Energies of atoms with these functions, shape (num_centers,), eV, float64.

        :param functions: from `scaled_functions`
        :param element_index: shape (num_centers,)
        :param charges: what a potential with charge equilibration needs beside them, shape (num_centers,), e
        """
        energies = self.network(functions, element_index).to(torch.float64)
        return energies + self.reference_energies.index_select(0, element_index)

    def repulsion_of(
        self,
        vectors: torch.Tensor,
        center_index: torch.Tensor,
        neighbor_index: torch.Tensor,
        element_index: torch.Tensor,
        num_centers: int,
    ) -> torch.Tensor:
        """Repulsion of nuclei, shape (num_centers,), eV, float64; zero without one."""
        if self.repulsion is None:
            return torch.zeros(num_centers, dtype=torch.float64, device=vectors.device)
        return self.repulsion(vectors, center_index, neighbor_index, element_index, num_centers)

    def linear_inputs(self, functions: torch.Tensor) -> torch.Tensor:
        """What the network's linear part sees when it is fitted directly."""
        return functions

    def forward(
        self,
        vectors: torch.Tensor,
        center_index: torch.Tensor,
        neighbor_index: torch.Tensor,
        atomic_numbers: torch.Tensor,
    ) -> torch.Tensor:
        """Atomic energies, shape (num_atoms,), eV, float64.

        :param vectors: from centre to neighbour, shape (num_pairs, 3), Å
        :param center_index: ascending, shape (num_pairs,)
        :param neighbor_index: shape (num_pairs,)
        :param atomic_numbers: shape (num_atoms,)
        :raises ValueError: for an element that the model doesn't know
        """
        element = self.element_index(atomic_numbers)
        num_atoms = len(atomic_numbers)
        functions = self.scaled_functions(vectors, center_index, neighbor_index, element, num_atoms)
        energies = self.energies_of(functions, element, None)
        return energies + self.repulsion_of(vectors, center_index, neighbor_index, element, num_atoms)


def forces_from_pairs(
    pair_gradient: torch.Tensor, center_index: torch.Tensor, neighbor_index: torch.Tensor, num_atoms: int
) -> torch.Tensor:
    r""":math:`\mathbf F_i = \sum_j (\partial E/\partial\mathbf r_{ij} - \partial E/\partial\mathbf r_{ji})`.

    :param pair_gradient: :math:`\partial E/\partial\mathbf r_{ij}`, shape (num_pairs, 3), eV/Å
    :return: shape (num_atoms, 3), eV/Å
    """
    return segment_sum(pair_gradient, center_index, num_atoms).index_add(0, neighbor_index, -pair_gradient)


def pair_virials(vectors: torch.Tensor, pair_gradient: torch.Tensor) -> torch.Tensor:
    r"""Symmetric :math:`\mathbf r_{ij}\otimes\partial E/\partial\mathbf r_{ij}` of each pair, Voigt.

    :return: shape (num_pairs, 6), eV; its sum is :math:`V\sigma`, its negative the static virial
    """
    r, gradient = vectors.unbind(1), pair_gradient.unbind(1)
    components = [r[a] * gradient[a] if a == b else 0.5 * (r[a] * gradient[b] + r[b] * gradient[a]) for a, b in VOIGT]
    return torch.stack(components, 1)


def virials_from_pairs(vectors: torch.Tensor, pair_gradient: torch.Tensor, num_pairs: list[int]) -> torch.Tensor:
    r"""Sums of `pair_virials` over structures; one product of matrices for each takes a fifth of the time.

    :param num_pairs: of each structure, one after the other
    :return: shape (num_structures, 6), eV
    """
    parts = zip(vectors.split(num_pairs), pair_gradient.split(num_pairs), strict=True)
    products = torch.stack([r.T @ gradient for r, gradient in parts])
    products = 0.5 * (products + products.transpose(1, 2))
    return torch.stack([products[:, a, b] for a, b in VOIGT], 1)


@contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    """Build modules in another precision."""
    previous = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(previous)
