"""Electrostatic potential at points that are not atoms."""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy.spatial import cKDTree

from mhdnn.electrostatics.background import Cell
from mhdnn.electrostatics.ewald import Splitting, greens_function, wave_vectors
from mhdnn.electrostatics.gaussians import gaussian_potential
from mhdnn.electrostatics.slab import lengthened
from mhdnn.units import COULOMB_CONSTANT

LARGEST_PHASES = 4_000_000
"""Points times wave vectors that are held at once."""


def open_potential_at(
    points: torch.Tensor, charges: torch.Tensor, positions: torch.Tensor, widths: torch.Tensor
) -> torch.Tensor:
    """Potential of a structure without periodic directions at points, shape (num_points,), V.

    :param points: shape (num_points, 3), Å
    :param charges: shape (num_atoms,), e
    """
    parts = []
    for some in points.split(max(1, LARGEST_PHASES // len(positions))):
        squared = (some[:, None, :] - positions).square().sum(-1)
        parts.append(gaussian_potential(squared, widths) @ charges)
    return COULOMB_CONSTANT * torch.cat(parts)


def periodic_potential_at(
    points: torch.Tensor,
    charges: torch.Tensor,
    positions: torch.Tensor,
    widths: torch.Tensor,
    cell: Cell,
    splitting: Splitting,
) -> torch.Tensor:
    r"""Potential that a point charge would feel, shape (num_points,), V.

    Images of a slab in its extended cell are as far from the slab as the vacuum that its atoms need; a point above it
    is nearer to them. The cell is made so long that points within that vacuum are as far from images as atoms are;
    beyond it nothing varies in the plane, and the potential is that of charged planes (area S),
    :math:`-\frac{2\pi k_e}{S}\sum_i q_i |z - z_i|`.

    :param points: shape (num_points, 3), Å
    :param charges: shape (num_atoms,), e
    """
    if cell.heights is None or cell.normal is None:
        return _ewald_sum_at(points, charges, positions, widths, cell, splitting)
    longer = lengthened(cell, math.ceil(cell.thickness + 2.0 * cell.vacuum))
    heights = (points - positions[0]) @ cell.normal + cell.heights[0]
    near = torch.nonzero(heights.detach().abs() <= 0.5 * cell.thickness + cell.vacuum).squeeze(1)
    planes = heights * charges.sum() - (cell.heights * charges).sum()
    far = -cell.length * cell.prefactor() * torch.sign(heights.detach()) * planes
    if len(near) == 0:
        return far
    sums = _ewald_sum_at(points.index_select(0, near), charges, positions, widths, longer, splitting)
    return far.index_copy(0, near, sums)


def _ewald_sum_at(
    points: torch.Tensor,
    charges: torch.Tensor,
    positions: torch.Tensor,
    widths: torch.Tensor,
    cell: Cell,
    splitting: Splitting,
) -> torch.Tensor:
    """Real-space pairs, wave vectors and the background."""
    numbers = wave_vectors(cell.vectors.detach().cpu().numpy(), splitting.reciprocal_cutoff)
    waves = 2.0 * torch.pi * torch.from_numpy(numbers).to(positions) @ torch.linalg.inv(cell.vectors).T
    weights = 2.0 * greens_function(waves.square().sum(1), cell.volume, splitting.smearing)
    size = max(1, LARGEST_PHASES // max(1, len(waves)))
    cosine, sine = waves.new_zeros(len(waves)), waves.new_zeros(len(waves))
    for some, q in zip(positions.split(size), charges.split(size), strict=True):
        phases = some @ waves.T
        cosine = cosine + q @ torch.cos(phases)
        sine = sine + q @ torch.sin(phases)
    box = cell.vectors.detach().cpu().numpy()
    around = AtomsAround(positions.detach().cpu().numpy(), box, splitting.cutoff)
    parts = []
    for some in points.split(min(size, max(1000, len(positions)))):
        phases = some @ waves.T
        smooth = torch.cos(phases) @ (weights * cosine) + torch.sin(phases) @ (weights * sine)
        parts.append(smooth + _real_space(some, charges, positions, widths, cell, splitting, around))
    result = COULOMB_CONSTANT * torch.cat(parts)
    return result + _background(points, charges, widths, cell, splitting.smearing, positions)


class AtomsAround:
    """The atoms of a periodic structure, their images included, near points.

    :param positions: shape (num_atoms, 3), Å
    :param box: rows are cell vectors, shape (3, 3), Å
    :param cutoff: Å
    """

    def __init__(self, positions: np.ndarray, box: np.ndarray, cutoff: float) -> None:
        self.box, self.inverse, self.cutoff = box, np.linalg.inv(box), cutoff
        reach = cutoff * np.linalg.norm(self.inverse, axis=0)  # cutoff in heights of the cell
        fractions = positions @ self.inverse
        self._cells = np.floor(fractions)
        ranges = [np.arange(-math.ceil(r), math.ceil(r) + 1) for r in reach]
        translations = np.stack(np.meshgrid(*ranges, indexing="ij"), -1).reshape(-1, 3)
        images = (fractions - self._cells)[None] + translations[:, None]
        translation, self._atom = np.nonzero(((images >= -reach) & (images <= 1.0 + reach)).all(2))
        self._translation = translations[translation]
        self._tree = cKDTree(images[translation, self._atom] @ box)

    def pairs(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Points, atoms, and the cell vectors (whole numbers) that are added to the atoms, within the cutoff.

        :param points: shape (num_points, 3), Å
        """
        fractions = points @ self.inverse
        cells = np.floor(fractions)
        near = self._tree.query_ball_point((fractions - cells) @ self.box, self.cutoff)
        point = np.repeat(np.arange(len(points)), [len(images) for images in near])
        image = np.concatenate([*near, []]).astype(np.int64)
        atom = self._atom[image]
        return point, atom, self._translation[image] - self._cells[atom] + cells[point]


def _real_space(
    points: torch.Tensor,
    charges: torch.Tensor,
    positions: torch.Tensor,
    widths: torch.Tensor,
    cell: Cell,
    splitting: Splitting,
    around: AtomsAround,
) -> torch.Tensor:
    """Pairs of a point and an atom; the point is a charge without width."""
    found = around.pairs(points.detach().cpu().numpy())
    point, atom, shifts = (torch.from_numpy(array).to(positions.device) for array in found)
    squared = (positions[atom] - points[point] + shifts.to(positions) @ cell.vectors).square().sum(1)
    values = gaussian_potential(squared, widths[atom])
    values = values - gaussian_potential(squared, positions.new_tensor(splitting.smearing))
    return points.new_zeros(len(points)).index_add(0, point, values * charges[atom])


def _background(
    points: torch.Tensor,
    charges: torch.Tensor,
    widths: torch.Tensor,
    cell: Cell,
    smearing: float,
    positions: torch.Tensor,
) -> torch.Tensor:
    """The wave vector zero of `background` for a charge without width."""
    total = charges.sum()
    bracket = cell.constant(smearing) * total + (cell.offset(widths) * charges).sum()
    if cell.heights is not None and cell.normal is not None:
        height = (points - positions[0]) @ cell.normal + cell.heights[0]
        bracket = bracket + height.square() * total - 2.0 * height * (cell.heights * charges).sum()
    return (-cell.prefactor() * bracket).expand(len(points))
