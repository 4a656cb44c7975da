"""Coincidence lattices of known pairs, by hand."""

import numpy as np
import pytest

from mhdnn.errors import ConfigError
from mhdnn.properties.coincidence import find_coincidences, reduced_supercells, rotations, stretch_and_turn


def hexagonal(length, degrees=120):
    angle = np.radians(degrees)
    return length * np.array([[1.0, 0.0], [np.cos(angle), np.sin(angle)]])


@pytest.mark.parametrize(("count", "number"), [(1, 1), (2, 3), (3, 4), (4, 7), (6, 12), (7, 8), (12, 28)])
def test_supercells_are_as_many_as_the_sum_of_divisors(count, number):
    found = reduced_supercells(hexagonal(2.46), count)
    assert len(found) == number
    assert {round(float(np.linalg.det(matrix))) for matrix in found} == {count}


def test_magic_angle_of_28_atoms():
    """(1, 2) and (2, 1) supercells of graphene: seven cells each, cos = 13/14."""
    first = find_coincidences(hexagonal(2.46), hexagonal(2.46, 60), 60.0, 1e-6, (1.0, 59.0))[0]
    assert first.num_cells == (7, 7)
    assert first.twist == pytest.approx(np.degrees(np.arccos(13 / 14)), abs=1e-9)
    assert first.largest_strain < 1e-12


def test_next_magic_angle():
    """Then follow 13 cells at cos = 23/26."""
    found = find_coincidences(hexagonal(2.46), hexagonal(2.46), 70.0, 1e-6, (1.0, 59.0))
    assert [one.num_cells for one in found] == [(7, 7), (13, 13)]
    assert abs(found[1].twist) == pytest.approx(np.degrees(np.arccos(23 / 26)), abs=1e-9)


def test_graphene_on_molybdenum_disulfide():
    """5 x 5 on 4 x 4 without twist, as in the literature, and its strain by hand."""
    found = find_coincidences(hexagonal(2.46), hexagonal(3.16), 150.0, 0.03, (-1.0, 1.0))
    assert found[0].num_cells == (25, 16)
    assert found[0].strains == pytest.approx([5 * 2.46 / (4 * 3.16) - 1] * 2, abs=1e-12)
    assert found[0].area == pytest.approx(25 * 2.46**2 * np.sqrt(0.75))
    free = find_coincidences(hexagonal(2.46), hexagonal(3.16), 150.0, 0.02)[0]
    # sqrt(12) on sqrt(7): the directions (2, 4) and (1, 3), 30 and 19.1 degrees from the first vectors
    assert free.num_cells == (12, 7)
    assert free.strains == pytest.approx([np.sqrt(12) * 2.46 / (np.sqrt(7) * 3.16) - 1] * 2, abs=1e-12)
    assert abs(free.twist) == pytest.approx(10.893394649, abs=1e-8)


def test_tin_on_graphene():
    """α-Sn(111), cubic lattice constant 6.60 Å, on 2 x 2 and on turned sqrt(3) x sqrt(3) graphene."""
    length = 6.60 / np.sqrt(2)
    found = find_coincidences(hexagonal(2.46), hexagonal(length, 60), 25.0, 0.09)
    assert [one.num_cells for one in found] == [(3, 1), (4, 1)]
    assert found[0].strains == pytest.approx([np.sqrt(3) * 2.46 / length - 1] * 2, abs=1e-12)
    assert abs(found[0].twist) == pytest.approx(30.0)
    assert found[1].strains == pytest.approx([4.92 / length - 1] * 2, abs=1e-12)
    assert abs(found[1].twist) == pytest.approx(0.0, abs=1e-9)


def test_strains_of_a_rectangle_on_a_square():
    found = find_coincidences(3.0 * np.eye(2), np.diag([3.1, 2.9]), 10.0, 0.05)
    assert found[0].strains == pytest.approx((3 / 2.9 - 1, 3 / 3.1 - 1))


def test_stretch_and_turn_are_those_of_the_singular_values():
    rng = np.random.default_rng(0)
    for _ in range(20):
        deformation = np.eye(2) + 0.3 * rng.normal(size=(2, 2))
        if np.linalg.det(deformation) < 0.1:
            continue
        left, stretches, right = np.linalg.svd(deformation)
        rotation = left @ right
        strains, angle = stretch_and_turn(deformation)
        np.testing.assert_allclose(strains, stretches - 1, atol=1e-12)
        assert angle == pytest.approx(np.degrees(np.arctan2(rotation[1, 0], rotation[0, 0])))


@pytest.mark.parametrize(
    ("cell", "order"), [(hexagonal(2.0), 6), (hexagonal(2.0, 60), 6), (np.eye(2), 4), (np.diag([1.0, 1.2]), 2)]
)
def test_rotations_of_lattices(cell, order):
    assert rotations(cell) == order


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cell_1": np.ones((2, 2))}, "`cell_1`: expected two vectors that span a plane"),
        ({"cell_2": [[0, 1], [1, 0]]}, "`cell_2`: .* to the left of the first"),
        ({"max_area": 0.0}, "`max_area`"),
        ({"max_strain": -1.0}, "`max_strain`"),
    ],
)
def test_wrong_arguments_are_named(change, message):
    arguments = {"cell_1": np.eye(2), "cell_2": np.eye(2), "max_area": 10.0, "max_strain": 0.1, **change}
    with pytest.raises(ConfigError, match=message):
        find_coincidences(**arguments)
