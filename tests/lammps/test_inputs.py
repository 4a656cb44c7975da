"""The inputs of scripts/lammps run in the real LAMMPS, and the calculator has the same energies."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import ase.io
import numpy as np
import pytest

from mhdnn import MHDNNCalculator
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
