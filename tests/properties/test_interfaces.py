"""Builders of interfaces: distances, strains and labels."""

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import fcc111, graphene, mx2
from ase.cluster import Octahedron
from ase.neighborlist import neighbor_list

from mhdnn.errors import ConfigError, DataError
from mhdnn.properties.interfaces import (
    area_of,
    build_interface,
    coincidences_of,
    contact_area,
    gap_of,
    interface_report,
    label_slabs,
    moved_slab,
    particle_on_sheet,
    plane_of,
    slabs_of,
    with_gap,
)
from tests.properties.toys import square_pair


def bonds(atoms, cutoff):
    return np.sort(neighbor_list("d", atoms, cutoff))


def twisted_bilayer():
    sheet = graphene(a=2.46)
    found = coincidences_of(sheet, sheet, 60.0, 1e-6, (21.0, 22.5))
    return build_interface(sheet, sheet, found[0], 3.35, 15.0)


def test_twisted_bilayer_of_28_atoms():
    atoms = twisted_bilayer()
    assert len(atoms) == 28
    assert atoms.pbc.tolist() == [True, True, False]
    for part in slabs_of(atoms):
        assert len(part) == 14
        np.testing.assert_allclose(bonds(part, 1.6), 2.46 / np.sqrt(3), atol=1e-12)
    assert gap_of(atoms) == pytest.approx(3.35)
    # the bonds of the upper sheet are turned by 21.8 degrees, modulo the 60 degrees of a sheet's bonds
    angles = []
    for part in slabs_of(atoms):
        vectors = neighbor_list("D", part, 1.6)[:, :2]
        angles.append(np.degrees(np.arctan2(vectors[:, 1], vectors[:, 0])) % 60)
    turn = (angles[1][0] - angles[0][0]) % 60
    assert min(turn, 60 - turn) == pytest.approx(21.78678930, abs=1e-6)


@pytest.mark.parametrize("part", [0.0, 0.4, 1.0])
def test_strain_is_divided(part):
    """5 x 5 graphene and 4 x 4 MoS2: each slab's bonds tell its strain."""
    lower, upper = graphene(a=2.46), mx2("MoS2", a=3.16, thickness=3.17)
    found = coincidences_of(lower, upper, 150.0, 0.03, (-1.0, 1.0))
    atoms = build_interface(lower, upper, found[0], 3.4, 12.0, strained_part=part)
    first, second = slabs_of(atoms)
    total = 5 * 2.46 / (4 * 3.16) - 1
    length = 4 * 3.16 * (1 + part * total)
    np.testing.assert_allclose(bonds(first, 1.6), length / 5 / np.sqrt(3), rtol=1e-12)
    lateral = bonds(second[second.numbers == 42], 3.4)
    np.testing.assert_allclose(lateral, length / 4, rtol=1e-12)
    assert np.ptp(second.positions[:, 2]) == pytest.approx(3.17)
    assert np.linalg.norm(atoms.info["registry_cell"], axis=1) == pytest.approx([length / 5] * 2)
    assert area_of(atoms) == pytest.approx(length**2 * np.sqrt(0.75))


def test_periodic_normal_leaves_the_vacuum():
    sheet = graphene(a=2.46)
    found = coincidences_of(sheet, sheet, 10.0, 1e-6)
    atoms = build_interface(sheet, sheet, found[0], 3.0, 11.0, periodic_normal=True)
    assert atoms.cell[2, 2] == pytest.approx(14.0)
    assert with_gap(atoms, 4.0).positions[:, 2].max() == pytest.approx(atoms.positions[:, 2].max() + 1.0)
    with pytest.raises(DataError, match=r"`gap`: expected less than the vacuum.*make the cell higher"):
        with_gap(atoms, 8.0)


def test_particle_on_graphene():
    particle = Octahedron("Sn", 3, 1, latticeconstant=4.6)
    atoms = particle_on_sheet(graphene(a=2.46), particle, 2.9, 8.0, 15.0)
    lower, upper = slabs_of(atoms)
    assert gap_of(atoms) == pytest.approx(2.9)
    np.testing.assert_allclose(bonds(upper, 3.5), bonds(particle, 3.5), atol=1e-9)
    np.testing.assert_allclose(bonds(lower, 1.6), 2.46 / np.sqrt(3), atol=1e-9)
    # nearest atoms of particle and images
    alone = len(neighbor_list("i", Atoms(upper.numbers, upper.positions), 9.0))
    images = upper.copy()
    images.pbc = (True, True, False)
    assert len(neighbor_list("i", images, 8.0)) == len(neighbor_list("i", Atoms(upper.numbers, upper.positions), 8.0))
    assert alone > 0
    inside = upper.positions[:, :2].mean(0) @ np.linalg.inv(plane_of(atoms))
    np.testing.assert_allclose(inside, [0.5, 0.5], atol=0.05)


