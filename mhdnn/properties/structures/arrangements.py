r"""Arrangements of elements, ions and vacancies on the sites of a crystal that differ by symmetry.

Two arrangements are one if an operation of the crystal's space group, the translations of its supercell among them,
makes one of the other. Their number is that of Burnside's lemma,

.. math:: N = \frac{1}{|G|} \sum_{g \in G} n(g)

with n(g) the arrangements that g leaves as they are: those whose cycles of sites hold one element each (Pólya).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import comb

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mhdnn.errors import ConfigError, PropertyError
from mhdnn.evaluation.plots import PALETTE, label_axes, new_figure, style_axes
from mhdnn.properties.report import Report
from mhdnn.properties.structure_figure import structure_figure
from mhdnn.properties.structures.shares import whole_shares
from mhdnn.properties.symmetry import site_permutations

EMPTY = "X"
"""Stands for a vacancy."""


@dataclass(frozen=True)
class Arrangement:
    """One of those that differ.

    :param labels: number of the element on each site, shape (num_sites,)
    :param multiplicity: how many arrangements are equivalent to it, itself among them
    """

    labels: np.ndarray
    multiplicity: int


def distinct_arrangements(permutations: np.ndarray, counts: Sequence[int], most: int = 2_000_000) -> list[Arrangement]:
    """The arrangements that no permutation makes of one another.

    :param permutations: of the sites by the operations of a group, shape (num_operations, num_sites)
    :param counts: number of sites of each label; they add up to the number of sites
    :param most: arrangements, equivalent ones among them, that are tried
    :raises PropertyError: if there are more
    """
    total = _multinomial(counts)
    if total > most:
        raise PropertyError(
            f"`shares`: {total} arrangements of {sum(counts)} sites are more than `most`={most}; take a smaller cell "
            "or raise `most`"
        )
    weights = len(counts) ** np.arange(sum(counts), dtype=object)
    if weights[-1] * len(counts) < 2**62:
        weights = weights.astype(np.int64)
    labels = _all_labels(counts)
    codes = labels @ weights
    smallest = codes.copy()
    for permutation in np.unique(permutations, axis=0):
        smallest = np.minimum(smallest, labels[:, permutation] @ weights)
    _, first, multiplicities = np.unique(smallest, return_index=True, return_counts=True)
    return [Arrangement(labels[n], int(m)) for n, m in zip(first, multiplicities, strict=True)]


def burnside_count(permutations: np.ndarray, counts: Sequence[int]) -> int:
    """How many there are, by Burnside's lemma; arguments as of `distinct_arrangements`."""
    total = sum(_unchanged(_cycle_lengths(permutation), tuple(counts)) for permutation in permutations)
    number, rest = divmod(total, len(permutations))
    if rest:
        raise PropertyError("`symmetry_tolerance`: the operations found are no group; choose another tolerance")
    return number


def _unchanged(cycles: list[int], counts: tuple[int, ...]) -> int:
    """Arrangements whose cycles hold one label each: a coefficient of the product of (x1^l + x2^l + ...)."""
    ways = {counts: 1}
    for length in cycles:
        after: dict[tuple[int, ...], int] = {}
        for left, number in ways.items():
            for label, count in enumerate(left):
                if count >= length:
                    rest = (*left[:label], count - length, *left[label + 1 :])
                    after[rest] = after.get(rest, 0) + number
        ways = after
    return sum(ways.values())


def _cycle_lengths(permutation: np.ndarray) -> list[int]:
    lengths, seen = [], set()
    for start in range(len(permutation)):
        here, length = start, 0
        while here not in seen:
            seen.add(here)
            here, length = int(permutation[here]), length + 1
        if length:
            lengths.append(length)
    return lengths


def _multinomial(counts: Sequence[int]) -> int:
    result, left = 1, sum(counts)
    for count in counts:
        result, left = result * comb(left, count), left - count
    return result


def _all_labels(counts: Sequence[int]) -> np.ndarray:
    """Every arrangement, shape (num_arrangements, num_sites)."""
    rows = np.zeros((1, 0), dtype=np.int8)
    left = np.array([counts])
    for _ in range(sum(counts)):
        parents, labels = np.nonzero(left > 0)
        rows = np.column_stack([rows[parents], labels.astype(np.int8)])
        left = left[parents]
        left[np.arange(len(left)), labels] -= 1
    return rows.astype(np.int64)


