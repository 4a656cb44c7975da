r"""Volume that atoms fill, in all and each: what a slab's thickness, a particle's volume and their stress refer to.

Definition. An atom is a sphere that ends where the next body would begin: its van der Waals radius (Bondi) if it is a
nonmetal, whose layers and molecules touch at this distance (graphite: half of 3.4 Å), otherwise its covalent radius
(metals, B, Si, Ge), near half the distance of lattice planes, so that a slab of n layers is n layers thick. The body is
all that a ball of the radius 1.4 Å that touches the spheres from outside can't reach: pores between atoms belong to it,
vacuum and wide tunnels don't (the volume within Connolly's surface, https://doi.org/10.1126/science.6879170). Each
point of it belongs to the sphere whose surface is nearest. A crystal without vacuum fills its cell.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.data import covalent_radii, vdw_radii
from scipy.spatial import cKDTree

from mhdnn.errors import DataError

NONMETALS = frozenset((1, 2, 6, 7, 8, 9, 10, 15, 16, 17, 18, 33, 34, 35, 36, 52, 53, 54, 85, 86))
PROBE = 1.4
"""Radius of the ball, Å."""
SPACING = 0.3
"""Distance of the points at which it is tried, Å."""
VACUUM = 3.0
"""Radius of the largest ball between spheres that a crystal without vacuum may have room for, Å."""


def surface_radius(numbers: np.ndarray) -> np.ndarray:
    """Radii of the spheres, Å: of van der Waals for nonmetals, otherwise covalent.

    :param numbers: atomic, shape (num_atoms,)
    """
    of_waals = np.isin(numbers, list(NONMETALS)) & np.isfinite(vdw_radii[numbers])
    return np.where(of_waals, vdw_radii[numbers], covalent_radii[numbers])


def occupied_volume(atoms: Atoms) -> float:
    """Volume that the atoms fill, Å³."""
    return float(atomic_volumes(atoms).sum())


def thickness(atoms: Atoms) -> float:
    """Volume per area of the first two cell vectors, Å."""
    return occupied_volume(atoms) / float(np.linalg.norm(np.cross(*atoms.cell[:2])))


def atomic_volumes(atoms: Atoms, spacing: float = SPACING) -> np.ndarray:
    """Each atom's part of the body, shape (num_atoms,), Å³; of a crystal without vacuum they add up to its cell.

    :param spacing: of the points that are counted, Å; a volume errs by about a hundredth of its surface times 1 Å
    :raises DataError: if there are no atoms, or a periodic direction has no cell vector
    """
    if not len(atoms) or (np.linalg.norm(atoms.cell[:], axis=1)[atoms.pbc] == 0).any():
        raise DataError(
            f"`atoms`: expected atoms with a cell vector for each periodic direction, got {len(atoms)} with "
            f"{atoms.cell[:].tolist()}"
        )
    grid = _Grid.around(atoms, spacing)
    depth, images = grid.distances(grid.points)
    full = atoms.pbc.all() and depth.max() < VACUUM
    inside = np.ones(len(depth)) if full else _inside(grid, depth, images)
    near = inside > 0.0
    return np.bincount(grid.owners[images[near]], inside[near], len(atoms)) * grid.volume


def _inside(grid: _Grid, depth: np.ndarray, images: np.ndarray) -> np.ndarray:
    """Part of each point's surroundings that is inside the body, from 0 to 1."""
    step = grid.spacing
    between = np.flatnonzero((depth > -step) & (depth < PROBE))
    # where the ball touches the nearest sphere: exact where it fits, as on all that is convex
    points, centers = grid.points[between], grid.positions[images[between]]
    outward = points - centers
    outward /= np.maximum(np.linalg.norm(outward, axis=1), 1e-12)[:, None]
    touching = points + (PROBE - depth[between])[:, None] * outward
    fits = grid.distances(touching)[0] >= PROBE - 1e-6
    shell = (depth >= PROBE) & (depth < PROBE + 2.0 * step)
    balls = np.vstack([touching[fits], grid.points[shell]])
    level = np.where(depth >= PROBE, step, -step)
    if len(balls):
        distance, _ = cKDTree(with_images(balls, grid.vectors, PROBE + 2.0 * step)[0]).query(points)
        level[between] = PROBE - distance
    return np.clip(0.5 - level / step, 0.0, 1.0)


