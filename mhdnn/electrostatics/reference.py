r"""Coulomb matrices of Gaussian charges in plain torch: what the core's electrostatics are compared with.

A dense matrix for each structure, differentiable to any order by positions, cell and widths: pairs as they stand for
open structures, Ewald sums (`ewald`) with two or three periodic directions. Charges solve

.. math:: \begin{pmatrix} A + \mathrm{diag} J & 1 \\ 1^T & 0 \end{pmatrix}
          \begin{pmatrix} q \\ \mu \end{pmatrix} = \begin{pmatrix} -\chi \\ Q \end{pmatrix}

(A. K. Rappé and W. A. Goddard III, J. Phys. Chem. 95, 3358 (1991), https://doi.org/10.1021/j100161a070; with networks
for :math:`\chi`: S. A. Ghasemi et al., Phys. Rev. B 92, 045131 (2015), https://doi.org/10.1103/PhysRevB.92.045131).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from mhdnn.electrostatics.background import background_matrix
from mhdnn.electrostatics.ewald import choose_splitting, greens_function, real_space_pairs, wave_vectors
from mhdnn.electrostatics.gaussians import gaussian_potential, pair_width
from mhdnn.electrostatics.slab import periodic_cell
from mhdnn.units import COULOMB_CONSTANT


def coulomb_matrix(
    positions: torch.Tensor,
    cell: torch.Tensor,
    pbc: torch.Tensor,
    widths: torch.Tensor,
    accuracy: float,
    smearing: float | None = None,
) -> torch.Tensor:
    """A of one structure, shape (num_atoms, num_atoms), eV/e²; arguments as those of `build_coulomb`."""
    if not bool(pbc.any()):
        squared = (positions[:, None, :] - positions).square().sum(-1)
        return COULOMB_CONSTANT * gaussian_potential(squared, pair_width(widths[:, None], widths))
    largest = 2.0**0.5 * float(widths.detach().max())
    box = periodic_cell(positions, cell, pbc, largest, accuracy)
    splitting = choose_splitting(float(box.volume.detach()), largest, accuracy, smearing)
    eta = positions.new_tensor(splitting.smearing)
    first, second, shifts = real_space_pairs(positions, box.vectors, splitting.cutoff)
    vectors = positions.index_select(0, second) - positions.index_select(0, first) + shifts @ box.vectors
    squared, width = vectors.square().sum(1), pair_width(widths.index_select(0, first), widths.index_select(0, second))
    pairs = gaussian_potential(squared, width) - gaussian_potential(squared, eta)
    zero = torch.zeros_like(widths)
    own = gaussian_potential(zero, pair_width(widths, widths)) - gaussian_potential(zero, eta)
    numbers = wave_vectors(box.vectors.detach().cpu().numpy(), splitting.reciprocal_cutoff)
    waves = 2.0 * torch.pi * torch.from_numpy(numbers).to(positions) @ torch.linalg.inv(box.vectors).T
    weights = 2.0 * greens_function(waves.square().sum(1), box.volume, splitting.smearing)  # 2: for k and -k
    phases = positions @ waves.T
    cosine, sine = torch.cos(phases), torch.sin(phases)
    matrix = (cosine * weights) @ cosine.T + (sine * weights) @ sine.T + torch.diag(own)
    for pair in ((first, second), (second, first)):
        matrix = matrix.index_put(pair, pairs, accumulate=True)
    return COULOMB_CONSTANT * matrix + background_matrix(box, splitting.smearing, widths)


class ReferenceStructures:
    """The class ``torch.classes.mhdnn.Structures`` of the operators, without a choice of the solver.

    :param counts: atoms of each structure, shape (num_structures,)
    """

    def __init__(
        self,
        positions: torch.Tensor,
        cell: torch.Tensor,
        pbc: torch.Tensor,
        counts: torch.Tensor,
        widths: torch.Tensor,
        accuracy: float,
        solver: int,
        smearing: float,
    ) -> None:
        self._given = (positions, cell, pbc, counts, widths)
        self._settings = (accuracy, solver, smearing)
        self._cell, self._pbc, self._counts, self._widths = cell, pbc, counts.tolist(), widths
        self._accuracy, self._smearing = accuracy, smearing or None
        self._geometry = (positions, torch.zeros_like(cell))
        self._matrices: list[torch.Tensor] | None = None

    def part(self, number: int) -> ReferenceStructures:
        """One of the structures."""
        positions, cell, pbc, counts, widths = self._given
        own = slice(number, number + 1)
        places, spread = (tensor.split(self._counts)[number] for tensor in (positions, widths))
        return ReferenceStructures(places, cell[own], pbc[own], counts[own], spread, *self._settings)

    def together(self, others: Sequence[ReferenceStructures]) -> ReferenceStructures:
        """These structures and others."""
        columns = zip(self._given, *(other._given for other in others), strict=True)
        positions, cell, pbc, counts, widths = (torch.cat(tensors) for tensors in columns)
        return ReferenceStructures(positions, cell, pbc, counts, widths, *self._settings)

    def num_bytes(self) -> int:
        """Nothing is built before it is used."""
        return 0

    def matrices(self, positions: torch.Tensor, strain: torch.Tensor) -> list[torch.Tensor]:
        """A of each structure."""
        if self._matrices is None or self._geometry[0] is not positions or self._geometry[1] is not strain:
            self._geometry = (positions, strain)
            symmetric = 0.5 * (strain + strain.transpose(1, 2))
            cells = self._cell + self._cell @ symmetric
            moved = [own + own @ e for own, e in zip(positions.split(self._counts), symmetric, strict=True)]
            parts = zip(moved, cells, self._pbc, self._widths.split(self._counts), strict=True)
            self._matrices = [
                coulomb_matrix(*part, self._accuracy, self._smearing) if len(part[0]) else positions.new_zeros(0, 0)
                for part in parts
            ]
        return self._matrices

    def potential(self, charges: torch.Tensor, positions: torch.Tensor, strain: torch.Tensor) -> torch.Tensor:
        matrices = self.matrices(positions, strain)
        return torch.cat([matrix @ own for matrix, own in zip(matrices, charges.split(self._counts), strict=True)])

    def equilibrate(
        self,
        electronegativity: torch.Tensor,
        totals: torch.Tensor,
        hardness: torch.Tensor,
        positions: torch.Tensor,
        strain: torch.Tensor,
        tolerance: float,
    ) -> torch.Tensor:
        parts = (tensor.split(self._counts) for tensor in (electronegativity, hardness))
        found = [equilibrated(*part) for part in zip(self.matrices(positions, strain), *parts, totals, strict=True)]
        return torch.cat(found)

    def strain_per_atom(self, p: torch.Tensor, q: torch.Tensor) -> torch.Tensor:
        """An atom's share is the derivative of that of the whole by the atom's weight."""
        positions = self._geometry[0].detach()
        strain = torch.zeros_like(self._cell).requires_grad_()
        weights = torch.ones_like(q).requires_grad_()
        with torch.enable_grad():
            form = 0.5 * weights * (p * self.potential(q, positions, strain) + q * self.potential(p, positions, strain))
            (by_strain,) = torch.autograd.grad(form.sum(), strain, create_graph=True)
            total = by_strain.sum(0)
            columns = [
                torch.autograd.grad(total[place], weights, retain_graph=True)[0]
                for place in ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))
            ]
        return torch.stack(columns, 1)

    def start_from(self, charges: torch.Tensor | None, adjoint: torch.Tensor | None) -> None:
        """Nothing is iterated here."""

    def adjoint(self) -> torch.Tensor:
        return torch.zeros_like(self._widths)

    def iterations(self) -> list[int]:
        return []


def equilibrated(
    matrix: torch.Tensor, electronegativity: torch.Tensor, hardness: torch.Tensor, total: torch.Tensor
) -> torch.Tensor:
    """Charges of one structure, shape (num_atoms,), e."""
    size = len(hardness)
    ones = torch.ones_like(hardness)[:, None]
    above = torch.cat([matrix + torch.diag(hardness), ones], 1)
    below = torch.cat([ones.T, matrix.new_zeros(1, 1)], 1)
    right_side = torch.cat([-electronegativity, total[None]])
    return torch.linalg.solve(torch.cat([above, below]), right_side)[:size]
