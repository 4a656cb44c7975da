"""Slabs cut from crystals: primitive cells, areas and spacings by hand."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc111, graphene

from mhdnn.errors import ConfigError
from mhdnn.properties.interfaces import area_of
from mhdnn.properties.structures.crystals import element_crystal
from mhdnn.properties.structures.surfaces import smallest_plane_cell, surface_slab


def test_silicon_111_has_the_primitive_cell_and_bilayers():
    slab = surface_slab(element_crystal("Si"), (1, 1, 1), layers=2)
    edge = 5.4310 / np.sqrt(2)
    assert slab.cell.lengths()[:2] == pytest.approx([edge, edge], abs=1e-6)
    assert area_of(slab) == pytest.approx(np.sqrt(3) / 2 * edge**2, abs=1e-6)
    heights = np.sort(slab.positions[:, 2])
    bond = 5.4310 * np.sqrt(3) / 4
    assert np.sort(np.diff(heights)) == pytest.approx([bond / 3, bond, bond], abs=1e-6)
    assert slab.pbc.tolist() == [True, True, False]


@pytest.mark.parametrize("angle", [0.0, 90.0, 180.0, 217.0])
def test_a_turned_slab_keeps_its_upper_side(angle):
    """A sheet with one side of another element, its cell in any direction: right-handed, along x, not upside down."""
    slab = fcc111("Cu", (2, 2, 2), a=3.61, vacuum=8.0)
    slab.symbols[slab.positions[:, 2] > slab.positions[:, 2].mean()] = "Au"
    slab.rotate(angle, "z", rotate_cell=True)
    found = smallest_plane_cell(slab)
    assert found.get_chemical_formula() == "AuCu"
    assert found.symbols[int(found.positions[:, 2].argmax())] == "Au"
    assert found.cell[0] == pytest.approx([3.61 / np.sqrt(2), 0, 0], abs=1e-6)
    assert area_of(found) == pytest.approx(np.sqrt(3) / 4 * 3.61**2)


@pytest.mark.parametrize(("miller", "cell"), [((1, 0, 0), (4.3662, 4.9536)), ((0, 0, 1), (4.3662, 4.3662))])
def test_selenium_surfaces_have_the_crystals_edges(miller, cell):
    slab = surface_slab(element_crystal("Se"), miller)
    assert sorted(slab.cell.lengths()[:2]) == pytest.approx(sorted(cell), abs=1e-6)
    assert len(slab) == 3


def test_distances_are_those_of_the_crystal():
    slab = surface_slab(bulk("Cu", a=3.6, cubic=True), (1, 1, 1), layers=3)
    expected = fcc111("Cu", (1, 1, 3), a=3.6, vacuum=10.0)
    assert len(slab) == len(expected)
    for atoms in (slab, expected):
        repeated = atoms.repeat((3, 3, 1))
        distances = np.sort(repeated.get_all_distances(mic=True).ravel())
        assert distances[len(repeated) : len(repeated) + 5] == pytest.approx(3.6 / np.sqrt(2), abs=1e-6)


def test_supercells_shrink_and_others_stay():
    sheet = graphene(a=2.46, size=(3, 2, 1), vacuum=8.0)
    found = smallest_plane_cell(sheet)
    assert len(found) == 2
    assert area_of(found) == pytest.approx(np.sqrt(3) / 2 * 2.46**2)
    sheet.positions[0, 2] += 0.1
    assert len(smallest_plane_cell(sheet)) == len(sheet)


def test_what_is_no_crystal_is_refused():
    with pytest.raises(ConfigError, match="`surface`"):
        surface_slab(graphene(vacuum=8.0), (1, 1, 1))
    with pytest.raises(ConfigError, match="`miller`"):
        surface_slab(bulk("Cu"), (0, 0, 0))
    with pytest.raises(ConfigError, match="`surface`"):
        surface_slab(Atoms("Cu"), (1, 1, 1))
