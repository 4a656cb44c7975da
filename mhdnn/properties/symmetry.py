"""Symmetry of crystals by spglib: point group, crystal system, and the axes that tables of tensors refer to."""

from __future__ import annotations

from typing import Any

import numpy as np
from ase import Atoms
from ase.spacegroup.symmetrize import check_symmetry

from mhdnn.errors import ConfigError, PropertyError

FIRST_GROUPS = {
    1: "triclinic",
    3: "monoclinic",
    16: "orthorhombic",
    75: "tetragonal",
    143: "trigonal",
    168: "hexagonal",
    195: "cubic",
}
"""The first space group of each crystal system."""


def point_group(atoms: Atoms, tolerance: float) -> list[np.ndarray]:
    """Rotations of the crystal's point group in Cartesian coordinates, each of shape (3, 3); a supercell has them all.

    :raises ConfigError: if spglib is not installed
    :raises PropertyError: if no symmetry, not even the identity, is found
    """
    primitive, dataset = symmetry_of(atoms, tolerance)
    vectors = primitive.T
    cartesian = [vectors @ rotation @ np.linalg.inv(vectors) for rotation in np.unique(dataset.rotations, axis=0)]
    # the tolerance lets through cells that are symmetric only nearly: the nearest rotation
    nearest = [np.linalg.svd(matrix) for matrix in cartesian]
    return [u @ v for u, _, v in nearest]


def crystal_system(atoms: Atoms, tolerance: float) -> str:
    """Its name; errors as `point_group`."""
    number = symmetry_of(atoms, tolerance)[1].number
    return FIRST_GROUPS[max(first for first in FIRST_GROUPS if first <= number)]


def crystal_axes(atoms: Atoms, tolerance: float) -> np.ndarray:
    """The axes x, y, z to which tables of tensors refer (IEEE Std 176-1987), as rows in the frame of the atoms.

    Of the conventional cell a, b, c: cubic and tetragonal z along c, x along a. Orthorhombic z, x, y along the
    shortest, the middle and the longest vector. Hexagonal and trigonal z along c, x along a, or in a trigonal crystal
    along a twofold axis (a mirror's normal) if there is one. Monoclinic y along the unique axis, z along the shorter
    one of the others. Triclinic z along c and y across a and c of the reduced cell. What the conventions leave open,
    such as the sense of x in trigonal crystals without a centred cell, follows spglib.

    :param tolerance: distance within which atoms are equivalent, Å
    :return: orthogonal, right-handed, shape (3, 3)
    :raises ConfigError: if spglib is not installed
    :raises PropertyError: if no symmetry, not even the identity, is found
    """
    primitive, dataset = symmetry_of(atoms, tolerance)
    system = crystal_system(atoms, tolerance)
    vectors = (primitive.T @ np.linalg.inv(dataset.transformation_matrix)).T
    by_length = vectors[np.argsort(np.round(np.linalg.norm(vectors, axis=1), 6), kind="stable")]
    if system == "orthorhombic":
        return _frame(z=by_length[0], x=by_length[1])
    if system == "trigonal":
        return _frame(z=vectors[2], x=_twofold_axis(point_group(atoms, tolerance), vectors[2], vectors[0]))
    if system == "monoclinic":
        a, b, c = vectors
        shorter = a if np.linalg.norm(c) > np.linalg.norm(a) + 1e-6 else c
        return _frame(z=shorter, x=np.cross(b, shorter))
    return _frame(z=vectors[2], x=vectors[0])


def symmetry_of(atoms: Atoms, tolerance: float) -> tuple[np.ndarray, Any]:
    """A primitive cell, rows in the frame of the atoms, and spglib's dataset of it.

    Atoms of one element with different initial magnetic moments or charges count as different.

    :raises ConfigError: if spglib is not installed
    :raises PropertyError: if no symmetry, not even the identity, is found
    """
    try:
        from spglib import SpglibError
    except ImportError as error:
        raise ConfigError(
            "`spglib`: expected it for the symmetry of crystals, found none; pip install mhdnn[properties]"
        ) from error
    kinds = np.stack([atoms.numbers, atoms.get_initial_magnetic_moments(), atoms.get_initial_charges()], axis=1)
    _, labels = np.unique(kinds, axis=0, return_inverse=True)
    labelled = Atoms(labels.ravel() + 1, atoms.positions, cell=atoms.cell, pbc=True)
    try:
        # operations of a supercell leave out rotations that its shape does not have
        whole = check_symmetry(labelled, tolerance)
        _, chosen = np.unique(whole.mapping_to_primitive, return_index=True)
        primitive = labelled[chosen]
        primitive.set_cell(whole.primitive_lattice)
        return np.asarray(whole.primitive_lattice), check_symmetry(primitive, tolerance)
    except SpglibError as error:
        raise PropertyError(
            f"`atoms`: expected a crystal with symmetry within {tolerance} Å, got none ({error}); "
            "check that no atoms coincide, or choose a smaller `symmetry_tolerance`"
        ) from error


def _frame(z: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Unit vectors with z exactly and x as nearly as can be, shape (3, 3)."""
    up = z / np.linalg.norm(z)
    across = np.cross(up, x)
    across /= np.linalg.norm(across)
    return np.stack([np.cross(across, up), across, up])


def _twofold_axis(rotations: list[np.ndarray], z: np.ndarray, a: np.ndarray) -> np.ndarray:
    """Of the twofold axes across z the one nearest to a; a itself if there is none. A mirror's normal counts."""
    found = []
    for rotation in rotations:
        proper = rotation * np.sign(np.linalg.det(rotation))
        if abs(np.trace(proper) + 1.0) < 1e-3 and np.linalg.norm(proper @ z + z) < 1e-3 * np.linalg.norm(z):
            values, vectors = np.linalg.eigh(0.5 * (proper + proper.T))
            axis = vectors[:, np.argmax(values)]
            found.append(axis * (1.0 if axis @ a >= 0 else -1.0))
    return max(found, key=lambda axis: round(float(axis @ a), 6), default=a)


def site_permutations(atoms: Atoms, sites: np.ndarray, tolerance: float) -> np.ndarray:
    """What the operations of the space group, the translations of a supercell among them, do to sites.

    :param sites: numbers of atoms of one element
    :param tolerance: distance within which atoms are equivalent, Å
    :return: at ``[g, n]`` the place in ``sites`` to which g moves the n-th, shape (num_operations, num_sites)
    :raises ConfigError: if spglib is not installed
    :raises PropertyError: if no symmetry, not even the identity, is found
    """
    symmetry_of(atoms, tolerance)  # the errors
    dataset = check_symmetry(atoms, tolerance)
    fractions = atoms.get_scaled_positions()[sites]
    found = []
    for rotation, translation in zip(dataset.rotations, dataset.translations, strict=True):
        apart = (fractions @ rotation.T + translation)[:, None] - fractions
        distances = np.linalg.norm((apart - np.rint(apart)) @ atoms.cell[:], axis=2)
        found.append(distances.argmin(axis=1))
    return np.array(found)
