"""Distortions of ideal, analytically distorted and published polyhedra; blocks of ideal shear phases."""

import itertools
import math

import numpy as np
import pytest
from ase import Atoms
from ase.spacegroup import crystal
from scipy.spatial.transform import Rotation

from mhdnn.errors import ConfigError
from mhdnn.properties.blocks import find_blocks
from mhdnn.properties.distortion import distortion_report
from mhdnn.properties.polyhedra import (
    bond_angle_variance,
    bond_angles,
    bond_length_distortion,
    bond_length_variance,
    find_polyhedra,
    num_before_gap,
    off_centring,
    opposite_ligands,
    quadratic_elongation,
    relative_angle_variance,
    volume,
)
from mhdnn.properties.structures.octahedra import shear_phase

OCTAHEDRON = np.vstack([np.eye(3), -np.eye(3)])
TETRAHEDRON = np.array([[1.0, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]])


@pytest.mark.parametrize("shape", [OCTAHEDRON, TETRAHEDRON])
def test_regular_polyhedra(shape):
    vectors = 2.1 * shape @ Rotation.from_rotvec([0.3, 1.0, -0.4]).as_matrix()
    assert quadratic_elongation(vectors) == pytest.approx(1.0, abs=1e-12)
    assert bond_angle_variance(vectors) == pytest.approx(0.0, abs=1e-9)
    assert bond_length_distortion(vectors) == pytest.approx(0.0, abs=1e-12)
    assert off_centring(vectors) == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("stretch", [0.8, 1.1, 1.4])
def test_tetragonal_octahedron(stretch):
    """Two bonds c, four bonds a: V = 4 a² c/3, so that λ = (4 a² + 2 c²) / 6 (a² c)^(2/3); all angles stay 90°."""
    a, c = 1.9, 1.9 * stretch
    vectors = OCTAHEDRON * [a, a, c]
    assert volume(vectors) == pytest.approx(4 / 3 * a**2 * c)
    assert quadratic_elongation(vectors) == pytest.approx((4 * a**2 + 2 * c**2) / (6 * (a**2 * c) ** (2 / 3)))
    assert bond_angle_variance(vectors) == pytest.approx(0.0, abs=1e-9)
    mean = (2 * a + c) / 3
    assert bond_length_distortion(vectors) == pytest.approx((4 * abs(a - mean) + 2 * abs(c - mean)) / (6 * mean))


@pytest.mark.parametrize("angle", [82.0, 95.0])
def test_trigonal_octahedron(angle):
    """Six equal bonds, six angles α in the two triangles and six 180° - α across: σ² = 12 (α - 90)²/11.

    V = (4/3) l³ √(1 - 3 cos²α + 2 cos³α), the volume of the parallelepiped of three bonds times 4/3.
    """
    cosine = math.cos(math.radians(angle))
    vectors = np.linalg.cholesky((1 - cosine) * np.eye(3) + cosine) * 2.0
    vectors = np.vstack([vectors, -vectors])
    assert bond_angle_variance(vectors) == pytest.approx(12 * (angle - 90) ** 2 / 11)
    ratio = math.sqrt(1 - 3 * cosine**2 + 2 * cosine**3)
    assert quadratic_elongation(vectors) == pytest.approx(ratio ** (-2 / 3))


def test_tetragonal_tetrahedron():
    """A tetrahedron in a box a, a, c: λ = (2 a² + c²) / 3 (a² c)^(2/3); two angles β and four γ."""
    a, c = 1.0, 1.3
    vectors = TETRAHEDRON * [a, a, c]
    assert quadratic_elongation(vectors) == pytest.approx((2 * a**2 + c**2) / (3 * (a**2 * c) ** (2 / 3)))
    square = 2 * a**2 + c**2
    beta, gamma = (math.degrees(math.acos(x / square)) for x in (c**2 - 2 * a**2, -(c**2)))
    ideal = math.degrees(math.acos(-1 / 3))
    expected = (2 * (beta - ideal) ** 2 + 4 * (gamma - ideal) ** 2) / 5
    assert bond_angle_variance(vectors) == pytest.approx(expected)


