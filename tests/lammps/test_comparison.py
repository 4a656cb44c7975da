"""scripts/lammps/compare_with_ase.py, which tells whether a LAMMPS built by hand computes the right numbers."""

import subprocess
import sys
from pathlib import Path

import pytest
from ase.io import write

from tests.lammps.runs import SCRIPTS
from tests.lammps.test_pair_style import structure

SCRIPT = Path(__file__).parents[2] / "scripts/lammps/compare_with_ase.py"


def compare(model: Path, folder: Path, atoms, command: str) -> subprocess.CompletedProcess:
    atoms = atoms.copy()
    atoms.info.clear()  # what can't be written
    write(folder / "atoms.extxyz", atoms)
    arguments = [sys.executable, SCRIPT, model, folder / "atoms.extxyz", "--lammps", command]
    return subprocess.run(arguments, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", ["triclinic", "slab"])
def test_the_same_numbers(short_range_model, tmp_path, name):
    result = compare(short_range_model, tmp_path, structure(name), str(SCRIPTS / "lmp"))
    assert result.returncode == 0, result.stderr
    assert "energies differ by" in result.stdout


def test_others_are_told(short_range_model, tmp_path):
    """A LAMMPS that leaves an atom out."""
    other = tmp_path / "lmp"
    other.write_text(
        f"#!/bin/sh\nsed -i 's/^pair_coeff.*/&\\ngroup one id 1\\nneigh_modify exclude group one all/' $2\n"
        f"exec {SCRIPTS / 'lmp'} $*\n"
    )
    other.chmod(0o755)
    result = compare(short_range_model, tmp_path, structure("triclinic"), str(other))
    assert result.returncode == 1
    assert "LAMMPS and ASE disagree" in result.stderr
