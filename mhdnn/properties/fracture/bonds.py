"""Bonds of a structure at rest, and which of them are broken once it is strained."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from ase import Atoms

from mhdnn.errors import PropertyError
from mhdnn.neighbors import find_half_pairs
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

    def among(self, kept: np.ndarray) -> Bonds:
        """Those of which both atoms are kept, with the numbers that they then have.

        :param kept: numbers of atoms, ascending
        """
        chosen = np.isin(self.first, kept) & np.isin(self.second, kept)
        first, second = (np.searchsorted(kept, ends[chosen]) for ends in (self.first, self.second))
        return Bonds(first, second, self.shifts[chosen], self.lengths[chosen])

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
    first, second, shifts = find_half_pairs(atoms.positions, atoms.cell[:], atoms.pbc, reach)
    pairs = Bonds(first, second, shifts, np.ones(len(first)))
    lengths = np.linalg.norm(pairs.vectors(atoms), axis=1)
    ends, numbers = np.concatenate([first, second]), np.tile(np.arange(len(first)), 2)
    order = np.lexsort([np.round(lengths[numbers], 9), ends])
    starts = np.searchsorted(ends[order], np.arange(len(atoms) + 1))
    bonded = np.zeros(len(first), dtype=bool)
    for start, end in itertools.pairwise(starts):
        rows = numbers[order[start:end]]
        bonded[rows[: num_before_gap(lengths[rows], reach)]] = True
    return Bonds(first[bonded], second[bonded], shifts[bonded], lengths[bonded])


def _reach(atoms: Atoms) -> float:
    """Twice the largest distance of an atom from its nearest neighbour, Å."""
    reach = FIRST_REACH
    while reach <= LARGEST_REACH:
        first, second, shifts = find_half_pairs(atoms.positions, atoms.cell[:], atoms.pbc, reach)
        lengths = np.linalg.norm(Bonds(first, second, shifts, first).vectors(atoms), axis=1)
        nearest = np.full(len(atoms), np.inf)
        np.minimum.at(nearest, np.concatenate([first, second]), np.tile(lengths, 2))
        if np.isfinite(nearest).all():
            return max(FIRST_REACH, 2.0 * float(nearest.max()))
        reach *= 2.0
    raise PropertyError(
        f"`{atoms.get_chemical_formula()}`: expected every atom to have a neighbour within {LARGEST_REACH:g} Å, got "
        "one without; remove it"
    )