def test_displaced_centre():
    moved = 2.0 * OCTAHEDRON + [0.1, -0.2, 0.2]
    assert off_centring(moved) == pytest.approx(0.3)
    assert volume(moved) == pytest.approx(4 / 3 * 8)


def test_published_octahedron():
    """FeO2N4 of OctaDist's first example (Ketkaew et al., https://doi.org/10.1039/D0DT03988H).

    Published: ζ = Σ |d - <d>| = 0.22807256 Å, Δ = 4.762518e-4, Σ = Σ |90° - φ| = 47.926528° over the 12 cis angles.
    """
    positions = np.array(
        [
            [2.298354, 5.161785, 7.971898],
            [1.885657, 4.804777, 6.183726],
            [1.747515, 6.960963, 7.932784],
            [4.094380, 5.807257, 7.588689],
            [0.539005, 4.482809, 8.460004],
            [2.812425, 3.266553, 8.131637],
            [2.886404, 5.392925, 9.848966],
        ]
    )
    atoms = Atoms("FeO2N4", positions)
    (polyhedron,) = find_polyhedra(atoms, ["Fe"], count=6)
    lengths = np.linalg.norm(polyhedron.vectors, axis=1)
    assert bond_length_variance(polyhedron.vectors) == pytest.approx(4.762518e-4, rel=1e-6)
    assert bond_length_distortion(polyhedron.vectors) == pytest.approx(0.22807256171 / (6 * lengths.mean()), rel=1e-9)
    angles = bond_angles(polyhedron.vectors)
    opposite = opposite_ligands(polyhedron.vectors)
    cis = [angles[pair] for pair in itertools.combinations(range(6), 2) if pair not in opposite]
    assert len(cis) == 12
    assert np.abs(np.array(cis) - 90).sum() == pytest.approx(47.926528379270124, rel=1e-9)
    assert bond_angle_variance(polyhedron.vectors) == pytest.approx(((np.array(cis) - 90) ** 2).sum() / 11)


def forsterite() -> Atoms:
    """Mg2SiO4 at 23 °C: R. M. Hazen, Am. Mineral. 61, 1280 (1976), Pbnm; here in the axes of Pnma."""
    rows = [
        ("Si", 0.4262, 0.0940, 0.25),
        ("Mg", 0.0, 0.0, 0.0),
        ("Mg", 0.9915, 0.2774, 0.25),
        ("O", 0.7657, 0.0913, 0.25),
        ("O", 0.2215, 0.4474, 0.25),
        ("O", 0.2777, 0.1628, 0.0331),
    ]
    cell = [10.193, 5.977, 4.752, 90, 90, 90]
    return crystal([row[0] for row in rows], [(y, z, x) for _, x, y, z in rows], spacegroup=62, cellpar=cell)


def octahedral_volume(vectors: np.ndarray) -> float:
    """From the eight faces: each has one ligand of every opposite pair."""
    cosines = vectors @ vectors.T / np.outer(*2 * [np.linalg.norm(vectors, axis=1)])
    across = cosines.argmin(axis=1)
    pairs = sorted({tuple(sorted((i, int(j)))) for i, j in enumerate(across)})
    assert len(pairs) == 3
    return sum(abs(np.linalg.det(vectors[list(face)])) / 6 for face in itertools.product(*pairs))