@pytest.mark.parametrize("num_atoms", [3, 7, 12, 19])
def test_contact_area_of_a_facet(num_atoms):
    """n atoms of a (111) layer of silver in a compact facet: n times √3/2 d², with d the distance of neighbours."""
    distance = 4.09 / np.sqrt(2)
    layer = fcc111("Ag", (9, 9, 2), a=4.09)
    layer.pbc = False
    lowest = layer[layer.positions[:, 2] < 1.0]
    middle = lowest.positions[:, :2].mean(axis=0) + ([0.0, distance / np.sqrt(3)] if num_atoms in (3, 12) else [0, 0])
    order = np.argsort(np.round(np.linalg.norm(lowest.positions[:, :2] - middle, axis=1), 6), kind="stable")
    lowest.rattle(0.02, seed=2)
    particle = lowest[order[:num_atoms]] + layer[layer.positions[:, 2] > 1.0]
    atoms = particle_on_sheet(graphene(a=2.46), particle, 2.5, 8.0, 10.0)
    assert contact_area(atoms) == pytest.approx(num_atoms * np.sqrt(3) / 2 * distance**2, rel=0.03)


def test_contact_area_of_a_square_facet():
    cube = Atoms("Si8", positions=[[x, y, z] for x in (0, 3) for y in (0, 4) for z in (0, 3)])
    atoms = particle_on_sheet(graphene(a=2.46), cube, 2.5, 8.0, 10.0)
    assert contact_area(atoms) == pytest.approx(4 * 12.0)
    with pytest.raises(DataError, match="`depth`"):
        contact_area(particle_on_sheet(graphene(a=2.46), Atoms("Si"), 2.5, 8.0, 10.0))


def test_labels_by_elements():
    atoms = square_pair()
    del atoms.arrays["slab"]
    with pytest.raises(DataError, match="`slab`: expected an array of labels"):
        slabs_of(atoms)
    assert label_slabs(atoms, ["Si"]).arrays["slab"].tolist() == [1, 2]
    with pytest.raises(DataError, match="`slab`"):
        label_slabs(atoms, ["Ge"])


def test_moves_touch_the_upper_slab_alone():
    atoms = square_pair(gap=3.0)
    moved = moved_slab(with_gap(atoms, 3.5), [0.1, 0.2, 0.0])
    np.testing.assert_allclose(moved.positions - atoms.positions, [[0, 0, 0], [0.1, 0.2, 0.5]], atol=1e-12)


def test_slabs_have_no_charge_of_the_whole():
    atoms = square_pair()
    atoms.info["total_charge"] = 1.0
    assert all("total_charge" not in part.info for part in slabs_of(atoms))


def test_report_writes_a_structure_that_can_be_read(tmp_path):
    report = interface_report(
        graphene(a=2.46), mx2("MoS2", a=3.16), min_twist=-1, max_twist=1, structure=tmp_path / "made" / "i.extxyz"
    )
    atoms = ase.io.read(tmp_path / "made" / "i.extxyz")
    assert report.values["num_atoms"] == len(atoms) == 50 + 48
    assert report.values["largest_strain_percent"] == pytest.approx(100 * (1 - 12.3 / 12.64))
    assert np.shape(atoms.info["registry_cell"]) == (2, 2)
    assert sorted(set(atoms.arrays["slab"])) == [1, 2]
    report.write(tmp_path)
    assert (tmp_path / "interface.png").stat().st_size > 1000


def test_wrong_arguments_are_named():
    sheet = graphene(a=2.46)
    tilted = fcc111("Al", (1, 1, 1), vacuum=5.0)
    tilted.rotate(20, "x", rotate_cell=True)
    with pytest.raises(DataError, match="`cell`: expected the first two vectors in the plane"):
        area_of(tilted)
    with pytest.raises(ConfigError, match="`max_strain`: expected slabs that coincide within 0.01 %"):
        coincidences_of(sheet, mx2("MoS2", a=3.16), 50.0, 1e-4)
    found = coincidences_of(sheet, sheet, 10.0, 1e-6)
    for change, message in (({"gap": 0.0}, "`gap`"), ({"vacuum": -1.0}, "`vacuum`"), ({"strained_part": 2.0}, "`str")):
        with pytest.raises(ConfigError, match=message):
            build_interface(sheet, sheet, found[0], **{"gap": 3.0, "vacuum": 10.0, **change})
    with pytest.raises(ConfigError, match="`spacing`"):
        particle_on_sheet(sheet, Atoms("Si"), 2.5, 0.0, 10.0)
    with pytest.raises(ConfigError, match="`choice`"):
        interface_report(sheet, sheet, max_area=10.0, choice=99)
