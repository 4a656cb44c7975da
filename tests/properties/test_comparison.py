"""Several calculators in one command: the same numbers as one by one."""

import json

import ase.io
import numpy as np
import pytest
from ase.build import bulk, fcc111
from ase.calculators.calculator import Calculator
from ase.calculators.lj import LennardJones
from ase.calculators.singlepoint import SinglePointCalculator

from mhdnn.cli import main
from mhdnn.properties.comparison import labels_of
from mhdnn.properties.gap_curve import gap_curve_report


def weak() -> Calculator:
    return LennardJones(epsilon=0.005, sigma=3.4, rc=10.0)


def strong() -> Calculator:
    return LennardJones(epsilon=0.010, sigma=3.4, rc=10.0)


@pytest.fixture
def interface(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    atoms = fcc111("Ar", (1, 1, 4), a=5.3, vacuum=9.0)
    atoms.info = {}
    atoms.set_array("slab", 1 + (atoms.positions[:, 2] > atoms.positions[:, 2].mean()))
    ase.io.write("interface.extxyz", atoms)
    return ase.io.read("interface.extxyz")


GAPS = "gaps=2.8,3.0,3.2,3.4,3.8,4.4,5.5,7"
MODULE = "tests.properties.test_comparison"


def test_two_calculators_in_one_picture(interface, tmp_path, capsys):
    """Half of the energy at every gap; both in one JSON and picture, each in its own folder with its own journal."""
    words = [f"calculators={MODULE}:weak,{MODULE}:strong", "atoms=interface.extxyz", GAPS, "journal=steps.json"]
    assert main(["properties", "gap_curve", *words, "output=out"]) == 0
    together = json.loads((tmp_path / "out/gap_curve.json").read_text())
    assert together["calculators"] == ["weak", "strong"]
    work = together["work_of_separation_j_per_m2"]
    assert work[0] == pytest.approx(0.5 * work[1], rel=1e-6)
    alone = gap_curve_report(interface, strong(), gaps=[2.8, 3.0, 3.2, 3.4, 3.8, 4.4, 5.5, 7])
    assert work[1] == pytest.approx(alone.values["work_of_separation_j_per_m2"])
    for label in ("weak", "strong"):
        assert (tmp_path / f"out/{label}/gap_curve.pdf").stat().st_size > 0
        assert (tmp_path / f"steps_{label}.json").is_file()
    assert (tmp_path / "out/gap_curve.svg").stat().st_size > 0
    assert "weak" in capsys.readouterr().out


def test_energies_of_files_among_calculators(tmp_path, monkeypatch):
    """Voltages from a file (2 V by hand: E = 0 and -3 with E_Cu = -1) beside EMT's."""
    monkeypatch.chdir(tmp_path)
    for number, energy in ((0, 0.0), (1, -3.0)):
        atoms = bulk("Ni", cubic=True)
        atoms.symbols[:number] = "Cu"
        atoms.calc = SinglePointCalculator(atoms, energy=energy * (4 if number == 0 else 1))
        ase.io.write(f"state_{number}.extxyz", atoms)
    metal = bulk("Cu")
    metal.calc = SinglePointCalculator(metal, energy=-1.0)
    ase.io.write("metal.extxyz", metal)
    words = ["calculators=file,ase.calculators.emt:EMT", "structures=state_*.extxyz", "metal=metal.extxyz", "ion=Cu"]
    assert main(["properties", "voltage", *words, "relax=false", "output=out"]) == 0
    values = json.loads((tmp_path / "out/voltage.json").read_text())
    assert values["calculators"] == ["file", "EMT"]
    assert values["average_voltage_v"][0] == pytest.approx(2.0)
    assert np.isfinite(values["average_voltage_v"][1])


def test_bars_where_there_are_no_curves(interface, tmp_path):
    words = [f"calculators={MODULE}:weak,{MODULE}:strong", "atoms=interface.extxyz", "relax=false", "output=out"]
    assert main(["properties", "separation", *words]) == 0
    assert (tmp_path / "out/separation.png").stat().st_size > 0


def test_labels_are_different():
    assert labels_of(["a:EMT", "b:EMT", "c:Other"]) == ["EMT", "EMT_2", "Other"]


def test_bad_input(interface, capsys):
    assert main(["properties", "gap_curve", f"calculators=file,{MODULE}:weak", "atoms=interface.extxyz"]) != 0
    assert "computes new structures" in capsys.readouterr().err
    assert main(["properties", "structures", "calculators=x:y", "name=graphene"]) != 0
    assert "`calculators`: expected a key" in capsys.readouterr().err