def test_forsterite():
    """Octahedra M1 (at an inversion centre) and M2, and the silicate tetrahedron.

    The values that mineralogists give for forsterite: λ = 1.027, 1.026, 1.011, σ² = 96, 90, 49 degree², V = 11.8,
    12.4, 2.2 Å³ for M1, M2 and Si.
    """
    atoms = forsterite()
    octahedra = find_polyhedra(atoms, ["Mg"], ["O"], count=6)
    assert len(octahedra) == 8
    first = [p for p in octahedra if off_centring(p.vectors) < 1e-6]
    second = [p for p in octahedra if off_centring(p.vectors) > 0.2]
    tetrahedra = find_polyhedra(atoms, ["Si"], ["O"], cutoff=2.0)
    assert [len(first), len(second), len(tetrahedra)] == [4, 4, 4]
    expected = [(first, 1.027, 96, 11.8), (second, 1.026, 90, 12.4), (tetrahedra, 1.011, 49, 2.2)]
    for polyhedra, elongation, variance, space in expected:
        for polyhedron in polyhedra:
            assert quadratic_elongation(polyhedron.vectors) == pytest.approx(elongation, abs=6e-4)
            assert bond_angle_variance(polyhedron.vectors) == pytest.approx(variance, abs=0.6)
            assert volume(polyhedron.vectors) == pytest.approx(space, abs=0.06)
    for polyhedron in octahedra:
        assert volume(polyhedron.vectors) == pytest.approx(octahedral_volume(polyhedron.vectors))


def test_the_cell_does_not_matter():
    """Shifted across the boundary, repeated, and in another cell of the same lattice."""
    atoms = forsterite()
    expected = sorted(bond_angle_variance(p.vectors) for p in find_polyhedra(atoms, ["Mg"], ["O"], count=6))
    moved = atoms.copy()
    moved.positions += [3.0, 1.7, 0.9]
    moved.wrap()
    sheared = atoms.copy()
    sheared.set_cell(np.array([[1, 0, 0], [1, 1, 0], [0, -1, 1]]) @ atoms.cell[:])
    sheared.wrap()
    for other in (moved, sheared):
        found = sorted(bond_angle_variance(p.vectors) for p in find_polyhedra(other, ["Mg"], ["O"], count=6))
        np.testing.assert_allclose(found, expected, atol=1e-8)
    large = [bond_angle_variance(p.vectors) for p in find_polyhedra(atoms * (2, 1, 1), ["Mg"], ["O"], cutoff=2.3)]
    np.testing.assert_allclose(sorted(large), np.repeat(expected, 2), atol=1e-8)


def rhenium_trioxide(distortion: float = 0.0) -> Atoms:
    a = 3.75
    return Atoms("ReO3", [[0, 0, distortion], [a / 2, 0, 0], [0, a / 2, 0], [0, 0, a / 2]], cell=[a] * 3, pbc=True)


def column(n: int, m: int, gap: float) -> Atoms:
    """A column of n x m octahedra, endless along z, apart from its images by a gap."""
    a = 3.8
    metals = [[a * i, a * j, 0] for i in range(n) for j in range(m)]
    oxygens = {tuple(np.round(np.add(metal, a / 2 * corner), 6)) for metal in metals for corner in OCTAHEDRON}
    oxygens = {(x, y, z) for x, y, z in oxygens if z > -0.1}  # those below are images of those above
    atoms = Atoms("W" * len(metals) + "O" * len(oxygens), [*metals, *sorted(oxygens)], pbc=True)
    atoms.set_cell([a * n + gap, a * m + gap, a])
    return atoms


def test_blocks_of_ideal_structures():
    (endless,) = find_blocks(find_polyhedra(rhenium_trioxide() * (2, 1, 1), ["Re"], count=6))
    assert endless.size == (math.inf, math.inf, math.inf)
    assert endless.octahedra.tolist() == [0, 4]
    for n, m in ((1, 1), (2, 3), (5, 4)):
        (block,) = find_blocks(find_polyhedra(column(n, m, 5.0), ["W"], cutoff=2.5))
        assert block.size == (min(n, m), max(n, m), math.inf)
        np.testing.assert_allclose(block.lengths[:2], [3.8 * min(n, m), 3.8 * max(n, m)])
        assert math.isnan(block.lengths[2])


