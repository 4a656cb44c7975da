"""Particles facet to facet: orientation, and areas of contact by hand."""

from functools import partial

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, graphene
from ase.calculators.emt import EMT
from ase.cluster import Octahedron

from mhdnn.errors import ConfigError, DataError
from mhdnn.properties.gap_curve import compute_gap_curve
from mhdnn.properties.interfaces import contact_area, gap_of
from mhdnn.properties.particle_contact import (
    area_of_contact,
    facets_of,
    particle_pair,
    particle_report,
    with_direction_down,
)
from mhdnn.properties.separation import separate

A = 4.08
"""Å, gold"""


@pytest.fixture
def octahedron():
    """Six atoms on each edge: facets of 21 atoms, each of which has √3/4 a² of its plane."""
    return Octahedron("Au", 6, latticeconstant=A)


@pytest.fixture
def cube():
    """Simple cubic, five atoms on each edge: facets of 25 atoms with b² each."""
    atoms = Atoms("Au", cell=[3.0] * 3, pbc=True).repeat((5, 5, 5))
    atoms.pbc = False
    return atoms


def sheet():
    atoms = graphene(a=2.46, vacuum=8.0)
    atoms.pbc = (True, True, False)
    return atoms


def test_facets(octahedron, cube):
    faces = facets_of(octahedron)
    assert [len(facet.atoms) for facet in faces] == [21] * 8
    assert np.abs(np.array([facet.normal for facet in faces])) == pytest.approx(1 / np.sqrt(3), abs=1e-6)
    assert [len(facet.atoms) for facet in facets_of(cube)] == [25] * 6
    with pytest.raises(DataError, match="enclose a volume"):
        facets_of(Atoms("Au4", [[0, 0, 0], [3, 0, 0], [0, 3, 0], [3, 3, 0]]))


def test_particle_on_a_sheet(octahedron, tmp_path):
    octahedron.rotate(37, (1, 2, 3))  # as a file may have it
    report = particle_report(octahedron, sheet(), gap=2.8, structure=tmp_path / "contact.extxyz")
    assert report.values["atoms_of_facet"] == 21
    assert report.values["contact_area_square_angstrom"] == pytest.approx(21 * np.sqrt(3) / 4 * A**2, rel=1e-6)
    assert (tmp_path / "contact.extxyz").is_file()


def test_direction(octahedron, tmp_path, monkeypatch):
    """A corner down is no facet; nothing is written then."""
    monkeypatch.chdir(tmp_path)
    turned = with_direction_down(octahedron, np.array([0.0, 0.0, 1.0]))
    assert (turned.positions[:, 2] < turned.positions[:, 2].min() + 1.0).sum() == 1
    with pytest.raises(DataError, match="facet of three atoms"):
        particle_report(octahedron, sheet(), direction=(0.0, 0.0, 1.0))
    with pytest.raises(ConfigError, match="`facet`: expected a number from 0 to 7"):
        particle_report(octahedron, sheet(), facet=8)
    with pytest.raises(ConfigError, match="not zero"):
        with_direction_down(octahedron, np.zeros(3))
    assert not list(tmp_path.iterdir())


def test_two_particles(octahedron, cube, tmp_path, monkeypatch):
    """The smaller facet is the contact, whichever of the two lies above."""
    monkeypatch.chdir(tmp_path)
    small, large = 25 * 9.0, 21 * np.sqrt(3) / 4 * A**2
    expected = min(small, large)
    for upper, lower in ((octahedron, cube), (cube, octahedron)):
        report = particle_report(upper, lower, gap=2.5, vacuum=6.0, turn=15.0)
        assert report.values["contact_area_square_angstrom"] == pytest.approx(expected, rel=1e-6)
        assert report.values["num_atoms"] == len(octahedron) + len(cube)
    import ase.io

    atoms = ase.io.read("contact.extxyz")
    assert gap_of(atoms) == pytest.approx(2.5, abs=1e-6)
    assert not atoms.pbc.any()
    assert area_of_contact(atoms) <= contact_area(atoms) + 1e-9
    assert atoms.positions.min() > 5.9


def test_energies_of_particles_are_not_divided_by_their_box(cube):
    atoms = particle_pair(cube, cube, gap=2.4, vacuum=5.0)
    for compute in (separate, partial(compute_gap_curve, gaps=[2.0, 2.3, 2.6, 3.0, 4.0])):
        with pytest.raises(ConfigError, match="`area`: expected the area of contact"):
            compute(atoms, EMT())
    area = area_of_contact(atoms)
    found = separate(atoms, EMT(), area)
    assert found.work == pytest.approx((found.energy_1 + found.energy_2 - found.energy_12) / area * 16.02176634)


def test_a_bulk_crystal_is_no_particle(cube, tmp_path, monkeypatch):
    """Nor is a particle that its cell cuts; one in a periodic box with vacuum is."""
    monkeypatch.chdir(tmp_path)
    for crystal in (bulk("Au"), bulk("Au", cubic=True) * 2):
        with pytest.raises(DataError, match="`particle`: expected a particle, got .* periodic images"):
            particle_report(crystal, sheet())
    boxed = cube.copy()
    boxed.center(vacuum=6.0)
    boxed.pbc = True
    alone = particle_report(cube, sheet()).values
    assert particle_report(boxed, sheet()).values["contact_area_square_angstrom"] == pytest.approx(
        alone["contact_area_square_angstrom"]
    )
    boxed.positions += boxed.cell[0] / 2
    boxed.wrap()
    with pytest.raises(DataError, match="`on`: .* put together"):
        particle_report(cube, boxed_particle(boxed))
    with pytest.raises(DataError, match="enclose a volume"):
        particle_report(Atoms("Au3", [[0, 0, 0], [2.8, 0, 0], [0, 2.8, 0]]), sheet())


def boxed_particle(atoms):
    """The same, not taken for a sheet."""
    atoms.pbc = (True, False, True)
    return atoms
