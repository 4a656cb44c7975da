r"""Coincidence lattices of two planes: supercells of both that fit each other with little strain.

A. Zur and T. C. McGill, J. Appl. Phys. 55, 378 (1984), https://doi.org/10.1063/1.333084: all supercells of n₁ and n₂
cells with nearly equal areas are compared after reduction, whatever the twist between them.

With supercell vectors as columns :math:`L_1, L_2`, the deformation of the second plane onto the first is
:math:`F = L_1 L_2^{-1} = R\,U`: a rotation R by the twist angle and a stretch U, whose principal values minus one are
the strains (Biot).
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from mhdnn.errors import ConfigError

UNIMODULAR = np.array(
    [m for m in itertools.product((-1, 0, 1), repeat=4) if m[0] * m[3] - m[1] * m[2] == 1], dtype=np.int64
).reshape(-1, 2, 2)
"""Other bases of a lattice that are as short as the reduced one where lengths or angles are nearly equal."""

ROUND_OFF = 1e-12
SAME = 1e-6
"""Strains and twists (degrees) that differ by less are equal."""


@dataclass(frozen=True)
class Coincidence:
    r"""Supercells of two planes that coincide after a strain.

    :param matrix_1: whole numbers that make the first supercell's vectors (rows) from the cell's, shape (2, 2)
    :param matrix_2: the same of the second plane
    :param strains: principal strains of the second plane if it is stretched onto the first, larger one first
    :param twist: angle by which the second plane is turned, degrees
    :param area: of the first supercell, Å²
    """

    matrix_1: tuple[tuple[int, int], tuple[int, int]]
    matrix_2: tuple[tuple[int, int], tuple[int, int]]
    strains: tuple[float, float]
    twist: float
    area: float

    @property
    def num_cells(self) -> tuple[int, int]:
        """Cells of either plane in its supercell."""
        return round(np.linalg.det(self.matrix_1)), round(np.linalg.det(self.matrix_2))

    @property
    def largest_strain(self) -> float:
        return max(abs(strain) for strain in self.strains)

    def report(self) -> dict[str, object]:
        """What a paper's table lists."""
        return {
            "matrix_1": [list(row) for row in self.matrix_1],
            "matrix_2": [list(row) for row in self.matrix_2],
            "num_cells_1": self.num_cells[0],
            "num_cells_2": self.num_cells[1],
            "principal_strains_percent": [100.0 * strain for strain in self.strains],
            "largest_strain_percent": 100.0 * self.largest_strain,
            "twist_degrees": self.twist,
            "area_square_angstrom": self.area,
        }


def find_coincidences(
    cell_1: np.ndarray,
    cell_2: np.ndarray,
    max_area: float,
    max_strain: float,
    twist: tuple[float, float] | None = None,
) -> list[Coincidence]:
    """Coincidence lattices of two planes, smallest area first, then smallest strain.

    Of those with equal strains, and twists of equal size but for rotations that the lattices have, the smallest one
    with the smallest twist is listed. Planes may have fewer rotations than their lattices (MoS2 three, not six).

    :param cell_1: vectors of the first plane (rows), shape (2, 2), Å
    :param cell_2: of the second one
    :param max_area: of the first supercell, Å²
    :param max_strain: largest principal strain, absolute (0.02 is 2 %)
    :param twist: smallest and largest angle by which the second plane may be turned, degrees in -180 to 180; any if
        None
    :raises ConfigError: if a cell is singular or left-handed, or a limit out of range
    """
    for name, cell in (("cell_1", cell_1), ("cell_2", cell_2)):
        if np.shape(cell) != (2, 2) or not np.linalg.det(cell) > 0:
            raise ConfigError(
                f"`{name}`: expected two vectors that span a plane, shape (2, 2) in Å, the second one to the left of "
                f"the first, got {np.asarray(cell).tolist()}"
            )
    if not max_area > 0:
        raise ConfigError(f"`max_area`: expected a positive number in Å², got {max_area}")
    if not 0 < max_strain < 0.5:
        raise ConfigError(f"`max_strain`: expected a number between 0 and 0.5 (0.02 is 2 %), got {max_strain}")
    area_1, area_2 = np.linalg.det(cell_1), np.linalg.det(cell_2)
    found: list[Coincidence] = []
    lattices_2: dict[int, np.ndarray] = {}
    for count_1 in range(1, int(max_area / area_1 + SAME) + 1):
        bases_1 = reduced_supercells(cell_1, count_1)
        lowest, highest = (count_1 * area_1 / area_2 / (1 + sign * max_strain) ** 2 for sign in (1, -1))
        for count_2 in range(max(1, int(np.ceil(lowest - SAME))), int(highest + SAME) + 1):
            if count_2 not in lattices_2:
                lattices_2[count_2] = reduced_supercells(cell_2, count_2)
            found += _matching(cell_1, cell_2, bases_1, lattices_2[count_2], max_strain, twist)
    found.sort(key=lambda one: (round(one.area, 6), round(one.largest_strain, 8), abs(one.twist), one.twist))
    return _inequivalent(found, 360.0 / np.lcm(rotations(cell_1), rotations(cell_2)))


