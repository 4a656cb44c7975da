"""Slabs that are cut from crystals."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from ase import Atoms
from ase.build import surface

from mhdnn.errors import ConfigError

SAME_PLACE = 0.01
"""Å within which atoms are on the places of others after a translation."""
ONE_ATOM = 0.2
"""Å within which images of atoms by several such translations are one atom."""


def surface_slab(crystal: Atoms, miller: Sequence[int], layers: int = 1, vacuum: float = 10.0) -> Atoms:
    """Layers of a crystal, periodic along x and y, in the smallest cell that repeats them.

    The surface is a cut of the crystal between its planes as `ase.build.surface` makes it, nothing is moved.

    :param crystal: with three periodic directions
    :param miller: indices of the plane in its cell
    :param layers: number of its cells along the normal
    :param vacuum: on each side, Å
    :raises ConfigError: if the crystal is none, or the indices are all zero
    """
    if not crystal.pbc.all() or crystal.cell.rank < 3:
        raise ConfigError(f"`surface`: expected a crystal periodic along x, y and z, got pbc {crystal.pbc.tolist()}")
    if len(miller) != 3 or not any(miller):
        raise ConfigError(f"`miller`: expected three indices that are not all zero, got {list(miller)}")
    slab = surface(crystal, tuple(miller), layers, vacuum=vacuum)
    slab = Atoms(slab.numbers, slab.positions, cell=slab.cell, pbc=(True, True, False))
    slab.wrap()
    return smallest_plane_cell(slab)


def smallest_plane_cell(slab: Atoms) -> Atoms:
    """The slab in the smallest cell in the plane of x and y by which it repeats itself; as it is if it does not quite.

    :param slab: its first two vectors in this plane, periodic
    """
    vectors = [*slab.cell[:2, :2], *_translations(slab)]
    full = abs(np.linalg.det(slab.cell[:2, :2]))
    vectors.sort(key=lambda vector: float(np.linalg.norm(vector)))
    areas = {pair: abs(np.linalg.det(np.array(pair).reshape(2, 2))) for pair in _pairs(vectors)}
    smallest = min(area for area in areas.values() if area > 1e-3 * full)
    first, second = next(np.array(pair).reshape(2, 2) for pair, area in areas.items() if area < 1.001 * smallest)
    if np.linalg.det([first, second]) < 0:
        second = -second
    number = len(slab) * smallest / full
    cell = np.array([[*first, 0.0], [*second, 0.0], slab.cell[2]])
    fractions = np.linalg.solve(cell.T, slab.positions.T).T
    fractions[:, :2] = (fractions[:, :2] + 1e-6) % 1.0 - 1e-6
    kept: list[int] = []
    for index in np.lexsort(np.round(fractions, 4).T):
        offsets = fractions[kept] - fractions[index]
        offsets[:, :2] -= np.round(offsets[:, :2])
        if not len(kept) or np.linalg.norm(offsets @ cell, axis=1).min() > ONE_ATOM:
            kept.append(int(index))
    if len(kept) != round(number):  # it repeats itself only nearly
        return slab
    result = Atoms(slab.numbers[kept], fractions[kept] @ cell, cell=cell, pbc=slab.pbc)
    # about z: turned from vector to vector, one along -x would be turned upside down
    result.rotate(-np.degrees(np.arctan2(first[1], first[0])), "z", rotate_cell=True)
    return result


def _pairs(vectors: list[np.ndarray]) -> list[tuple[float, ...]]:
    return [(*one.tolist(), *other.tolist()) for one, other in combinations(vectors, 2)]


def _translations(slab: Atoms) -> list[np.ndarray]:
    """Shifts in the plane that map the slab on itself, as short as its cell allows."""
    rarest = min(set(slab.numbers.tolist()), key=lambda number: int((slab.numbers == number).sum()))
    chosen = slab.positions[slab.numbers == rarest]
    candidates = [offset[:2] for offset in chosen[1:] - chosen[0] if abs(offset[2]) < SAME_PLACE]
    found: list[np.ndarray] = []
    for candidate in candidates:
        shortest = min(
            (candidate - one * slab.cell[0, :2] - two * slab.cell[1, :2] for one in (0, 1) for two in (0, 1)),
            key=lambda vector: float(np.linalg.norm(vector)),
        )
        if _repeats(slab, shortest):
            found.append(shortest)
    return found


def _repeats(slab: Atoms, shift: np.ndarray) -> bool:
    moved = slab.positions + [*shift, 0.0]
    for number in set(slab.numbers.tolist()):
        chosen = slab.numbers == number
        offsets = slab.cell.scaled_positions((moved[chosen][:, None] - slab.positions[chosen][None]).reshape(-1, 3))
        offsets[:, :2] -= np.round(offsets[:, :2])
        distances = np.linalg.norm(offsets @ slab.cell[:], axis=1).reshape(chosen.sum(), -1)
        if distances.min(axis=1).max() > SAME_PLACE:
            return False
    return True
