"""Places near the surface of a host of any shape: slab, wire, particle, particle on a sheet.

Definition. A place is outside if a path leads to it from the vacuum that keeps the smallest distance from all nuclei of
the host; the vacuum is where the host is farther than the largest distance. The shell is all that is outside and not
farther than this. Of a slab (no empty plane across the first two cell vectors, but one across the third) only what can
be reached from above counts. Everything is decided on a grid of voxels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase import Atoms
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from mhdnn.errors import ConfigError, PropertyError
from mhdnn.properties.volumes import with_images

VOXEL = 0.4
"""Å"""
NORMAL_RANGE = 3.0
"""Standard deviation of the weights of host atoms that say where inside is, Å."""
LEAST_ASYMMETRY = 0.1
"""Of the directions to host atoms; below it an ion is inside, and its inward direction fades."""


@dataclass(frozen=True)
class SurfaceShell:
    """A region for insertions (see `mhdnn.properties.insertion.Region`): voxels near a surface.

    :param inside: which voxels belong to it, shape (n_1, n_2, n_3)
    """

    inside: np.ndarray

    def volume(self, atoms: Atoms) -> float:
        """Å³."""
        return float(self.inside.mean() * atoms.get_volume())

    def places(self, atoms: Atoms, count: int, generator: np.random.Generator) -> np.ndarray:
        """Random places, uniform in the region, shape (count, 3), Å."""
        voxels = np.argwhere(self.inside)
        chosen = voxels[generator.integers(len(voxels), size=count)]
        return (chosen + generator.random((count, 3))) / self.inside.shape @ atoms.cell[:]

    def contains(self, atoms: Atoms) -> np.ndarray:
        """Which atoms are in the region, shape (num_atoms,)."""
        fractions = atoms.cell.scaled_positions(atoms.positions)
        fractions[:, atoms.pbc] %= 1.0
        voxels = np.floor(fractions * self.inside.shape).astype(int)
        within = ((voxels >= 0) & (voxels < self.inside.shape)).all(axis=1)
        voxels[~within] = 0
        return within & self.inside[tuple(voxels.T)]

    def distances(self, atoms: Atoms, indices: np.ndarray) -> np.ndarray:
        """Distance of atoms from the shell, shape (num_indices,), Å: how deep they are in the host."""
        centers = (np.argwhere(self.inside) + 0.5) / self.inside.shape @ atoms.cell[:]
        images = with_images(centers, atoms.cell[atoms.pbc], 0.5 * float(atoms.cell.lengths().max()))[0]
        wrapped = atoms.copy()
        wrapped.wrap(pbc=atoms.pbc)
        return np.asarray(cKDTree(images).query(wrapped.positions[indices])[0])


def surface_shell(atoms: Atoms, host: np.ndarray, nearest: float, farthest: float) -> SurfaceShell:
    """The shell around some atoms.

    :param atoms: with a cell of three vectors
    :param host: indices of the host's atoms
    :param nearest: smallest distance of a place from the nuclei of the host, Å
    :param farthest: largest distance from the nearest one, Å
    :raises ConfigError: if the shell reaches out of the cell where it is not periodic
    :raises PropertyError: if there is no vacuum
    """
    shape = tuple(np.ceil(1.0 / np.linalg.norm(atoms.cell.reciprocal()[:], axis=1) / VOXEL).astype(int))
    _check_room(atoms, host, farthest)
    wrapped = atoms[host]
    wrapped.wrap(pbc=atoms.pbc)
    points = (np.indices(shape).reshape(3, -1).T + 0.5) / shape @ atoms.cell[:]
    images = with_images(wrapped.positions, atoms.cell[atoms.pbc], farthest + VOXEL)[0]
    distance = cKDTree(images).query(points, distance_upper_bound=farthest + VOXEL)[0].reshape(shape)
    is_open = distance >= nearest
    empty = [bool(is_open.all(axis=tuple({0, 1, 2} - {axis})).any()) for axis in range(3)]
    if empty == [False, False, True]:
        is_open &= ~_below(wrapped, shape)[None, None, :]
    reachable = _connected(is_open, distance > farthest, atoms.pbc)
    inside = reachable & (distance <= farthest)
    if not inside.any():
        raise PropertyError(
            f"`where`: expected a host with a surface, got {wrapped.get_chemical_formula()} with no place farther than "
            f"{farthest} Å from it; give it vacuum, or choose `where=volume`"
        )
    return SurfaceShell(inside)


def inward(atoms: Atoms, host: np.ndarray, indices: np.ndarray) -> np.ndarray:
    r"""Where the host is, seen from some atoms, shape (num_indices, 3): unit vectors, shorter deep inside.

    :math:`\mathbf n = \sum_j w_j \hat{\mathbf r}_{ij}/\sum_j w_j` over the host's atoms with Gaussian weights w of
    their distances beyond the nearest one's; of length one, but where its own length is below 0.1, in proportion to it.
    """
    result = np.zeros((len(indices), 3))
    for row, index in enumerate(indices):
        vectors = atoms.get_distances(int(index), host, mic=True, vector=True)
        lengths = np.linalg.norm(vectors, axis=1)
        weights = np.exp(-0.5 * ((lengths - lengths.min()) / NORMAL_RANGE) ** 2)
        mean = weights @ (vectors / np.maximum(lengths, 1e-9)[:, None]) / weights.sum()
        result[row] = mean / max(float(np.linalg.norm(mean)), LEAST_ASYMMETRY)
    return result


def _check_room(atoms: Atoms, host: np.ndarray, farthest: float) -> None:
    heights = 1.0 / np.linalg.norm(atoms.cell.reciprocal()[:], axis=1)
    fractions = atoms.cell.scaled_positions(atoms.positions[host])
    beyond = np.maximum(fractions.max(axis=0) - 1.0, -fractions.min(axis=0)) * heights + farthest
    slab = atoms.pbc.tolist() == [True, True, False]
    if slab:  # what is below does not count
        beyond[2] = (fractions[:, 2].max() - 1.0) * heights[2] + farthest
    if (beyond[~atoms.pbc] > 0).any():
        raise ConfigError(
            f"`farthest`: expected a shell inside the cell, got one that ends {beyond[~atoms.pbc].max():.1f} Å beyond "
            "it; give the host more vacuum"
        )


def _below(host: Atoms, shape: tuple[int, ...]) -> np.ndarray:
    """Which planes of voxels lie below a slab, shape (n_3,): from the middle of the vacuum up to its lowest atom."""
    fractions = np.sort(host.cell.scaled_positions(host.positions)[:, 2])
    middle = (np.arange(shape[2]) + 0.5) / shape[2]
    if not host.pbc[2]:
        return middle < fractions[0]
    gaps = np.diff(fractions, append=fractions[0] + 1.0)
    widest = int(gaps.argmax())
    lowest = (fractions[widest] + gaps[widest]) % 1.0
    return (lowest - middle) % 1.0 < 0.5 * gaps[widest]


def _connected(is_open: np.ndarray, seeds: np.ndarray, pbc: np.ndarray) -> np.ndarray:
    """Open voxels that are connected to a seed through faces, across periodic boundaries, too."""
    numbers = np.arange(is_open.size).reshape(is_open.shape)
    pairs = []
    for axis, periodic in zip(range(3), pbc, strict=True):
        both = is_open & np.roll(is_open, -1, axis)
        if not periodic:
            both[tuple(slice(None) if other != axis else -1 for other in range(3))] = False
        pairs.append(np.stack([numbers[both], np.roll(numbers, -1, axis)[both]]))
    rows, columns = np.concatenate(pairs, axis=1)
    graph = coo_matrix((np.ones(len(rows)), (rows, columns)), shape=(is_open.size, is_open.size))
    labels = connected_components(graph, directed=False)[1].reshape(is_open.shape)
    return is_open & np.isin(labels, np.unique(labels[is_open & seeds]))
