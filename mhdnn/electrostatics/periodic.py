"""Periodic structures and slabs of moderate size: Ewald sums with explicit wave vectors, several at once."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn.functional import pad as pad_tensor

from mhdnn.electrostatics.background import Background, Cell
from mhdnn.electrostatics.blocks import Block, Groups, Padding, Solver
from mhdnn.electrostatics.dense import DenseSolver
from mhdnn.electrostatics.ewald import Splitting, greens_function, real_space_pairs, wave_vectors
from mhdnn.electrostatics.field import periodic_potential_at
from mhdnn.electrostatics.gaussians import gaussian_potential, pair_width
from mhdnn.units import COULOMB_CONSTANT


def ewald_pair_values(squared: torch.Tensor, widths: torch.Tensor, smearing: torch.Tensor) -> torch.Tensor:
    r""":math:`k_e[\varphi_0(r^2,\gamma) - \varphi_0(r^2,\eta)]`, eV/e²; the rest of the kernel is smooth.

    :param squared: :math:`r^2`, shape (num_pairs,), Å²
    :param widths: :math:`\gamma` of each pair, shape (num_pairs,), Å
    :param smearing: :math:`\eta`, a number or one for each pair, Å
    """
    return COULOMB_CONSTANT * (gaussian_potential(squared, widths) - gaussian_potential(squared, smearing))


class PeriodicBlock(Block):
    """Structures with two or three periodic directions, padded.

    :param atoms: atoms of the batch, structure after structure, shape (num_atoms,)
    :param positions: of these atoms, shape (num_atoms, 3), Å
    :param widths: of these atoms, shape (num_atoms,), Å
    :param structure_index: counted within the block, ascending, shape (num_atoms,)
    :param cells: of each structure
    :param splittings: of each structure
    """

    def __init__(
        self,
        atoms: torch.Tensor,
        positions: torch.Tensor,
        widths: torch.Tensor,
        structure_index: torch.Tensor,
        cells: Sequence[Cell],
        splittings: Sequence[Splitting],
    ) -> None:
        self.atoms = atoms
        self.structure_index = structure_index
        self.num_structures = len(cells)
        self.padding = Padding(structure_index, len(cells))
        self.positions, self.widths, self.cells, self.splittings = positions, widths, cells, splittings
        self.smearing = positions.new_tensor([splitting.smearing for splitting in splittings])
        pair_values, self.first, self.second = self._real_space()
        ones = torch.zeros_like(widths), pair_width(widths, widths), self.smearing[structure_index]
        squared, doubled, smearing = ones
        self_values = gaussian_potential(squared, doubled) - gaussian_potential(squared, smearing)
        self.parameters = (
            pair_values,
            COULOMB_CONSTANT * self_values,
            *self._reciprocal(),
            *self._background().tensors,
        )

    def _real_space(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Values of the pairs of all structures, and their atoms."""
        counts = torch.bincount(self.structure_index, minlength=self.num_structures).tolist()
        firsts, seconds, shifts, start = [], [], [], 0
        for cell, splitting, count in zip(self.cells, self.splittings, counts, strict=True):
            pairs = real_space_pairs(self.positions[start : start + count], cell.vectors, splitting.cutoff)
            firsts.append(pairs.first + start)
            seconds.append(pairs.second + start)
            shifts.append(pairs.shifts @ cell.vectors)
            start += count
        first, second = torch.cat(firsts), torch.cat(seconds)
        vectors = self.positions.index_select(0, second) - self.positions.index_select(0, first) + torch.cat(shifts)
        widths = pair_width(self.widths.index_select(0, first), self.widths.index_select(0, second))
        smearing = self.smearing.index_select(0, self.structure_index.index_select(0, first))
        return ewald_pair_values(vectors.square().sum(1), widths, smearing), first, second

    def _reciprocal(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Cosines and sines, shape (num_structures, width, num_vectors), and weights of the wave vectors, eV/e²."""
        numbers = [
            wave_vectors(cell.vectors.detach().cpu().numpy(), splitting.reciprocal_cutoff)
            for cell, splitting in zip(self.cells, self.splittings, strict=True)
        ]
        most = max(1, *(len(some) for some in numbers))
        vectors, weights = [], []
        for some, cell, splitting in zip(numbers, self.cells, self.splittings, strict=True):
            whole = torch.from_numpy(some).to(self.positions)
            waves = 2.0 * torch.pi * whole @ torch.linalg.inv(cell.vectors).T
            # 2: for k and -k
            weight = 2.0 * greens_function(waves.square().sum(1), cell.volume, splitting.smearing)
            vectors.append(pad_tensor(waves, (0, 0, 0, most - len(some))))
            weights.append(pad_tensor(weight, (0, most - len(some))))
        phases = self.padding.pad(self.positions) @ torch.stack(vectors).transpose(1, 2)
        mask = self.padding.mask[:, :, None].to(phases.dtype)
        return torch.cos(phases) * mask, torch.sin(phases), COULOMB_CONSTANT * torch.stack(weights)

    def _background(self) -> Background:
        splits = torch.split(self.widths, torch.bincount(self.structure_index, minlength=self.num_structures).tolist())
        offsets = torch.cat([cell.offset(widths) for cell, widths in zip(self.cells, splits, strict=True)])
        heights = torch.cat([cell.height(widths) for cell, widths in zip(self.cells, splits, strict=True)])
        constants = [
            cell.constant(splitting.smearing) for cell, splitting in zip(self.cells, self.splittings, strict=True)
        ]
        return Background(
            torch.stack([cell.prefactor() for cell in self.cells]),
            self.positions.new_tensor(constants),
            self.padding.pad(offsets),
            self.padding.pad(heights),
        )

    def potential(self, charges: torch.Tensor, *parameters: torch.Tensor) -> torch.Tensor:
        pair_values, self_values, cosine, sine, weights, *background = parameters
        padded = self.padding.pad(charges)
        row = padded[:, None, :]
        waves = (weights[:, None, :] * (row @ cosine)) @ cosine.transpose(1, 2)
        waves = waves + (weights[:, None, :] * (row @ sine)) @ sine.transpose(1, 2)
        smooth = self.padding.unpad(waves.squeeze(1) + Background(*background).potential(padded))
        pairs = self_values * charges
        pairs = pairs.index_add(0, self.first, pair_values * charges.index_select(0, self.second))
        pairs = pairs.index_add(0, self.second, pair_values * charges.index_select(0, self.first))
        return pairs + smooth

    def matrix(self) -> torch.Tensor:
        """A without gradient, shape (num_structures, width, width), eV/e²; padding is not zero everywhere."""
        pair_values, self_values, cosine, sine, weights, *background = (tensor.detach() for tensor in self.parameters)
        root = weights.sqrt()[:, None, :]
        scaled = torch.cat([cosine * root, sine * root], dim=2)
        matrix = scaled @ scaled.transpose(1, 2) + Background(*background).matrix()
        slot, width = self.padding.slot, self.padding.width
        first, second = slot.index_select(0, self.first), slot.index_select(0, self.second)
        flat = matrix.reshape(-1)
        flat.index_add_(0, first * width + second % width, pair_values)
        flat.index_add_(0, second * width + first % width, pair_values)
        flat.index_add_(0, slot * width + slot % width, self_values)
        return matrix

    def solver(self, hardness: torch.Tensor, groups: Groups) -> Solver:
        largest = float(self.widths.detach().max()) * 2.0**0.5
        constants = [cell.convexity_constant(largest) for cell in self.cells]
        return DenseSolver(self.matrix(), self.padding, hardness, groups, hardness.new_tensor(constants))

    def potential_at(self, points: torch.Tensor, charges: torch.Tensor) -> torch.Tensor:
        return periodic_potential_at(points, charges, self.positions, self.widths, self.cells[0], self.splittings[0])
