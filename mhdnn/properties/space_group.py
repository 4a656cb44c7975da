"""Operations of a crystal's space group on places: equivalent places, special positions, the net of sites."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.geometry import minkowski_reduce

from mhdnn.properties.symmetry import symmetry_of


@dataclass(frozen=True)
class SpaceGroup:
    """Operations x → R x + t in the frame of the atoms, modulo the lattice of the primitive cell.

    :param lattice: reduced vectors as rows, shape (3, 3), Å
    :param rotations: R, shape (num_operations, 3, 3)
    :param translations: t, shape (num_operations, 3), Å
    """

    lattice: np.ndarray
    rotations: np.ndarray
    translations: np.ndarray

    def images(self, place: np.ndarray) -> np.ndarray:
        """What each operation makes of a place, shape (num_operations, 3), Å."""
        return self.rotations @ place + self.translations

    def between(self, place: np.ndarray, others: np.ndarray) -> np.ndarray:
        """The shortest vectors from a place to lattice images of others, shape (num_others, 3), Å."""
        return shortest(np.asarray(others) - place, self.lattice)

    def symmetrised(self, place: np.ndarray, tolerance: float) -> np.ndarray:
        """The special position that is within the tolerance of a place (Å), or the place itself.

        The mean of the images that are so near.
        """
        away = self.between(place, self.images(place))
        return place + away[np.linalg.norm(away, axis=1) < tolerance].mean(axis=0)

    def orbit(self, place: np.ndarray, tolerance: float) -> np.ndarray:
        """All equivalent places in the primitive cell, the given one first, shape (multiplicity, 3), Å."""
        found: list[np.ndarray] = []
        for image in [place, *self.images(place)]:
            if not found or np.linalg.norm(self.between(image, np.array(found)), axis=1).min() > tolerance:
                found.append(wrapped(image, self.lattice) if found else image)
        return np.array(found)


def space_group(atoms: Atoms, tolerance: float) -> SpaceGroup:
    """The space group of a crystal, whatever its cell.

    :param tolerance: distance within which atoms are equivalent, Å
    :raises ConfigError: if spglib is not installed
    :raises PropertyError: if no symmetry, not even the identity, is found
    """
    lattice, dataset = symmetry_of(atoms, tolerance)
    vectors = lattice.T
    rotations = vectors @ dataset.rotations @ np.linalg.inv(vectors)
    return SpaceGroup(minkowski_reduce(lattice)[0], rotations, dataset.translations @ lattice)


def shortest(vectors: np.ndarray, lattice: np.ndarray) -> np.ndarray:
    """The shortest vectors that differ from the given ones by lattice vectors, shape (num_vectors, 3), Å.

    :param vectors: shape (num_vectors, 3), Å
    :param lattice: three vectors as rows, reduced, Å
    """
    inside = vectors - np.round(vectors @ np.linalg.inv(lattice)) @ lattice
    steps = np.array(np.meshgrid(*[(-1, 0, 1)] * 3, indexing="ij")).reshape(3, -1).T @ lattice
    candidates = inside[:, None] + steps
    best = np.linalg.norm(candidates, axis=2).argmin(axis=1)
    return candidates[np.arange(len(candidates)), best]


def wrapped(place: np.ndarray, lattice: np.ndarray) -> np.ndarray:
    """The image of a place in the cell, Å; on its border that at zero."""
    fractions = place @ np.linalg.inv(lattice)
    return (fractions - np.floor(fractions + 1e-6)) @ lattice
