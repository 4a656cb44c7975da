"""Bonds of a structure at rest, and which of them are broken once it is strained."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.neighborlist import neighbor_list

from mhdnn.errors import PropertyError
from mhdnn.properties.polyhedra import num_before_gap

FIRST_REACH = 3.0
LARGEST_REACH = 24.0
"""Å within which neighbours are looked for."""


@dataclass(frozen=True)
class Bonds:
    """Pairs of neighbours of the structure at rest.

    :param first: numbers of the atoms, shape (num_bonds,)
    :param second: numbers of the atoms, shape (num_bonds,)
    :param shifts: cells between them, whole numbers, shape (num_bonds, 3)
    :param lengths: at rest, shape (num_bonds,), Å
    """

    first: np.ndarray
    second: np.ndarray
    shifts: np.ndarray
    lengths: np.ndarray

    def vectors(self, atoms: Atoms) -> np.ndarray:
        """From the first to the second atoms, which must not have been wrapped, shape (num_bonds, 3), Å."""
        return atoms.positions[self.second] - atoms.positions[self.first] + self.shifts @ atoms.cell[:]

    def stretches(self, atoms: Atoms) -> np.ndarray:
        """Lengths by those at rest, shape (num_bonds,)."""
        return np.linalg.norm(self.vectors(atoms), axis=1) / self.lengths

    def centers(self, atoms: Atoms) -> np.ndarray:
        """Midpoints, shape (num_bonds, 3), Å."""
        return atoms.positions[self.first] + 0.5 * self.vectors(atoms)

    def coordination(self, broken: np.ndarray, num_atoms: int) -> np.ndarray:
        """Number of unbroken bonds of each atom, shape (num_atoms,).

        :param broken: shape (num_bonds,)
        """
        ends = np.concatenate([self.first[~broken], self.second[~broken]])
        return np.bincount(ends, minlength=num_atoms)


def find_bonds(atoms: Atoms) -> Bonds:
    """Pairs of which one is in the first shell of the other: before the largest gap between distances.

    The shell has at least three neighbours, if there are as many within 1.6 times the shortest distance
    (`mhdnn.properties.polyhedra.num_before_gap`): 3 in graphene, 4 in diamond, 12 in a close-packed crystal, 14 in a
    body-centred one. No radii are needed, so that rare gases and model crystals have bonds, too.

    :raises PropertyError: if there is an atom without neighbours
    """
    reach = _reach(atoms)
    first, second, lengths, shifts = neighbor_list("ijdS", atoms, reach)
    bonded = np.zeros(len(first), dtype=bool)
    for number in range(len(atoms)):
        rows = np.flatnonzero(first == number)
        rows = rows[np.argsort(lengths[rows], kind="stable")]
        bonded[rows[: num_before_gap(lengths[rows], reach)]] = True
    pairs = np.column_stack([first, second, shifts])[bonded]
    mirrored = np.column_stack([pairs[:, 1], pairs[:, 0], -pairs[:, 2:]])
    unique = np.unique(np.concatenate([pairs, mirrored]), axis=0)
    once = unique[_is_first(unique)]
    found = Bonds(once[:, 0], once[:, 1], once[:, 2:], np.ones(len(once)))
    return Bonds(found.first, found.second, found.shifts, np.linalg.norm(found.vectors(atoms), axis=1))


def _is_first(pairs: np.ndarray) -> np.ndarray:
    """Of a pair and its mirror image the one that is lower in order."""
    mirrored = np.column_stack([pairs[:, 1], pairs[:, 0], -pairs[:, 2:]])
    differences = pairs - mirrored
    leading = differences[np.arange(len(pairs)), np.argmax(differences != 0, axis=1)]
    return leading < 0


def _reach(atoms: Atoms) -> float:
    """Twice the largest distance of an atom from its nearest neighbour, Å."""
    reach = FIRST_REACH
    while reach <= LARGEST_REACH:
        first, lengths = neighbor_list("id", atoms, reach)
        nearest = np.full(len(atoms), np.inf)
        np.minimum.at(nearest, first, lengths)
        if np.isfinite(nearest).all():
            return max(FIRST_REACH, 2.0 * float(nearest.max()))
        reach *= 2.0
    raise PropertyError(
        f"`{atoms.get_chemical_formula()}`: expected every atom to have a neighbour within {LARGEST_REACH:g} Å, got "
        "one without; remove it"
    )