def sheared(n: int, m: int) -> Atoms:
    """Columns n x m that share edges with their neighbours, half an octahedron up: M_nm O_(3nm - n - m)."""
    a = 3.8
    lattice = a * np.array([[n - 0.5, 0, 0.5], [1, m - 0.5, 0.5], [0, 0, 1]])
    points, symbols = [], []
    for i, j in itertools.product(range(n), range(m)):
        metal = a * np.array([i, j, 0.0])
        for symbol, point in [("Nb", metal), *(("O", metal + a / 2 * corner) for corner in OCTAHEDRON)]:
            fractional = np.round(point @ np.linalg.inv(lattice), 9) % 1.0
            if not any(np.allclose((fractional - other + 0.5) % 1.0, 0.5) for other in points):
                points.append(fractional)
                symbols.append(symbol)
    return Atoms(symbols, scaled_positions=points, cell=lattice, pbc=True)


@pytest.mark.parametrize(("n", "m"), [(2, 3), (3, 3), (4, 5)])
def test_blocks_between_shear_planes(n, m):
    atoms = sheared(n, m)
    assert atoms.symbols.count("O") == 3 * n * m - n - m
    atoms.rattle(0.08, seed=1)
    (block,) = find_blocks(find_polyhedra(atoms, ["Nb"], cutoff=2.4))
    assert block.size == (n, m, math.inf)
    assert len(block.octahedra) == n * m
    twice = find_blocks(find_polyhedra(atoms * (2, 1, 2), ["Nb"], cutoff=2.4))
    assert [block.size for block in twice] == [(n, m, math.inf)] * 2


def test_edge_sharing_octahedra_are_blocks_of_one():
    """The layers of LiCoO2: each octahedron shares edges with six others, no corner alone."""
    layer = crystal(["Co", "O"], [(0, 0, 0), (0, 0, 0.26)], spacegroup=166, cellpar=[2.816, 2.816, 14.05, 90, 90, 120])
    for block in find_blocks(find_polyhedra(layer, ["Co"], count=6)):
        assert block.size == (1, 1, 1)
        np.testing.assert_allclose(block.lengths, 2 * 1.92, atol=0.05)


def test_bent_corners_are_no_links():
    """Rutile: octahedra share edges along c (99° at the oxygen) and corners at 131°."""
    rutile = crystal(
        ["Ti", "O"], [(0, 0, 0), (0.3053, 0.3053, 0)], spacegroup=136, cellpar=[4.594, 4.594, 2.959, 90, 90, 90]
    )
    blocks = find_blocks(find_polyhedra(rutile, ["Ti"], count=6))
    assert [block.size for block in blocks] == [(1, 1, 1)] * 2


def test_report_of_states_of_charge(tmp_path):
    """Rhenium off its centre by 0, 0.1, 0.2 Å while lithium enters."""
    states = []
    for number in range(3):
        atoms = rhenium_trioxide(0.1 * number) * (2, 1, 1)
        a = 3.75
        atoms += Atoms("Li" * number, np.array([[a / 2 + a * i, a / 2, a / 2] for i in range(number)]).reshape(-1, 3))
        states.append(atoms)
    report = distortion_report(states, ["Re"])
    np.testing.assert_allclose(report.values["ions_per_center"], [0, 0.5, 1])
    np.testing.assert_allclose(report.values["kinds"]["Re 6"]["off_centring_angstrom"], [0, 0.1, 0.2], atol=1e-12)
    assert report.values["states"][1]["polyhedra"][0]["num_ligands"] == 6
    assert report.values["states"][0]["blocks"] == [
        {
            "octahedra": ["endless"] * 3,
            "lengths_angstrom": ["endless"] * 3,
            "area_square_angstrom": None,
            "count": 1,
        }
    ]
    # without lithium and undistorted: through the square of four oxygens
    assert report.values["states"][0]["tunnel"]["radius_angstrom"] == pytest.approx(3.75 / 2, rel=1e-6)
    report.write(tmp_path)
    assert (tmp_path / "distortion.png").is_file()