@dataclass
class _Grid:
    """Points in the cell, or around the atoms in directions without periodicity.

    :param points: shape (num_points, 3), Å
    :param volume: of each, Å³
    :param vectors: periodic ones, shape (num_periodic, 3), Å
    :param positions: of all atoms and their images within reach, shape (num_images, 3), Å
    :param owners: number of the atom of each image
    :param radii: of the atoms, Å
    :param spacing: Å
    """

    points: np.ndarray
    volume: float
    vectors: np.ndarray
    positions: np.ndarray
    owners: np.ndarray
    radii: np.ndarray
    spacing: float

    @staticmethod
    def around(atoms: Atoms, spacing: float) -> _Grid:
        radii = surface_radius(atoms.numbers)
        cell = atoms.cell.copy()
        cell[~atoms.pbc] = 0.0
        cell = cell.complete()
        heights = 1.0 / np.linalg.norm(cell.reciprocal()[:], axis=1)
        fractions = cell.scaled_positions(atoms.positions)
        fractions[:, atoms.pbc] %= 1.0
        margin = (radii.max() + 2.0 * PROBE + spacing) / heights
        low = np.where(atoms.pbc, 0.0, fractions.min(axis=0) - margin)
        high = np.where(atoms.pbc, 1.0, fractions.max(axis=0) + margin)
        counts = np.maximum(np.ceil((high - low) * heights / spacing), 1).astype(int)
        steps = [lo + (np.arange(n) + 0.5) * (hi - lo) / n for lo, hi, n in zip(low, high, counts, strict=True)]
        points = np.stack(np.meshgrid(*steps, indexing="ij"), axis=-1).reshape(-1, 3) @ cell[:]
        volume = abs(np.linalg.det(cell[:])) * float(np.prod((high - low) / counts))
        grid = _Grid(points, volume, cell[atoms.pbc], np.zeros((0, 3)), np.zeros(0, int), radii, spacing)
        grid.positions, grid.owners = with_images(fractions @ cell[:], grid.vectors, radii.max() + VACUUM + PROBE)
        return grid

    def distances(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Distance of each point from the nearest sphere's surface, Å, negative inside, and the number of its image.

        Infinite, with the number 0, beyond what matters.
        """
        best, nearest = np.full(len(points), np.inf), np.zeros(len(points), dtype=int)
        radii = self.radii[self.owners]
        for radius in np.unique(radii):
            chosen = np.flatnonzero(radii == radius)
            distance, index = cKDTree(self.positions[chosen]).query(points, distance_upper_bound=radius + VACUUM + 0.5)
            closer = distance - radius < best
            best[closer] = distance[closer] - radius
            nearest[closer] = chosen[index[closer]]
        return best, nearest


def with_images(positions: np.ndarray, vectors: np.ndarray, reach: float) -> tuple[np.ndarray, np.ndarray]:
    """Positions in the cell with their periodic images up to a distance from it, and which each is an image of.

    :param positions: shape (num_positions, 3), Å, inside the cell in its periodic directions
    :param vectors: periodic ones, shape (num_periodic, 3), Å
    """
    found, owners = positions, np.arange(len(positions))
    for place, vector in enumerate(vectors):
        normal = _normal(vectors, place)
        height = abs(float(vector @ normal))
        count = int(np.ceil(reach / height)) + 1
        shifts = np.arange(-count, count + 1)
        images = (found[None] + shifts[:, None, None] * vector).reshape(-1, 3)
        heights = images @ normal * np.sign(vector @ normal)
        near = (heights > -reach) & (heights < height + reach)
        found, owners = images[near], np.tile(owners, len(shifts))[near]
    return found, owners


def _normal(vectors: np.ndarray, place: int) -> np.ndarray:
    """Unit vector across the other periodic vectors, in the space that all of them span."""
    others = np.delete(vectors, place, axis=0)
    rest = np.array(vectors[place])
    if len(others):
        orthonormal = np.linalg.qr(others.T)[0]
        rest -= orthonormal @ (orthonormal.T @ rest)
    return rest / np.linalg.norm(rest)
