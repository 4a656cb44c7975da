"""Volumes: spheres, lenses and lattices by hand; what must not matter."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import add_adsorbate, bulk, fcc100, fcc111, graphene, nanotube
from ase.cluster import Octahedron

from mhdnn.errors import DataError
from mhdnn.properties.volumes import atomic_volumes, occupied_volume, surface_radius, thickness

COPPER = 3.61**3 / 4


def test_spheres():
    """One atom; two far apart; two with room for the ball between."""
    sphere = 4 / 3 * np.pi * 1.7**3
    assert occupied_volume(Atoms("C")) == pytest.approx(sphere, rel=0.02)
    assert atomic_volumes(Atoms("C2", [[0, 0, 0], [0, 0, 9]])) == pytest.approx([sphere, sphere], rel=0.02)
    assert atomic_volumes(Atoms("C2", [[0, 0, 0], [0, 0, 6.21]])) == pytest.approx([sphere, sphere], rel=0.02)


def test_a_molecule_with_its_neck():
    """Two spheres R at the distance d with the neck that a ball p leaves: the body of revolution, integrated."""
    radius, probe, distance = 1.7, 1.4, 1.54
    z = np.linspace(-distance / 2 - radius, distance / 2 + radius, 20001)
    ring = np.sqrt((radius + probe) ** 2 - distance**2 / 4)
    contact = distance / 2 * probe / (radius + probe)
    outside = np.clip(radius**2 - (np.abs(z) - distance / 2) ** 2, 0, None)
    neck = (ring - np.sqrt(np.clip(probe**2 - z**2, 0, None))) ** 2
    expected = np.pi * np.trapezoid(np.where(np.abs(z) < contact, neck, outside), z)
    assert occupied_volume(Atoms("C2", [[0, 0, 0], [0, 0, distance]])) == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize("build", [fcc111, fcc100])
def test_a_slab_of_metal_is_as_thick_as_its_layers(build):
    """Each more layer adds its atoms' volume in the crystal; the whole is that of its atoms within a tenth."""
    volumes = [occupied_volume(build("Cu", (1, 1, n), a=3.61, vacuum=8.0)) for n in (4, 5)]
    assert volumes[1] - volumes[0] == pytest.approx(COPPER, rel=0.01)
    assert volumes == pytest.approx([4 * COPPER, 5 * COPPER], rel=0.1)


def test_an_adatom_adds_about_its_own_volume():
    slab = fcc111("Cu", (3, 3, 3), a=3.61, vacuum=8.0)
    covered = slab.copy()
    add_adsorbate(covered, "Cu", 2.08, "fcc")
    assert np.ptp(covered.positions[:, 2]) > 1.4 * np.ptp(slab.positions[:, 2])
    ratio = occupied_volume(covered) / occupied_volume(slab)
    assert ratio == pytest.approx(28 / 27, abs=0.05)


def test_a_particle_has_the_volume_of_its_atoms():
    particle = Octahedron("Cu", 6, 1, latticeconstant=3.61)
    assert occupied_volume(particle) == pytest.approx(len(particle) * COPPER, rel=0.08)


def test_layers_end_where_the_next_begins():
    """Graphene is as thick as the van der Waals radius says; graphite fills its cell, a sheet with vacuum does not."""
    sheet = graphene(a=2.46, vacuum=9.0)
    assert thickness(sheet) == pytest.approx(3.3, abs=0.15)
    closed = sheet.copy()
    closed.pbc = True
    assert thickness(closed) == pytest.approx(thickness(sheet), rel=0.01)
    closed.cell[2, 2] = 3.35
    assert occupied_volume(closed) == pytest.approx(closed.get_volume())
    assert occupied_volume(bulk("Cu")) == pytest.approx(COPPER)


def test_a_wire():
    """A nanotube (4,4), closed inside: a cylinder of the radius of its nuclei plus 1.7 Å, less the dips of hexagons."""
    tube = nanotube(4, 4, length=2, bond=1.42)
    radius = np.linalg.norm(tube.positions[:, :2] - tube.positions[:, :2].mean(0), axis=1).mean()
    assert occupied_volume(tube) == pytest.approx(np.pi * (radius + 1.7) ** 2 * tube.cell[2, 2], rel=0.08)


def test_neither_cell_nor_place_matter():
    slab = fcc111("Ag", (2, 2, 2), vacuum=8.0)
    slab.rattle(0.1, seed=1)
    expected = atomic_volumes(slab)
    moved = slab.copy()
    moved.positions += [1.3, 0.4, 3.0]
    moved.wrap(pbc=(True, True, False))
    assert atomic_volumes(moved).sum() == pytest.approx(expected.sum(), rel=5e-3)
    assert atomic_volumes(slab * (2, 1, 1)).sum() == pytest.approx(2 * expected.sum(), rel=5e-3)
    flat = slab.copy()
    flat.cell[2] = 0.0
    assert atomic_volumes(flat) == pytest.approx(expected)


def test_radii():
    assert surface_radius(np.array([6, 29, 16, 14])) == pytest.approx([1.70, 1.32, 1.80, 1.11])


def test_bad_input():
    with pytest.raises(DataError, match="`atoms`"):
        atomic_volumes(Atoms())
    with pytest.raises(DataError, match="cell vector"):
        atomic_volumes(Atoms("C", pbc=True))