def bipyramid(tilt: float = 0.0, stretch: float = 1.0) -> np.ndarray:
    """A pentagonal bipyramid whose belt is raised by an angle (degrees), and whose tips are pulled."""
    angles = np.radians(72.0 * np.arange(5))
    up = np.full(5, np.radians(tilt))
    belt = np.stack([np.cos(angles) * np.cos(up), np.sin(angles) * np.cos(up), np.sin(up)], axis=1)
    return 2.0 * np.vstack([[0, 0, stretch], belt[::2], [0, 0, -stretch], belt[1::2]])


def test_pentagonal_bipyramids():
    """Regular; belt 6° up: ten angles of 84° or 96° to the tips, five with cos = cos²6° cos 72° + sin²6°."""
    turn = Rotation.from_rotvec([0.3, 1.0, -0.4]).as_matrix()
    assert bond_angle_variance(bipyramid() @ turn) == pytest.approx(0.0, abs=1e-9)
    assert quadratic_elongation(bipyramid() @ turn) == pytest.approx(1.0, abs=1e-12)
    square = math.cos(math.radians(6.0)) ** 2
    belt = math.degrees(math.acos(square * math.cos(math.radians(72.0)) + 1.0 - square))
    expected = (10 * 36.0 + 5 * (belt - 72.0) ** 2) / 14
    assert bond_angle_variance(bipyramid(tilt=6.0) @ turn) == pytest.approx(expected)
    relative = (10 * (6.0 / 90.0) ** 2 + 5 * (belt / 72.0 - 1.0) ** 2) / 14
    assert relative_angle_variance(bipyramid(tilt=6.0) @ turn) == pytest.approx(relative)
    # tips s times as long: V grows by s, λ = (5 + 2 s²) / 7 s^(2/3)
    assert quadratic_elongation(bipyramid(stretch=1.1)) == pytest.approx((5 + 2 * 1.21) / (7 * 1.1 ** (2 / 3)))


@pytest.mark.parametrize(
    ("lengths", "expected"),
    [
        ([1.81, 1.81, 1.81, 1.81, 3.25, 3.25, 3.28, 3.28], 4),  # tungsten in a tetrahedron of Nb12WO33
        ([1.81, 2.01, 2.01, 2.02, 2.02, 2.34], 6),  # niobium at a block's corner
        ([1.67, 1.73, 1.95, 1.95, 2.25, 2.33, 3.2], 6),  # MoO3
        ([1.69, 1.90, 1.98, 2.00, 2.02, 2.07, 2.36, 3.5], 7),  # a pentagonal bipyramid of molybdenum
        ([1.58, 1.78, 1.88, 1.88, 2.02, 2.79, 3.1], 5),  # V2O5
        ([2.0], 1),
        ([], 0),
    ],
)
def test_the_largest_gap_ends_the_shell(lengths, expected):
    assert num_before_gap(np.array(lengths), 3.6) == expected


@pytest.mark.parametrize(
    ("name", "block", "area"),
    [("Nb14W3O44", (4, 4), 21.02**2 / 2), ("Nb16W5O55", (4, 5), 29.79 * 23.11 * math.sin(math.radians(126.5)) / 2)],
)
def test_tetrahedra_between_blocks_stay_tetrahedra(name, block, area):
    """Distorted shear phases: the blocks that they are built of, means by kind.

    The measured cell has the area A across the blocks for each of them; with blocks of n x m octahedra of the size d,
    A = ((n - 1/2)(m - 1/2) + 1) d².
    """
    atoms = shear_phase(name)
    atoms.rattle(0.06, seed=3)
    values = distortion_report([atoms], ["Nb", "W"], ["O"]).values
    kinds = {kind: means["count"][0] for kind, means in values["kinds"].items()}
    assert set(kinds) == {"Nb 6", "W 4", "W 6"}
    assert kinds["W 4"] * block[0] * block[1] == kinds["Nb 6"] + kinds["W 6"]
    assert {tuple(found["octahedra"]) for found in values["states"][0]["blocks"]} == {(*block, "endless")}
    square = area / ((block[0] - 0.5) * (block[1] - 0.5) + 1.0)
    assert values["block_area_square_angstrom"][0] == pytest.approx(block[0] * block[1] * square, rel=0.03)
    rows = [row for row in values["states"][0]["polyhedra"] if row["num_ligands"] == 4]
    mean = np.mean([row["bond_angle_variance_square_degrees"] for row in rows])
    assert values["kinds"]["W 4"]["bond_angle_variance_square_degrees"] == [pytest.approx(mean)]


