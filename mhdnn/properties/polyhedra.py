r"""Coordination polyhedra and measures of their distortion.

Quadratic elongation and bond-angle variance: Robinson, Gibbs and Ribbe, https://doi.org/10.1126/science.172.3983.567;
bond-length distortion: Baur, https://doi.org/10.1107/S0567740874004560. Vectors go from the centre to the ligands.
Both measures are defined for tetrahedra and octahedra; the same formulas with the angles and the volume of the regular
pentagonal bipyramid serve for seven ligands.
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

TETRAHEDRAL_ANGLE = float(np.degrees(np.arccos(-1.0 / 3.0)))

VOLUMES = {4: 8.0 * np.sqrt(3.0) / 27.0, 6: 4.0 / 3.0, 7: 5.0 / 3.0 * np.sin(np.radians(72.0))}
"""Volumes of the regular tetrahedron, octahedron and pentagonal bipyramid whose bonds have length one."""

FIRST_RADIUS = 3.0
FLAT = 1e-6
LONGEST_BOND = 1.6
"""Longest bond of a polyhedron in lengths of its shortest one; 1.4 occurs in octahedra of molybdenum and tungsten."""
FEWEST_BY_GAP = 3
"""Ligands that a coordination shell has at least: gaps between the nearest two don't count."""


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

    Without cutoff and count the ligands end at the largest gap between distances (`num_before_gap`).

    :param centers: symbols of the centres
    :param ligands: symbols of the ligands; all elements but those of the centres if None
    :param cutoff: largest distance of a ligand, Å
    :param count: number of ligands, the nearest ones, whatever their distances
    :raises ConfigError: if there are no centres or too few ligands, or both cutoff and count are given
    """
    symbols = np.array(atoms.get_chemical_symbols())
    is_center = np.isin(symbols, list(centers))
    is_ligand = ~is_center if ligands is None else np.isin(symbols, list(ligands))
    _check(atoms, centers, is_center, is_ligand, cutoff, count)
    if cutoff is None and count is None:
        return _before_gaps(atoms, is_center, is_ligand)
    radius = cutoff if cutoff is not None else FIRST_RADIUS
    found = _within(atoms, is_center, is_ligand, radius)
    while count is not None and min(len(polyhedron.ligands) for polyhedron in found) < count:
        radius *= 1.5
        found = _within(atoms, is_center, is_ligand, radius)
    return found if count is None else [_nearest(polyhedron, count) for polyhedron in found]


def num_before_gap(lengths: np.ndarray, reach: float) -> int:
    """How many ligands lie before the largest gap: where the next distance over this one is largest.

    Counted are gaps after at least three ligands, and after none that is farther than 1.6 times the nearest; fewer
    ligands than three are all counted that are as near.

    :param lengths: distances, ascending, shape (num_atoms,), Å
    :param reach: distance up to which all are given, Å; stands for the next distance after the last
    """
    near = int(np.sum(lengths <= LONGEST_BOND * lengths[0])) if len(lengths) else 0
    if near <= FEWEST_BY_GAP:
        return near
    following = np.append(lengths, max(reach, lengths[-1]))[1 : near + 1]
    ratios = following / lengths[:near]
    return FEWEST_BY_GAP + int(np.argmax(ratios[FEWEST_BY_GAP - 1 :]))


def _before_gaps(atoms: Atoms, is_center: np.ndarray, is_ligand: np.ndarray) -> list[Polyhedron]:
    reach = FIRST_RADIUS
    nearest = [p.vectors[:1] for p in _within(atoms, is_center, is_ligand, reach)]
    while atoms.pbc.any() and not all(len(vectors) for vectors in nearest):
        reach *= 1.5
        nearest = [p.vectors[:1] for p in _within(atoms, is_center, is_ligand, reach)]
    shortest = max((float(np.linalg.norm(vectors)) for vectors in nearest if len(vectors)), default=reach)
    reach = max(FIRST_RADIUS, 2.0 * shortest)
    found = _within(atoms, is_center, is_ligand, reach)
    return [_nearest(p, num_before_gap(np.linalg.norm(p.vectors, axis=1), reach)) for p in found]


def _nearest(polyhedron: Polyhedron, count: int) -> Polyhedron:
    return Polyhedron(
        polyhedron.center, polyhedron.ligands[:count], polyhedron.shifts[:count], polyhedron.vectors[:count]
    )


def bond_length_distortion(vectors: np.ndarray) -> float:
    r"""Baur's :math:`D = \frac1n\sum_i |l_i - \bar l|/\bar l`."""
    lengths = np.linalg.norm(vectors, axis=1)
    return float(np.abs(lengths - lengths.mean()).mean() / lengths.mean())


