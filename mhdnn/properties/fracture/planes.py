"""Lattice planes of a crystal: cells that lie along one, where it is cut, slabs of it."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from math import gcd
from typing import NamedTuple

import numpy as np
from ase import Atoms
from ase.build import make_supercell

from mhdnn.errors import ConfigError
from mhdnn.properties.fracture.directions import axes_with, turned

SAME_PLACE = 0.02
"""Å within which an atom lies on another after a shift by a lattice vector."""
MOST_PARTS = 6
"""Of a lattice vector of the cell that are tried, whether they are one themselves."""


def whole_indices(values: Sequence[float], name: str) -> np.ndarray:
    """Miller indices without a common divisor, shape (3,).

    :raises ConfigError: unless they are three whole numbers that are not all zero
    """
    numbers = np.asarray(values, dtype=float)
    rounded = np.rint(numbers).astype(int)
    if numbers.shape != (3,) or np.abs(numbers - rounded).max() > 1e-9 or not rounded.any():
        raise ConfigError(f"`{name}`: expected three whole numbers that are not all zero, got {list(values)}")
    return rounded // gcd(*rounded.tolist())


INTERFACES = "an interface is separated by `separation` and `gap_curve`"
"""Where what is no crystal belongs that should be cleaved."""


def check_crystal(atoms: Atoms, key: str = "structures", remedy: str = INTERFACES) -> None:
    """Whether it is periodic in three directions.

    :param key: of the command, for the error
    :param remedy: for the error
    :raises ConfigError: if not
    """
    if not (atoms.pbc.all() and atoms.cell.rank == 3):
        raise ConfigError(
            f"`{key}`: expected a crystal, periodic in three directions, got pbc {atoms.pbc.tolist()} and cell vectors "
            f"of {np.round(atoms.cell.lengths(), 3).tolist()} Å; {remedy}"
        )


def cell_along(atoms: Atoms, plane: np.ndarray) -> np.ndarray:
    """Three lattice vectors in units of the cell's, rows: the shortest two in a plane, and one to the next plane.

    :param plane: indices (hkl) without a common divisor
    :return: whole numbers of determinant one, shape (3, 3)
    """
    reach = range(-int(np.abs(plane).max()) - 1, int(np.abs(plane).max()) + 2)
    candidates = np.array(list(itertools.product(reach, reach, reach)))
    lengths = np.linalg.norm(candidates @ atoms.cell[:], axis=1)
    candidates = candidates[np.argsort(np.round(lengths, 8), kind="stable")]
    steps = candidates @ plane
    within = [vector for vector in candidates[steps == 0] if vector.any()]
    first = within[0]
    # primitive in the plane: the cross product is the plane's indices themselves
    second = next(v for v in within if np.array_equal(np.abs(np.cross(first, v)), np.abs(plane)))
    if np.cross(first, second) @ plane < 0:
        second = -second
    normal = plane @ atoms.cell.reciprocal()[:]
    normal /= np.linalg.norm(normal)
    upwards = candidates[steps == 1]
    beside = upwards @ atoms.cell[:]
    beside -= (beside @ normal)[:, None] * normal
    return np.array([first, second, upwards[np.argmin(np.round(np.linalg.norm(beside, axis=1), 8))]])


def along_plane(atoms: Atoms, plane: np.ndarray, cut: int = 0) -> Atoms:
    """A cell of the crystal whose first two vectors lie in a plane, turned so that z is its normal; cut at its base.

    :param plane: indices (hkl) without a common divisor
    :param cut: which gap between planes of atoms the base lies in, 0 the widest, 1 the next
    :raises ConfigError: if there are fewer gaps
    """
    result = _turned_cell(atoms, plane)
    result.positions[:, 2] -= _cut_height(result, cut)
    result.wrap(pbc=True)
    return result


def cut_height(atoms: Atoms, plane: np.ndarray, cut: int = 0) -> float:
    """Height over the origin, along the normal of a plane, at which a crystal is cut, Å; others are a period away.

    :raises ConfigError: as `along_plane`
    """
    return _cut_height(_turned_cell(atoms, plane), cut)


def _turned_cell(atoms: Atoms, plane: np.ndarray) -> Atoms:
    cell = make_supercell(atoms, cell_along(atoms, plane))
    normal = plane @ atoms.cell.reciprocal()[:]
    normal /= np.linalg.norm(normal)
    return turned(cell, axes_with(normal, cell.cell[0] / np.linalg.norm(cell.cell[0])))


class Cut(NamedTuple):
    """A gap between planes of atoms.

    :param height: of its middle, Å
    :param width: Å
    :param below: symbols of the atoms next to it below
    :param above: symbols of the atoms next to it above
    """

    height: float
    width: float
    below: list[str]
    above: list[str]


def cuts_along(atoms: Atoms, plane: np.ndarray) -> list[Cut]:
    """All gaps between planes of atoms along (hkl) of a crystal, the widest first."""
    return _cuts(_turned_cell(atoms, plane))


def _cuts(atoms: Atoms) -> list[Cut]:
    """Gaps of a cell with two vectors across z."""
    period = float(atoms.cell[2, 2])
    heights = atoms.positions[:, 2] % period
    ordered = np.sort(heights)
    gaps = np.diff(np.append(ordered, ordered[0] + period))
    found = []
    for place in np.argsort(-np.round(gaps, 4), kind="stable"):
        if gaps[place] > SAME_PLACE:
            low, high = ordered[place], ordered[(place + 1) % len(ordered)]
            near = [
                [str(atoms.symbols[n]) for n in np.flatnonzero(_apart(heights, edge, period) < SAME_PLACE)]
                for edge in (low, high)
            ]
            found.append(Cut(float(low + 0.5 * gaps[place]), float(gaps[place]), *near))
    return found


def _apart(heights: np.ndarray, edge: float, period: float) -> np.ndarray:
    offsets = heights - edge
    return np.abs(offsets - period * np.rint(offsets / period))


def _cut_height(atoms: Atoms, cut: int) -> float:
    """Where a cell with two vectors across z is cut: the middle of a gap between heights of atoms, Å.

    :param cut: 0 the widest gap, 1 the next
    :raises ConfigError: if there are fewer gaps
    """
    cuts = _cuts(atoms)
    if not 0 <= cut < len(cuts):
        raise ConfigError(f"`cut`: expected a number from 0 to {len(cuts) - 1}, the gaps between planes, got {cut}")
    return cuts[cut].height


def slab_of(atoms: Atoms, plane: np.ndarray, cut: int, thickness: float) -> Atoms:
    """The crystal with a plane across z, cut at the base, repeated along z to a thickness; periodic.

    :param thickness: at least, Å
    """
    cell = along_plane(atoms, plane, cut)
    return cell * (1, 1, max(1, int(np.ceil(thickness / cell.cell[2, 2] - 1e-6))))


def opened(slab: Atoms, opening: float) -> Atoms:
    """The same with its periodic images moved apart along z: two surfaces at the cut.

    :param opening: Å
    """
    result = slab.copy()
    cell = slab.cell[:].copy()
    cell[2, 2] += opening
    result.set_cell(cell)
    return result


def shortest_translation(atoms: Atoms, direction: np.ndarray) -> np.ndarray:
    """The shortest lattice vector along [uvw], which may be a part of the cell's, shape (3,), Å.

    :param direction: indices without a common divisor
    """
    vector = direction @ atoms.cell[:]
    for parts in range(MOST_PARTS, 1, -1):
        if _is_translation(atoms, vector / parts):
            return vector / parts
    return vector


def advance_period(atoms: Atoms, plane: np.ndarray, front: np.ndarray) -> float:
    """The shortest way across its front by which a crack comes to an equivalent place, Å.

    The area of the lattice's cell in the plane by the shortest translation along the front.

    :param plane: indices (hkl) without a common divisor
    :param front: indices [uvw] in the plane, without a common divisor
    """
    alike = np.flatnonzero(atoms.numbers == atoms.numbers[0])
    shifts = atoms.positions[alike] - atoms.positions[0]
    centring = [atoms.cell.scaled_positions(shift) for shift in shifts if _is_translation(atoms, shift)]
    heights = np.array(centring) @ plane
    within_plane = int((np.abs(heights - np.rint(heights)) < 1e-2).sum())
    area = float(np.linalg.norm(np.cross(*(cell_along(atoms, plane)[:2] @ atoms.cell[:])))) / within_plane
    return area / float(np.linalg.norm(shortest_translation(atoms, front)))


def _is_translation(atoms: Atoms, shift: np.ndarray) -> bool:
    fractions = atoms.get_scaled_positions(wrap=False)
    moved = atoms.cell.scaled_positions(atoms.positions + shift)
    apart = moved[:, None] - fractions
    distances = np.linalg.norm((apart - np.rint(apart)) @ atoms.cell[:], axis=2)
    distances[atoms.numbers[:, None] != atoms.numbers] = np.inf
    return bool((distances.min(axis=1) < SAME_PLACE).all())
