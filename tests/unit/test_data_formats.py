"""Formats of other programs: each gives the structure that was written by hand."""

import ase.db
import ase.io
import numpy as np
import pytest
from ase.build import molecule
from ase.calculators.singlepoint import SinglePointCalculator

from mhdnn.data.ase_bridge import LabelKeys
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

    def test_vasprun(self, tmp_path):
        vectors = "<v>4 0 0</v><v>0 4 0</v><v>0 0 4</v>"
        structure = (
            f'<crystal><varray name="basis">{vectors}</varray></crystal>'
            '<varray name="positions"><v>0 0 0</v><v>0.5 0.5 0.5</v></varray>'
        )
        run = tmp_path / "run7"
        run.mkdir()
        (run / "vasprun.xml").write_text(
            '<?xml version="1.0"?><modeling><kpoints><varray name="kpointlist"><v>0 0 0</v></varray>'
            '<varray name="weights"><v>1</v></varray></kpoints><atominfo><atoms>2</atoms><types>1</types>'
            '<array name="atoms"><set><rc><c>Li</c><c>1</c></rc><rc><c>Li</c><c>1</c></rc></set></array></atominfo>'
            f'<structure name="initialpos">{structure}</structure>'
            '<calculation><scstep><energy><i name="e_fr_energy">-4.0</i><i name="e_0_energy">-3.9</i></energy>'
            "</scstep>"
            f"<structure>{structure}</structure>"
            '<varray name="forces"><v>0 0 0.5</v><v>0 0 -0.5</v></varray>'
            '<varray name="stress"><v>10 0 0</v><v>0 20 0</v><v>0 0 30</v></varray>'
            '<energy><i name="e_fr_energy">-4.0</i><i name="e_0_energy">-3.9</i></energy></calculation></modeling>'
        )
        (found,) = converted(tmp_path, run / "vasprun.xml")
        assert found.energy == -4.0  # the forces are the gradient of the free energy
        assert found.group == "run7"
        assert found.forces.tolist() == [[0, 0, 0.5], [0, 0, -0.5]]
        kilobar = 0.1 / 160.2176634  # VASP's stress is compression positive
        np.testing.assert_allclose(found.stress[:3], [-10 * kilobar, -20 * kilobar, -30 * kilobar], rtol=1e-6)
        (extrapolated,) = converted(tmp_path, run / "vasprun.xml", LabelKeys(energy="energy"))
        assert extrapolated.energy == -3.9

    def test_outcar_that_is_cut(self, tmp_path):
        (tmp_path / "OUTCAR").write_text(" vasp.6.3.0\n POTCAR:    PAW_PBE Li 17Jan2003\n")
        with pytest.raises(DataError, match=r"OUTCAR: frame 0: ASE can't read it"):
            converted(tmp_path, tmp_path / "OUTCAR")


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


