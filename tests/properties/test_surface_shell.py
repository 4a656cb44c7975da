"""Places near surfaces of known shape: spheres, slabs, particles on sheets, tunnels."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc111, graphene
from ase.cluster import Octahedron

from mhdnn.errors import ConfigError, PropertyError
from mhdnn.properties.interfaces import particle_on_sheet
from mhdnn.properties.surface_shell import inward, surface_shell

HALF_VOXEL = 0.36


def everything(atoms: Atoms) -> np.ndarray:
    return np.arange(len(atoms))


def distances(atoms: Atoms, places: np.ndarray) -> np.ndarray:
    """From the nearest atom, Å."""
    together = atoms + Atoms(f"Li{len(places)}", places)
    return np.array(
        [together.get_distances(len(atoms) + i, everything(atoms), mic=True).min() for i in range(len(places))]
    )


@pytest.mark.parametrize("pbc", [False, True])
def test_shell_around_an_atom(pbc):
    """4/3 π (b³ - a³), all around, whether or not the cell is periodic."""
    atoms = Atoms("Ag", [[8, 8, 8]], cell=[16, 16, 16], pbc=pbc)
    shell = surface_shell(atoms, everything(atoms), 2.0, 4.0)
    assert shell.volume(atoms) == pytest.approx(4 / 3 * np.pi * (64 - 8), rel=0.02)
    places = shell.places(atoms, 3000, np.random.default_rng(0))
    offsets = places - 8.0
    assert np.abs(offsets.mean(axis=0)).max() < 0.2
    radii = np.linalg.norm(offsets, axis=1)
    assert radii.min() > 2.0 - HALF_VOXEL
    assert radii.max() < 4.0 + HALF_VOXEL
    inside = Atoms("Li3000", places, cell=atoms.cell, pbc=pbc)
    assert shell.contains(inside).all()
    inside.positions += [0, 0, 4.3]
    assert shell.contains(inside).mean() < 0.5


@pytest.mark.parametrize("pbc", [False, True])
def test_all_places_around_a_particle_are_near_it(pbc):
    """None in the vacuum beyond the shell, as many below as above, wherever the particle is in its cell."""
    particle = Octahedron("Ag", 5, 1)
    particle.center(vacuum=7.0)
    particle.pbc = pbc
    if pbc:
        particle.positions += [9.0, 0.0, 4.0]
    places = surface_shell(particle, everything(particle), 1.8, 3.2).places(particle, 400, np.random.default_rng(1))
    nearest = distances(particle, places)
    assert nearest.min() > 1.8 - HALF_VOXEL
    assert nearest.max() < 3.2 + HALF_VOXEL
    centre = particle.positions.mean(axis=0)
    offsets = (places - centre) @ np.linalg.inv(particle.cell[:])
    offsets = (offsets - np.round(offsets) if pbc else offsets) @ particle.cell[:]
    assert np.abs(offsets.mean(axis=0)).max() < 0.6
    assert (np.linalg.norm(offsets, axis=1) > 5.0).all()  # not in its interstices


@pytest.mark.parametrize("pbc", [(True, True, False), True])
def test_of_a_slab_the_upper_side(pbc):
    slab = fcc111("Al", (2, 2, 3), vacuum=8.0)
    slab.pbc = pbc
    if slab.pbc[2]:
        slab.positions[:, 2] += 10.0  # across the boundary
    places = surface_shell(slab, everything(slab), 2.0, 3.0).places(slab, 200, np.random.default_rng(0))
    highest = slab.positions[:, 2].max()
    heights = (places[:, 2] - highest) % slab.cell[2, 2]
    assert heights.max() < 3.0 + HALF_VOXEL


def test_a_particle_on_a_sheet():
    """Over the sheet and around the particle, nothing below the sheet."""
    atoms = particle_on_sheet(graphene(a=2.46), Octahedron("Ag", 3, 1), 2.4, 8.0, 24.0)
    places = surface_shell(atoms, everything(atoms), 1.8, 3.0).places(atoms, 500, np.random.default_rng(0))
    assert (places[:, 2] > atoms.positions[:, 2].min()).all()
    assert (places[:, 2] < atoms.positions[:, 2].min() + 3.4).any()
    assert (places[:, 2] > atoms.positions[:, 2].max()).any()
    assert distances(atoms, places).max() < 3.0 + HALF_VOXEL


def test_cavities_are_no_surface():
    """A hole of a missing atom inside is not reached."""
    slab = fcc111("Al", (3, 3, 7), vacuum=8.0)
    slab.pbc = (True, True, False)
    middle = int(np.argmin(np.linalg.norm(slab.positions - slab.positions.mean(axis=0), axis=1)))
    hole = slab.positions[middle]
    del slab[middle]
    places = surface_shell(slab, everything(slab), 1.8, 3.0).places(slab, 500, np.random.default_rng(0))
    assert (places[:, 2] > hole[2] + 4.0).all()


def test_depth_and_inward_direction():
    """The deeper is farther from the shell; inward is down on a slab, to the centre on a sphere, short inside."""
    slab = fcc111("Al", (3, 3, 5), vacuum=9.0)
    slab.pbc = (True, True, False)
    host = everything(slab)
    top = slab.positions[:, 2].max()
    atoms = slab + Atoms("Li2", [[2.0, 1.5, top + 2.2], [2.0, 1.5, top - 3.0]])
    shell = surface_shell(atoms, host, 1.8, 3.0)
    depths = shell.distances(atoms, np.array([45, 46]))
    assert depths[0] < 0.5
    assert depths[1] > 3.0
    directions = inward(atoms, host, np.array([45]))
    assert directions[0] @ [0, 0, -1] > 0.97
    particle = Octahedron("Ag", 7, 2)
    centre = particle.positions.mean(axis=0)
    outside = centre + 12.0 * np.array([[1, 0, 0], [0, 0.6, 0.8]])
    around = particle + Atoms("Li2", outside)
    found = inward(around, everything(particle), np.arange(len(particle), len(around)))
    for direction, place in zip(found, outside, strict=True):
        assert np.linalg.norm(direction) == pytest.approx(1.0)
        assert direction @ (centre - place) / 12.0 > 0.95
    crystal = bulk("Al", cubic=True) * 3 + Atoms("Li", [[2.025, 2.025, 2.025]])
    assert np.linalg.norm(inward(crystal, np.arange(108), np.array([108]))) < 0.15


def test_bad_input():
    with pytest.raises(PropertyError, match="expected a host with a surface"):
        surface_shell(bulk("Al", cubic=True) * 2, np.arange(32), 1.8, 3.0)
    with pytest.raises(ConfigError, match="`farthest`.*vacuum"):
        surface_shell(Atoms("Al", [[1, 1, 1]], cell=[5, 5, 5]), np.array([0]), 1.8, 3.0)
