"""One large structure: real-space pairs as a sparse matrix, the smooth rest on a mesh."""

from __future__ import annotations

import torch

from mhdnn.electrostatics.background import Background
from mhdnn.electrostatics.blocks import Block, Groups, Solver
from mhdnn.electrostatics.ewald import real_space_pairs
from mhdnn.electrostatics.field import open_potential_at, periodic_potential_at
from mhdnn.electrostatics.gaussians import gaussian_potential, pair_width
from mhdnn.electrostatics.iterative import IterativeSolver
from mhdnn.electrostatics.mesh import Mesh, green_on_mesh, influence_on_mesh, sparse_rows, transposed
from mhdnn.electrostatics.open_kernel import open_green_on_mesh
from mhdnn.electrostatics.periodic import ewald_pair_values
from mhdnn.electrostatics.plan import MeshPlan
from mhdnn.electrostatics.preconditioner import MeshPreconditioner
from mhdnn.units import COULOMB_CONSTANT


class ParticleMeshBlock(Block):
    r"""A structure with none, two or three periodic directions.

    :param atoms: atoms of the batch, shape (num_atoms,)
    :param positions: of these atoms, shape (num_atoms, 3), Å
    :param widths: of these atoms, shape (num_atoms,), Å
    :param plan: how the sum is split, and its mesh
    """

    def __init__(
        self,
        atoms: torch.Tensor,
        positions: torch.Tensor,
        widths: torch.Tensor,
        plan: MeshPlan,
    ) -> None:
        self.atoms = atoms
        self.num_structures = 1
        self.structure_index = torch.zeros_like(atoms)
        self.positions, self.widths, self.cell, self.splitting = positions, widths, plan.cell, plan.splitting
        self.box = plan.box
        self.smearing = positions.new_tensor(self.splitting.smearing)
        self.pairs = real_space_pairs(positions, self.cell.vectors, self.splitting.cutoff)
        own = gaussian_potential(torch.zeros_like(widths), pair_width(widths, widths))
        own = own - gaussian_potential(torch.zeros_like(self.smearing), self.smearing)
        self.mesh = Mesh(positions, self.cell.vectors, plan.shape, plan.resolution.order)
        self.parameters = (
            self._pair_values(),
            COULOMB_CONSTANT * own,
            self.mesh.products,
            self._kernel(plan),
            *(self._background().tensors if self.box is None else ()),
        )
        self._sparse: tuple[torch.Tensor, torch.Tensor] | None = None

    def _kernel(self, plan: MeshPlan) -> torch.Tensor:
        """Green's function times influence factors, eV/e²."""
        if self.box is None:
            green = green_on_mesh(self.cell.vectors, plan.shape, self.splitting.smearing)
        else:
            green = open_green_on_mesh(self.box, plan.shape, self.splitting.smearing, self.positions)
        return green * influence_on_mesh(plan.shape, plan.resolution.order, green)

    def _pair_values(self) -> torch.Tensor:
        first, second, shifts = self.pairs
        columns = zip(self.positions.unbind(1), (shifts @ self.cell.vectors).unbind(1), strict=True)
        squared = self.positions.new_zeros(len(first))
        for column, shift in columns:  # one at a time: sums over rows of three are slow
            squared = squared + (column.index_select(0, second) - column.index_select(0, first) + shift).square()
        widths = pair_width(self.widths.index_select(0, first), self.widths.index_select(0, second))
        return ewald_pair_values(squared, widths, self.smearing)

    def _background(self) -> Background:
        return Background(
            self.cell.prefactor()[None],
            self.positions.new_tensor([self.cell.constant(self.splitting.smearing)]),
            self.cell.offset(self.widths)[None],
            self.cell.height(self.widths)[None],
        )

    def potential(self, charges: torch.Tensor, *parameters: torch.Tensor) -> torch.Tensor:
        pair_values, self_values, products, kernel, *background = parameters
        result = self_values * charges + self.mesh.potential(charges, products, kernel)
        first, second, _ = self.pairs
        result = result.index_add(0, first, pair_values * charges.index_select(0, second))
        result = result.index_add(0, second, pair_values * charges.index_select(0, first))
        if background:
            result = result + Background(*background).potential(charges[None])[0]
        return result

    def sparse_matrices(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Real-space pairs and their transpose in compressed rows; made when first needed, without gradient."""
        if self._sparse is None:
            size = len(self.positions)
            starts = torch.searchsorted(self.pairs.first, torch.arange(size + 1, device=self.pairs.first.device))
            half = sparse_rows(starts, self.pairs.second, self.parameters[0].detach(), (size, size))
            self._sparse = half, transposed(half)
        return self._sparse

    def product(self, charges: torch.Tensor) -> torch.Tensor:
        """A q without gradient: sparse products with pairs and interpolation weights, two transforms."""
        _, self_values, _, kernel, *background = (tensor.detach() for tensor in self.parameters)
        result = self_values * charges + self.mesh.product(charges, kernel)
        for half in self.sparse_matrices():
            result += half @ charges
        if background:
            result += Background(*background).potential(charges[None])[0]
        return result

    def solver(self, hardness: torch.Tensor, groups: Groups) -> Solver:
        diagonal = hardness + COULOMB_CONSTANT / (self.widths.detach() * torch.pi**0.5)
        cell = self.cell.vectors.detach()
        smooth = MeshPreconditioner(self.positions.detach(), cell, self.splitting.smearing, diagonal)
        return IterativeSolver(self.product, hardness, groups, [smooth, lambda residual: residual / diagonal])

    def potential_at(self, points: torch.Tensor, charges: torch.Tensor) -> torch.Tensor:
        if self.box is not None:
            return open_potential_at(points, charges, self.positions, self.widths)
        return periodic_potential_at(points, charges, self.positions, self.widths, self.cell, self.splitting)