CP2K_HEAD = """\
 CP2K| version string:                                       CP2K version {version}
 CELL_TOP| Vector a [angstrom     9.000     0.000     0.000   |a| =     9.000000
 CELL| Vector a [angstrom]:       5.038     0.000     0.000   |a| =     5.038100
 CELL| Vector b [angstrom]:       0.000     6.000     0.000   |b| =     6.000000
 CELL| Vector c [angstrom]:       0.000     0.000    13.772   |c| =    13.772000
 CELL_REF| Vector a [angstrom     5.038     0.000     0.000   |a| =     5.038100
 DFT| Charge                                                                   1

"""
CP2K_OLD = (
    CP2K_HEAD.format(version="6.1")
    + """\
 MODULE QUICKSTEP:  ATOMIC COORDINATES IN angstrom

  Atom  Kind  Element       X           Y           Z          Z(eff)       Mass

       1     1 Fe  26    0.100000    0.200000    0.300000     16.00      55.8450
       2     3 O    8    1.100000    1.200000   -1.300000      6.00      15.9994


 SCF PARAMETERS         Density guess:                                   RESTART
  *** SCF run converged in    47 steps ***

       1     Fe       1         9.198415     4.240345     2.561240     4.958071
 ENERGY| Total FORCE_EVAL ( QS ) energy (a.u.):              -12.500000000000000

 ATOMIC FORCES in [a.u.]

 # Atom   Kind   Element          X              Y              Z
      1      1      Fe          0.01000000     0.02000000     0.03000000
      2      3      O          -0.01000000    -0.02000000    -0.03000000
 SUM OF ATOMIC FORCES           0.00000000     0.00000000    -0.00000000     0.00000000

 STRESS TENSOR [GPa]

            X               Y               Z
  X      -7.50000000      -0.10000000       0.00000000
  Y      -0.10000000      -8.00000000      -0.20000000
  Z       0.00000000      -0.20000000       8.50000000

  1/3 Trace(stress tensor):  -2.33333333E+00
"""
)
CP2K_NEW = (
    CP2K_HEAD.format(version="2025.2").replace(" DFT|", " CELL| Periodicity                      XY\n DFT|")
    + """\
 MODULE QUICKSTEP: ATOMIC COORDINATES IN ANGSTROM

   Atom Kind Element         X             Y             Z       Z(eff)     Mass
      1    1 Fe   26      0.100000      0.200000      0.300000  16.0000  55.8450
      2    3 O     8      1.100000      1.200000     -1.300000   6.0000  15.9994


 ENERGY| Total FORCE_EVAL ( QS ) energy [hartree]            -12.500000000000000

 FORCES| Atomic forces [hartree/bohr]
 FORCES|   Atom     x               y               z               |f|
 FORCES|      1  1.00000000E-02  2.00000000E-02  3.00000000E-02   3.74165739E-02
 FORCES|      2 -1.00000000E-02 -2.00000000E-02 -3.00000000E-02   3.74165739E-02
 FORCES| Sum     0.00000000E+00  0.00000000E+00  0.00000000E+00   0.00000000E+00

 STRESS| Analytical stress tensor [bar]
 STRESS|                        x                   y                   z
 STRESS|      x       -7.50000000000E+04  -1.00000000000E+03   0.00000000000E+00
 STRESS|      y       -1.00000000000E+03  -8.00000000000E+04  -2.00000000000E+03
 STRESS|      z        0.00000000000E+00  -2.00000000000E+03   8.50000000000E+04
 STRESS| 1/3 Trace                                           -2.33333333333E+04
"""
)


class TestCp2k:
    @pytest.mark.parametrize("text", [CP2K_OLD, CP2K_NEW], ids=["6.1", "2025.2"])
    def test_single_point(self, tmp_path, text):
        (structure,) = from_text(tmp_path, text, name="iron.out")
        assert structure.atomic_numbers.tolist() == [26, 8]
        assert structure.positions.tolist() == [[0.1, 0.2, 0.3], [1.1, 1.2, -1.3]]
        np.testing.assert_allclose(structure.cell, np.diag([5.0381, 6.0, 13.772]), rtol=1e-12)
        assert structure.energy == pytest.approx(-12.5 * HARTREE, rel=1e-12)
        forces = np.array([[0.01, 0.02, 0.03], [-0.01, -0.02, -0.03]]) * HARTREE / BOHR
        np.testing.assert_allclose(structure.forces, forces, rtol=1e-12)
        tension = np.array([7.5, 8.0, -8.5, 0.2, 0.0, 0.1]) / 160.2176634  # CP2K: compression positive
        np.testing.assert_allclose(structure.stress, tension, **EXACT)
        assert structure.total_charge == 1.0
        assert structure.pbc.tolist() == [True, True, text is CP2K_OLD]
        assert structure.group == "iron"

    @pytest.mark.parametrize(
        ("old", "new", "message"),
        [
            ("ENERGY|", "energy|", "expected one line `ENERGY| Total FORCE_EVAL`, found 0"),
            ("run converged", "run NOT converged", "did not converge"),
            ("CELL| Vector c", "CELL| Vec c", "three `CELL| Vector` lines, found 2 atoms and 2 vectors"),
            ("      2      3      O ", "      2      3 ", "expected forces of 2 atoms, found 1"),
            ("[GPa]", "[atm]", "3 rows in atm"),
        ],
    )
    def test_refused(self, tmp_path, old, new, message):
        import re

        with pytest.raises(DataError, match=re.escape(message)):
            from_text(tmp_path, CP2K_OLD.replace(old, new), name="iron.out")

    def test_several_steps(self, tmp_path):
        with pytest.raises(DataError, match="found 2; only complete single points"):
            from_text(tmp_path, CP2K_OLD * 2, name="iron.out")
