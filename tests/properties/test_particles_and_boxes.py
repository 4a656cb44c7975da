"""Nanoparticles, molecules and boxes against counts, bond lengths of the literature, densities and distances."""

from __future__ import annotations

import json

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.neighborlist import neighbor_list
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from mhdnn.cli import main
from mhdnn.errors import ConfigError
from mhdnn.properties.structures.catalog import BUILDERS, build_structure
from mhdnn.properties.structures.crystals import CRYSTALS, element_crystal
from mhdnn.properties.structures.molecules import MOLECULES, molecule
from mhdnn.properties.structures.packing import pack_box
from mhdnn.properties.structures.particles import nanoparticle


def neighbors(atoms, element):
    i = neighbor_list("i", atoms, CRYSTALS[element].bond)
    return np.bincount(i, minlength=len(atoms))


@pytest.mark.parametrize("element", ["Si", "Ge", "Sn", "Se"])
def test_ball_holds_every_atom_within(element):
    """As many atoms as a large crystal has within the radius of one atom, counted by ASE's neighbour list."""
    particle = nanoparticle(element, diameter=18.0, vacuum=6.0)
    crystal = element_crystal(element)
    within = 1 + np.sum(neighbor_list("i", crystal, 9.0 + 1e-6) == 0)
    assert within - 12 <= len(particle) <= within  # selenium: atoms without a bond left out
    if element != "Se":
        assert len(particle) == within
    assert neighbors(particle, element).min() >= 1
    assert particle.positions.min(axis=0) == pytest.approx(6.0)
    assert (particle.cell.lengths() - particle.positions.max(axis=0)) == pytest.approx(6.0)


@pytest.mark.parametrize("element", ["Si", "Ge", "Sn", "Se", "S"])
@pytest.mark.parametrize("shape", ["sphere", "faceted"])
def test_exact_number_of_atoms(element, shape):
    particle = nanoparticle(element, num_atoms=80, shape=shape)
    assert len(particle) == 80
    assert neighbors(particle, element).min() >= 1


def test_sulfur_keeps_its_rings():
    particle = nanoparticle("S", diameter=20.0)
    i, j, lengths = neighbor_list("ijd", particle, 2.3)
    graph = coo_matrix((np.ones(len(i)), (i, j)), shape=(len(particle),) * 2)
    _, labels = connected_components(graph, directed=False)
    assert set(np.bincount(labels)) == {8}
    assert set(neighbors(particle, "S")) == {2}
    assert lengths == pytest.approx(2.046, abs=0.015)  # Rettig and Trotter
    with pytest.raises(ConfigError, match="multiple of 8"):
        nanoparticle("S", num_atoms=20)


def test_octahedron():
    """A diamond particle with {111} faces only: the hull has eight faces along the cube's diagonals."""
    particle = nanoparticle("Si", diameter=30.0, shape="faceted", facets={(1, 1, 1): 1.0})
    positions = particle.positions - particle.positions.mean(axis=0)
    normals = np.array([[x, y, z] for x in (1, -1) for y in (1, -1) for z in (1, -1)]) / np.sqrt(3)
    heights = (positions @ normals.T).max(axis=0)
    on_faces = [
        (np.abs(positions @ normal - height) < 0.1).sum() for normal, height in zip(normals, heights, strict=True)
    ]
    assert min(on_faces) > 20
    # the same bodies by their formulas, |x| + |y| + |z| and max(|x|, |y|, |z|), with the volume of the sphere
    lattice = bulk("Si", cubic=True, a=5.431).repeat(9)
    points = np.abs(lattice.positions - lattice.positions[np.argmin(np.abs(lattice.positions - 24.0).sum(axis=1))])
    volume = np.pi / 6 * 30.0**3
    corners = 6  # their atoms would have no bond
    within = np.sum(points.sum(axis=1) <= np.sqrt(3) * (volume / np.sqrt(48)) ** (1 / 3))
    assert len(particle) == within - corners
    cube = nanoparticle("Si", diameter=30.0, shape="faceted", facets={(1, 0, 0): 1.0})
    corners = 4  # of the cube's eight, the others are empty
    assert len(cube) == np.sum(points.max(axis=1) <= volume ** (1 / 3) / 2) - corners
    assert np.ptp(cube.positions, axis=0) == pytest.approx(np.ptp(cube.positions[:, 0]))


@pytest.mark.parametrize("unit", [0.01, 100.0])
def test_only_ratios_of_distances_matter(unit):
    facets = {(1, 1, 1): 1.0, (1, 0, 0): 1.15}
    one = nanoparticle("Si", diameter=20.0, shape="faceted", facets=facets)
    other = nanoparticle(
        "Si", diameter=20.0, shape="faceted", facets={key: unit * value for key, value in facets.items()}
    )
    assert other.positions == pytest.approx(one.positions)


