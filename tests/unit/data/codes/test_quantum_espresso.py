"""Real outputs of pw.x 6.7 (cut to what is read), and changes of them in the style of other versions."""

import numpy as np
import pytest

from mhdnn.errors import DataError, UnconvergedError
from tests.unit.data.codes.reading import FILES, KILOBAR, differences, outcomes, records, structures, works

HARTREE, BOHR = 27.211386245988, 0.529177210903  # written out: an independent copy of the constants
RYDBERG = HARTREE / 2
MD = (FILES / "qe_md.out").read_text()
CHARGED = (FILES / "qe_charged_vc_relax.out").read_text()


@pytest.fixture
def write(tmp_path):
    def write(text):
        (tmp_path / "aluminium.out").write_text(text)
        return tmp_path / "aluminium.out"

    return write


class TestDynamics:
    def test_by_hand(self):
        found = records(FILES / "qe_md.out")
        assert len(found) == 4
        first, second = found[0].structure, found[1].structure
        assert first.energy == pytest.approx(-8.41962708 * RYDBERG, rel=1e-12)
        assert found[0].energy_kind == "free"
        assert first.atomic_numbers.tolist() == [13, 13]
        np.testing.assert_allclose(first.cell, np.diag([2.86, 4.05, 2.86]), atol=1e-5)
        np.testing.assert_allclose(first.positions, [[0, 0, 0], [1.55, 2.1, 1.35]], atol=1e-6)
        np.testing.assert_allclose(first.forces[0] / RYDBERG * BOHR, [0.00507592, 0.00238374, -0.00351813], atol=1e-8)
        assert first.total_charge == 0.0
        assert second.positions[0, 0] > 0  # positions of a step are printed behind the one before

    def test_free_energy_is_what_forces_are_the_gradient_of(self):
        found = structures(FILES / "qe_md.out")
        np.testing.assert_allclose(differences(found), works(found), atol=2e-7)
        internal = np.array([float(line.split()[4]) for line in MD.splitlines() if "E=F+TS" in line]) * RYDBERG
        assert np.abs(np.diff(internal) - works(found)).max() > 1e-5

    def test_stress_against_its_second_print_and_the_pressure(self):
        lines = MD.splitlines()
        starts = [i for i, line in enumerate(lines) if "total   stress" in line]
        for structure, start in zip(structures(FILES / "qe_md.out"), starts, strict=True):
            printed = np.array([[float(x) for x in line.split()[3:]] for line in lines[start + 1 : start + 4]])
            order = ([0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1])
            np.testing.assert_allclose(-structure.stress * KILOBAR, printed[order], atol=6e-3)
            pressure = float(lines[start].split("P=")[1])
            assert -structure.stress[:3].mean() * KILOBAR == pytest.approx(pressure, abs=6e-3)

    def test_stress_is_the_gradient_with_respect_to_strain(self):
        found = structures(FILES / "qe_strain.out")
        assert differences(found)[0] == pytest.approx(works(found)[0], rel=0.01)


class TestEnergies:
    def test_last_print_of_a_step(self, write):
        """``iprint=1`` marks the energy of each iteration."""
        early = (
            "!    total energy              =      -8.30000000 Ry\n     estimated scf accuracy    <       0.01 Ry\n\n"
        )
        text = MD.replace("     End of self-consistent", early + "     End of self-consistent")
        assert [s.energy for s in structures(write(text))] == [s.energy for s in structures(FILES / "qe_md.out")]

    def test_hybrid(self, write):
        exchange = (
            "\n     EXX: now go back to refine exchange calculation\n"
            "     est. exchange err (dexx)  =       0.00000001 Ry\n"
            "!!   total energy              =      -8.50000000 Ry\n"
            "     estimated scf accuracy    <       0.00000100 Ry\n"
            "     EXX self-consistency reached\n\n     Forces acting"
        )
        text = MD.replace("\n     Forces acting", exchange)
        assert {s.energy for s in structures(write(text))} == {-8.5 * RYDBERG}

    def test_extrapolated_is_not_printed(self, write):
        with pytest.raises(DataError, match="does not print the energy extrapolated"):
            records(FILES / "qe_md.out", energy="energy")
        text = "".join(line for line in MD.splitlines(keepends=True) if "-TS" not in line)
        (record, *_) = records(write(text), energy="energy")
        assert record.energy_kind == "extrapolated"  # the same without smearing

    def test_named_unit(self, write):
        text = MD.replace("-8.41962708 Ry", "-8.41962708 Ha").replace("axes, Ry/au", "axes, Ha/bohr")
        (structure, *_) = structures(write(text))
        assert structure.energy == pytest.approx(-8.41962708 * HARTREE, rel=1e-12)
        assert structure.forces[0, 0] == pytest.approx(0.00507592 * HARTREE / BOHR, abs=1e-8)
        with pytest.raises(DataError, match="furlong"):
            records(write(MD.replace("(Ry/bohr**3)", "(furlong)")))


