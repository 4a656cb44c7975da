"""Charges of two kinds are not mixed, and the dataset says which it has."""

import pytest

from mhdnn.data.ase_bridge import LabelKeys
from mhdnn.data.convert import convert
from mhdnn.data.reading import ReadOptions
from mhdnn.data.store import StoreReader
from mhdnn.errors import DataError
from tests.unit.data.codes import outputs, physics
from tests.unit.data.codes.reading import FILES
from tests.unit.data.codes.test_aims import HIRSHFELD, MULLIKEN


@pytest.fixture
def aims(tmp_path):
    path = tmp_path / "aims.out"
    path.write_text(outputs.aims(physics.steps(1), extra=MULLIKEN))
    return path


def scheme(path):
    return StoreReader(path).attributes.get("charge_scheme")


def test_named_in_the_dataset(tmp_path, aims):
    convert([aims], tmp_path / "one.h5")
    assert scheme(tmp_path / "one.h5") == "mulliken"
    convert([tmp_path / "one.h5", aims], tmp_path / "two.h5")
    assert scheme(tmp_path / "two.h5") == "mulliken"


def test_two_schemes_are_refused(tmp_path, aims):
    sources = [FILES / "cp2k_md.out", aims]
    with pytest.raises(DataError, match=r"`charges` is the mulliken, but .*cp2k_md\.out: frame 0 has the hirshfeld"):
        convert(sources, tmp_path / "x.h5")
    with pytest.raises(DataError, match="`charges` is the mulliken, but `--attribute charge_scheme` has the ddec6"):
        convert([aims], tmp_path / "x.h5", attributes={"charge_scheme": "ddec6"})
    convert(sources, tmp_path / "x.h5", ReadOptions(keys=LabelKeys(charges="mulliken")))
    assert scheme(tmp_path / "x.h5") == "mulliken"


def test_chosen_scheme(tmp_path, aims):
    aims.write_text(aims.read_text() + HIRSHFELD)
    convert([aims], tmp_path / "x.h5")
    assert scheme(tmp_path / "x.h5") == "hirshfeld"
    with pytest.raises(DataError, match="`--charges-key` ddec6: no structure has it"):
        convert([aims], tmp_path / "x.h5", ReadOptions(keys=LabelKeys(charges="ddec6")))
