"""Atomic charges: numbers of electrons are recognised, and the total charge is a whole number."""

import numpy as np
import pytest

from mhdnn.cli import main
from mhdnn.data.charges import parse_valence, total_from_charges
from mhdnn.data.convert import convert
from mhdnn.data.dataset import StructureDataset, total_charge_of
from mhdnn.data.readers import ReadOptions
from mhdnn.data.store import StoreReader
from mhdnn.errors import DataError
from mhdnn.structure import Structure

COLUMNS = "Properties=species:S:1:pos:R:3:bader_charges:R:1"


def text(first: float, second: float, info: str = "") -> str:
    return f'2\nLattice="5 0 0 0 5 0 0 0 5" {COLUMNS} energy=-1 {info}\nLi 0 0 0 {first}\nF 0 0 2 {second}\n'


def read(tmp_path, content: str, **options) -> Structure:
    (tmp_path / "in.xyz").write_text(content)
    convert([tmp_path / "in.xyz"], tmp_path / "out.h5", ReadOptions(**options))
    return StoreReader(tmp_path / "out.h5")[0]


def structure(*charges: float, total_charge: float | None = None) -> Structure:
    count = len(charges)
    positions = np.arange(3.0 * count).reshape(count, 3)
    return Structure(np.ones(count, int), positions, np.zeros((3, 3)), np.zeros(3, bool), charges=np.array(charges),
                     total_charge=total_charge)  # fmt: skip


class TestElectrons:
    @pytest.mark.parametrize("info", ["", "total_charge=0"])
    def test_are_refused(self, tmp_path, info):
        with pytest.raises(
            DataError, match="add up to 8.000 e, .*look like numbers of electrons; `--valence-electrons"
        ):
            read(tmp_path, text(0.1, 7.9, info))

    def test_are_converted_on_request(self, tmp_path):
        found = read(tmp_path, text(0.1, 7.9), valence_electrons={3: 1.0, 9: 7.0})
        np.testing.assert_allclose(found.charges, [0.9, -0.9], rtol=1e-12)

    def test_on_the_command_line(self, tmp_path, capsys):
        (tmp_path / "in.xyz").write_text(text(2.1, 7.9))
        files = [str(tmp_path / "in.xyz"), str(tmp_path / "out.h5")]
        assert main(["data", "convert", *files]) == 1
        assert "look like numbers of electrons" in capsys.readouterr().err
        assert main(["data", "convert", *files, "--valence-electrons", "Li=3,F=7"]) == 0
        np.testing.assert_allclose(StoreReader(tmp_path / "out.h5")[0].charges, [0.9, -0.9], rtol=1e-12)

    @pytest.mark.parametrize(
        ("valence", "message"),
        [
            ({3: 1.0}, "found none of F; add it"),
            ({3: 1.0, 9: 6.0}, "`charges` add up to -1.000 e, but `total_charge` is 0 e"),
        ],
    )
    def test_wrong_valence(self, tmp_path, valence, message):
        with pytest.raises(DataError, match=message):
            read(tmp_path, text(0.1, 7.9, "total_charge=0"), valence_electrons=valence)

    def test_charges_are_not_converted(self, tmp_path):
        with pytest.raises(DataError, match="so they are no numbers of electrons"):
            read(tmp_path, text(0.9, -0.9), valence_electrons={3: 1.0, 9: 7.0})

    def test_a_cation_with_its_total_charge(self, tmp_path):
        assert read(tmp_path, text(0.4, 0.6, "total_charge=1")).charges.tolist() == [0.4, 0.6]

    def test_list_of_valences(self):
        assert parse_valence("Li=3, O=6") == {3: 3.0, 8: 6.0}
        assert parse_valence("all")[26] == 26.0
        for wrong in ("Li", "Li=x", "Xx=3", ""):
            with pytest.raises(DataError, match="must be ELEMENT=NUMBER"):
                parse_valence(wrong)


class TestTotalCharge:
    @pytest.mark.parametrize(
        ("total", "expected"), [(0.018, 0.0), (-0.09, 0.0), (0.95, 1.0), (-2.04, -2.0), (0.3, None), (np.nan, None)]
    )
    def test_whole_numbers(self, total, expected):
        assert total_from_charges(np.array([total / 2, total / 2])) == expected

    def test_of_rounded_charges_is_no_background(self):
        assert total_charge_of(structure(0.518, -0.5)) == 0.0
        assert np.isnan(total_charge_of(structure(0.8, -0.5)))
        assert total_charge_of(structure(0.8, -0.5, total_charge=0.25)) == 0.25

    def test_stated_where_charges_do_not_say(self):
        dataset = StructureDataset([structure(0.8, -0.5), structure(1.0, 0.02)], [0, 1], 3.0, total_charge=0.0)
        assert [dataset[index][1].total_charge for index in (0, 1)] == [0.0, None]

    def test_no_whole_number_is_refused(self, tmp_path):
        with pytest.raises(DataError, match="add up to 0.300 e, no whole number within 0.1 e"):
            read(tmp_path, text(0.8, -0.5))
        assert read(tmp_path, text(0.8, -0.5), total_charge=0.0).total_charge == 0.0
        assert read(tmp_path, text(0.518, -0.5)).total_charge is None

    def test_contradiction(self, tmp_path):
        with pytest.raises(DataError, match="add up to -1.000 e, but `total_charge` is 0 e"):
            read(tmp_path, text(-0.5, -0.5, "total_charge=0"))


class TestScheme:
    def test_is_known_from_the_name(self, tmp_path):
        read(tmp_path, text(0.5, -0.5))
        assert StoreReader(tmp_path / "out.h5").attributes["charge_scheme"] == "bader"

    def test_two_are_not_mixed(self, tmp_path):
        with pytest.raises(DataError, match="`charges` is the mbis, but .*frame 0 has the bader"):
            read(tmp_path, text(0.5, -0.5) + text(0.5, -0.5).replace("bader", "mbis"))
        two = text(0.5, -0.5).replace(":R:1", ":R:1:mbis_charges:R:1").replace("0.5\n", "0.5 0.4\n")
        with pytest.raises(DataError, match="hold different values"):
            read(tmp_path, two)
