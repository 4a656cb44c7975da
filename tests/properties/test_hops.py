"""Hops of lattices whose neighbours can be counted by hand."""

import math

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from mhdnn.errors import PropertyError
from mhdnn.properties.hops import Sites, distinct_paths, reversed_hop
from mhdnn.properties.percolation import percolation, shortest_percolation
from mhdnn.properties.space_group import space_group
from mhdnn.properties.structures.layers import lithium_cobalt_oxide
from mhdnn.properties.tunnels import cavities


def sites_of(atoms, *places):
    group = space_group(atoms, 1e-3)
    orbits = [group.orbit(np.array(place), 0.1) for place in places]
    return Sites(np.vstack(orbits), np.repeat(np.arange(len(orbits)), [len(orbit) for orbit in orbits]), group)


def table(sites, max_length):
    """Length and number of hops from each first site, for each path."""
    paths = distinct_paths(sites, max_length)
    return [(round(path.length, 3), sum(hop[0] == path.hop[0] for hop in path.members)) for path in paths]


@pytest.mark.parametrize("cubic", [True, False])
@pytest.mark.parametrize(
    ("lattice", "shells"),
    [
        ("sc", [(1.0, 6), (math.sqrt(2), 12), (math.sqrt(3), 8)]),  # the next, 2 a, goes through a site
        ("fcc", [(math.sqrt(0.5), 12), (1.0, 6), (math.sqrt(1.5), 24)]),
        ("bcc", [(math.sqrt(0.75), 8), (1.0, 6), (math.sqrt(2), 12), (math.sqrt(2.75), 24)]),
    ],
)
def test_vacancies_of_cubic_crystals(lattice, shells, cubic):
    """Each shell of neighbours is one path, whatever cell, orientation and origin."""
    a = 4.0
    atoms = bulk("Cu", lattice, a=a, cubic=cubic)
    atoms.rotate(33, (1, 2, -1), rotate_cell=True)
    atoms.positions += [0.4, -0.2, 1.1]
    sites = sites_of(atoms, atoms.positions[0])
    assert len(sites.places) == 1
    expected = [(round(a * length, 3), number) for length, number in shells]
    assert table(sites, a * (shells[-1][0] + 0.01)) == expected


def test_interstitials_of_a_face_centred_crystal():
    """One octahedral and two tetrahedral sites; four shortest hops between them, counted by hand.

    Octahedral to tetrahedral: 8 neighbours; tetrahedral to tetrahedral: 6 of the simple cubic lattice that they make;
    along face diagonals 12 octahedral and 12 tetrahedral neighbours.
    """
    a = 4.0
    atoms = bulk("Cu", a=a)
    places, radii = cavities(atoms, 1.0)
    np.testing.assert_allclose(radii, a * np.array([0.5, math.sqrt(3) / 4, math.sqrt(3) / 4]), rtol=1e-6)
    sites = sites_of(atoms, places[0], places[1])
    assert np.bincount(sites.kinds).tolist() == [1, 2]
    lengths = a * np.array([math.sqrt(3) / 4, 0.5, math.sqrt(0.5), math.sqrt(0.5)])
    found = table(sites, 0.75 * a)
    np.testing.assert_allclose([length for length, _ in found], lengths, atol=1e-3)
    assert [number for _, number in found] == [8, 6, 12, 12]
    assert len(cavities(atoms, 0.45 * a)[0]) == 1  # octahedral ones alone


def test_tetrahedral_sites_of_a_body_centred_crystal():
    """Four neighbours at a/√8."""
    atoms = bulk("Fe", "bcc", a=3.0)
    sites = sites_of(atoms, [1.5, 0.75, 0.0])
    assert len(sites.places) == 6
    assert table(sites, 1.1) == [(round(3.0 / math.sqrt(8), 3), 4)]


def test_lithium_of_lithium_cobalt_oxide():
    """Six neighbours in the layer at a; between layers three above and three below, √(a²/3 + c²/9) away."""
    atoms = lithium_cobalt_oxide()
    sites = sites_of(atoms, atoms.positions[atoms.symbols == "Li"][0])
    a, c = atoms.cell.lengths()[[0, 2]]
    found = table(sites, 5.0)
    assert found == [
        (round(a, 3), 6),
        (round(math.sqrt(3) * a, 3), 6),
        (round(math.hypot(a / math.sqrt(3), c / 3), 3), 6),
    ]
    assert shortest_percolation(sites, 6.0) == pytest.approx(a, abs=1e-3)
    network = percolation(sites, distinct_paths(sites, 5.0), [0.3, 0.9, 2.0], np.zeros(1), atoms.cell[:])
    np.testing.assert_allclose(network.energies, [0.3, 0.3, 2.0])
    np.testing.assert_allclose(network.along, [0.3, 0.3, 2.0])


def test_percolation_by_hand():
    """Two kinds of sites alternate along a; one alone repeats along b; nothing goes along c."""
    atoms = Atoms("CuAg", [[0, 0, 0], [2.0, 0, 0]], cell=[4.0, 5.0, 9.0], pbc=True)
    sites = sites_of(atoms, [0, 0, 0], [2.0, 0, 0])
    paths = distinct_paths(sites, 5.0)
    # along b from the first site, along b from the second, along a
    assert [sorted(sites.kinds[list(path.hop[:2])]) for path in paths] == [[0, 1], [0, 0], [1, 1]]
    energies, saddles = np.array([0.0, 0.4]), [0.7, 1.5, 0.6]
    network = percolation(sites, paths, saddles, energies, atoms.cell[:])
    # the second site's own hop costs 0.6 - 0.4; along a the lowest site on the way counts
    np.testing.assert_allclose(network.energies, [0.2, 0.7, np.nan])
    np.testing.assert_allclose(network.along, [0.7, 0.2, np.nan])


def test_members_are_equivalent():
    """Rotated hops have the same length; each path holds its reversal, and paths don't overlap."""
    atoms = lithium_cobalt_oxide()
    sites = sites_of(atoms, atoms.positions[atoms.symbols == "O"][0])
    paths = distinct_paths(sites, 4.0)
    seen = set()
    for path in paths:
        lengths = [np.linalg.norm(sites.vector(hop)) for hop in path.members]
        np.testing.assert_allclose(lengths, path.length, atol=1e-6)
        assert {reversed_hop(hop) for hop in path.members} == path.members
        assert not seen & path.members
        seen |= path.members


def test_isolated_sites():
    atoms = Atoms("Cu", cell=[12.0, 12.0, 12.0], pbc=True)
    with pytest.raises(PropertyError, match="connect no site"):
        shortest_percolation(sites_of(atoms, [0, 0, 0]), 10.0)
