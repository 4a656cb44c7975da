r"""Charge equilibration by a dense factorisation, many structures at once.

.. math:: \begin{pmatrix} M & C \\ C^T & 0 \end{pmatrix} \begin{pmatrix} x \\ \mu \end{pmatrix}
          = \begin{pmatrix} b \\ t \end{pmatrix}, \qquad M = A + \mathrm{diag}\,J

by Cholesky factors of M and the Schur complement :math:`C^T M^{-1} C`. The Coulomb matrix of a slab is
positive definite only for charges that add up to zero; adding a constant to all its elements, which does
not change x at given sums, makes it positive definite for all.
"""

from __future__ import annotations

import torch

from mhdnn.electrostatics.blocks import Groups, Padding, Solver
from mhdnn.errors import ElectrostaticsError

SMALLEST_PIVOT = 1e-13
"""Of a diagonal element: a matrix with smaller pivots is singular within round-off."""


class DenseSolver(Solver):
    """Cholesky factors of the structures of one block.

    :param matrix: Coulomb matrices, shape (num_structures, width, width), eV/e²
    :param padding: where the atoms are in the matrices
    :param hardness: shape (num_atoms,), eV/e²
    :param constant: added to all elements of a structure's matrix, shape (num_structures,), eV/e²
    :raises ElectrostaticsError: if a matrix is not positive definite
    """

    def __init__(
        self,
        matrix: torch.Tensor,
        padding: Padding,
        hardness: torch.Tensor,
        groups: Groups,
        constant: torch.Tensor,
    ) -> None:
        self.padding = padding
        self.constant = constant
        self.groups = groups
        mask = padding.mask
        diagonal = torch.where(mask, padding.pad(hardness), torch.ones_like(mask, dtype=hardness.dtype))
        both = mask[:, :, None] & mask[:, None, :]
        full = torch.where(both, matrix + constant[:, None, None], torch.zeros_like(matrix))
        full = full + torch.diag_embed(diagonal)
        self.factor, failed = torch.linalg.cholesky_ex(full)
        pivots = self.factor.diagonal(dim1=1, dim2=2).square() / full.diagonal(dim1=1, dim2=2)
        singular = (failed > 0) | ~(pivots > SMALLEST_PIVOT).all(1)
        if bool(singular.any()):
            raise indefinite(f"{int(singular.sum())} of {len(singular)} structures")
        self.members, self.rank = _group_columns(groups, padding)
        self.response = torch.cholesky_solve(self.members, self.factor)
        schur = self.members.transpose(1, 2) @ self.response
        absent = torch.diag_embed((self.members.sum(1) == 0).to(schur.dtype))
        self.schur, failed = torch.linalg.cholesky_ex(schur + absent)
        if bool(failed.any()):
            raise indefinite("the response to the total charges")

    def solve(
        self, right_side: torch.Tensor, totals: torch.Tensor, start: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        free = torch.cholesky_solve(self.padding.pad(right_side)[:, :, None], self.factor)
        padded_totals = totals.new_zeros(self.members.shape[0] * self.members.shape[2], 1)
        padded_totals = padded_totals.index_copy(0, self.rank, totals[:, None])
        padded_totals = padded_totals.reshape(self.members.shape[0], self.members.shape[2], 1)
        multiplier = torch.cholesky_solve(self.members.transpose(1, 2) @ free - padded_totals, self.schur)
        solution = self.padding.unpad((free - self.response @ multiplier).squeeze(-1))
        multiplier = multiplier.reshape(-1).index_select(0, self.rank)
        # the constant acted on the structure's total charge
        structure_total = totals.new_zeros(len(self.constant)).index_add(0, self.groups.structure, totals)
        return solution, multiplier + (self.constant * structure_total).index_select(0, self.groups.structure)


def indefinite(what: str) -> ElectrostaticsError:
    return ElectrostaticsError(
        f"`hardness`: expected a positive definite Coulomb matrix plus hardness, got an indefinite or singular "
        f"one for {what}; look for atoms at the same place and for a hardness that is too small"
    )


def _group_columns(groups: Groups, padding: Padding) -> tuple[torch.Tensor, torch.Tensor]:
    """Which atoms belong to which group of their structure.

    :return: members, shape (num_structures, width, most groups of a structure), and the place of each group
        in the flattened (structure, group of the structure)
    """
    group_padding = Padding(groups.structure, padding.num_structures)
    members = torch.zeros(
        padding.num_structures * padding.width, group_padding.width, dtype=torch.float64, device=groups.index.device
    )
    column = (group_padding.slot % group_padding.width).index_select(0, groups.index)
    members[padding.slot, column] = 1.0
    return members.reshape(padding.num_structures, padding.width, group_padding.width), group_padding.slot
