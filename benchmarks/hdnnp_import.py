"""Potentials of n2p2 as model files: what they say of a structure beside what n2p2 says, and how long both take.

    python benchmarks/hdnnp_import.py FOLDER [--angstrom-ev NAME ...] [--nnp-predict PATH] [--output F.json]

Each folder in FOLDER holds a potential (input.nn, scaling.data, weights ...), a structure (structure.data or
input.data) and n2p2's answers for it (energy.out, nnforces.out, nnatoms.out). Units are Bohr and Hartree but for the
folders that are named. With the path of n2p2's program nnp-predict it is run, too, on one core, for the time.
Differences are relative to the largest value.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase import Atoms
from rich.console import Console
from rich.table import Table

from mhdnn import MHDNNCalculator
from mhdnn.deploy.hdnnp.importing import import_potential
from mhdnn.errors import DataError
from mhdnn.units import BOHR, HARTREE

REPEATS = 3


def read_structure(path: Path, length: float) -> Atoms:
    """The first structure of a file, positions in Å."""
    cell, positions, symbols = [], [], []
    for line in path.read_text().splitlines():
        words = line.split()
        if words[:1] == ["lattice"]:
            cell.append([float(word) for word in words[1:4]])
        elif words[:1] == ["atom"]:
            positions.append([float(word) for word in words[1:4]])
            symbols.append(words[4])
        elif words[:1] == ["end"]:
            break
    box = np.array(cell) * length if cell else None
    return Atoms(symbols, np.array(positions) * length, cell=box, pbc=bool(cell))


def table_of(path: Path) -> np.ndarray:
    return np.loadtxt(path, ndmin=2)


def relative(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def seconds_of_n2p2(folder: Path, program: Path) -> float:
    """Processor time of nnp-predict, reading of the files included."""
    with tempfile.TemporaryDirectory() as place:
        for path in folder.iterdir():
            shutil.copy(path, Path(place) / ("input.data" if path.name == "structure.data" else path.name))
        before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        subprocess.run([str(program), "0"], cwd=place, check=True, capture_output=True, env=environment)
        return resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before


def measure(folder: Path, units: tuple[float, float], accuracy: float, program: Path | None) -> dict[str, Any]:
    length, energy = units
    keywords = {"length_unit": "bohr", "energy_unit": "hartree"}
    if length == 1.0:
        keywords = {"length_unit": "angstrom", "energy_unit": "ev"}
    source = next(folder / name for name in ("structure.data", "input.data") if (folder / name).is_file())
    atoms = read_structure(source, length)
    record: dict[str, Any] = {"name": folder.name, "atoms": len(atoms), "note": ""}
    with tempfile.TemporaryDirectory() as place:
        model = Path(place) / "model.pt"
        try:
            import_potential(folder, model, **keywords, accuracy=accuracy)
        except DataError as error:
            record["note"] = f"without short-range networks: {error}"
            import_potential(folder, model, **keywords, short_range=False, accuracy=accuracy)
        atoms.calc = MHDNNCalculator(model, extrapolation="off")
    found = atoms.get_potential_energy() / energy
    expected = table_of(folder / "energy.out")[0, 3]
    record["energy"] = abs(found - expected) / abs(expected)
    record["forces"] = relative(atoms.get_forces() * length / energy, table_of(folder / "nnforces.out")[:, 5:8])
    if "charges" in atoms.calc.results:
        record["charges"] = relative(atoms.get_charges(), table_of(folder / "nnatoms.out")[:, 4])
    times = []
    for _ in range(REPEATS):
        atoms.positions += 1e-6
        start = time.process_time()
        atoms.get_potential_energy()
        times.append(time.process_time() - start)
    record["milliseconds"] = 1e3 * min(times)
    if program is not None:
        record["milliseconds_n2p2"] = 1e3 * min(seconds_of_n2p2(folder, program) for _ in range(REPEATS))
    return record


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--angstrom-ev", nargs="*", default=[], help="folders with lengths in Å and energies in eV")
    parser.add_argument("--accuracy", type=float, default=1e-10, help="of sums over periodic images")
    parser.add_argument("--nnp-predict", type=Path, help="n2p2's program")
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    table = Table("potential", "atoms", "energy", "forces", "charges", "ms", "ms, n2p2", "faster")
    records = []
    for folder in sorted(path.parent for path in arguments.folder.glob("*/input.nn")):
        units = (1.0, 1.0) if folder.name in arguments.angstrom_ev else (BOHR, HARTREE)
        record = measure(folder, units, arguments.accuracy, arguments.nnp_predict)
        records.append(record)
        other = record.get("milliseconds_n2p2")
        table.add_row(
            record["name"],
            str(record["atoms"]),
            f"{record['energy']:.0e}",
            f"{record['forces']:.0e}",
            f"{record['charges']:.0e}" if "charges" in record else "–",
            f"{record['milliseconds']:.0f}",
            f"{other:.0f}" if other else "–",
            f"{other / record['milliseconds']:.1f}" if other else "–",
        )
    console = Console()
    console.print(table)
    for record in records:
        if record["note"]:
            console.print(f"{record['name']}: {record['note']}", soft_wrap=True)
    if arguments.output:
        arguments.output.write_text(json.dumps(records, indent=1) + "\n")


if __name__ == "__main__":
    main()
