r"""The wave vector zero: neutralising background of a cell, planar term of a slab.

Both have the form

.. math:: A_{ij} \leftarrow A_{ij} - p\,[c + t_i + t_j - 2 z_i z_j], \qquad p = 2\pi k_e/V

- three periodic directions: :math:`c = \eta^2,\ t_i = -s_i^2,\ z_i = 0`
  (so that :math:`\eta^2 - \gamma_{ij}^2`, see `ewald`);
- slab: :math:`c = \eta^2 + L^2/6,\ t_i = z_i^2`, which is the background plus the correction of `slab`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from mhdnn.units import COULOMB_CONSTANT


@dataclass
class Cell:
    r"""The periodic cell of one structure and what its wave vector zero needs.

    :param vectors: of a slab: extended, shape (3, 3), Å
    :param heights: above the middle of a slab, shape (num_atoms,), Å; None with three periodic directions
    :param normal: of a slab, shape (3,)
    :param length: of a slab's extended cell along the normal, Å; 0 with three periodic directions
    :param vacuum: distance from a slab at which its potential no longer varies in the plane, Å
    """

    vectors: torch.Tensor
    heights: torch.Tensor | None = None
    normal: torch.Tensor | None = None
    length: float = 0.0
    vacuum: float = 0.0

    @property
    def thickness(self) -> float:
        """Of a slab, Å."""
        if self.heights is None:
            return 0.0
        lowest, highest = self.heights.detach().aminmax()
        return float(highest - lowest)

    @property
    def volume(self) -> torch.Tensor:
        return torch.linalg.det(self.vectors).abs()

    def prefactor(self) -> torch.Tensor:
        return 2.0 * torch.pi * COULOMB_CONSTANT / self.volume

    def constant(self, smearing: float) -> float:
        return smearing**2 + self.length**2 / 6.0

    def offset(self, widths: torch.Tensor) -> torch.Tensor:
        return -widths.square() if self.heights is None else self.heights.square()

    def height(self, widths: torch.Tensor) -> torch.Tensor:
        return torch.zeros_like(widths) if self.heights is None else self.heights


def background_matrix(cell: Cell, smearing: float, widths: torch.Tensor) -> torch.Tensor:
    """Its part of A, shape (num_atoms, num_atoms), eV/e²."""
    offset, height = cell.offset(widths), cell.height(widths)
    bracket = cell.constant(smearing) + offset[:, None] + offset - 2.0 * height[:, None] * height
    return -cell.prefactor() * bracket
