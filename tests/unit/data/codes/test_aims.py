"""FHI-aims: an MD and a relaxation whose energies, forces and stresses belong together."""

import numpy as np
import pytest

from mhdnn.data.readers import detect_format
from mhdnn.errors import DataError, UnconvergedError
from tests.unit.data.codes import outputs, physics
from tests.unit.data.codes.reading import differences, outcomes, records, structures, voigt, works

STEPS = physics.steps(3)
HIRSHFELD = """\
  Performing Hirshfeld analysis of fragment charges and moments.
  ----------------------------------------------------------------------
  | Atom     1: Li
  |   Hirshfeld charge        :      0.40000000
  |   Free atom volume        :     82.26734086
  | Atom     2: O
  |   Hirshfeld charge        :     -0.15000000
  | Atom     3: O
  |   Hirshfeld charge        :     -0.25000000
"""
MULLIKEN = """\
  Performing Mulliken charge analysis on all atoms.
  Summary of the per-atom charge analysis:
  |
  |  atom       electrons          charge             l=0
  |     1        2.300000        0.700000        0.700000
  |     2        8.300000       -0.300000       -0.300000
  |     3        8.400000       -0.400000       -0.400000
  |
  | Total       19.000000        0.000000
"""
NOT_YET = "  Self-consistency cycle not yet converged - restarting mixer to attempt better convergence."
NEVER = "  * WARNING! SELF-CONSISTENCY CYCLE DID NOT CONVERGE"


@pytest.fixture
def write(tmp_path):
    def write(steps=STEPS, change=lambda text: text, **options):
        (tmp_path / "crystal.out").write_text(change(outputs.aims(steps, **options)))
        return tmp_path / "crystal.out"

    return write


@pytest.mark.parametrize("dynamics", [True, False], ids=["MD", "relaxation"])
class TestLabels:
    def test_by_hand(self, write, dynamics):
        path = write(dynamics=dynamics)
        assert detect_format(path) == "aims"
        for record, step in zip(records(path), STEPS, strict=True):
            structure = record.structure
            assert record.energy_kind == "free"
            assert structure.energy == pytest.approx(step.free, rel=1e-12)
            assert structure.atomic_numbers.tolist() == list(physics.NUMBERS)
            np.testing.assert_allclose(structure.positions, step.positions, atol=1e-8)
            np.testing.assert_allclose(structure.cell, step.cell, atol=1e-8)
            np.testing.assert_allclose(structure.forces, step.forces, rtol=1e-12)
            np.testing.assert_allclose(structure.stress, voigt(step.stress), atol=1e-8)
            assert structure.group == "crystal"

    def test_free_energy_is_what_forces_are_the_gradient_of(self, write, dynamics):
        path = write(dynamics=dynamics)
        found = structures(path)
        np.testing.assert_allclose(differences(found), works(found), atol=2e-4)
        extrapolated = structures(path, energy="energy")
        assert np.abs(differences(extrapolated) - works(found)).min() > 5e-4
        assert extrapolated[0].energy == pytest.approx(STEPS[0].extrapolated, rel=1e-12)


def test_stress_is_the_gradient_with_respect_to_strain(write):
    found = structures(write(physics.steps(3, strained=True), dynamics=False))
    np.testing.assert_allclose(differences(found), works(found), atol=5e-4)


def test_stress_against_the_printed_pressure(write):
    path = write()
    printed = [float(line.split()[2]) for line in path.read_text().splitlines() if "Pressure:" in line]
    assert [-s.stress[:3].mean() for s in structures(path)] == pytest.approx(printed, abs=1e-8)


