"""CP2K: single points in the style of versions 6 to 2026, and a real MD and real single points of version 2023.1."""

import gzip
import re
import shutil

import numpy as np
import pytest

from mhdnn.errors import DataError, UnconvergedError
from tests.unit.data.codes.reading import FILES, differences, outcomes, records, structures, works

HARTREE, BOHR = 27.211386245988, 0.529177210903  # written out: an independent copy of the constants
EXACT = {"rtol": 1e-12, "atol": 1e-14}
HEAD = """\
 CP2K| version string:                                       CP2K version {version}
 CELL_TOP| Vector a [angstrom     9.000     0.000     0.000   |a| =     9.000000
 CELL| Vector a [angstrom]:       5.038     0.000     0.000   |a| =     5.038100
 CELL| Vector b [angstrom]:       0.000     6.000     0.000   |b| =     6.000000
 CELL| Vector c [angstrom]:       0.000     0.000    13.772   |c| =    13.772000
 CELL_REF| Vector a [angstrom     5.038     0.000     0.000   |a| =     5.038100
 DFT| Charge                                                                   1

"""
OLD = (
    HEAD.format(version="6.1")
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
NEW = (
    HEAD.format(version="2025.2").replace(" DFT|", " CELL| Periodicity                      XY\n DFT|")
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


MULLIKEN = """\
                     Mulliken Population Analysis

 #  Atom  Element  Kind  Atomic population (alpha,beta) Net charge  Spin moment
       1     Fe       1          9.198415     4.240345     2.561240     4.958071
       2     O        3          3.500000     4.061240    -1.561240    -0.561240
 # Total charge and spin        12.698415     8.301585     1.000000     4.396831

"""
HIRSHFELD = """\
                           Hirshfeld Charges

  #Atom  Element  Kind  Ref Charge     Population       Spin moment  Net charge
      1       Fe     1      16.000   8.200   6.100            2.100       1.700
      2       O      3       6.000   3.300   3.400           -0.100      -0.700

  Total Charge                                                            1.000
"""


@pytest.fixture
def write(tmp_path):
    def write(text, name="iron.out"):
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return write


class TestSinglePoints:
    @pytest.mark.parametrize("text", [OLD, NEW], ids=["6.1", "2025.2"])
    def test_by_hand(self, write, text):
        (record,) = records(write(text))
        structure = record.structure
        assert structure.atomic_numbers.tolist() == [26, 8]
        assert structure.positions.tolist() == [[0.1, 0.2, 0.3], [1.1, 1.2, -1.3]]
        np.testing.assert_allclose(structure.cell, np.diag([5.0381, 6.0, 13.772]), rtol=1e-12)
        assert structure.energy == pytest.approx(-12.5 * HARTREE, rel=1e-12)
        assert record.energy_kind == "free"
        forces = np.array([[0.01, 0.02, 0.03], [-0.01, -0.02, -0.03]]) * HARTREE / BOHR
        np.testing.assert_allclose(structure.forces, forces, rtol=1e-12)
        tension = np.array([7.5, 8.0, -8.5, 0.2, 0.0, 0.1]) / 160.2176634  # CP2K: compression positive
        np.testing.assert_allclose(structure.stress, tension, **EXACT)
        assert structure.total_charge == 1.0
        assert structure.pbc.tolist() == [True, True, text is OLD]
        assert structure.group == "iron"

    def test_compressed(self, tmp_path):
        (tmp_path / "iron.out.gz").write_bytes(gzip.compress(NEW.encode()))
        assert structures(tmp_path / "iron.out.gz")[0].energy == pytest.approx(-12.5 * HARTREE, rel=1e-12)

    def test_two_outputs_in_one_file(self, write):
        assert [s.energy for s in structures(write(OLD + NEW))] == pytest.approx([-12.5 * HARTREE] * 2)

    def test_stress_is_the_gradient_with_respect_to_strain(self):
        found = structures(FILES / "cp2k_strain.out")
        assert differences(found)[0] == pytest.approx(works(found)[0], rel=0.02)

    @pytest.mark.parametrize(
        ("old", "new", "message"),
        [
            ("ENERGY|", "energy|", "expected at least one line `ENERGY| Total FORCE_EVAL`, found none"),
            ("CELL| Vector c", "CELL| Vec c", "three `CELL| Vector` lines, found 2 atoms and 2 vectors"),
            ("      2      3      O ", "      2      3 ", "expected 2 lines of forces, found 1"),
            ("[GPa]", "[furlong]", "furlong"),
            ("[a.u.]", "[furlong/bohr]", "furlong/bohr"),
            ("(a.u.)", "(furlong)", "furlong"),
        ],
    )
    def test_refused(self, write, old, new, message):
        with pytest.raises(DataError, match=re.escape(message)):
            records(write(OLD.replace(old, new)))


class TestUnits:
    @pytest.mark.parametrize(
        ("unit", "factor"), [("[eV]", 1.0), ("(eV):", 1.0), ("[Ry]:", HARTREE / 2), ("[kcalmol]", 0.0433641042)]
    )
    def test_energy(self, write, unit, factor):
        (structure,) = structures(write(NEW.replace("energy [hartree]", f"energy {unit}")))
        assert structure.energy == pytest.approx(-12.5 * factor, rel=1e-8)

    @pytest.mark.parametrize(
        ("unit", "factor"),
        [("eV/angstrom", 1.0), ("eV*angstrom^-1", 1.0), ("a.u.", HARTREE / BOHR), ("Ry/bohr", 25.7110)],
    )
    def test_forces(self, write, unit, factor):
        (structure,) = structures(write(NEW.replace("[hartree/bohr]", f"[{unit}]")))
        assert structure.forces[0, 0] == pytest.approx(0.01 * factor, rel=1e-5)

    @pytest.mark.parametrize(
        ("unit", "factor"), [("kbar", 1e-1), ("GPa", 1.0), ("Mbar", 1e2), ("atm", 1.01325e-4), ("Pa", 1e-9)]
    )
    def test_stress(self, write, unit, factor):
        (structure,) = structures(write(NEW.replace("[bar]", f"[{unit}]")))
        assert structure.stress[0] == pytest.approx(7.5e4 * factor / 160.2176634, rel=1e-9)


class TestEnergies:
    def test_smearing(self):
        """F = E - TS is minimised; CP2K extrapolates to F + TS/2."""
        text = (FILES / "cp2k_smearing.out").read_text()
        entropy = float(re.search(r"entropic energy:\s+(\S+)", text).group(1))
        (free,) = records(FILES / "cp2k_smearing.out")
        (extrapolated,) = records(FILES / "cp2k_smearing.out", energy="energy")
        assert (free.energy_kind, extrapolated.energy_kind) == ("free", "extrapolated")
        assert free.structure.energy == pytest.approx(-17.212778706789020 * HARTREE, rel=1e-12)
        assert extrapolated.structure.energy - free.structure.energy == pytest.approx(-entropy / 2 * HARTREE, abs=1e-9)

    def test_free_energy_printed_apart(self, write):
        """Plane waves of SIRIUS: gap and free energy have lines of their own."""
        line = " ENERGY| Total FORCE_EVAL ( SIRIUS ) {} [hartree]            {}\n"
        more = line.format("gap", 0.1) + line.format("free energy", -12.625)
        text = NEW.replace(" FORCES| Atomic", more + " FORCES| Atomic")
        assert structures(write(text))[0].energy == pytest.approx(-12.625 * HARTREE, rel=1e-12)


class TestCharges:
    def test_hirshfeld_before_mulliken(self, write):
        (record,) = records(write(NEW.replace(" ENERGY|", MULLIKEN + HIRSHFELD + " ENERGY|")))
        assert record.structure.charges.tolist() == [1.7, -0.7]
        assert (record.charge_scheme, record.unused) == ("hirshfeld", ("mulliken charges",))

    def test_mulliken_on_request_with_spins(self, write):
        (record,) = records(write(NEW.replace(" ENERGY|", MULLIKEN + HIRSHFELD + " ENERGY|")), charges="mulliken")
        assert record.structure.charges.tolist() == [2.56124, -1.56124]
        assert (record.charge_scheme, record.unused) == ("mulliken", ("hirshfeld charges",))

    def test_without_spins(self):
        first = records(FILES / "cp2k_md.out", charges="mulliken")[0].structure
        assert first.charges.tolist() == [-0.748565, 0.374291, 0.374275]
        assert structures(FILES / "cp2k_md.out")[0].charges.tolist() == [-1.099, 0.551, 0.551]

    def test_cut(self, write):
        table = MULLIKEN[: MULLIKEN.index("       2     O")]
        with pytest.raises(DataError, match="expected mulliken charges of 2 atoms, found 1"):
            records(write(NEW.replace(" ENERGY|", table + "\n ENERGY|")))


class TestConvergence:
    @pytest.mark.parametrize(
        ("events", "converged"),
        [
            (["SCF run converged in    47 steps"], True),
            (["SCF run NOT converged"], False),
            (["Leaving inner SCF loop after reaching   20 steps."], False),
            (
                [
                    "Leaving inner SCF loop",
                    "SCF run converged in 9 steps",
                    "outer SCF loop converged in   2 iterations",
                ],
                True,
            ),
            (["SCF run converged in 9 steps", "outer SCF loop FAILED to converge after   2 iterations"], False),
        ],
    )
    def test_last_word(self, write, events, converged):
        path = write(OLD.replace("  *** SCF run converged in    47 steps ***", "\n".join(f"  {e}" for e in events)))
        (outcome,) = outcomes(path)
        assert isinstance(outcome, UnconvergedError) != converged
        assert len(records(path, keep_unconverged=True)) == 1


class TestTrajectories:
    @pytest.fixture
    def run(self, tmp_path):
        """The output of an MD and the files beside it, of which tests change some."""
        for name in ("cp2k_md.out", "nve-pos-1.xyz", "nve-frc-1.xyz", "nve-1.cell", "nve-1.stress"):
            shutil.copy(FILES / name, tmp_path / name)

        def run(**changes):
            for name, change in changes.items():
                path = tmp_path / {"out": "cp2k_md.out", "stress": "nve-1.stress", "cell": "nve-1.cell"}.get(
                    name, f"nve-{name}-1.xyz"
                )
                if change is None:
                    path.unlink()
                else:
                    path.write_text(change(path.read_text()))
            return tmp_path / "cp2k_md.out"

        return run

    def test_by_hand(self, run):
        found = structures(run())
        assert len(found) == 4
        assert found[2].energy == pytest.approx(float(self.energies()[2]) * HARTREE, rel=1e-12)
        rows = (FILES / "nve-pos-1.xyz").read_text().splitlines()[12:15]
        np.testing.assert_allclose(found[2].positions, [[float(x) for x in row.split()[1:]] for row in rows])
        assert found[2].atomic_numbers.tolist() == [8, 1, 1]
        np.testing.assert_allclose(found[2].cell, np.eye(3) * 5)
        assert found[2].total_charge == 0.0

    @staticmethod
    def energies():
        return re.findall(r"ENERGY.*\]:\s+(\S+)", (FILES / "cp2k_md.out").read_text())

    def test_energy_is_what_forces_are_the_gradient_of(self, run):
        found = structures(run())
        np.testing.assert_allclose(differences(found), works(found), atol=4e-6)

    def test_forces_from_either_file(self, run):
        both = structures(run())
        printed = structures(run(frc=None))
        np.testing.assert_allclose(both[3].forces, printed[3].forces, atol=1e-6)
        shutil.copy(FILES / "nve-frc-1.xyz", run().parent)
        alone = structures(run(out=lambda text: text.replace("ATOMIC FORCES in", "atomic")))
        np.testing.assert_array_equal(alone[3].forces, both[3].forces)

    def test_forces_in_another_unit(self, run):
        path = run(frc=lambda text: re.sub(r"(?m)^  O .*$", "  O   1.0  1.0  1.0", text))
        with pytest.raises(DataError, match="expected the forces of the output in hartree/bohr, found others"):
            records(path)

    def test_positions_in_another_unit(self, run):
        with pytest.raises(DataError, match="expected the positions of the output in Å"):
            records(run(pos=lambda text: text.replace("0.7600000000", "1.4361918553")))

    def test_kinetic_part_of_the_stress_is_no_label(self, run):
        """The file's pressure is that of the MD, which is larger by that of the ideal gas than the printed stress."""
        printed = structures(run())[0].stress[:3].mean() * 160.2176634e4
        row = (FILES / "nve-1.stress").read_text().splitlines()[1].split()
        of_the_file = sum(float(row[i]) for i in (2, 6, 10)) / 3
        pressure = float(re.search(r"MD_INI\| Pressure \[bar\]\s+(\S+)", (FILES / "cp2k_md.out").read_text()).group(1))
        assert of_the_file == pytest.approx(pressure, rel=1e-6)
        assert of_the_file + printed > 500
        records_ = records(run(out=lambda text: text.replace("STRESS|", "stress")))
        assert {record.structure.stress is None for record in records_} == {True}
        assert records_[0].unused == ("mulliken charges", "stress in `-1.stress` (holds the kinetic part)")

    def test_stress_of_a_relaxation(self, run):
        def change(text):
            return (
                text.replace("STRESS|", "stress")
                .replace(" MD_PAR| Ensemble", " ensemble")
                .replace("  MD\n", "GEO_OPT\n")
            )

        row = (FILES / "nve-1.stress").read_text().splitlines()[1].split()
        stress = structures(run(out=change))[0].stress
        assert stress[0] == pytest.approx(-float(row[2]) * 1e-4 / 160.2176634)
        assert stress[5] == pytest.approx(-float(row[3]) * 1e-4 / 160.2176634)

    def test_changing_cell(self, run):
        npt = {"out": lambda text: text.replace("     NVE", "   NPT_I")}
        longer = structures(
            run(cell=lambda text: text.replace("        5.0000000000        0.0000000000 ", " 5.5 0.0 "), **npt)
        )
        assert longer[1].cell[0, 0] == 5.5
        with pytest.raises(DataError, match=r"the cell changes and step 0 is not in `-1\.cell`"):
            records(run(cell=None))

    def test_cell_that_keeps_its_shape(self, run):
        """NPT_I prints its lengths in every step, those of the first one with another title."""

        def npt(text):
            first = text.replace("     NVE", "   NPT_I").replace("\n MD_INI| Pressure", "{}\n MD_INI| Pressure", 1)
            lengths = "\n MD_INI| Cell lengths [ang]       4.90000000E+00  5.00000000E+00  5.10000000E+00"
            later = "\n MD| Cell lengths [bohr]           9.0000000E+00   9.2000000E+00   9.4000000E+00\n MD| Pressure"
            return first.replace("{}", lengths).replace("\n MD| Pressure", later)

        first, second = (record.structure for record in outcomes(run(out=npt, cell=None))[:2])
        np.testing.assert_allclose(first.cell, np.diag([4.9, 5.0, 5.1]), atol=1e-12)
        np.testing.assert_allclose(second.cell, np.diag([9.0, 9.2, 9.4]) * BOHR, atol=1e-12)

    def test_files_with_a_name_of_their_own(self, run):
        path = run(out=lambda text: text.replace("ATOMIC FORCES in", "atomic"))
        (path.parent / "nve-frc-1.xyz").rename(path.parent / "nve-all.forces-frc-1.xyz")
        assert structures(path)[0].forces[0, 0] == pytest.approx(-0.0053510493 * HARTREE / BOHR)

    def test_first_step_of_a_relaxation(self, run):
        """It stands in the output alone; relaxations number their structures from 1."""

        def drop(text):
            return "".join(text.splitlines(keepends=True)[5:])

        found = structures(run(pos=drop, frc=None))
        assert len(found) == 4
        assert found[0].positions[1].tolist() == [0.76, 0.59, 0.05]

    def test_steps_without_positions_are_named(self, run):
        found = records(run(pos=lambda text: "".join(text.splitlines(keepends=True)[:10]), frc=None))
        assert len(found) == 2
        assert found[-1].unused == ("mulliken charges", "2 steps without positions")

    def test_trajectory_of_another_run(self, run):
        first, second, *_ = outcomes(run(pos=lambda text: text.replace("E =       -17.1466", "E =       -17.1467")))
        assert not isinstance(first, DataError)
        assert "expected a step of the output with the energy" in str(second)

    def test_cut_trajectory(self, run):
        *good, bad = outcomes(run(pos=lambda text: text[:-60]))
        assert len(good) == 3
        assert "frame 3: expected 3 lines of positions, found 2" in str(bad)

    def test_cut_output(self, run):
        *good, bad = outcomes(run(out=lambda text: text[: text.rindex(" ENERGY|")]))
        assert len(good) == 4  # the last one is in the trajectory, but not in the output
        assert isinstance(good[-1], DataError)
        assert "the file ends within this step" in str(bad)

    def test_unconverged_step(self, run):
        def change(text):
            start = text.rindex("SCF run converged")
            return text[:start] + text[start:].replace("SCF run converged", "SCF run NOT converged", 1)

        *good, bad = outcomes(run(out=change))
        assert isinstance(bad, UnconvergedError)
        assert len(good) == 3

    def test_no_trajectory(self, run):
        first, second = outcomes(run(pos=None))
        assert not isinstance(first, DataError)
        assert "put `nve-pos-1.xyz` beside the output" in str(second)

    def test_compressed(self, run):
        path = run()
        for name in ("cp2k_md.out", "nve-pos-1.xyz", "nve-frc-1.xyz"):
            plain = path.with_name(name)
            path.with_name(name + ".gz").write_bytes(gzip.compress(plain.read_bytes()))
            plain.unlink()
        assert len(structures(path.with_name("cp2k_md.out.gz"))) == 4
