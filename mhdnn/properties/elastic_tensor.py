r"""What follows from elastic constants: moduli, stability, anisotropy; and what symmetry says about them.

Voigt notation: xx yy zz yz xz xy, shear strains doubled, :math:`\sigma_i = C_{ij}\,\varepsilon_j`.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from ase import Atoms
from ase.stress import full_3x3_to_voigt_6_stress, voigt_6_to_full_3x3_stress

from mhdnn.properties.symmetry import point_group

POSITIVE = 1e-9
"""Smallest eigenvalue, relative to the largest, that counts as positive."""


def moduli(stiffness: np.ndarray) -> dict[str, float]:
    r"""Isotropic averages of a polycrystal and measures of anisotropy.

    Voigt's averages take the strain as uniform, with the stiffness C,

    .. math:: B_V = \frac{C_{11} + C_{22} + C_{33} + 2(C_{12} + C_{13} + C_{23})}{9},\quad
              G_V = \frac{C_{11} + C_{22} + C_{33} - C_{12} - C_{13} - C_{23}}{15} + \frac{C_{44} + C_{55} + C_{66}}{5},

    Reuss's the stress, with the compliance :math:`S = C^{-1}`; the truth lies between, and Hill's is their mean
    (https://doi.org/10.1088/0370-1298/65/5/307). For each of them :math:`E = 9BG/(3B + G)` and
    :math:`\nu = (3B - 2G)/(6B + 2G)`. Universal anisotropy :math:`5 G_V/G_R + B_V/B_R - 6`, zero for an isotropic
    crystal (Ranganathan and Ostoja-Starzewski, https://doi.org/10.1103/PhysRevLett.101.055504). Reuss's and what
    depends on it are NaN for an unstable crystal.

    :param stiffness: shape (6, 6), any unit
    :return: ``bulk_modulus_hill`` and so on in the same unit; Poisson ratios and anisotropy without
    """
    bulk, shear = {}, {}
    bulk["voigt"], shear["voigt"] = _voigt_averages(stiffness)
    bulk["reuss"] = shear["reuss"] = np.nan
    if is_stable(stiffness):
        compliance = np.linalg.inv(stiffness)
        trace, offset, diagonal = _sums(compliance)
        bulk["reuss"] = 1.0 / (trace + 2.0 * offset)
        shear["reuss"] = 15.0 / (4.0 * trace - 4.0 * offset + 3.0 * diagonal)
    bulk["hill"] = 0.5 * (bulk["voigt"] + bulk["reuss"])
    shear["hill"] = 0.5 * (shear["voigt"] + shear["reuss"])
    result = {}
    for scheme in ("hill", "voigt", "reuss"):
        b, g = bulk[scheme], shear[scheme]
        result[f"bulk_modulus_{scheme}"] = b
        result[f"shear_modulus_{scheme}"] = g
        result[f"youngs_modulus_{scheme}"] = 9.0 * b * g / (3.0 * b + g)
        result[f"poisson_ratio_{scheme}"] = (3.0 * b - 2.0 * g) / (6.0 * b + 2.0 * g)
    result["universal_anisotropy"] = 5.0 * shear["voigt"] / shear["reuss"] + bulk["voigt"] / bulk["reuss"] - 6.0
    return {key: float(value) for key, value in result.items()}


def is_stable(stiffness: np.ndarray) -> bool:
    """Born's criterion: the energy rises with every strain, all eigenvalues are positive.

    Necessary and sufficient for a crystal without stress (Mouhat and Coudert,
    https://doi.org/10.1103/PhysRevB.90.224104).
    """
    eigenvalues = np.linalg.eigvalsh(stiffness)
    return bool(eigenvalues[0] > POSITIVE * abs(eigenvalues[-1]))


def directional_youngs_modulus(stiffness: np.ndarray, directions: np.ndarray) -> np.ndarray:
    r"""Stress over strain along the pull, :math:`1/E(\mathbf n) = S_{ijkl} n_i n_j n_k n_l`.

    :param stiffness: shape (6, 6)
    :param directions: unit vectors, shape (num_directions, 3)
    :return: shape (num_directions,), the unit of the stiffness
    """
    x, y, z = directions.T
    stress = np.stack([x * x, y * y, z * z, y * z, x * z, x * y])
    return 1.0 / np.einsum("in,ij,jn->n", stress, np.linalg.inv(stiffness), stress)


def rotated(stiffness: np.ndarray, rotation: np.ndarray) -> np.ndarray:
    """The stiffness of a rotated crystal.

    :param stiffness: shape (6, 6)
    :param rotation: orthogonal, shape (3, 3); columns are the images of x, y and z
    """
    of_stress = _rotation_of_stress(rotation)
    return of_stress @ stiffness @ of_stress.T


def invariant_stiffnesses(atoms: Atoms, tolerance: float = 1e-3, components: Sequence[int] = range(6)) -> np.ndarray:
    """An orthonormal basis of the stiffnesses that the crystal's point group leaves as they are.

    Three for a cubic crystal, five for a hexagonal one, 21 for a triclinic one. Atoms of one element with different
    initial magnetic moments or charges count as different.

    :param atoms: with three cell vectors; a layer as a crystal of layers with vacuum between
    :param tolerance: distance within which atoms are equivalent, Å
    :param components: Voigt indices of the strains that exist, xx, yy and xy for a layer; others have no stiffness
    :return: shape (num_constants, 6, 6)
    :raises ConfigError: if spglib is not installed
    :raises PropertyError: if no symmetry, not even the identity, is found
    """
    rotations = [_rotation_of_stress(rotation) for rotation in point_group(atoms, tolerance)]
    averaged = []
    for i, j in itertools.combinations_with_replacement(components, 2):
        unit = np.zeros((6, 6))
        unit[i, j] = unit[j, i] = 1.0
        averaged.append(sum(m @ unit @ m.T for m in rotations).ravel() / len(rotations))
    _, values, vectors = np.linalg.svd(np.array(averaged))
    rank = int(np.sum(values > 1e-6 * values[0]))
    return vectors[:rank].reshape(rank, 6, 6)


def _voigt_averages(stiffness: np.ndarray) -> tuple[float, float]:
    trace, offset, diagonal = _sums(stiffness)
    return (trace + 2.0 * offset) / 9.0, (trace - offset) / 15.0 + diagonal / 5.0


def _sums(matrix: np.ndarray) -> tuple[float, float, float]:
    """11 + 22 + 33, 12 + 13 + 23, and 44 + 55 + 66."""
    return np.trace(matrix[:3, :3]), matrix[0, 1] + matrix[0, 2] + matrix[1, 2], np.trace(matrix[3:, 3:])


def _rotation_of_stress(rotation: np.ndarray) -> np.ndarray:
    """The rotation of a stress in Voigt notation, shape (6, 6)."""
    units = voigt_6_to_full_3x3_stress(np.eye(6))
    return np.stack([full_3x3_to_voigt_6_stress(rotation @ unit @ rotation.T) for unit in units], axis=1)