def rotations(cell: np.ndarray) -> int:
    """Rotations that a plane lattice has: 2, 4 or 6.

    :param cell: shape (2, 2), Å
    """
    a, b = _reduce(np.eye(2, dtype=np.int64), cell) @ cell
    if abs(b @ b / (a @ a) - 1.0) > SAME:
        return 2
    cosine = abs(a @ b) / (a @ a)
    return 4 if cosine < SAME else 6 if abs(cosine - 0.5) < SAME else 2


def reduced_supercells(cell: np.ndarray, count: int) -> np.ndarray:
    """Whole-number matrices of all supercells of some cells, each with its reduced basis.

    :param cell: shape (2, 2), Å
    :return: shape (num_supercells, 2, 2)
    """
    triangular = [[[a, b], [0, count // a]] for a in range(1, count + 1) if count % a == 0 for b in range(count // a)]
    # rows (a, b) and (0, c): b counts modulo c
    return np.array([_reduce(np.array(matrix), cell) for matrix in triangular])


def _reduce(matrix: np.ndarray, cell: np.ndarray) -> np.ndarray:
    """Gauss's reduction of the lattice with vectors matrix @ cell; the basis keeps its handedness."""
    first, second = matrix
    while True:
        a, b = first @ cell, second @ cell
        second = second - int(np.rint(a @ b / (a @ a))) * first
        b = second @ cell
        if b @ b >= a @ a * (1.0 - 1e-12):
            return np.array([first, second])
        first, second = second, -first


def _matching(
    cell_1: np.ndarray,
    cell_2: np.ndarray,
    matrices_1: np.ndarray,
    matrices_2: np.ndarray,
    max_strain: float,
    twist: tuple[float, float] | None,
) -> list[Coincidence]:
    """Coincidences among supercells of given numbers of cells.

    The two shortest lengths of a lattice change by no more than its largest strain, which leaves few pairs.
    """
    vectors_1, vectors_2 = matrices_1 @ cell_1, matrices_2 @ cell_2
    ratios = np.linalg.norm(vectors_1, axis=2)[:, None] / np.linalg.norm(vectors_2, axis=2)
    first, second = np.nonzero((np.abs(ratios - 1.0) <= max_strain + ROUND_OFF).all(2))
    # columns are vectors; the second index runs over bases of plane 2
    bases = UNIMODULAR @ matrices_2[second][:, None]
    columns_1, columns_2 = np.swapaxes(vectors_1[first], 1, 2)[:, None], np.swapaxes(bases @ cell_2, 2, 3)
    deformation = columns_1 @ np.linalg.inv(columns_2)
    strains, angles = stretch_and_turn(deformation)
    fits = (np.abs(strains).max(-1) <= max_strain + ROUND_OFF) & (np.linalg.det(deformation) > 0)
    if twist is not None:
        fits &= (angles >= twist[0] - SAME) & (angles <= twist[1] + SAME)
    area = float(np.linalg.det(vectors_1[0]))
    return [
        Coincidence(
            _whole(matrices_1[first[pair]]),
            _whole(bases[pair, base]),
            (float(strains[pair, base, 0]), float(strains[pair, base, 1])),
            float(angles[pair, base]),
            area,
        )
        for pair, base in np.argwhere(fits)
    ]


def stretch_and_turn(deformation: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Principal strains, shape (..., 2), and angle of rotation in degrees, shape (...), of F = R U.

    :param deformation: F, shape (..., 2, 2)
    """
    (a, b), (c, d) = np.moveaxis(deformation, (-2, -1), (0, 1))
    # F is the sum of a similarity of ratio `even` and a mirrored one of ratio `odd`
    even, odd = 0.5 * np.hypot(a + d, c - b), 0.5 * np.hypot(a - d, b + c)
    strains = np.stack([even + odd - 1.0, even - odd - 1.0], -1)
    return strains, np.degrees(np.arctan2(c - b, a + d))


def _whole(matrix: np.ndarray) -> tuple[tuple[int, int], tuple[int, int]]:
    (a, b), (c, d) = matrix.tolist()
    return (a, b), (c, d)


def _inequivalent(found: list[Coincidence], period: float) -> list[Coincidence]:
    """The first of each set of equal strains and size of the twist.

    :param period: angle by which a twist can change without a change of the lattices, degrees
    """
    seen = set()
    result = []
    for one in found:
        twist = abs((one.twist + 0.5 * period) % period - 0.5 * period)
        key = tuple(round(value / SAME) for value in (*one.strains, twist))
        if key not in seen:
            seen.add(key)
            result.append(one)
    return result
