"""Formats of other programs: each gives the structure that was written by hand."""

import ase.db
import ase.io
import numpy as np
import pytest
from ase.build import molecule
from ase.calculators.singlepoint import SinglePointCalculator

from mhdnn.errors import DataError
from tests.unit.test_data_convert import TWO_FRAMES, converted, from_text

HARTREE, BOHR = 27.211386245988, 0.529177210903  # written out: an independent copy of the constants
EXACT = {"rtol": 1e-12, "atol": 1e-14}


class TestOtherAseFormats:
    def test_database(self, tmp_path):
        atoms = molecule("H2O")
        atoms.calc = SinglePointCalculator(atoms, energy=-14.0, forces=np.ones((3, 3)))
        with ase.db.connect(tmp_path / "in.db") as database:
            database.write(atoms, group="water/1")
            database.write(atoms, config_type="ice", total_charge=1)
        first, second = converted(tmp_path, tmp_path / "in.db")
        assert (first.energy, first.group, first.total_charge) == (-14.0, "water/1", None)
        assert (second.group, second.total_charge) == ("ice", 1.0)
        np.testing.assert_array_equal(second.forces, np.ones((3, 3)))

    def test_trajectory(self, tmp_path):
        atoms = molecule("H2O")
        atoms.calc = SinglePointCalculator(atoms, energy=-14.0)
        ase.io.write(tmp_path / "in.traj", [atoms, atoms])
        assert [s.energy for s in converted(tmp_path, tmp_path / "in.traj")] == [-14.0, -14.0]


N2P2 = """\
begin
comment two atoms
lattice 10.0 0.0 0.0
lattice 0.0 10.0 0.0
lattice 0.0 0.0 12.0
atom 1.0 2.0 3.0 Li 0.5 0.0 0.1 0.2 0.3
atom 4.0 5.0 6.0 C 0.5 0.0 -0.1 -0.2 -0.3
energy -2.0
charge 1.0
end
begin
atom 0.0 0.0 0.0 H 0.0 0.0 0.0 0.0 0.0
energy -0.5
charge 0.0
end
"""


class TestN2p2:
    def test_hartree_and_bohr(self, tmp_path):
        first, second = from_text(tmp_path, N2P2, name="input.data", units="hartree-bohr")
        assert first.atomic_numbers.tolist() == [3, 6]
        np.testing.assert_allclose(first.positions, np.array([[1, 2, 3], [4, 5, 6]]) * BOHR, **EXACT)
        np.testing.assert_allclose(first.cell, np.diag([10, 10, 12]) * BOHR, **EXACT)
        assert first.energy == pytest.approx(-2 * HARTREE, rel=1e-12)
        np.testing.assert_allclose(first.forces[0], np.array([0.1, 0.2, 0.3]) * HARTREE / BOHR, **EXACT)
        assert first.charges.tolist() == [0.5, 0.5]
        assert first.total_charge == 1.0
        assert first.pbc.all()
        assert not second.pbc.any()
        assert second.charges is None
        assert second.group == tmp_path.name

    def test_ev_and_angstrom(self, tmp_path):
        first, _ = from_text(tmp_path, N2P2, name="input.data", units="ev-angstrom")
        assert first.energy == -2.0
        assert first.positions[1].tolist() == [4.0, 5.0, 6.0]
        assert first.forces[0].tolist() == [0.1, 0.2, 0.3]

    def test_units_are_asked_for(self, tmp_path):
        with pytest.raises(DataError, match="does not say its units; give `--units`"):
            from_text(tmp_path, N2P2, name="input.data")

    def test_units_are_for_n2p2_only(self, tmp_path):
        with pytest.raises(
            DataError, match="`--units` hartree-bohr is for n2p2 and molecules only .* found format extxyz"
        ):
            from_text(tmp_path, TWO_FRAMES, units="hartree-bohr")

    @pytest.mark.parametrize(
        ("old", "new", "message"),
        [
            ("atom 4.0 5.0 6.0 C", "atom 4.0 5.0 C", "frame 0: can't read the line 'atom 4.0 5.0 C"),
            (" C 0.5", " Xy 0.5", "frame 0: can't read the line"),
            ("lattice 0.0 0.0 12.0\n", "", "expected 0 or 3 `lattice` lines, found 2"),
            ("energy -2.0", "enrgy -2.0", "unknown keyword 'enrgy'"),
            ("end\nbegin", "begin", "line 10: expected `end`, found 'begin'"),
            ("charge 0.0\nend\n", "charge 0.0\n", "the last block has no `end`"),
        ],
    )
    def test_refused(self, tmp_path, old, new, message):
        with pytest.raises(DataError, match=message):
            from_text(tmp_path, N2P2.replace(old, new), name="input.data", units="ev-angstrom")


