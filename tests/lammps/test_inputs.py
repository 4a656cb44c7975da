"""The inputs of scripts/lammps run in the real LAMMPS, and the calculator has the same energies."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.lj import LennardJones

from mhdnn import MHDNNCalculator
from mhdnn.properties.fracture.loading import PullSettings
from mhdnn.properties.fracture.pulling import pull_to_failure
from tests.lammps.runs import SCRIPTS
from tests.properties.charge_host import slab, write_charge_model
from tests.tolerances import HANG

pytestmark = pytest.mark.slow
INPUTS = Path(__file__).parents[2] / "scripts" / "lammps"


def run(folder, name, **variables):
    """Run an input as its comments say; returns what it prints."""
    command = [str(SCRIPTS / "lmp"), "-in", str(INPUTS / name)]
    for key, value in variables.items():
        command += ["-var", key, str(value)]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=HANG)
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-2000:]
    return result.stdout


def make(folder, *arguments):
    command = [sys.executable, str(INPUTS / "make_structures.py"), *arguments]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def table(output, number=0):
    """Columns of a thermodynamic table by name."""
    lines = output.splitlines()
    starts = [place for place, line in enumerate(lines) if line.split()[:1] == ["Step"]]
    names = lines[starts[number]].split()
    rows = []
    for line in lines[starts[number] + 1 :]:
        if line.startswith("Loop time"):
            break
        if line.split()[0].isdigit():
            rows.append([float(word) for word in line.split()])
    return dict(zip(names, np.array(rows).T, strict=True))


def energy(atoms, model, elements):
    """Of what LAMMPS has written, by the calculator."""
    if set(atoms.numbers) <= set(range(1, len(elements) + 1)) and "type" in atoms.arrays:
        atoms.symbols = [elements[kind - 1] for kind in atoms.arrays["type"]]
    atoms.calc = MHDNNCalculator(model)
    return atoms.get_potential_energy()


def test_nve_and_npt(short_range_model, tmp_path):
    make(tmp_path, "sn_graphene", "sn_graphene.data")
    start = ase.io.read(tmp_path / "sn_graphene.data", format="lammps-data", atom_style="atomic")
    assert set(start.get_chemical_symbols()) == {"C", "Sn"}
    options = {"model": short_range_model, "steps": 20, "output": 10, "timestep": 0.0001, "temperature": 50.0}
    output = run(tmp_path, "nve.in", **options)
    assert table(output)["PotEng"][0] == pytest.approx(energy(start, short_range_model, ["C", "Sn"]), rel=1e-7)
    total = table(output, 2)["TotEng"]
    assert np.ptp(total) / len(start) < 1e-4
    assert "drift of the total energy" in output
    assert len(ase.io.read(tmp_path / "nve.lammpstrj", ":", format="lammps-dump-text")) >= 3
    output = run(tmp_path, "npt.in", **options)
    columns = table(output)
    assert columns["Lx"][0] != columns["Lx"][-1]
    assert columns["Lx"] / columns["Ly"] == pytest.approx(columns["Lx"][0] / columns["Ly"][0])
    assert np.loadtxt(tmp_path / "npt_averages.txt").shape[1] == 4


def test_charging(pair_style, tmp_path):
    """Two cycles, then one more from a restart file; the recorded numbers are those of the calculator."""
    write_charge_model(tmp_path / "model.pt")
    host = slab()
    host.write(tmp_path / "host.extxyz")
    make(tmp_path, "host.extxyz", "host.data", "Si", "Li")
    options = {
        "model": "model.pt", "elements": "Si Li", "reference": -1.0, "relative": 6.0, "trials": 8, "drive": 10,
        "relax": 10, "num_ions": 4,
    }  # fmt: skip
    run(tmp_path, "charging.in", cycles=2, **options)
    run(tmp_path, "charging.in", cycles=3, first=3, **options)
    rows = [line.split() for line in (tmp_path / "charging.txt").read_text().splitlines()]
    assert [row[0] for row in rows] == ["1", "2", "3"]
    numbers = [int(row[1]) for row in rows]
    assert 0 < numbers[0] <= numbers[-1] <= 4
    frames = ase.io.read(tmp_path / "charging.lammpstrj", ":", format="lammps-dump-text")
    for row, number, atoms in zip(rows, numbers, frames, strict=True):
        assert np.sum(atoms.numbers == 3) == number
        atoms.pbc = (True, True, False)
        assert energy(atoms, tmp_path / "model.pt", ["Si", "Li"]) == pytest.approx(float(row[2]), abs=2e-3)  # 6 digits
        assert atoms.get_charges()[atoms.numbers == 3].mean() == pytest.approx(float(row[-1]), abs=1e-3)
    before, after = rows[0], rows[1]
    change = int(after[1]) - int(before[1])
    expected = None if change == 0 else -(float(after[2]) - float(before[2]) + 1.0 * change) / change
    assert (after[3] == "none") if expected is None else float(after[3]) == pytest.approx(expected, abs=1e-6)


COLUMNS = ["step", "strain", "xx", "yy", "zz", "xz", "energy", "temperature", "x", "y", "z"]
ARGON = {"style": "lj/cut 8.5", "coefficients": "* * 0.0104 3.4", "elements": "Ar", "equilibration": 500}


def pulled_argon(folder, **options):
    """Columns of tension.txt by name, and the printed strength, of 108 argon atoms at 1 K."""
    (bulk("Ar", cubic=True, a=5.2686) * (3, 3, 3)).write(folder / "argon.extxyz")
    make(folder, "argon.extxyz", "tension.data", "Ar")
    output = run(folder, "tension.in", **ARGON, temperature=1.0, rate=0.05, output=50, **options)
    columns = dict(zip(COLUMNS, np.loadtxt(folder / "tension.txt").T, strict=True))
    line = next(line for line in output.splitlines() if line.startswith("strength"))
    return columns, float(line.split()[1]), float(line.split()[-1])


def test_tension_follows_the_quasi_static_curve(tmp_path):
    """Uniaxial strain at 1 K, and the pull in which the cell relaxes across."""
    calculator, crystal = LennardJones(epsilon=0.0104, sigma=3.4, rc=8.5), bulk("Ar", cubic=True, a=5.2686)
    for lateral in ("fixed", "relaxed"):
        columns, strength, strain = pulled_argon(tmp_path, lateral=lateral, strain=0.2, stop=0.7)
        settings = PullSettings((0, 0, 1), lateral=lateral, relax_first=lateral == "relaxed", max_force=1e-5)
        expected = pull_to_failure(crystal, calculator, settings)
        stress = 160.2176634 * np.interp(columns["strain"], expected.strains, expected.stress)
        compared = columns["strain"] < 0.06
        assert compared.sum() > 20
        largest = 160.2176634 * expected.stress.max()
        np.testing.assert_allclose(columns["zz"][compared], stress[compared], atol=0.05 * largest)
        assert strength == pytest.approx(columns["zz"].max(), rel=1e-4)
        assert strain == pytest.approx(columns["strain"][columns["zz"].argmax()], rel=1e-4)
        # where the cell is free, the moving atoms leave the path of highest symmetry before its maximum
        assert (0.8 if lateral == "fixed" else 0.6) * largest < strength < 1.1 * largest
        across = np.abs([columns["xx"][compared], columns["yy"][compared]]).max()
        assert (across < 0.05 * largest) == (lateral == "relaxed")


def test_shear_ends_at_the_given_strain(tmp_path):
    """The first slope is C44 of the lattice sum, here by the calculator: E of a simple shear."""
    columns, _, _ = pulled_argon(tmp_path, mode="shear", lateral="fixed", strain=0.05)
    settings = PullSettings((0, 0, 1), mode="shear", shear_direction=(1, 0, 0), lateral="fixed", relax_first=False)
    crystal = bulk("Ar", cubic=True, a=5.2686)
    expected = pull_to_failure(crystal, LennardJones(epsilon=0.0104, sigma=3.4, rc=8.5), settings)
    stress = 160.2176634 * np.interp(columns["strain"], expected.strains, expected.stress)
    np.testing.assert_allclose(columns["xz"], stress, atol=0.05 * np.abs(stress).max())
    assert columns["strain"][-1] == pytest.approx(0.05, abs=0.003)


def test_tension_with_a_model(short_range_model, tmp_path):
    (bulk("Sn", "diamond", cubic=True, a=6.5)).write(tmp_path / "tin.extxyz")
    make(tmp_path, "tin.extxyz", "tension.data", "Sn")
    options = {"model": short_range_model, "elements": "Sn", "temperature": 10.0, "equilibration": 5, "timestep": 1e-4}
    run(tmp_path, "tension.in", **options, lateral="fixed", rate=5.0, strain=0.01, output=5, stop=-1e9)
    columns = np.loadtxt(tmp_path / "tension.txt")
    assert columns[-1, 1] == pytest.approx(0.009, abs=0.002)
    end = ase.io.read(tmp_path / "tension.lammpstrj", index=-1, format="lammps-dump-text")
    end.pbc = True
    assert energy(end, short_range_model, ["Sn"]) == pytest.approx(columns[-1, 6], abs=0.05)