def test_orientation():
    """With (111) upwards the top face is a flat layer."""
    options = {"diameter": 24.0, "shape": "faceted", "facets": {(1, 1, 1): 1.0}}
    up = nanoparticle("Ge", orientation=(1, 1, 1), **options)
    top = up.positions[:, 2].max()
    assert (top - up.positions[:, 2] < 0.1).sum() > 20
    straight = nanoparticle("Ge", **options)
    assert (straight.positions[:, 2].max() - straight.positions[:, 2] < 0.1).sum() < 5


@pytest.mark.parametrize(("element", "length"), [("Si", 1.48), ("Ge", 1.53)])
def test_passivation(element, length):
    particle = nanoparticle(element, diameter=14.0, passivated=True)
    i, j, d = neighbor_list("ijd", particle, {(element, element): 2.6, (element, "H"): 1.7})
    heavy = particle.numbers != 1
    assert set(np.bincount(i, minlength=len(particle))[heavy]) == {4}
    assert set(np.bincount(i, minlength=len(particle))[~heavy]) == {1}
    assert d[heavy[i] != heavy[j]] == pytest.approx(length)
    assert neighbor_list("d", particle[~heavy], 2.5).min() > 1.3
    with pytest.raises(ConfigError, match="passivated"):
        nanoparticle("Sn", diameter=14.0, passivated=True)


@pytest.mark.parametrize(
    "options",
    [
        {}, {"num_atoms": 10, "diameter": 3.0}, {"diameter": -1.0}, {"diameter": 10.0, "shape": "cube"},
        {"diameter": 10.0, "shape": "faceted", "facets": {(0, 0, 1): 0.0}},
        {"diameter": 10.0, "orientation": (0, 0, 0)}, {"diameter": 1.0},
    ],
)  # fmt: skip
def test_impossible_particles(options):
    with pytest.raises(ConfigError):
        nanoparticle("Si", **options)


def lengths_of(name, first, second, cutoff):
    atoms = molecule(name)
    i, j, d = neighbor_list("ijd", atoms, cutoff)
    symbols = np.array(atoms.get_chemical_symbols())
    return np.sort(d[(symbols[i] == first) & (symbols[j] == second)])


def test_water():
    assert lengths_of("H2O", "O", "H", 1.2) == pytest.approx(0.958, abs=0.015)  # gas, microwave spectrum
    atoms = molecule("H2O")
    assert atoms.get_angle(1, 0, 2) == pytest.approx(104.5, abs=1.5)


def test_ethylene_carbonate():
    """Bonds in the crystal: C=O 1.15, C-O 1.33 and 1.40, C-C 1.52 (Brown, 1954); gas, by microwave: 1.20 and 1.36."""
    assert molecule("EC").get_chemical_formula() == "C3H4O3"
    lengths = lengths_of("EC", "C", "O", 1.6)
    assert lengths == pytest.approx([1.19, 1.36, 1.36, 1.42, 1.42], abs=0.025)
    assert lengths_of("EC", "C", "C", 1.7) == pytest.approx(1.52, abs=0.02)


def test_dimethyl_carbonate():
    """Bonds in the gas by electron diffraction: C=O 1.209, C-O 1.34 and 1.42 Å (Mijlhoff, 1977)."""
    assert molecule("DMC").get_chemical_formula() == "C3H6O3"
    assert lengths_of("DMC", "C", "O", 1.6) == pytest.approx([1.209, 1.34, 1.34, 1.42, 1.42], abs=0.025)


def test_litfsi():
    """Bonds of TFSI- in crystals: S-O 1.43, S-N 1.58, S-C 1.83, C-F 1.33 Å; lithium between two oxygens."""
    assert molecule("LiTFSI").get_chemical_formula(mode="hill") == "C2F6LiNO4S2"
    assert lengths_of("LiTFSI", "S", "O", 1.7) == pytest.approx(1.43, abs=0.04)
    assert lengths_of("LiTFSI", "S", "N", 1.8) == pytest.approx(1.58, abs=0.03)
    assert lengths_of("LiTFSI", "S", "C", 2.1) == pytest.approx(1.83, abs=0.02)
    assert lengths_of("LiTFSI", "C", "F", 1.6) == pytest.approx(1.33, abs=0.025)
    assert lengths_of("LiTFSI", "Li", "O", 2.2) == pytest.approx([1.87, 1.87], abs=0.02)


