"""What the parts of a batch have in common: a block holds structures that are treated alike.

A block keeps tensors that carry the gradient (``parameters``: pair values, phases, spline weights) and a
function linear in the charges that uses them. Everything else - energies, charges, adjoint charges and
their derivatives - is written with that function alone.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch


@dataclass
class Groups:
    """Atoms whose charges have a given sum: the structures of a block, or their fragments.

    :param index: group of each atom of the block, shape (num_atoms,)
    :param structure: structure (counted within the block) of each group, shape (num_groups,)
    """

    index: torch.Tensor
    structure: torch.Tensor

    @property
    def num_groups(self) -> int:
        return len(self.structure)

    def sum(self, values: torch.Tensor) -> torch.Tensor:
        """Sums of the values of each group, shape (num_groups,)."""
        return values.new_zeros(self.num_groups).index_add(0, self.index, values)


class Solver(ABC):
    r"""Solves :math:`(A + \mathrm{diag} J) x + C\mu = b,\ C^T x = t`; C sums the atoms of each group."""

    @abstractmethod
    def solve(
        self, right_side: torch.Tensor, totals: torch.Tensor, start: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        r"""x, shape (num_atoms,), and :math:`\mu`, shape (num_groups,); no gradient.

        :param start: guess of x, shape (num_atoms,)
        """


class Block(ABC):
    """Structures that are treated alike.

    :ivar atoms: atoms of the batch that belong to the block, shape (num_atoms,)
    :ivar structure_index: structure of each atom, counted within the block, shape (num_atoms,)
    :ivar num_structures: of the block
    :ivar parameters: tensors that carry the gradient by positions, cell and widths
    """

    atoms: torch.Tensor
    structure_index: torch.Tensor
    num_structures: int
    parameters: tuple[torch.Tensor, ...]

    @abstractmethod
    def potential(self, charges: torch.Tensor, *parameters: torch.Tensor) -> torch.Tensor:
        """A q, differentiable by the charges and the parameters, shape (num_atoms,), eV/e."""

    @abstractmethod
    def solver(self, hardness: torch.Tensor, groups: Groups) -> Solver:
        """The solver of this geometry with this hardness; no gradient."""

    @abstractmethod
    def potential_at(self, points: torch.Tensor, charges: torch.Tensor) -> torch.Tensor:
        """Potential of the block's only structure at points, shape (num_points,), V."""


class Padding:
    """Atoms of structures of different sizes in the rows of one rectangle.

    :param structure_index: shape (num_atoms,)
    """

    def __init__(self, structure_index: torch.Tensor, num_structures: int) -> None:
        counts = torch.bincount(structure_index, minlength=num_structures)
        order = torch.argsort(structure_index, stable=True)
        first = torch.cumsum(counts, 0) - counts
        rank = torch.empty_like(structure_index)
        rank[order] = torch.arange(len(order), device=order.device) - first[structure_index[order]]
        self.num_structures = num_structures
        self.width = int(counts.max())
        self.slot = structure_index * self.width + rank
        self.mask = self.pad(torch.ones(len(structure_index), dtype=torch.bool, device=order.device))

    def pad(self, values: torch.Tensor) -> torch.Tensor:
        """(num_atoms, ...) to (num_structures, width, ...), zero where there is no atom."""
        flat = values.new_zeros((self.num_structures * self.width, *values.shape[1:]))
        return flat.index_copy(0, self.slot, values).reshape(self.num_structures, self.width, *values.shape[1:])

    def unpad(self, values: torch.Tensor) -> torch.Tensor:
        """(num_structures, width, ...) to (num_atoms, ...)."""
        return values.reshape(-1, *values.shape[2:]).index_select(0, self.slot)
