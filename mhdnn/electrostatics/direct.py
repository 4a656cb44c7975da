r"""Structures without periodic directions: :math:`A_{ij} = k_e\,\mathrm{erf}(r/\sqrt2\gamma_{ij})/r` as it stands."""

from __future__ import annotations

import torch

from mhdnn.electrostatics.blocks import Block, Groups, Padding, Solver
from mhdnn.electrostatics.dense import DenseSolver
from mhdnn.electrostatics.field import open_potential_at
from mhdnn.electrostatics.gaussians import gaussian_potential, pair_width
from mhdnn.units import COULOMB_CONSTANT


class DirectBlock(Block):
    """Open structures of different sizes, padded; no loop over structures.

    :param atoms: atoms of the batch, shape (num_atoms,)
    :param positions: of these atoms, shape (num_atoms, 3), Å
    :param widths: of these atoms, shape (num_atoms,), Å
    :param structure_index: counted within the block, shape (num_atoms,)
    """

    def __init__(
        self,
        atoms: torch.Tensor,
        positions: torch.Tensor,
        widths: torch.Tensor,
        structure_index: torch.Tensor,
        num_structures: int,
    ) -> None:
        self.atoms = atoms
        self.structure_index = structure_index
        self.num_structures = num_structures
        self.padding = Padding(structure_index, num_structures)
        self.positions = positions
        self.widths = widths
        self.parameters = (self._matrix(),)

    def _matrix(self) -> torch.Tensor:
        """A, shape (num_structures, width, width), eV/e²; zero where there is no atom."""
        positions = self.padding.pad(self.positions)
        mask = self.padding.mask
        widths = torch.where(mask, self.padding.pad(self.widths), torch.ones_like(mask, dtype=self.widths.dtype))
        squared = (positions[:, :, None, :] - positions[:, None, :, :]).square().sum(-1)
        values = gaussian_potential(squared, pair_width(widths[:, :, None], widths[:, None, :]))
        both = (mask[:, :, None] & mask[:, None, :]).to(values.dtype)
        return COULOMB_CONSTANT * both * values

    def potential(self, charges: torch.Tensor, *parameters: torch.Tensor) -> torch.Tensor:
        (matrix,) = parameters
        return self.padding.unpad((matrix @ self.padding.pad(charges)[:, :, None]).squeeze(-1))

    def solver(self, hardness: torch.Tensor, groups: Groups) -> Solver:
        matrix = self.parameters[0].detach()
        return DenseSolver(matrix, self.padding, hardness, groups, matrix.new_zeros(self.num_structures))

    def potential_at(self, points: torch.Tensor, charges: torch.Tensor) -> torch.Tensor:
        return open_potential_at(points, charges, self.positions, self.widths)
