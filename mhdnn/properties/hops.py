"""Hops between the sites of a crystal, and which of them differ by symmetry.

A hop goes from a site in the cell to one in another cell. Two are one path if an operation of the space group, or its
reversal, makes one of the other. Hops whose straight line passes by a third site are two hops and left out.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from mhdnn.errors import PropertyError
from mhdnn.properties.space_group import SpaceGroup

PASSES_BY = 0.4
"""Å; a hop whose line is nearer to a third site goes through it."""
LENGTH_TOLERANCE = 1e-3
"""Å"""
INDEPENDENT = 1e-6

Key = tuple[int, int, int, int, int]
"""Site, site, and the cells from the first to the second."""


@dataclass(frozen=True)
class Sites:
    """All sites of the primitive cell.

    :param places: shape (num_sites, 3), Å
    :param kinds: number of the inequivalent site, shape (num_sites,)
    :param group: the space group that makes them of one another
    """

    places: np.ndarray
    kinds: np.ndarray
    group: SpaceGroup

    def vector(self, hop: Key) -> np.ndarray:
        """From the first site to the second, Å."""
        return self.places[hop[1]] + np.array(hop[2:]) @ self.group.lattice - self.places[hop[0]]

    def numbers_of(self, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Number of the site that is at each place, and its cell, shape (num_places, 3).

        :raises PropertyError: if there is no site: the sites don't have the symmetry of the group
        """
        numbers, cells = [], []
        inverse = np.linalg.inv(self.group.lattice)
        for place in places:
            away = self.group.between(place, self.places)
            distances = np.linalg.norm(away, axis=1)
            number = int(distances.argmin())
            if distances[number] > PASSES_BY:
                raise PropertyError("`sites`: expected places with the symmetry of the crystal, got others")
            numbers.append(number)
            cells.append(np.round((place + away[number] - self.places[number]) @ inverse).astype(int))
        return np.array(numbers), np.array(cells)


@dataclass
class Path:
    """Equivalent hops.

    :param hop: one of them, from the site with the lower number of its kind
    :param members: all of them in the primitive cell, both senses
    :param length: of the straight line, Å
    """

    hop: Key
    members: frozenset[Key]
    length: float = 0.0


def distinct_paths(sites: Sites, max_length: float) -> list[Path]:
    """The paths up to a length that differ by symmetry, the shortest first.

    :param max_length: of the straight line, Å
    """
    hops = _hops(sites, max_length)
    moved = [sites.numbers_of(images) for images in np.array([sites.group.images(p) for p in sites.places])]
    to = np.array([numbers for numbers, _ in moved])  # site, operation
    cells = np.array([cells for _, cells in moved])
    inverse = np.linalg.inv(sites.group.lattice)
    turns = np.round(sites.group.lattice @ np.swapaxes(sites.group.rotations, 1, 2) @ inverse).astype(int)
    left, paths = dict.fromkeys(hops), []
    while left:
        first = next(iter(left))
        one, two, *step = first
        steps = cells[two] - cells[one] + np.array(step) @ turns
        members = {_key(a, b, s) for a, b, s in zip(to[one], to[two], steps, strict=True)}
        members |= {reversed_hop(member) for member in members}
        for member in members:
            left.pop(member, None)
        best = min(members, key=lambda hop: (sites.kinds[hop[0]], sites.kinds[hop[1]], hop != first, hop))
        paths.append(Path(best, frozenset(members), float(np.linalg.norm(sites.vector(first)))))
    return paths


def _hops(sites: Sites, max_length: float) -> list[Key]:
    """Hops up to a length, the shortest first, without those that pass by another site."""
    heights = 1.0 / np.linalg.norm(np.linalg.inv(sites.group.lattice), axis=0)
    reach = np.ceil(max_length / heights).astype(int) + 1
    cells = np.array(list(itertools.product(*(range(-n, n + 1) for n in reach))))
    found: list[tuple[float, Key]] = []
    for one, place in enumerate(sites.places):
        vectors = sites.places[None] + (cells @ sites.group.lattice)[:, None] - place
        lengths = np.linalg.norm(vectors, axis=2)
        near = np.argwhere((lengths > INDEPENDENT) & (lengths < max_length + LENGTH_TOLERANCE))
        around = vectors[tuple(near.T)]
        for cell, two in near:
            if not _passes_by_another(vectors[cell, two], around):
                found.append((round(lengths[cell, two], 3), _key(one, two, cells[cell])))
    return [hop for _, hop in sorted(found)]


def _passes_by_another(hop: np.ndarray, others: np.ndarray) -> bool:
    """Whether one of the other sites is on the line of a hop."""
    length = float(np.linalg.norm(hop))
    along = others @ hop / length
    across = np.linalg.norm(others - along[:, None] * hop / length, axis=1)
    return bool(((along > PASSES_BY) & (along < length - PASSES_BY) & (across < PASSES_BY)).any())


def _key(one: int, two: int, cells: np.ndarray) -> Key:
    a, b, c = (int(n) for n in cells)
    return int(one), int(two), a, b, c


def reversed_hop(hop: Key) -> Key:
    """The same hop backwards."""
    one, two, a, b, c = hop
    return two, one, -a, -b, -c