def test_blocks_grow_with_the_charge():
    """A block twice, the second one 1 % wider: lengths and area of each state."""
    charged = column(2, 3, 5.0)
    discharged = charged.copy()
    discharged.set_cell(1.01 * charged.cell[:], scale_atoms=True)
    discharged += Atoms("Li", [[-1.0, -1.0, 0.0]])
    values = distortion_report([charged, discharged], ["W"], ["O"]).values
    assert values["block_octahedra"] == [[2, 3, "endless"]] * 2
    lengths = [[x for x in row if x != "endless"] for row in values["block_lengths_angstrom"]]
    np.testing.assert_allclose(lengths, [[7.6, 11.4], [7.68, 11.51]], atol=6e-3)
    np.testing.assert_allclose(values["block_area_square_angstrom"], [86.64, 86.64 * 1.0201], atol=6e-3)


def test_a_warning_names_polyhedra_without_measures():
    """Five ligands: a square pyramid."""
    pyramid = Atoms("VO5", np.vstack([[0, 0, 0], 1.9 * OCTAHEDRON[[0, 1, 2, 3, 4]]]))
    (warning,) = distortion_report([pyramid], ["V"], ["O"]).warnings
    assert "1 V with 5 ligands" in warning
    assert not distortion_report([rhenium_trioxide()], ["Re"]).warnings


def test_a_warning_tells_ligands_beyond_the_gap():
    """A tetrahedron with two more oxygens far away: `count=6` makes an octahedron of it, which is told."""
    corners = [[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]
    atoms = Atoms("WO6", np.vstack([[0, 0, 0], 1.05 * np.array(corners), [[3.3, 0, 0], [-3.3, 0, 0]]]))
    assert not distortion_report([atoms], ["W"], ["O"]).warnings
    (warning,) = distortion_report([atoms], ["W"], ["O"], count=6).warnings
    assert "1 W with 6 ligands instead of 4" in warning
    assert not distortion_report([atoms], ["W"], ["O"], count=4).warnings


def test_other_coordination():
    flat = np.array([[1.0, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0]])
    assert volume(flat) == 0.0
    assert math.isnan(quadratic_elongation(flat))
    assert math.isnan(bond_angle_variance(np.vstack([flat, [0, 0, 1]])))
    report = distortion_report([rhenium_trioxide()], ["Re"], cutoff=1.0)
    assert report.values["states"][0]["polyhedra"][0]["num_ligands"] == 0


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"centers": ["Ti"]}, "`centers`"),
        ({"ligands": ["F"]}, "`ligands`"),
        ({"cutoff": 2.0}, "`cutoff`, `count`"),
        ({"count": None, "cutoff": -1.0}, "`cutoff`"),
        ({"count": 0}, "`count`"),
        ({"atoms": Atoms("ReO3", np.eye(4, 3))}, "expected 6 ligands for each centre, got O3Re with 3"),
    ],
)
def test_bad_input(settings, words):
    with pytest.raises(ConfigError, match=words):
        find_polyhedra(**{"atoms": rhenium_trioxide(), "centers": ["Re"], "count": 6} | settings)
