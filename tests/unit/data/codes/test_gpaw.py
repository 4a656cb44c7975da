"""Real outputs of GPAW 22.8 and 26.7 of the same aluminium crystal, cut to what is read."""

import numpy as np
import pytest

from mhdnn.data.readers import detect_format
from mhdnn.errors import DataError, UnconvergedError
from tests.unit.data.codes.reading import FILES, differences, outcomes, records, structures, works

OLD, NEW = FILES / "gpaw_al.txt", FILES / "gpaw26_al.txt"


@pytest.fixture
def write(tmp_path):
    def write(text):
        (tmp_path / "al.txt").write_text(text)
        return tmp_path / "al.txt"

    return write


@pytest.mark.parametrize("path", [OLD, NEW], ids=["22.8", "26.7"])
class TestBothVersions:
    def test_by_hand(self, path):
        assert detect_format(path) == "gpaw"
        (record, *_) = records(path)
        structure = record.structure
        assert record.energy_kind == "free"
        assert structure.energy == -7.220945
        assert structure.atomic_numbers.tolist() == [13, 13]
        assert structure.positions[1].tolist() == [-0.107297, 2.111541, 1.794846]
        assert structure.cell[1].tolist() == [2.025, 0.0, 2.025]
        assert structure.pbc.all()
        assert structure.forces[0].tolist() == [-0.50268, 0.37506, -0.04452]
        assert structure.stress.tolist() == [-0.033164, -0.028015, -0.006946, 0.099044, 0.037004, 0.05878]
        assert {s.total_charge for s in structures(path)} == {0.0}

    def test_free_energy_is_what_forces_are_the_gradient_of(self, path):
        found = structures(path)
        np.testing.assert_allclose(differences(found), works(found), atol=5e-6)
        extrapolated = structures(path, energy="energy")
        assert np.abs(differences(extrapolated) - works(found)).max() > 5e-4

    def test_extrapolated_on_request(self, path):
        (record, *_) = records(path, energy="energy")
        assert (record.structure.energy, record.energy_kind) == (-6.874467, "extrapolated")

    def test_cut(self, path, write):
        text = path.read_text()
        *good, bad = outcomes(write(text[: text.rindex("onverged ")]))
        assert len(good) == len(structures(path)) - 1
        assert "the file ends within the iterations" in str(bad)
        *_, bad = outcomes(write(text[: text.rindex("Stress") - 40]))
        assert "expected 2 lines of forces" in str(bad)


def test_stress_is_the_gradient_with_respect_to_strain():
    first, second = structures(FILES / "gpaw_strain.txt")
    assert differences([first, second])[0] == pytest.approx(works([first, second])[0], rel=0.005)


class TestConvergence:
    def test_told(self, write):
        text = OLD.read_text()
        start = text.rindex("Converged after")
        first, second, third, last = outcomes(write(text[:start] + "Did not converge!\n"))
        assert isinstance(last, UnconvergedError)
        assert [isinstance(outcome, DataError) for outcome in (first, second, third)] == [False] * 3

    def test_as_many_iterations_as_allowed(self, write):
        text = NEW.read_text()
        text = text[: text.rindex("Converged in")].replace("iterations: 333", "iterations: 2")
        first, last = outcomes(write(text))
        assert isinstance(last, UnconvergedError)
        assert not isinstance(first, DataError)


class TestOthers:
    def test_molecule_with_charge(self, write):
        text = OLD.read_text().replace(" yes ", "  no ").replace("Total Charge: 0.0", "Total Charge: 1.0")
        (structure, *_) = structures(write(text))
        assert not structure.pbc.any()
        assert structure.stress is None
        assert structure.total_charge == 1.0

    def test_van_der_waals_correction(self, write):
        text = OLD.read_text()
        end = text.index("Positions:", text.index("Positions:") + 1)
        correction = (
            "\nvdWTkatchenko09prl\nvdW correction: -0.25\nEnergy:         -7.12447\n\nForces in eV/Ang:\n"
            "  0 Al   -0.40000    0.30000   -0.05000\n  1 Al    0.40000   -0.30000    0.05000\n\n"
        )
        record = records(write(text[:end] + correction + text[end:]))[0]
        assert record.structure.energy == pytest.approx(-7.220945 - 0.25)
        assert record.structure.forces[0].tolist() == [-0.4, 0.3, -0.05]
        assert record.structure.stress is None
        assert record.unused == ("stress (without the van der Waals correction)",)

    def test_named_unit(self, write):
        text = OLD.read_text().replace("Forces in eV/Ang", "Forces in Ha/bohr")
        assert structures(write(text))[0].forces[0, 0] == pytest.approx(-0.50268 * 27.211386245988 / 0.529177210903)
        with pytest.raises(DataError, match="furlong"):
            records(write(OLD.read_text().replace("Angstrom and eV", "furlong and eV")))

    def test_no_step(self, write):
        with pytest.raises(DataError, match="expected at least one self-consistent calculation"):
            records(write(OLD.read_text()[:250]))