class TestDeepmd:
    @pytest.fixture
    def folder(self, tmp_path):
        folder = tmp_path / "carbide"
        (folder / "set.000").mkdir(parents=True)
        (folder / "set.001").mkdir()
        (folder / "type.raw").write_text("1\n0\n0\n")
        (folder / "type_map.raw").write_text("C\nLi\n")
        rng = np.random.default_rng(0)
        for part, count in (("set.000", 2), ("set.001", 1)):
            np.save(folder / part / "coord.npy", rng.normal(size=(count, 9)))
            np.save(folder / part / "box.npy", np.tile(np.diag([2.0, 3.0, 4.0]).ravel(), (count, 1)))
            np.save(folder / part / "energy.npy", rng.normal(size=count))
            np.save(folder / part / "force.npy", rng.normal(size=(count, 9)).astype(np.float32))
            np.save(folder / part / "virial.npy", np.tile(np.diag([24.0, 48.0, -24.0]).ravel(), (count, 1)))
        return folder

    def test_periodic(self, tmp_path, folder):
        structures = converted(tmp_path, folder)
        assert len(structures) == 3
        assert structures[1].atomic_numbers.tolist() == [3, 6, 6]
        np.testing.assert_array_equal(structures[1].positions.ravel(), np.load(folder / "set.000/coord.npy")[1])
        np.testing.assert_array_equal(structures[2].forces.ravel(), np.load(folder / "set.001/force.npy")[0])
        assert structures[2].energy == np.load(folder / "set.001/energy.npy")[0]
        np.testing.assert_allclose(structures[0].stress, [-1, -2, 1, 0, 0, 0], **EXACT)  # -virial / 24 Å³
        assert structures[0].group == "carbide"

    def test_molecule(self, tmp_path, folder):
        (folder / "nopbc").write_text("")
        structure = converted(tmp_path, folder)[0]
        assert not structure.pbc.any()
        assert not structure.cell.any()
        assert structure.stress is None

    def test_several_systems_below_one_folder(self, tmp_path, folder):
        folder.rename(tmp_path / "all-first")
        (tmp_path / "all").mkdir()
        (tmp_path / "all-first").rename(tmp_path / "all" / "first")
        assert {s.group for s in converted(tmp_path, tmp_path / "all")} == {"first"}

    def test_mixed_types(self, tmp_path, folder):
        np.save(folder / "set.000/real_atom_types.npy", np.array([[0, 1, -1], [0, 0, 0]]))
        first, second, third = converted(tmp_path, folder)
        assert first.atomic_numbers.tolist() == [6, 3]
        assert first.forces.shape == (2, 3)
        assert second.atomic_numbers.tolist() == [6, 6, 6]
        assert third.atomic_numbers.tolist() == [3, 6, 6]

    def test_refused(self, tmp_path, folder):
        np.save(folder / "set.001/force.npy", np.zeros((1, 6)))
        with pytest.raises(DataError, match=r"force\.npy: expected 1 frames of 9 numbers, found shape \(1, 6\)"):
            converted(tmp_path, folder)
        (folder / "set.001/box.npy").unlink()
        with pytest.raises(DataError, match=r"box\.npy: is missing"):
            converted(tmp_path, folder)
        (folder / "type_map.raw").write_text("C\nLithium\n")
        with pytest.raises(DataError, match="found 'Lithium'"):
            converted(tmp_path, folder)
        (folder / "type_map.raw").unlink()
        with pytest.raises(DataError, match="write the element symbols"):
            converted(tmp_path, folder)
        with pytest.raises(
            DataError, match=r"expected outputs of calculations or datasets in this folder .* found none \(box"
        ):
            converted(tmp_path, folder / "set.000")
