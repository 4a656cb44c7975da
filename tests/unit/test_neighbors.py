"""Pair lists against ASE's, which finds them by another algorithm."""

import numpy as np
import pytest
from ase.neighborlist import neighbor_list

from mhdnn.errors import DataError
from mhdnn.neighbors import complete_cell, find_half_pairs, find_pairs
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
