"""Surfaces with chosen terminations: rock salt and fluorite by hand."""

import ase.io
import numpy as np
import pytest
from ase.build import bulk

from mhdnn.cli import main
from mhdnn.errors import ConfigError
from mhdnn.properties.interfaces import area_of
from mhdnn.properties.structures.crystals import compound_crystal
from mhdnn.properties.structures.terminations import surface_report, terminated_slab


def ends(slab):
    order = np.argsort(slab.positions[:, 2])
    return slab.symbols[order[0]], slab.symbols[order[-1]]


def test_polar_rock_salt(tmp_path):
    """(111) of LiF: planes of Li and F alternate a/(2√3) apart, so one side is Li and the other F."""
    a = compound_crystal("LiF").cell[0, 0]
    report = surface_report(bulk("LiF", "rocksalt", a=a), [1, 1, 1], layers=4, structure=tmp_path / "s.extxyz")
    slab = ase.io.read(tmp_path / "s.extxyz")
    assert slab.get_chemical_formula() == "F4Li4"
    assert set(ends(slab)) == {"F", "Li"}
    assert report.values["num_cuts"] == 2
    assert [one["gap_angstrom"] for one in report.values["terminations"]] == pytest.approx([a / (2 * np.sqrt(3))] * 2)
    assert {one["lower_surface"] for one in report.values["terminations"]} == {"F", "Li"}
    assert report.values["area_square_angstrom"] == pytest.approx(np.sqrt(3) / 4 * a**2)
    other = terminated_slab(bulk("LiF", "rocksalt", a=a), [1, 1, 1], layers=4, cut=1)
    assert ends(other) == ends(slab)[::-1]


def test_fluorite_has_three_terminations():
    """Li2O (111): O, Li and Li planes; cut between the Li both surfaces are alike."""
    crystal = compound_crystal("Li2O")
    slabs = [terminated_slab(crystal, [1, 1, 1], 2, cut) for cut in range(3)]
    assert sorted("".join(sorted(ends(slab))) for slab in slabs) == ["LiLi", "LiO", "LiO"]
    assert all(slab.get_chemical_formula() == slabs[0].get_chemical_formula() for slab in slabs)


def test_silicon_shuffle_and_glide():
    """Between bilayers of (111) one bond of each atom is cut, within them three: gaps of three and one parts."""
    bond = 5.431 * np.sqrt(3) / 4
    report = [terminated_slab(bulk("Si", a=5.431), [1, 1, 1], 2, cut) for cut in (0, 1)]
    widths = [np.diff(np.sort(slab.positions[:, 2])) for slab in report]
    assert widths[0] == pytest.approx([bond / 3, bond, bond / 3])
    assert widths[1] == pytest.approx([bond, bond / 3, bond])
    assert report[0].positions[:, 2].min() == pytest.approx(10.0)


def test_command_and_errors(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    bulk("NaCl", "rocksalt", a=5.64, cubic=True).write("salt.cif")
    assert main(["properties", "surface", "atoms=salt.cif", "miller=1,0,0", "layers=2", "output=out"]) == 0
    assert ase.io.read("surface.extxyz").get_chemical_formula() == "Cl4Na4"
    assert (tmp_path / "out" / "surface.png").is_file()
    with pytest.raises(ConfigError, match="`cut`: expected a number from 0 to"):
        terminated_slab(bulk("Cu"), [1, 0, 0], cut=5)
    with pytest.raises(ConfigError, match="positive numbers"):
        terminated_slab(bulk("Cu"), [1, 0, 0], layers=0)
    with pytest.raises(ConfigError, match="`miller`"):
        terminated_slab(bulk("Cu"), [0, 0, 0])


@pytest.mark.parametrize("noise", [0.001, 0.003, 0.005])
def test_a_crystal_that_repeats_itself_only_nearly(noise):
    """Displaced atoms: whatever cell is found, the slab has the crystal's atoms for its area, and none twice."""
    for seed in range(6):
        silicon = bulk("Si", cubic=True, a=5.431)
        silicon.rattle(noise, seed=seed)
        slab = terminated_slab(silicon, [1, 1, 1], 2)
        cells = area_of(slab) / (5.431**2 * np.sqrt(3) / 4)
        assert len(slab) == 4 * round(cells)
        assert np.sort(slab.get_all_distances(mic=True), axis=1)[:, 1].min() > 2.2