class TestCharges:
    def test_hirshfeld_before_mulliken(self, write):
        for record in records(write(extra=MULLIKEN + HIRSHFELD)):
            assert record.structure.charges.tolist() == [0.4, -0.15, -0.25]
            assert record.charge_scheme == "hirshfeld"
            assert record.unused == ("mulliken charges",)

    @pytest.mark.parametrize("key", ["mulliken", "mulliken_charges"])
    def test_mulliken_on_request(self, write, key):
        (record, *_) = records(write(extra=MULLIKEN + HIRSHFELD), charges=key)
        assert record.structure.charges.tolist() == [0.7, -0.3, -0.4]
        assert record.charge_scheme == "mulliken"
        assert record.unused == ("hirshfeld charges",)

    def test_total_charge(self, write):
        assert {s.total_charge for s in structures(write(charge=1.0))} == {1.0}

    def test_cut(self, write):
        with pytest.raises(DataError, match="expected 3 hirshfeld charges, found 2"):
            records(write(STEPS[:1], extra=HIRSHFELD[: HIRSHFELD.index("  | Atom     3")]))


class TestConvergence:
    @pytest.mark.parametrize("ending", [NEVER, NOT_YET])
    def test_dropped(self, write, ending):
        first, second, last = outcomes(write(ending=ending))
        assert isinstance(last, UnconvergedError)
        assert not isinstance(first, DataError)
        assert not isinstance(second, DataError)
        assert len(records(write(ending=ending), keep_unconverged=True)) == 3

    def test_mixer_that_was_restarted(self, write):
        """The same geometry once more: its last cycle counts."""

        def change(text):
            start = text.index("          Begin self-consistency loop")
            end = text.index("  Atomic structure (and velocities)")
            again = (
                text[start:end].replace("  Self-consistency cycle converged.", NOT_YET).replace("E+00 eV", "E+01 eV")
            )
            return text[:start] + again + text[start:]

        assert [s.energy for s in structures(write(change=change))] == pytest.approx([step.free for step in STEPS])


class TestOthers:
    def test_molecule(self, write):
        def change(text):
            start, end = text.index("  | Unit cell:"), text.index("  | Atomic structure:")
            return text[:start] + "  | No unit cell requested.\n" + text[end:]

        structure = structures(write(change=change))[2]
        assert not structure.pbc.any()
        assert not structure.cell.any()
        assert structure.stress is None
        np.testing.assert_allclose(structure.positions, STEPS[2].positions, atol=1e-8)

    def test_named_units(self, write):
        def change(text):
            return text.replace("[eV/Ang]:", "[Ha/bohr]:")

        factor = 27.211386245988 / 0.529177210903
        np.testing.assert_allclose(structures(write(change=change))[0].forces, STEPS[0].forces * factor, rtol=1e-9)
        with pytest.raises(DataError, match="furlong"):
            records(write(change=lambda text: text.replace("[eV/A**3]", "[furlong]")))

    def test_last_structure_of_a_complete_run(self, write):
        def change(text):
            start = text.rindex("  Atomic structure (and velocities)")
            return text[:start] + "  Final atomic structure" + text[start + len("  Atomic structure") :]

        np.testing.assert_allclose(structures(write(change=change))[2].positions, STEPS[2].positions, atol=1e-8)

    def test_constraints_change_forces(self, write):
        (record, *_) = records(write(change=lambda text: "  constrain_relaxation .true.\n" + text))
        assert record.structure.forces is None
        assert record.unused == ("forces (relaxation constraints were applied to them)",)

    def test_cut(self, write):
        text = write().read_text()
        for last in ("  Self-consistency cycle converged", "  Atomic structure (and velocities)", "  |    3 "):
            cut = text[: text.rindex(last)]
            *good, bad = outcomes(write(change=lambda _, cut=cut: cut))
            assert len(good) == 2
            assert "frame 2: " in str(bad)

    @pytest.mark.parametrize(
        ("line", "message"),
        [
            ("  | Electronic free energy", "expected the free energy"),
            ("  |        4.1", "expected three lattice vectors"),
        ],
    )
    def test_lost_line(self, write, line, message):
        def change(text):
            start = text.index(line)
            return text[:start] + text[text.index("\n", start) + 1 :]

        assert message in str(outcomes(write(change=change))[0])

    def test_no_step(self, write):
        with pytest.raises(DataError, match="expected at least one `Begin self-consistency loop`"):
            records(write(change=lambda text: text[:200]))
