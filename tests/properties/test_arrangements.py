"""Orderings that differ by symmetry against numbers of bracelets and against all of them, moved by every operation."""

from itertools import permutations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from mhdnn.errors import ConfigError, PropertyError
from mhdnn.properties.structures.arrangements import (
    arrangements_of,
    arrangements_report,
    burnside_count,
    distinct_arrangements,
)
from mhdnn.properties.symmetry import site_permutations


def ring(length):
    """A chain of atoms along c in a supercell: its sites turn and reverse as the beads of a bracelet."""
    return Atoms("Cu", cell=[5.0, 5.0, 3.0], pbc=True).repeat((1, 1, length))


@pytest.mark.parametrize(
    ("counts", "number"),
    [((3, 3), 3), ((4, 4), 8), ((2, 2, 2), 11), ((8,), 1), ((5, 5), 16)],
)
def test_bracelets(counts, number):
    """Numbers of bracelets of two and three colours."""
    atoms = ring(sum(counts))
    moves = site_permutations(atoms, np.arange(len(atoms)), 1e-3)
    found = distinct_arrangements(moves, counts)
    assert len(found) == burnside_count(moves, counts) == number
    total = sum(one.multiplicity for one in found)
    by_hand = np.prod(range(1, sum(counts) + 1)) / np.prod([np.prod(range(1, count + 1)) for count in counts])
    assert total == by_hand


def test_square_by_hand():
    """Burnside on paper: four corners, two black, under the operations of a square: (6+0+2+0+2+2+2+2)/8."""
    moves = np.array([[0, 1, 2, 3], [1, 2, 3, 0], [2, 3, 0, 1], [3, 0, 1, 2],
                      [1, 0, 3, 2], [3, 2, 1, 0], [0, 3, 2, 1], [2, 1, 0, 3]])  # fmt: skip
    assert burnside_count(moves, (2, 2)) == 2
    assert sorted(one.multiplicity for one in distinct_arrangements(moves, (2, 2))) == [2, 4]


def test_no_two_are_equivalent():
    """Face-centred cubic in its cubic cell and twice as long: every pair of orderings, moved by every operation."""
    atoms = bulk("Cu", cubic=True).repeat((2, 1, 1))
    structures, number = arrangements_of(atoms, "Cu", {"Au": 3, "Cu": 5})
    assert len(structures) == number
    assert sum(structure.info["multiplicity"] for structure in structures) == 56
    moves = site_permutations(atoms, np.arange(8), 1e-3)
    orders = [structure.numbers == 79 for structure in structures]
    for one, other in permutations(orders, 2):
        assert not any(np.array_equal(one[move], other) for move in moves)


def test_ions_and_vacancies():
    """Lithium on the cavities of a host: sites that are left are empty, the host's atoms stay."""
    host = Atoms("TiLi", [[0, 0, 0], [2.0, 2.0, 2.0]], cell=[4.0] * 3, pbc=True).repeat((2, 2, 2))
    report = arrangements_report(host, "Li", ["Li:2"])
    # pairs in a cube of eight sites with periodic images: along an edge, a face's diagonal, the body's
    assert report.values["num_arrangements"] == report.values["num_by_burnside"] == 3
    assert sorted(report.values["multiplicities"].tolist()) == [4, 12, 12]
    assert {structure.get_chemical_formula() for structure in report.structures} == {"Li2Ti8"}


def test_unusable_shares():
    atoms = ring(4)
    with pytest.raises(ConfigError, match="at most 4 atoms"):
        arrangements_of(atoms, "Cu", {"Au": 5})
    with pytest.raises(ConfigError, match="`of`: expected an element of Cu4, got 'Ag'"):
        arrangements_of(atoms, "Ag", {"Au": 1})
    with pytest.raises(ConfigError, match="name:number"):
        arrangements_report(atoms, "Cu", ["Au"])
    with pytest.raises(ConfigError, match="each name once"):
        arrangements_report(atoms, "Cu", ["Au:1", "Au:2"])
    with pytest.raises(ConfigError, match="whole numbers, got 1.5 for Au"):
        arrangements_report(atoms, "Cu", ["Au:1.5"])
    with pytest.raises(ConfigError, match="got Xx"):
        arrangements_of(atoms, "Cu", {"Xx": 1})
    with pytest.raises(PropertyError, match="more than `most`=5"):
        arrangements_of(atoms, "Cu", {"Au": 2, "Cu": 2}, most=5)
