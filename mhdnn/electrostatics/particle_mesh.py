"""One large structure: real-space pairs as a sparse matrix, the smooth rest on a mesh."""

from __future__ import annotations

import warnings

import torch

from mhdnn.electrostatics.background import Background, Cell
from mhdnn.electrostatics.blocks import Block, Groups, Solver
from mhdnn.electrostatics.ewald import RealSpacePairs, Splitting, real_space_pairs
from mhdnn.electrostatics.field import open_potential_at, periodic_potential_at
from mhdnn.electrostatics.gaussians import gaussian_potential, pair_width
from mhdnn.electrostatics.iterative import IterativeSolver
from mhdnn.electrostatics.mesh import Mesh, MeshResolution
from mhdnn.electrostatics.periodic import ewald_pair_values
from mhdnn.units import COULOMB_CONSTANT


class ParticleMeshBlock(Block):
    r"""A structure with none, two or three periodic directions.

    :param atoms: atoms of the batch, shape (num_atoms,)
    :param positions: of these atoms, shape (num_atoms, 3), Å
    :param widths: of these atoms, shape (num_atoms,), Å
    :param cell: cell of the mesh; of an open structure a box around it
    :param truncation: R of an open structure, Å; None with periodic directions
    """

    def __init__(
        self,
        atoms: torch.Tensor,
        positions: torch.Tensor,
        widths: torch.Tensor,
        cell: Cell,
        splitting: Splitting,
        resolution: MeshResolution,
        truncation: float | None,
    ) -> None:
        self.atoms = atoms
        self.num_structures = 1
        self.structure_index = torch.zeros_like(atoms)
        self.positions, self.widths, self.cell, self.splitting = positions, widths, cell, splitting
        self.truncation = truncation
        self.smearing = positions.new_tensor(splitting.smearing)
        self.pairs, half = real_space_pairs(positions, cell.vectors, splitting.cutoff)
        self.half = RealSpacePairs(*(array[half] for array in self.pairs))
        own = gaussian_potential(torch.zeros_like(widths), pair_width(widths, widths))
        own = own - gaussian_potential(torch.zeros_like(self.smearing), self.smearing)
        self.mesh = Mesh(positions, cell.vectors, splitting.smearing, resolution, truncation)
        self.parameters = (
            self._pair_values(self.half),
            COULOMB_CONSTANT * own,
            self.mesh.weights,
            self.mesh.green,
            *(self._background().tensors if truncation is None else ()),
        )
        self._sparse: torch.Tensor | None = None

    def _pair_values(self, pairs: RealSpacePairs) -> torch.Tensor:
        columns = self.positions.unbind(1)
        shifts = (pairs.shifts @ self.cell.vectors).unbind(1)
        squared = sum(
            (column.index_select(0, pairs.second) - column.index_select(0, pairs.first) + shift).square()
            for column, shift in zip(columns, shifts, strict=True)
        )
        widths = pair_width(self.widths.index_select(0, pairs.first), self.widths.index_select(0, pairs.second))
        return ewald_pair_values(squared, widths, self.smearing)

    def _background(self) -> Background:
        return Background(
            self.cell.prefactor()[None],
            self.positions.new_tensor([self.cell.constant(self.splitting.smearing)]),
            self.cell.offset(self.widths)[None],
            self.cell.height(self.widths)[None],
        )

    def potential(self, charges: torch.Tensor, *parameters: torch.Tensor) -> torch.Tensor:
        pair_values, self_values, weights, green, *background = parameters
        result = self_values * charges + self.mesh.potential(charges, weights, green)
        first, second = self.half.first, self.half.second
        result = result.index_add(0, first, pair_values * charges.index_select(0, second))
        result = result.index_add(0, second, pair_values * charges.index_select(0, first))
        if background:
            result = result + Background(*background).potential(charges[None])[0]
        return result

    def sparse_matrix(self) -> torch.Tensor:
        """Real-space part of A in compressed rows; made when first needed, without gradient."""
        if self._sparse is None:
            with torch.no_grad(), warnings.catch_warnings():
                warnings.filterwarnings("ignore", message="Sparse", category=UserWarning)  # torch: beta state
                values = self._pair_values(self.pairs)
                size = len(self.positions)
                rows = torch.searchsorted(self.pairs.first, torch.arange(size + 1, device=values.device))
                self._sparse = torch.sparse_csr_tensor(
                    rows.to(torch.int32),
                    self.pairs.second.to(torch.int32),
                    values,
                    (size, size),
                    check_invariants=False,
                )
        return self._sparse

    def product(self, charges: torch.Tensor) -> torch.Tensor:
        """A q without gradient: sparse product, two interpolations, two transforms."""
        _, self_values, _, _, *background = self.parameters
        result = self.sparse_matrix() @ charges + self_values.detach() * charges + self.mesh.product(charges)
        if background:
            tensors = [tensor.detach() for tensor in background]
            result = result + Background(*tensors).potential(charges[None])[0]
        return result

    def solver(self, hardness: torch.Tensor, groups: Groups) -> Solver:
        diagonal = hardness + COULOMB_CONSTANT / (self.widths.detach() * torch.pi**0.5)
        return IterativeSolver(self.product, hardness, diagonal, groups)

    def potential_at(self, points: torch.Tensor, charges: torch.Tensor) -> torch.Tensor:
        if self.truncation is not None:
            return open_potential_at(points, charges, self.positions, self.widths)
        return periodic_potential_at(points, charges, self.positions, self.widths, self.cell, self.splitting)
