r"""Coordination polyhedra and measures of their distortion.

Quadratic elongation and bond-angle variance: Robinson, Gibbs and Ribbe, https://doi.org/10.1126/science.172.3983.567;
bond-length distortion: Baur, https://doi.org/10.1107/S0567740874004560. Vectors go from the centre to the ligands.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.neighborlist import neighbor_list
from scipy.spatial import ConvexHull

from mhdnn.errors import ConfigError

IDEAL_ANGLES = {4: float(np.degrees(np.arccos(-1.0 / 3.0))), 6: 90.0}
"""Angles between neighbouring bonds of the regular tetrahedron and octahedron, degrees."""

VOLUMES = {4: 8.0 * np.sqrt(3.0) / 27.0, 6: 4.0 / 3.0}
"""Volumes of the regular tetrahedron and octahedron whose bonds have length one."""

FIRST_RADIUS = 3.0
FLAT = 1e-6


@dataclass
class Polyhedron:
    """A centre with its ligands.

    :param center: number of the atom
    :param ligands: numbers of the atoms, shape (num_ligands,)
    :param shifts: cells between centre and ligands, whole numbers, shape (num_ligands, 3)
    :param vectors: from the centre to the ligands, shape (num_ligands, 3), Å
    """

    center: int
    ligands: np.ndarray
    shifts: np.ndarray
    vectors: np.ndarray


def find_polyhedra(
    atoms: Atoms,
    centers: Sequence[str],
    ligands: Sequence[str] | None = None,
    cutoff: float | None = None,
    count: int | None = None,
) -> list[Polyhedron]:
    """The polyhedron around every atom of some elements, ligands sorted by distance.

    :param centers: symbols of the centres
    :param ligands: symbols of the ligands; all elements but those of the centres if None
    :param cutoff: largest distance of a ligand, Å
    :param count: number of ligands, the nearest ones; give this or the cutoff
    :raises ConfigError: if there are no centres or too few ligands, or both or none of cutoff and count are given
    """
    symbols = np.array(atoms.get_chemical_symbols())
    is_center = np.isin(symbols, list(centers))
    is_ligand = ~is_center if ligands is None else np.isin(symbols, list(ligands))
    _check(atoms, centers, is_center, is_ligand, cutoff, count)
    radius = cutoff if cutoff is not None else FIRST_RADIUS
    found = _within(atoms, is_center, is_ligand, radius)
    while count is not None and min(len(polyhedron.ligands) for polyhedron in found) < count:
        radius *= 1.5
        found = _within(atoms, is_center, is_ligand, radius)
    if count is not None:
        found = [Polyhedron(p.center, p.ligands[:count], p.shifts[:count], p.vectors[:count]) for p in found]
    return found


def bond_length_distortion(vectors: np.ndarray) -> float:
    r"""Baur's :math:`D = \frac1n\sum_i |l_i - \bar l|/\bar l`."""
    lengths = np.linalg.norm(vectors, axis=1)
    return float(np.abs(lengths - lengths.mean()).mean() / lengths.mean())


def off_centring(vectors: np.ndarray) -> float:
    """Distance of the centre from the mean position of the ligands, Å."""
    return float(np.linalg.norm(vectors.mean(axis=0)))


def volume(vectors: np.ndarray) -> float:
    """Volume of the convex hull of the ligands, Å³; zero if they lie in a plane."""
    if len(vectors) < 4:
        return 0.0
    spread = np.linalg.svd(vectors - vectors.mean(axis=0), compute_uv=False)
    return float(ConvexHull(vectors).volume) if spread[2] > FLAT * spread[0] else 0.0