def bond_length_variance(vectors: np.ndarray) -> float:
    r""":math:`\Delta = \frac1n\sum_i \bigl((l_i - \bar l)/\bar l\bigr)^2`, without dimension.

    R. D. Shannon, Acta Cryst. A32, 751 (1976), https://doi.org/10.1107/S0567739476001551.
    """
    lengths = np.linalg.norm(vectors, axis=1)
    return float((((lengths - lengths.mean()) / lengths.mean()) ** 2).mean())


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

    :return: 1 for the regular one; NaN for other numbers of ligands than 4, 6 and 7, and flat ones
    """
    number, space = len(vectors), volume(vectors)
    if number not in VOLUMES or space == 0.0:
        return float("nan")
    regular = (space / VOLUMES[number]) ** (1.0 / 3.0)
    return float((vectors**2).sum() / (number * regular**2))


def bond_angle_variance(vectors: np.ndarray) -> float:
    r""":math:`\sigma^2 = \frac{1}{m-1}\sum_i(\theta_i - \theta_{0,i})^2` over the m angles between neighbouring bonds.

    These are the 6 of a tetrahedron (109.47°), the 12 of an octahedron that are not between opposite ligands (90°),
    and the 15 of a pentagonal bipyramid: 5 around its belt (72°), 10 from there to its tips (90°).

    :return: degrees²; NaN for other polyhedra
    """
    deviations = _angle_deviations(vectors)
    return float((deviations**2).sum() / (len(deviations) - 1)) if len(deviations) else float("nan")


def relative_angle_variance(vectors: np.ndarray) -> float:
    r""":math:`\frac{1}{m-1}\sum_i(\theta_i/\theta_{0,i} - 1)^2`: the bond-angle variance without dimension.

    :return: NaN for other polyhedra than those of `bond_angle_variance`
    """
    deviations = _angle_deviations(vectors, relative=True)
    return float((deviations**2).sum() / (len(deviations) - 1)) if len(deviations) else float("nan")


def _angle_deviations(vectors: np.ndarray, relative: bool = False) -> np.ndarray:
    """Angles between neighbouring bonds less the regular ones, degrees or in units of these; empty if undefined."""
    expected = regular_angles(vectors)
    if not expected:
        return np.zeros(0)
    regular = np.array(list(expected.values()))
    angles = bond_angles(vectors)
    deviations = np.array([angles[pair] for pair in expected]) - regular
    return deviations / regular if relative else deviations


def regular_angles(vectors: np.ndarray) -> dict[tuple[int, int], float]:
    """Pairs of neighbouring bonds, and the angle that each has in the regular polyhedron, degrees; empty if undefined.

    :param vectors: shape (num_ligands, 3)
    """
    pairs = list(itertools.combinations(range(len(vectors)), 2))
    if len(vectors) == 4:
        return dict.fromkeys(pairs, TETRAHEDRAL_ANGLE)
    if len(vectors) == 6:
        opposite = opposite_ligands(vectors)
        return {pair: 90.0 for pair in pairs if pair not in opposite}
    if len(vectors) == 7:
        tips, belt = bipyramid_of(vectors)
        around = [(min(a, b), max(a, b)) for a, b in zip(belt, (*belt[1:], belt[0]), strict=True)]
        return dict.fromkeys(around, 72.0) | {(min(t, a), max(t, a)): 90.0 for t in tips for a in belt}
    return {}


def bipyramid_of(vectors: np.ndarray) -> tuple[tuple[int, int], tuple[int, ...]]:
    """The tips of a pentagonal bipyramid and its belt in cyclic order.

    The tips are the pair whose bonds are nearest to one line across the other five.

    :param vectors: shape (7, 3)
    """
    angles = bond_angles(vectors)

    def misfit(pair: tuple[int, int]) -> float:
        belt = [i for i in range(7) if i not in pair]
        return float((angles[pair] - 180.0) ** 2 + ((angles[np.ix_(pair, belt)] - 90.0) ** 2).sum())

    tips = min(itertools.combinations(range(7), 2), key=misfit)
    belt = [i for i in range(7) if i not in tips]
    units = vectors / np.linalg.norm(vectors, axis=1)[:, None]
    axis = units[tips[0]] - units[tips[1]]
    first = np.cross(axis, units[belt[0]])
    second = np.cross(axis, first) / np.linalg.norm(axis)
    azimuths = np.arctan2(units[belt] @ second, units[belt] @ first)
    return tips, tuple(belt[i] for i in np.argsort(azimuths))


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
    if cutoff is not None and count is not None:
        raise ConfigError(f"`cutoff`, `count`: expected one of them, got cutoff={cutoff} and count={count}")
    if cutoff is not None and cutoff <= 0:
        raise ConfigError(f"`cutoff`: expected a positive distance, Å, got {cutoff}")
    if count is not None and count < 1:
        raise ConfigError(f"`count`: expected at least one ligand, got {count}")
    others = is_ligand.sum() - (is_ligand & is_center).any()
    if count is not None and not atoms.pbc.any() and others < count:
        raise ConfigError(f"`count`: expected {count} ligands for each centre, got {formula} with {others}")