def arrangements_of(
    atoms: Atoms, of: str, shares: Mapping[str, int], symmetry_tolerance: float = 0.01, most: int = 2_000_000
) -> tuple[list[Atoms], int]:
    """Structures with the sites of one element occupied anew, those that differ by symmetry.

    :param of: element whose sites these are; it tells sites from each other, not what is on them
    :param shares: numbers of atoms of each element; sites that are left stay empty
    :return: the structures, the number of equivalent arrangements in ``info["multiplicity"]``, and how many there are
        by Burnside's lemma
    :raises ConfigError: if there are no such sites or fewer than atoms
    :raises PropertyError: if there are more than ``most`` arrangements
    """
    sites = np.flatnonzero(atoms.symbols == of)
    unknown = [name for name in shares if name not in atomic_numbers or shares[name] < 1]
    if unknown:
        raise ConfigError(f"`shares`: expected elements and positive numbers, as W:2,Nb:10, got {unknown[0]}")
    if not len(sites):
        raise ConfigError(f"`of`: expected an element of {atoms.get_chemical_formula()}, got {of!r}")
    if sum(shares.values()) > len(sites):
        raise ConfigError(
            f"`shares`: expected at most {len(sites)} atoms, the sites of `of`={of} in {atoms.symbols}, got "
            f"{dict(shares)}"
        )
    names = [*shares, *([EMPTY] if sum(shares.values()) < len(sites) else [])]
    counts = [*shares.values(), *([len(sites) - sum(shares.values())] if EMPTY in names else [])]
    permutations = site_permutations(atoms, sites, symmetry_tolerance)
    found = distinct_arrangements(permutations, counts, most)
    structures = []
    for arrangement in found:
        structure = atoms.copy()
        chosen = np.array(names)[arrangement.labels]
        structure.symbols[sites] = chosen
        del structure[sites[chosen == EMPTY]]
        structure.info["multiplicity"] = arrangement.multiplicity
        structures.append(structure)
    return structures, burnside_count(permutations, counts)


def arrangements_report(
    atoms: Atoms,
    of: str,
    shares: list[str],
    symmetry_tolerance: float = 0.01,
    most: int = 2_000_000,
) -> Report:
    """Orderings of cations, and of ions on their sites, that differ by symmetry: writes all of them.

    :param atoms: crystal with one element on the sites that are occupied anew: Nb on all octahedra, Li on all its sites
    :param of: this element
    :param shares: what comes there, as W:2,Nb:10 or Li:3; other sites stay empty
    :param symmetry_tolerance: of the crystal, Å
    :param most: arrangements, equivalent ones among them, that are tried
    :raises ConfigError: for shares that don't fit the sites
    :raises PropertyError: if there are too many
    """
    counts = whole_shares("shares", shares)
    structures, number = arrangements_of(atoms, of, counts, symmetry_tolerance, most)
    multiplicities = np.array([structure.info["multiplicity"] for structure in structures])
    values = {
        "num_arrangements": len(structures),
        "num_by_burnside": number,
        "num_with_equivalent_ones": int(multiplicities.sum()),
        "num_sites": int((atoms.symbols == of).sum()),
        "multiplicities": multiplicities,
    }
    title = f"{atoms.get_chemical_formula()}: {', '.join(shares)} on {of}"
    figure = structure_figure(structures[0], title)[0] if len(structures) == 1 else _figure(multiplicities, title)
    return Report("arrangements", values, figure, structures=structures)


def _figure(multiplicities: np.ndarray, title: str) -> Figure:
    """How many arrangements have how many equivalents."""
    figure = new_figure(5.0, 3.6, title)
    axes = figure.subplots()
    style_axes(axes)
    different, numbers = np.unique(multiplicities, return_counts=True)
    axes.bar([str(number) for number in different], numbers, width=0.6, color=PALETTE[0])
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    label_axes(axes, "equivalent arrangements of each", "arrangements that differ")
    return figure
