"""Dispersion parts that `mhdnn data convert` works out."""

import ase.io
import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator

from mhdnn.cli import main
from mhdnn.data.store import StoreReader
from mhdnn.dispersion import DispersionCorrection

NAME = "d3 bj pbe"
ENERGY = -10.0


@pytest.fixture
def source(tmp_path):
    """One frame with energy, forces and stress, one with an energy alone."""
    pytest.importorskip("dftd3")
    frames = []
    for number in range(2):
        atoms = bulk("Si")
        atoms.rattle(0.1, seed=number)
        labels = {"energy": ENERGY}
        if number == 0:
            labels |= {"forces": np.ones((2, 3)), "stress": np.arange(6.0)}
        atoms.calc = SinglePointCalculator(atoms, **labels)
        frames.append(atoms)
    ase.io.write(tmp_path / "source.extxyz", frames)
    return tmp_path / "source.extxyz"


@pytest.mark.parametrize("option", ["--dispersion", "--add-dispersion"])
def test_parts_are_kept(source, tmp_path, option):
    target = tmp_path / "out.h5"
    assert main(["data", "convert", str(source), str(target), option, NAME]) == 0
    whole, bare = StoreReader(target), StoreReader(target, subtract_dispersion=True)
    assert whole.attributes["dispersion"] == NAME
    for index, atoms in enumerate(ase.io.read(source, ":")):
        part = DispersionCorrection.parse(NAME).labels(atoms)
        added = part.energy if option == "--add-dispersion" else 0.0
        assert whole[index].energy == pytest.approx(ENERGY + added, abs=1e-12)
        assert bare[index].energy == pytest.approx(ENERGY + added - part.energy, abs=1e-12)
    given = np.ones((2, 3)), np.arange(6.0)
    part = DispersionCorrection.parse(NAME).labels(ase.io.read(source, 0))
    reader = whole if option == "--dispersion" else bare
    np.testing.assert_allclose(reader[0].forces, given[0], atol=1e-12)
    np.testing.assert_allclose(reader[0].stress, given[1], atol=1e-7)  # extended XYZ holds eight digits
    np.testing.assert_allclose(whole[0].stress - bare[0].stress, part.stress, atol=1e-12)
    assert whole[1].forces is None


def test_refused(source, tmp_path, capsys):
    target = tmp_path / "out.h5"
    assert main(["data", "convert", str(source), str(target), "--dispersion", NAME]) == 0
    assert main(["data", "convert", str(target), str(tmp_path / "again.h5"), "--dispersion", NAME]) != 0
    assert "frame 0: has a dispersion part already" in capsys.readouterr().err
    assert main(["data", "convert", str(source), str(target), "--dispersion", "pbe"]) != 0
    assert "expected `d3 DAMPING FUNCTIONAL`" in capsys.readouterr().err
