"""The cutoff that data suggest, against neighbour shells counted by hand."""

import pytest
from ase.build import bulk, molecule

from mhdnn.errors import DataError
from mhdnn.training.cutoff import OF_MOLECULES, SHORTEST, cutoff_from_data
from tests.builders import structure_of


def test_shells_of_a_face_centred_crystal():
    """Of lattice constant a: 12 + 6 + 24 + 12 neighbours up to a √2, the 48th in the last of these shells."""
    for constant in (3.61, 4.05):
        atoms = bulk("Cu", "fcc", a=constant)
        expected = constant * 2**0.5
        assert expected <= cutoff_from_data([structure_of(atoms)], [0]) < expected + 0.1


def test_mean_over_structures():
    """A dense and a thin crystal: the mean number reaches 48 between the distances of the two."""
    dense, thin = (structure_of(bulk("Cu", "fcc", a=constant)) for constant in (3.61, 4.4))
    alone = [cutoff_from_data([one], [0]) for one in (dense, thin)]
    assert alone[0] < cutoff_from_data([dense, thin], [0, 1]) < alone[1]
    assert cutoff_from_data([dense, thin], [1]) == alone[1]


def test_structure_without_neighbours_is_named():
    far = bulk("Cu", cubic=True)
    far.pbc = False
    far.positions[1] += 1e6
    with pytest.raises(DataError, match=r"structure 0 .*`positions`: atom 1 is"):
        cutoff_from_data([structure_of(far)], [0])


def test_limits():
    assert cutoff_from_data([structure_of(molecule("CH4"))], [0]) == OF_MOLECULES
    assert cutoff_from_data([structure_of(bulk("Fe", "bcc", a=2.0))], [0]) == pytest.approx(SHORTEST)