class TestGeometry:
    def test_changing_cell_and_charge(self):
        first, second = structures(FILES / "qe_charged_vc_relax.out")
        np.testing.assert_allclose(first.cell, np.diag([2.86, 4.05, 2.86]), atol=1e-5)
        assert abs(np.linalg.det(second.cell)) == pytest.approx(207.52914 * BOHR**3, rel=1e-5)
        assert first.total_charge == second.total_charge == 0.2  # 6 valence electrons, 5.8 present

    @pytest.mark.parametrize(
        ("card", "unit"), [("alat", 5.404617 * BOHR), ("bohr", BOHR), ("angstrom", 1.0), ("crystal", None)]
    )
    def test_units_of_positions(self, write, card, unit):
        expected = structures(FILES / "qe_md.out")[1].positions
        cell = np.diag([2.86, 4.05, 2.86])
        printed = expected @ np.linalg.inv(cell) if unit is None else expected / unit
        start = MD.index("ATOMIC_POSITIONS")
        rows = "".join(f"Al  {x:.12f} {y:.12f} {z:.12f}   0   1   1\n" for x, y, z in printed)
        end = MD.index("\n\n", start)
        text = f"{MD[:start]}ATOMIC_POSITIONS ({card})\n{rows}{MD[end:]}"
        np.testing.assert_allclose(structures(write(text))[1].positions, expected, atol=2e-5)

    def test_labels_of_species(self, write):
        text = MD.replace("        Al             3.00", "        Al2            3.00")
        text = text.replace("           Al  tau", "          Al2  tau").replace("\nAl  ", "\nAl2 ")
        (structure, *_) = structures(write(text))
        assert structure.atomic_numbers.tolist() == [13, 13]
        assert structure.total_charge == 0.0

    def test_isolated_system_is_not_periodic(self, write):
        note = "     Assuming isolated system, Martyna-Tuckerman method\n\n     atomic species"
        (structure, *_) = structures(write(MD.replace("     atomic species", note)))
        assert not structure.pbc.any()

    def test_lost_cell(self, write):
        start = CHARGED.index("CELL_PARAMETERS")
        with pytest.raises(DataError, match=r"frame 1: expected a cell of the printed volume 30\.75"):
            records(write(CHARGED[:start] + CHARGED[CHARGED.index("ATOMIC_POSITIONS") :]))


class TestConvergence:
    def test_accuracy_above_the_threshold(self, write):
        """With ``scf_must_converge=.false.`` pw.x says "convergence has been achieved" all the same."""
        start = MD.index("!    total energy")
        accuracy = MD.index("estimated scf accuracy", start)
        end = MD.index("Ry", accuracy)
        path = write(MD[:accuracy] + "estimated scf accuracy    <       0.00131014 " + MD[end:])
        first, *others = outcomes(path)
        assert isinstance(first, UnconvergedError)
        assert "accuracy 0.00131014 Ry, threshold 1e-10 Ry" in str(first)
        assert len([other for other in others if not isinstance(other, DataError)]) == 3
        assert len(records(path, keep_unconverged=True)) == 4

    def test_stopped(self, write):
        last = MD.rindex("!    total energy")
        stop = (
            "     total energy              =      -8.41000000 Ry\n     convergence NOT achieved after 100 iterations\n"
        )
        *good, bad = outcomes(write(MD[:last] + stop))
        assert len(good) == 3
        assert isinstance(bad, UnconvergedError)
        kept = structures(write(MD[:last] + stop), keep_unconverged=True)[-1]
        assert kept.energy == pytest.approx(-8.41 * RYDBERG)
        assert kept.forces is None


class TestBroken:
    def test_cut_within_iterations(self, write):
        *good, bad = outcomes(write(MD[: MD.rindex("!    total energy")]))
        assert len(good) == 3
        assert "frame 3: the file ends within the electronic iterations" in str(bad)

    def test_cut_before_forces(self, write):
        *good, bad = outcomes(write(MD[: MD.rindex("     Forces acting")]))
        assert len(good) == 3
        assert "frame 3: the file ends before the forces and stress" in str(bad)

    def test_cut_within_forces(self, write):
        *_, bad = outcomes(write(MD[: MD.rindex("     atom    2 type")]))
        assert "expected 2 lines of forces, found 1" in str(bad)

    def test_lost_positions(self, write):
        """Labels of a step never stand with the positions of the one before."""
        start = MD.index("ATOMIC_POSITIONS")
        first, second, *others = outcomes(write(MD[:start] + MD[MD.index("\n", start) + 1 :]))
        assert first.structure.energy == structures(FILES / "qe_md.out")[0].energy
        assert "frame 1: expected crystal axes and positions" in str(second)
        assert [isinstance(other, DataError) for other in others] == [False, False]

    def test_one_line_too_many(self, write):
        start = MD.index("\nAl  ") + 1
        line = MD[start : MD.index("\n", start) + 1]
        *_, bad = outcomes(write(MD[:start] + line + MD[start:]))
        assert "expected 2 lines of ATOMIC_POSITIONS, found more" in str(bad)

    def test_bands_alone(self, write):
        text = MD[: MD.index("     Self-consistent")] + "     Band Structure Calculation\n     JOB DONE.\n"
        with pytest.raises(DataError, match="expected at least one self-consistent calculation, found none"):
            records(write(text))

    def test_two_runs_in_one_file(self, write):
        found = structures(write(CHARGED + MD))
        assert len(found) == 6
        assert [s.total_charge for s in found] == [0.2] * 2 + [0.0] * 4
