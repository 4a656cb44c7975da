"""One model for many elements: functions, time of energies and forces, and how a training begins.

    python benchmarks/elements.py [--output F.json] [--quick]

- 1, 2, 4 and 8 elements at random on a displaced simple cubic lattice, 59 neighbours within 5 Å, shipped sets of
  functions with the shipped network, one thread, float32, random weights: energy and forces from pair vectors as in
  benchmarks/descriptors.py. Numbers of elements take turns, so that other programs disturb all alike; of all
  repetitions the fastest counts.
- `mhdnn train descriptor=contracted` of eight elements on 200 such structures of 64 atoms, whose energies and forces
  are those of Morse pairs with lengths that differ from element to element: seconds from the start of the process to
  the first step (reading, neighbours, fit of the linear part) and the largest memory, in one epoch.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.data import covalent_radii
from ase.io import write
from descriptor_systems import ENERGY_AND_FORCES, mixture
from descriptors import measure
from rich.console import Console
from rich.table import Table

from mhdnn.data.convert import convert
from mhdnn.neighbors import find_pairs

HERE = Path(__file__).resolve().parent
METHODS = ("legendre", "wide", "contracted")
ELEMENTS = (1, 2, 4, 8)
EDGE = 4  # of the structures that are trained on, atoms
console = Console()
console.width = max(console.width, 130)  # in files, too


def measure_inference(rounds: int, budget: float) -> list[dict[str, Any]]:
    """Fastest of some rounds for each method and number of elements."""
    fastest: dict[tuple[str, int], dict[str, Any]] = {}
    for _ in range(rounds):
        for method in METHODS:
            for num_elements in ELEMENTS:
                found = measure(mixture(num_elements), method, "float32", budget, shipped=True)
                record = next(r for r in found if r["what"] == ENERGY_AND_FORCES)
                before = fastest.setdefault((method, num_elements), record)
                if record["fastest_us_per_atom"] < before["fastest_us_per_atom"]:
                    fastest[method, num_elements] = record
    return [{**record, "num_elements": number} for (_, number), record in fastest.items()]


def labelled(seed: int) -> Atoms:
    """A small mixture with energy and forces of Morse pairs, cut off smoothly at 5 Å."""
    atoms = mixture(8, EDGE, seed).atoms
    pairs = find_pairs(atoms.positions, atoms.cell[:], atoms.pbc, 5.0)
    i, j = pairs.center_index, pairs.neighbor_index
    vectors = atoms.positions[j] - atoms.positions[i] + pairs.cell_shifts
    distance = np.linalg.norm(vectors, axis=1)
    radii = covalent_radii[atoms.numbers]
    decay = np.exp(-1.5 * (distance - radii[i] - radii[j]))
    value, slope = decay**2 - 2.0 * decay, -3.0 * (decay**2 - decay)
    share = 1.0 - distance / 5.0
    energy = 0.5 * 0.3 * np.sum(value * share**3)
    by_distance = 0.3 * (slope * share**3 - 0.6 * value * share**2)
    forces = np.zeros_like(atoms.positions)
    np.add.at(forces, i, (by_distance / distance)[:, None] * vectors)
    atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=forces)
    return atoms


def measure_start(num_structures: int, folder: Path) -> dict[str, Any]:
    """A training of one epoch in a process of its own."""
    write(folder / "mixture.extxyz", [labelled(seed) for seed in range(num_structures)])
    convert([folder / "mixture.extxyz"], folder / "mixture.h5")
    result = folder / "result.json"
    overrides = [
        f"data.train={folder / 'mixture.h5'}", f"hydra.run.dir={folder / 'run'}", "descriptor=contracted",
        "cutoff=5.0", "trainer.max_epochs=1", "report=false",
    ]  # fmt: skip
    command = [sys.executable, HERE / "training_run.py", result, "1", *overrides]
    started = time.time()
    subprocess.run([str(word) for word in command], check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    measured = json.loads(result.read_text())
    return {**measured, "seconds_to_first_step": measured["first_step_at"] - started}


def show(records: list[dict[str, Any]], start: dict[str, Any]) -> None:
    table = Table("method", "elements", "functions", "µs/atom", "times that of one")
    for method in METHODS:
        chosen = [record for record in records if record["method"] == method]
        for record in chosen:
            time_of_one = chosen[0]["fastest_us_per_atom"]
            values = (record["fastest_us_per_atom"], record["fastest_us_per_atom"] / time_of_one)
            cells = (f"{values[0]:.1f}", f"{values[1]:.2f}")
            table.add_row(method, str(record["num_elements"]), str(record["num_functions"]), *cells)
    console.print(table)
    console.print(
        f"contracted, 8 elements, {start['num_atoms']} atoms: first step after {start['seconds_to_first_step']:.0f} s, "
        f"peak memory {start['peak_memory_before_training_mb']:.0f} MB before it, {start['peak_memory_mb']:.0f} in all"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--output", type=Path, help="records as JSON")
    parser.add_argument("--quick", action="store_true", help="few repetitions: a test of the script")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    records = measure_inference(1 if chosen.quick else 4, 0.1 if chosen.quick else 1.0)
    with tempfile.TemporaryDirectory() as folder:
        start = measure_start(10 if chosen.quick else 200, Path(folder))
    show(records, start)
    if chosen.output:
        chosen.output.write_text(json.dumps([*records, start], indent=1))


if __name__ == "__main__":
    main()
