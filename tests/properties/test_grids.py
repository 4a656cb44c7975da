"""Grids of DFT programs against potentials and localisations that are known in closed form."""

import numpy as np
import pytest
from ase import Atoms
from ase.io import write
from ase.io.cube import write_cube

from mhdnn.errors import ConfigError, DataError
from mhdnn.properties.bonding import interface_bonds
from mhdnn.properties.charge_transfer_report import charge_transfer_report
from mhdnn.properties.grids import POTENTIAL_UNITS, Grid, check_same, read_grid, read_potential
from mhdnn.properties.interfaces import label_slabs

SHAPE = (6, 8, 40)
HEIGHT = 20.0


def pair(gap: float = 2.0) -> Atoms:
    """Carbon below silicon in a sheared cell, so that indices can't be exchanged."""
    cell = [[3.0, 0, 0], [1.0, 4.0, 0], [0, 0, HEIGHT]]
    return Atoms("CSi", [[0.3, 0.4, 8.0], [0.3, 0.4, 8.0 + gap]], cell=cell, pbc=True)


def on_grid(function, atoms=None, shape=SHAPE) -> np.ndarray:
    """Values of a function of positions at the grid's points."""
    fractions = np.stack(np.meshgrid(*[np.arange(n) / n for n in shape], indexing="ij"), -1)
    return function(fractions @ (atoms or pair()).cell[:])


def wave(positions: np.ndarray) -> np.ndarray:
    """2 + 3 cos(2π z/L) + something that vanishes on the mean over a plane."""
    atoms = pair()
    fractions = positions @ np.linalg.inv(atoms.cell[:])
    ripple = 0.7 * np.cos(2 * np.pi * (fractions[..., 0] - fractions[..., 1]))
    return 2.0 + 3.0 * np.cos(2 * np.pi * positions[..., 2] / HEIGHT) + ripple


def write_vasp_grid(path, atoms, values, more=()) -> None:
    """As VASP does: the structure, an empty line, the numbers of points, the first index fastest."""
    write(path, atoms, format="vasp", direct=True)
    with path.open("a") as file:
        for block in (values, *more):
            file.write("\n" + " ".join(map(str, block.shape)) + "\n")
            flat = block.ravel(order="F")
            for start in range(0, len(flat), 5):
                file.write(" ".join(f"{value:.11E}" for value in flat[start : start + 5]) + "\n")


def test_locpot_is_the_energy_of_an_electron(tmp_path):
    file = tmp_path / "LOCPOT"
    write_vasp_grid(file, pair(), on_grid(wave))
    grid = read_potential(file)
    assert grid.values == pytest.approx(-on_grid(wave), abs=1e-9)
    assert grid.atoms.positions == pytest.approx(pair().positions, abs=1e-6)
    assert not grid.remark


@pytest.mark.parametrize(
    ("unit", "volt"),
    [("V", 1.0), ("Hartree/e", 27.211386), ("eV", -1.0), ("Ry", -13.605693), ("Hartree", -27.211386)],
)
def test_cube_has_the_unit_that_is_said(tmp_path, unit, volt):
    file = tmp_path / "potential.cube"
    with file.open("w") as stream:
        write_cube(stream, pair(), on_grid(wave))
    assert set(POTENTIAL_UNITS) >= {unit}
    assert read_potential(file, unit).values == pytest.approx(volt * on_grid(wave), rel=2e-5, abs=1e-3)
    with pytest.raises(ConfigError, match="`potential_unit`: expected one of V, Hartree/e"):
        read_potential(file)
    with pytest.raises(ConfigError, match="got 'kcal'"):
        read_potential(file, "kcal")


def test_origin_of_a_cube_is_where_its_grid_begins(tmp_path):
    file = tmp_path / "elf.cube"
    with file.open("w") as stream:
        write_cube(stream, pair(), on_grid(wave), origin=(0.5, -0.25, 2.0))
    grid = read_grid(file)
    assert grid.atoms.positions == pytest.approx(pair().positions - [0.5, -0.25, 2.0], abs=1e-4)


def test_gradient_of_a_wave_is_that_of_the_formula(tmp_path):
    write_vasp_grid(tmp_path / "LOCPOT", pair(), on_grid(wave))
    report = charge_transfer_report(pair(), elements_2=["Si"], potential=tmp_path / "LOCPOT")
    one, two = (-2.0 - 3.0 * np.cos(2 * np.pi * z / HEIGHT) for z in (8.0, 10.0))
    assert report.values["potential_1_v"] == pytest.approx(one, abs=1e-4)
    assert report.values["potential_2_v"] == pytest.approx(two, abs=1e-4)
    assert report.values["potential_gradient_v_per_angstrom"] == pytest.approx((one - two) / 2.0, abs=1e-4)
    field = -3.0 * 2 * np.pi / HEIGHT * np.sin(2 * np.pi * 9.0 / HEIGHT)
    assert report.values["middle_field_v_per_angstrom"] == pytest.approx(field, abs=1e-3)
    assert report.values["potential_source"] == "LOCPOT"
    assert "charge_1_e" not in report.values