def test_molecules_are_centred_and_relaxed_apart():
    for name in MOLECULES:
        atoms = molecule(name)
        assert atoms.get_center_of_mass() == pytest.approx(0.0, abs=1e-6)
        assert neighbor_list("d", atoms, 3.0).min() > 0.9
    with pytest.raises(ConfigError, match="molecule"):
        molecule("PC")


@pytest.mark.parametrize(
    ("contents", "density", "area"),
    [({"H2O": 60}, 1.0, None), ({"EC": 10, "DMC": 10, "LiTFSI": 2}, 1.2, None), ({"EC": 14}, 1.3, (12.0, 14.0))],
)
def test_boxes(contents, density, area):
    box = pack_box(contents, density, area, seed=5)
    assert box.pbc.all()
    assert box.get_masses().sum() / box.get_volume() * 1.66053907 == pytest.approx(density)
    if area is not None:
        assert box.cell.lengths()[:2] == pytest.approx(area)
    i, j, d = neighbor_list("ijd", box, 2.5)
    owner = box.get_array("molecule")
    assert d[owner[i] != owner[j]].min() >= 2.0
    start = 0
    for number, name in enumerate(name for name, count in contents.items() for _ in range(count)):
        part = box[start : start + len(molecule(name))]
        start += len(part)
        assert set(owner[start - len(part) : start]) == {number}
        # rigid: every distance in the molecule is that of the free one
        assert Atoms(part.symbols, part.positions).get_all_distances() == pytest.approx(
            molecule(name).get_all_distances(), abs=1e-9
        )
    assert start == len(box)


def test_boxes_follow_the_seed():
    one, same, other = (pack_box({"H2O": 30}, 0.9, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(one.positions, same.positions)
    assert not np.allclose(one.positions, other.positions)


def test_orientations_are_random():
    """The mean of the molecules' dipole directions is small, and their second moments are those of a sphere."""
    box = pack_box({"H2O": 300}, 0.5, seed=0)
    axes = np.array([2 * part[0] - part[1] - part[2] for part in box.positions.reshape(-1, 3, 3)])
    axes /= np.linalg.norm(axes, axis=1, keepdims=True)
    assert np.abs(axes.mean(axis=0)).max() < 0.15
    assert np.abs(axes.T @ axes / len(axes) - np.eye(3) / 3).max() < 0.08


@pytest.mark.parametrize(
    ("contents", "density", "expected"),
    [({"EC": 1}, 1.3, "wider"), ({"H2O": 12}, 4.0, "density"), ({}, 1.0, "positive")],
)
def test_impossible_boxes(contents, density, expected):
    with pytest.raises(ConfigError, match=expected):
        pack_box(contents, density)


def test_command(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = ["name=ti3c2", "termination=OH", "site=hcp", "size=2,2", "file=sheet.extxyz", "output=out"]
    assert main(["properties", "structures", *words]) == 0
    assert ase.io.read("sheet.extxyz").get_chemical_formula() == "C8H8O8Ti12"
    values = json.loads((tmp_path / "out" / "structures.json").read_text())
    assert values["num_atoms"] == 36
    assert (tmp_path / "out" / "structures.png").stat().st_size > 0
    assert main(["properties", "structures", "name=box", "contents=H2O:20", "density=0.8", "file=box.cif"]) == 0
    assert len(ase.io.read("box.cif")) == 60
    particle = ["name=nanoparticle", "element=Si", "diameter=12", "shape=faceted", "facets=111:1,100:1.1"]
    assert main(["properties", "structures", *particle]) == 0
    assert (
        main(["properties", "structures", "name=mo_v_o", "phase=hexagonal", "metals=Mo:2,V:1", "file=cell.vasp"]) == 0
    )
    capsys.readouterr()


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("unobtainium", {}, "expected one of graphene"),
        ("graphene", {"element": "Si"}, "does not take it"),
        ("nanoparticle", {"diameter": 10.0}, "needs it"),
        ("box", {"contents": ["H2O"], "density": 1.0}, "name:number"),
        ("box", {"contents": ["H2O:4", "H2O:8"], "density": 1.0}, "each name once"),
        ("ti3c2", {"termination": ["O:1.5", "F:1"]}, "whole numbers, got 1.5 for O"),
        ("graphene", {"vacuum": -3.0}, "`vacuum`: expected a positive number"),
        ("nanoparticle", {"element": "Si", "diameter": 9.0, "shape": "faceted", "facets": ["1x1:2"]}, "digits"),
    ],
)
def test_wrong_names_and_options(name, options, expected):
    with pytest.raises(ConfigError, match=expected):
        build_structure(name, **options)


@pytest.mark.parametrize("name", sorted(set(BUILDERS) - {"nanoparticle", "crystal", "box"}))
def test_every_builder_has_defaults(name):
    assert len(build_structure(name)) > 0