def quadratic_elongation(vectors: np.ndarray) -> float:
    r""":math:`\lambda = \frac1n\sum_i (l_i/l_0)^2` with the bond length :math:`l_0` of the regular one of equal volume.

    :return: 1 for the regular one; NaN for other polyhedra than tetrahedra and octahedra, and flat ones
    """
    number, space = len(vectors), volume(vectors)
    if number not in VOLUMES or space == 0.0:
        return float("nan")
    regular = (space / VOLUMES[number]) ** (1.0 / 3.0)
    return float((vectors**2).sum() / (number * regular**2))


def bond_angle_variance(vectors: np.ndarray) -> float:
    r""":math:`\sigma^2 = \frac{1}{m-1}\sum_i(\theta_i - \theta_0)^2` over the m angles between neighbouring bonds.

    These are the 6 of a tetrahedron (109.47°), and of an octahedron the 12 (90°) that are not between opposite ligands.

    :return: degrees²; NaN for other polyhedra
    """
    number = len(vectors)
    if number not in IDEAL_ANGLES:
        return float("nan")
    opposite = set(opposite_ligands(vectors)) if number == 6 else set()
    pairs = [pair for pair in itertools.combinations(range(number), 2) if pair not in opposite]
    angles = bond_angles(vectors)
    deviations = np.array([angles[i, j] for i, j in pairs]) - IDEAL_ANGLES[number]
    return float(deviations @ deviations / (len(pairs) - 1))


def bond_angles(vectors: np.ndarray) -> np.ndarray:
    """Angles between all bonds, shape (num_ligands, num_ligands), degrees."""
    units = vectors / np.linalg.norm(vectors, axis=1)[:, None]
    return np.degrees(np.arccos(np.clip(units @ units.T, -1.0, 1.0)))


def opposite_ligands(vectors: np.ndarray) -> tuple[tuple[int, int], ...]:
    """The three pairs of opposite ligands of an octahedron: of all pairings the one with the largest angles.

    :param vectors: shape (6, 3)
    """
    angles = bond_angles(vectors)
    pairings = []
    for first in range(1, 6):
        rest = [i for i in range(1, 6) if i != first]
        for second in rest[1:]:
            last = tuple(i for i in rest[1:] if i != second)
            pairings.append(((0, first), (rest[0], second), (last[0], last[1])))
    return max(pairings, key=lambda pairing: sum(angles[i, j] for i, j in pairing))


def _within(atoms: Atoms, is_center: np.ndarray, is_ligand: np.ndarray, radius: float) -> list[Polyhedron]:
    center, ligand, lengths, vectors, shifts = neighbor_list("ijdDS", atoms, radius)
    kept = is_center[center] & is_ligand[ligand]
    polyhedra = []
    for number in np.flatnonzero(is_center):
        rows = np.flatnonzero(kept & (center == number))
        rows = rows[np.argsort(lengths[rows], kind="stable")]
        polyhedra.append(Polyhedron(int(number), ligand[rows], shifts[rows], vectors[rows]))
    return polyhedra


def _check(
    atoms: Atoms,
    centers: Sequence[str],
    is_center: np.ndarray,
    is_ligand: np.ndarray,
    cutoff: float | None,
    count: int | None,
) -> None:
    formula = atoms.get_chemical_formula()
    if not is_center.any():
        raise ConfigError(f"`centers`: expected atoms of {', '.join(centers)}, got {formula} without")
    if not is_ligand.any():
        raise ConfigError(f"`ligands`: expected atoms around {', '.join(centers)}, got {formula} without")
    if (cutoff is None) == (count is None):
        raise ConfigError(f"`cutoff`, `count`: expected one of them, got cutoff={cutoff} and count={count}")
    if cutoff is not None and cutoff <= 0:
        raise ConfigError(f"`cutoff`: expected a positive distance, Å, got {cutoff}")
    if count is not None and count < 1:
        raise ConfigError(f"`count`: expected at least one ligand, got {count}")
    others = is_ligand.sum() - (is_ligand & is_center).any()
    if count is not None and not atoms.pbc.any() and others < count:
        raise ConfigError(f"`count`: expected {count} ligands for each centre, got {formula} with {others}")