def test_second_spin_is_told_if_it_differs(tmp_path):
    write_vasp_grid(tmp_path / "LOCPOT", pair(), on_grid(wave), [on_grid(wave)])
    assert not read_potential(tmp_path / "LOCPOT").remark
    write_vasp_grid(tmp_path / "LOCPOT", pair(), on_grid(wave), [on_grid(wave) + 0.3])
    assert "second spin differs" in read_potential(tmp_path / "LOCPOT").remark


def bump(positions: np.ndarray) -> np.ndarray:
    """ELF that has its maximum 0.9 in the plane z = 9 Å, and is 0.1 ten Å away."""
    return 0.5 + 0.4 * np.cos(2 * np.pi * (positions[..., 2] - 9.0) / HEIGHT)


def test_elf_at_midpoints_is_that_of_the_formula(tmp_path):
    write_vasp_grid(tmp_path / "ELFCAR", pair(1.9), on_grid(bump))
    report = charge_transfer_report(pair(1.9), elements_2=["Si"], elf=tmp_path / "ELFCAR")
    (bond,) = report.values["bonds"]
    assert bond["elf_at_midpoint"] == pytest.approx(bump(np.array([0, 0, 8.95])), abs=1e-4)
    assert bond["largest_elf"] == pytest.approx(0.9, abs=1e-4)
    assert (bond["elements"], bond["atoms"], bond["is_bond"]) == ("C-Si", [0, 1], True)
    assert report.values["bonding"] == "covalent"
    assert report.values["num_bonds_across"] == 1
    heights = np.arange(40) / 40 * HEIGHT
    assert report.values["elf_heights_angstrom"] == pytest.approx(heights)
    assert report.values["elf_plane_average"] == pytest.approx(
        bump(np.stack([0 * heights] * 2 + [heights], 1)), abs=1e-9
    )


def test_without_bonds_there_is_the_shortest_contact():
    atoms = label_slabs(pair(3.4), ["Si"])
    (contact,) = interface_bonds(atoms, Grid(atoms, on_grid(lambda positions: 0.05 + 0.0 * positions[..., 2])))
    assert not contact.is_bond
    assert contact.length == pytest.approx(3.4)
    assert contact.midpoint == pytest.approx(0.05)
    assert contact.character == "ionic or van der Waals"


def test_bonds_through_the_boundary_are_found():
    atoms = label_slabs(pair(1.9), ["Si"])
    moved = atoms.copy()
    moved.positions[1] += moved.cell[0] - moved.cell[1]
    assert interface_bonds(moved, Grid(moved, on_grid(bump)))[0].length == pytest.approx(1.9)


def test_values_between_the_points_are_interpolated():
    generator = np.random.default_rng(0)
    positions = generator.random((20, 3)) @ pair().cell[:] + pair().cell[1]
    assert Grid(pair(), on_grid(wave)).at(positions) == pytest.approx(wave(positions), abs=2e-2)


def test_grid_of_another_structure_is_refused(tmp_path):
    grid = Grid(pair(), on_grid(wave))
    check_same(pair()[[1, 0]], grid, "potential")
    with pytest.raises(DataError, match="`potential`: expected the grid of"):
        check_same(pair() * (2, 1, 1), grid, "potential")
    with pytest.raises(DataError, match=r"atom 1 \(Si\) is 0.2 Å"):
        check_same(pair(2.2), grid, "potential")


def test_what_is_no_grid_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="found none"):
        read_grid(tmp_path / "LOCPOT")
    (tmp_path / "x.cube").write_text("nothing\n")
    with pytest.raises(ConfigError, match="expected a Gaussian cube"):
        read_grid(tmp_path / "x.cube")
    file = tmp_path / "LOCPOT"
    write_vasp_grid(file, pair(), on_grid(wave))
    text = file.read_text()
    for length in (len(text) // 2, 200, 20):
        file.write_text(text[:length])
        with pytest.raises(ConfigError, match="expected a grid of VASP"):
            read_grid(file)


def test_neither_charges_nor_grid_is_refused():
    with pytest.raises(DataError, match="`charges`"):
        charge_transfer_report(pair(), elements_2=["Si"])


def test_figure_marks_potentials_and_distance(tmp_path):
    write_vasp_grid(tmp_path / "LOCPOT", pair(), on_grid(wave))
    write_vasp_grid(tmp_path / "ELFCAR", pair(), on_grid(bump))
    atoms = pair()
    atoms.set_initial_charges([-0.3, 0.3])
    report = charge_transfer_report(atoms, elements_2=["Si"], potential=tmp_path / "LOCPOT", elf=tmp_path / "ELFCAR")
    texts = [text.get_text() for axes in report.figure.axes for text in axes.texts]
    assert {"$U_1$", "$U_2$"} <= set(texts)
    assert any(text.startswith("$d$ = 2.00 Å") for text in texts)
    assert len(report.figure.axes) == 3
