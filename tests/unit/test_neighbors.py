"""Pair lists against ASE's, which finds them by another algorithm."""

import numpy as np
import pytest
from ase.neighborlist import neighbor_list

from mhdnn.errors import DataError
from mhdnn.neighbors import complete_cell, find_half_pairs, find_pairs, nearest_ratio
from tests.builders import structures


@pytest.mark.parametrize("name", list(structures()))
@pytest.mark.parametrize("cutoff", [2.0, 4.5, 8.0])
def test_same_pairs_as_ase(name, cutoff):
    atoms = structures()[name]
    pairs = find_pairs(atoms.positions, atoms.cell[:], atoms.pbc, cutoff)
    found = atoms.positions[pairs.neighbor_index] - atoms.positions[pairs.center_index] + pairs.cell_shifts
    compare_with_ase(atoms, cutoff, pairs.center_index, pairs.neighbor_index, found)


@pytest.mark.parametrize("name", list(structures()))
@pytest.mark.parametrize("cutoff", [2.0, 8.0])
def test_half_pairs_and_their_mirror_images_are_all_pairs(name, cutoff):
    atoms = structures()[name]
    first, second, shifts = find_half_pairs(atoms.positions, atoms.cell[:], atoms.pbc, cutoff)
    assert np.all(np.diff(first) >= 0)
    found = atoms.positions[second] - atoms.positions[first] + shifts @ complete_cell(atoms.cell[:], atoms.pbc)
    both = np.concatenate([first, second]), np.concatenate([second, first]), np.concatenate([found, -found])
    compare_with_ase(atoms, cutoff, *both)


def compare_with_ase(atoms, cutoff, centers, neighbors, found):
    center, neighbor, vectors = neighbor_list("ijD", atoms, cutoff)

    def ordered(i, j, d):
        rows = np.column_stack([i, j, np.round(d, 6)])
        return rows[np.lexsort(rows.T[::-1])]

    assert len(found) == len(vectors), f"{len(found)} pairs, ASE {len(vectors)}"
    np.testing.assert_allclose(ordered(centers, neighbors, found), ordered(center, neighbor, vectors), atol=2e-6)


def test_sorted_by_center():
    atoms = structures()["triclinic"]
    pairs = find_pairs(atoms.positions, atoms.cell[:], atoms.pbc, 6.0)
    assert np.all(np.diff(pairs.center_index) >= 0)


def test_no_atoms_and_one_atom():
    empty = find_pairs(np.zeros((0, 3)), np.eye(3), np.zeros(3, bool), 3.0)
    assert [len(x) for x in empty] == [0, 0, 0]
    one = find_pairs(np.zeros((1, 3)), np.zeros((3, 3)), np.zeros(3, bool), 3.0)
    assert [len(x) for x in one] == [0, 0, 0]


@pytest.mark.parametrize(
    "cell",
    [np.zeros((3, 3)), np.diag([3.0, 3.0, 0.0]), np.array([[1.0, 0, 0], [2.0, 0, 0], [0, 0, 1.0]])],
    ids=["zero", "flat", "dependent"],
)
def test_periodic_direction_without_volume_is_refused(cell):
    with pytest.raises(DataError, match="linearly independent"):
        find_pairs(np.zeros((1, 3)), cell, np.ones(3, bool), 3.0)


def test_completed_vectors_are_normal_to_the_periodic_ones():
    cell = np.array([[2.0, 1.0, 0.5], [0.3, 2.5, 0.0], [0, 0, 0]])
    completed = complete_cell(cell, np.array([True, True, False]))
    np.testing.assert_allclose(completed[:2] @ completed[2], 0, atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(completed[2]), 1)


def test_atoms_many_cells_away_are_the_same_atoms():
    cell = np.array([[3.5, 0, 0], [0.4, 3.6, 0], [0.1, -0.3, 3.9]])
    inside = np.array([[0.3, 0.2, 0.1], [1.9, 1.8, 2.0]])
    cells = np.array([[0, 0, 0], [400_000, -90_000, 7]])
    near, far = (find_pairs(points, cell, np.ones(3, bool), 6.0) for points in (inside, inside + cells @ cell))
    assert len(near.center_index) == len(far.center_index)
    outside = inside + cells @ cell
    vectors = [
        positions[pairs.neighbor_index] - positions[pairs.center_index] + pairs.cell_shifts
        for positions, pairs in ((inside, near), (outside, far))
    ]
    for found in vectors:
        assert np.linalg.norm(found, axis=1).max() < 6.0
    ordered = [found[np.lexsort(np.round(found, 4).T)] for found in vectors]
    np.testing.assert_allclose(ordered[0], ordered[1], atol=1e-8)


@pytest.mark.parametrize(
    ("positions", "cell", "pbc", "cutoff", "message"),
    [
        ([[0, 0, 0], [2e6, 0, 0]], np.zeros((3, 3)), (0, 0, 0), 6.0, "atom . is 1e[+]06 Å from the middle"),
        ([[0, 0, 0], [0, 0, 2e6]], np.diag([3.5, 3.5, 0]), (1, 1, 0), 6.0, "from the middle"),
        ([[0, 0, 0], [1e9, 0, 0]], 3.5 * np.eye(3), (1, 1, 1), 6.0, "atom 1 is 1e[+]09 Å from the origin"),
        ([[0, 0, 0], [np.nan, 0, 0]], 3.5 * np.eye(3), (1, 1, 1), 6.0, "`positions`: expected finite numbers"),
        ([[0, 0, 0]], 3.5 * np.diag([1, 1, np.inf]), (1, 1, 1), 6.0, "`cell`: expected finite numbers"),
        ([[0, 0, 0]] * 9, np.diag([3.5, 3.5, 1e-3]), (1, 1, 1), 6.0, "neighbours each within 6 Å"),
        ([[0, 0, 0]], 0.01 * np.eye(3), (1, 1, 1), 6.0, "neighbours each within 6 Å"),
        ([[0, 0, 0]], 3.5 * np.eye(3), (1, 1, 1), 1e5, "neighbours each within 100000 Å"),
        ([[0, 0, 0]], 3.5 * np.eye(3), (1, 1, 1), 0.0, "`cutoff`: expected a finite length above 0 Å, got 0.0"),
    ],
)
def test_hopeless_searches_are_refused(positions, cell, pbc, cutoff, message):
    with pytest.raises(DataError, match=message):
        find_pairs(np.array(positions, dtype=float), cell, np.array(pbc, bool), cutoff)


def test_cutoff_far_beyond_a_molecule():
    pairs = find_pairs(np.array([[0, 0, 0], [0, 0, 1.4], [0, 2, 0]]), np.zeros((3, 3)), np.zeros(3, bool), 1e5)
    assert len(pairs.center_index) == 6


def test_nearest_ratio_is_the_bond_over_the_radii():
    dimer = (np.array([6, 8]), np.array([[0, 0, 0], [0, 0, 1.13]]), np.zeros((3, 3)), np.zeros(3, bool))
    assert nearest_ratio(*dimer, 3.0) == pytest.approx(1.13 / (0.76 + 0.66))
    assert nearest_ratio(*dimer, 0.5) == 0.5
