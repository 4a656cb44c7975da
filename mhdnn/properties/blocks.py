"""Blocks of corner-sharing octahedra in shear phases: how many octahedra long, wide and high.

Definition. Two octahedra are linked if they share exactly one ligand and the angle at it, centre-ligand-centre, is at
least 135°, as in ReO3; sharing an edge, or a corner at a right angle, as across a shear plane, is no link. A chain goes
from an octahedron to the next through opposite ligands. A block is all that is linked; its size along each of its
three axes is the number of octahedra in the longest chain, infinite if a chain comes back to an image of its start. So
a Wadsley-Roth phase has blocks m x n x infinite, ReO3 one block without end.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from mhdnn.errors import PropertyError
from mhdnn.properties.polyhedra import Polyhedron, bond_angles, opposite_ligands

STRAIGHT = 135.0
"""Smallest angle at the shared ligand of linked octahedra, degrees; halfway between a shear plane's and ReO3's."""


@dataclass
class Block:
    """Linked octahedra.

    :param octahedra: numbers of their centres in the structure, shape (num_octahedra,)
    :param size: octahedra in the longest chains along its axes, ascending; math.inf if endless
    :param vectors: of these chains from the first ligand to the last, shape (3, 3), Å; NaN for endless ones
    """

    octahedra: np.ndarray
    size: tuple[float, float, float]
    vectors: np.ndarray

    @property
    def lengths(self) -> tuple[float, ...]:
        """Of the chains, Å; NaN for endless ones."""
        return tuple(np.linalg.norm(self.vectors, axis=1).tolist())

    @property
    def area(self) -> float:
        """Of the parallelogram of the two chains with an end, Å²; NaN unless the third is endless."""
        finite = np.isfinite(self.vectors[:, 0])
        return float(np.linalg.norm(np.cross(*self.vectors[finite]))) if finite.sum() == 2 else math.nan


def find_blocks(polyhedra: Sequence[Polyhedron]) -> list[Block]:
    """The blocks of a structure, the largest first.

    :param polyhedra: of its cell; those with other than six ligands belong to no block
    :raises PropertyError: if chains of one block can't be told apart into three axes
    """
    octahedra = [polyhedron for polyhedron in polyhedra if len(polyhedron.ligands) == 6]
    links = _links(octahedra)
    blocks = [_block(octahedra, members, links) for members in _components(len(octahedra), links)]
    return sorted(blocks, key=lambda block: (-len(block.octahedra), block.octahedra[0]))


Links = dict[tuple[int, int], tuple[int, int]]
"""For an octahedron and the place of one of its ligands: the octahedron linked there, and the ligand's place in it."""


def _links(octahedra: Sequence[Polyhedron]) -> Links:
    at_ligand: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for number, octahedron in enumerate(octahedra):
        for place, ligand in enumerate(octahedron.ligands):
            at_ligand[int(ligand)].append((number, place))
    # what two octahedra share, for each cell that the second may be in
    shared: dict[tuple[int, ...], list[tuple[int, int]]] = defaultdict(list)
    for ends in at_ligand.values():
        for (number, place), (other, other_place) in itertools.permutations(ends, 2):
            cell = octahedra[number].shifts[place] - octahedra[other].shifts[other_place]
            shared[(number, other, *cell.tolist())].append((place, other_place))
    links: Links = {}
    for (number, other, *_), places in shared.items():
        if len(places) == 1:
            ((place, other_place),) = places
            bonds = np.array([octahedra[number].vectors[place], octahedra[other].vectors[other_place]])
            if bond_angles(bonds)[0, 1] >= STRAIGHT:
                links[number, place] = (other, other_place)
    return links


def _components(number: int, links: Links) -> list[list[int]]:
    rows = [here for here, _ in links]
    columns = [there for there, _ in links.values()]
    graph = coo_matrix((np.ones(len(rows)), (rows, columns)), shape=(number, number))
    count, labels = connected_components(graph, directed=False)
    return [np.flatnonzero(labels == label).tolist() for label in range(count)]


def _block(octahedra: Sequence[Polyhedron], members: list[int], links: Links) -> Block:
    chains = []
    for number in members:
        vectors = octahedra[number].vectors
        for pair in opposite_ligands(vectors):
            direction = vectors[pair[1]] - vectors[pair[0]]
            chains.append((direction / np.linalg.norm(direction), *_chain(octahedra, number, pair, links)))
    axes = _axes(np.array([direction for direction, _, _ in chains[:3]]), chains)
    longest = sorted((max(of_axis, key=lambda chain: chain[0]) for of_axis in axes), key=lambda chain: chain[0])
    centers = np.array([octahedra[number].center for number in members])
    short, middle, long = (size for size, _ in longest)
    return Block(np.sort(centers), (short, middle, long), np.array([vector for _, vector in longest]))


Chain = tuple[float, np.ndarray]
"""How many octahedra it has, and the vector from its first ligand to its last, NaN if it is endless."""


def _axes(directions: np.ndarray, chains: Sequence[tuple[np.ndarray, float, np.ndarray]]) -> list[list[Chain]]:
    """Chains by the axis of the block that they follow: of the first octahedron's axes the nearest."""
    found: list[list[Chain]] = [[], [], []]
    for direction, size, vector in chains:
        found[int(np.argmax(np.abs(directions @ direction)))].append((size, vector))
    if not all(found):
        raise PropertyError(
            "`polyhedra`: expected octahedra with three axes in each block, got some that are too distorted"
        )
    return found


def _chain(octahedra: Sequence[Polyhedron], start: int, pair: tuple[int, int], links: Links) -> Chain:
    """The chain through a pair of opposite ligands."""
    ends, size = [], 1
    for leaving in pair:
        number, place = start, leaving
        position = octahedra[start].vectors[place].copy()
        while (number, place) in links:
            number, entering = links[number, place]
            if number == start:
                return math.inf, np.full(3, math.nan)
            size += 1
            vectors = octahedra[number].vectors
            place = _opposite(vectors, entering)
            position += vectors[place] - vectors[entering]
        ends.append(position)
    return float(size), ends[1] - ends[0]


def _opposite(vectors: np.ndarray, place: int) -> int:
    ((one, two),) = (pair for pair in opposite_ligands(vectors) if place in pair)
    return two if place == one else one
