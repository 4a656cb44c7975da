"""The potential: atomic energies from pair vectors; forces and stress as their derivatives.

The core knows neither cells nor periodic images: it takes atomic numbers, pairs sorted by centre and
pair vectors. Whatever makes pair vectors (an ASE cell, a batch of structures, ghost atoms) can use it.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Optional

import torch
from torch import nn

from mhdnn.charge_model import ChargeModel
from mhdnn.descriptors import SymmetryFunctions
from mhdnn.domain import TrainingDomain, with_older_ranges
from mhdnn.repulsion import Repulsion
from mhdnn.segments import segment_sum
from mhdnn.short_range import ShortRange
from mhdnn.structure import VOIGT, symmetric_voigt
from mhdnn.uncertainty.model import ErrorModel, with_error_model

DTYPES = {"float32": torch.float32, "float64": torch.float64}
MAX_ATOMIC_NUMBER = 118


class Potential(nn.Module):
    r"""Energies of atoms in three parts: short-range ones, and where it has them those of charges and of close nuclei.

    .. math:: E = \sum_i E_i(G_i, Z_i) \quad\text{or, with charges,}\quad \sum_i E_i(G_i, q_i, Z_i) + \dots

    `mhdnn.factory.build_potential` puts the parts together.

    :param atomic_numbers: elements the potential knows, ascending
    :param descriptor: symmetry functions, which all networks share
    :param short_range: energies from scaled functions; with a charge model from the scaled charge, too
    :param charge_model: what determines the charges, or None
    :param repulsion: of nuclei, below the distances of the training data, or None
    :ivar domain: what it was trained on, `mhdnn.domain`
    :ivar uncertainty: how wrong it may be, `mhdnn.uncertainty`
    """

    element_of_atomic_number: torch.Tensor
    function_mean: torch.Tensor
    function_scale: torch.Tensor

    def __init__(
        self,
        atomic_numbers: Sequence[int],
        descriptor: SymmetryFunctions,
        short_range: ShortRange,
        charge_model: Optional[ChargeModel] = None,
        repulsion: Optional[Repulsion] = None,
    ) -> None:
        super().__init__()
        self.descriptor = descriptor
        self.short_range = short_range
        self.charge_model = charge_model
        self.repulsion = repulsion
        self.cutoff = float(descriptor.cutoff)
        self.domain = TrainingDomain(atomic_numbers, descriptor.names(atomic_numbers), descriptor.cutoff)
        self.uncertainty = ErrorModel(len(atomic_numbers), descriptor.num_functions, descriptor.cutoff)
        elements = torch.full((MAX_ATOMIC_NUMBER + 1,), -1, dtype=torch.long)
        elements[torch.tensor(atomic_numbers, dtype=torch.long)] = torch.arange(len(atomic_numbers))
        self.register_buffer("element_of_atomic_number", elements)
        self.register_buffer("function_mean", torch.zeros(descriptor.num_functions))
        self.register_buffer("function_scale", torch.ones(descriptor.num_functions))
        for upgrade in (with_names_of_parts, with_older_ranges, with_error_model):
            self.register_load_state_dict_pre_hook(upgrade)

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
        """Short-range energies of atoms with these functions, shape (num_centers,), eV, float64.

        :param functions: from `scaled_functions`
        :param element_index: shape (num_centers,)
        :param charges: what a potential with a charge model needs beside them, shape (num_centers,), e
        :raises ValueError: without charges where they are needed
        """
        if self.charge_model is not None:
            if charges is None:
                raise ValueError("`charges`: a potential with a charge model needs them; `mhdnn.prediction` finds them")
            functions = self.charge_model.inputs(functions, element_index, charges)
        return self.short_range(functions, element_index)

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
        """What the linear part of the short-range network sees when it is fitted directly: charges at their means."""
        return functions if self.charge_model is None else nn.functional.pad(functions, (0, 1))

    def forward(
        self,
        vectors: torch.Tensor,
        center_index: torch.Tensor,
        neighbor_index: torch.Tensor,
        atomic_numbers: torch.Tensor,
        charges: Optional[torch.Tensor] = None,
    ) -> torch.Tensor:
        """Atomic energies, at given charges without their electrostatics, shape (num_atoms,), eV, float64.

        :param vectors: from centre to neighbour, shape (num_pairs, 3), Å
        :param center_index: ascending, shape (num_pairs,)
        :param neighbor_index: shape (num_pairs,)
        :param atomic_numbers: shape (num_atoms,)
        :param charges: as in `energies_of`
        :raises ValueError: for an element that the model doesn't know, or without charges where they are needed
        """
        element = self.element_index(atomic_numbers)
        num_atoms = len(atomic_numbers)
        functions = self.scaled_functions(vectors, center_index, neighbor_index, element, num_atoms)
        energies = self.energies_of(functions, element, charges)
        energies = energies + self.repulsion_of(vectors, center_index, neighbor_index, element, num_atoms)
        if self.charge_model is not None and charges is not None:
            energies = energies + self.charge_model.screening(vectors, center_index, neighbor_index, element, charges)
        return energies


PARTS = {
    "network.": "short_range.network.",
    "reference_energies": "short_range.reference_energies",
    "electronegativity_network.": "charge_model.network.",
    **{name: f"charge_model.{name}" for name in (
        "electronegativity_shift", "raw_hardness", "widths", "charge_mean", "charge_scale",
    )},
}  # fmt: skip
"""Beginnings of the names of weights before potentials had parts, and what they are now."""


def with_names_of_parts(potential: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
    """Hook of `load_state_dict`: weights of versions whose potentials had no parts."""
    for name in list(state):
        for before, now in PARTS.items():
            if name.startswith(prefix + before):
                state[prefix + now + name[len(prefix + before) :]] = state.pop(name)


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
    return symmetric_voigt(torch.stack([r.T @ gradient for r, gradient in parts]))


@contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    """Build modules in another precision."""
    previous = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(previous)
