"""Whether expected errors are right: rank correlation and coverage on held-out structures, foreign structures, cost.

    python benchmarks/uncertainty.py MODEL.pt TEST.h5 [--split test] [--foreign FOREIGN.extxyz]
                                     [--crystal CRYSTAL.extxyz] [--atom-steps 1e6] [--output F.json]

FOREIGN.extxyz: structures unlike those trained on (another phase, a melt); isolated atoms, dimers at 0.3 Å and crystals
of each element are added (of which those trained on are not foreign). CRYSTAL.extxyz: a crystal of the training set,
run at 300 K in LAMMPS; an alarm is an expected error above the largest of the training set. Costs are those of
energies and forces with and without expected errors, in turns, in Python (given pairs) and of whole steps in LAMMPS.
Prints a table; --output writes the records as JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import torch
from ase import Atoms
from ase.build import bulk
from ase.data import atomic_numbers, covalent_radii
from rich.console import Console
from rich.table import Table
from timing import seconds_of

from mhdnn import MHDNNCalculator
from mhdnn.deploy.guard import ExtrapolationWarning
from mhdnn.evaluation.command import evaluate
from mhdnn.kernels.threads import only_functions_in_parallel

KEYS = ("uncertainty_spearman", "coverage_90", "energy_uncertainty_spearman", "energy_coverage_90")
ROOM = 20.0  # Å
LATTICE_CONSTANTS = {"bcc": 2 / 3**0.5, "fcc": 2**0.5, "sc": 1.0, "hcp": 1.0, "diamond": 4 / 3**0.5}
"""In distances of nearest neighbours."""
CRYSTAL_SIZE = 500
"""Atoms, at least, of a crystal that is run."""
ROUNDS, COST_STEPS = 7, 200
DYNAMICS = """\
units metal
atom_style atomic
atom_modify map array
read_data atoms.data
pair_style mhdnn {style}
pair_coeff * * {model} {elements}
neighbor 1.0 bin
velocity all create {temperature} 4711 mom yes
timestep 0.002
fix integrate all nve
fix bath all langevin {temperature} {temperature} 0.1 4711
"""
COUNTING = """\
run {equilibration}
fix grade all pair 1 mhdnn grade 0
variable alarm atom "f_grade > {limit}"
compute alarms all reduce sum v_alarm
compute own all pair mhdnn
thermo_style custom step temp c_own[1] c_own[3] c_alarms
thermo 1
run {steps}
"""


def simplest(symbols: list[str]) -> dict[str, Atoms]:
    """Isolated atoms, dimers at 0.3 Å, and crystals, whose nearest neighbours touch."""
    result = {}
    for symbol in symbols:
        result[f"isolated {symbol}"] = Atoms(symbol, cell=[ROOM] * 3, pbc=True)
        result[f"{symbol}2 at 0.3 Å"] = Atoms(f"{symbol}2", [[0, 0, 0], [0, 0, 0.3]], cell=[ROOM] * 3, pbc=True)
        nearest = 2 * covalent_radii[atomic_numbers[symbol]] * 1.1
        for name, constant in LATTICE_CONSTANTS.items():
            result[f"{name} {symbol}"] = bulk(symbol, name, a=constant * nearest)
    return result


def foreign(calculator: MHDNNCalculator, structures: dict[str, Atoms]) -> list[dict[str, Any]]:
    """Largest expected error of each, in units of the largest of the training set."""
    largest = calculator.metadata["uncertainty"]["largest_error"]
    records = []
    for name, atoms in structures.items():
        atoms.calc = calculator
        atoms.get_forces()
        records.append({"foreign": name, "times_largest": atoms.calc.results["uncertainty"] / largest})
    return records


def cost(calculator: MHDNNCalculator, atoms: Atoms) -> dict[str, Any]:
    """Time of energies and forces in the core, as the calculator asks for them, with and without expected errors."""
    atoms = atoms.copy()
    atoms.calc = calculator
    atoms.get_forces()
    core, pairs = calculator.core, calculator._pairs_with_skin()
    assert core is not None
    fastest = {None: float("inf"), core.errors: float("inf")}
    num_threads = torch.get_num_threads()
    with only_functions_in_parallel():
        for _ in range(200):
            for core.errors in fastest:
                time = seconds_of(lambda: core.predict(atoms, pairs, 0.0, calculator.guard, num_threads))
                fastest[core.errors] = min(fastest[core.errors], time)
    return cost_record("ASE", len(atoms), *(1e6 * seconds / len(atoms) for seconds in fastest.values()))


def cost_record(program: str, num_atoms: int, without: float, with_errors: float) -> dict[str, Any]:
    more = with_errors / without - 1.0
    return {"cost": program, "num_atoms": num_atoms, "microseconds_per_atom": without, "more_with_errors": more}


def in_lammps(atoms: Atoms, model: Path, style: str, commands: str, temperature: float) -> str:
    """What LAMMPS prints of dynamics."""
    with tempfile.TemporaryDirectory() as name:
        ase.io.write(f"{name}/atoms.data", atoms, format="lammps-data", masses=True)
        words = {"model": model.absolute(), "elements": " ".join(sorted(set(atoms.symbols)))}
        script = DYNAMICS.format(style=style, temperature=temperature, **words) + commands
        (Path(name) / "in.lammps").write_text(script)
        command = [Path(sys.executable).parent / "lmp", "-in", "in.lammps", "-log", "none"]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        return subprocess.run(command, cwd=name, capture_output=True, text=True, check=True, env=environment).stdout


def cost_in_lammps(atoms: Atoms, model: Path) -> dict[str, Any]:
    """Time of steps with and without expected errors; the ranges of the training data are tested in both."""
    fastest = {"grade off": float("inf"), "grade on": float("inf")}
    for _ in range(ROUNDS):
        for style in fastest:
            printed = in_lammps(atoms, model, style, f"run 20\nrun {COST_STEPS}\n", 300.0)
            seconds = float(re.findall(r"Loop time of ([\d.e+-]+)", printed)[-1])
            used = float(re.findall(r"([\d.]+)% CPU use", printed)[-1]) / 100  # other programs may run beside
            fastest[style] = min(fastest[style], 1e6 * seconds * used / (COST_STEPS * len(atoms)))
    return cost_record("LAMMPS", len(atoms), *fastest.values())


def alarms(atoms: Atoms, model: Path, atom_steps: float, temperature: float = 300.0) -> dict[str, Any]:
    """Atoms in dynamics of 2 fs a step whose expected error is above the largest of the training set, and marked ones.

    The largest is widened by round-off: in other orders of summation perfect crystals come to it.
    """
    largest = MHDNNCalculator(model).metadata["uncertainty"]["largest_error"]
    steps = -int(-atom_steps // len(atoms))
    words = {"equilibration": 1000, "limit": largest * (1 + 1e-5), "steps": steps}
    printed = in_lammps(atoms, model, "extrapolation warn", COUNTING.format(**words), temperature)
    numbers = "".join(r"\s+([\d.e+-]+)" for _ in range(5))
    rows = [[float(word) for word in row] for row in re.findall(rf"^{numbers}\s*$", printed, re.M)][-steps:]
    return {
        "crystal": atoms.get_chemical_formula(),
        "temperature": sum(row[1] for row in rows) / len(rows),
        "atom_steps": len(rows) * len(atoms),
        "alarms": int(sum(row[4] for row in rows)),
        "outside_ranges": int(sum(row[2] for row in rows)),
        "largest_in_units_of_training": max(row[3] for row in rows) / largest,
    }


def repeated(atoms: Atoms) -> Atoms:
    """At least so many atoms, cells about as long along each periodic direction."""
    full = atoms.pbc & (atoms.cell.lengths() < ROOM / 2)  # the others are along vacuum
    while len(atoms) < CRYSTAL_SIZE:
        axis = int(np.where(full, atoms.cell.lengths(), np.inf).argmin())
        atoms = atoms.repeat([2 if number == axis else 1 for number in range(3)])
    return atoms


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--split")
    parser.add_argument("--foreign", type=Path)
    parser.add_argument("--crystal", type=Path)
    parser.add_argument("--atom-steps", type=float, default=1e6)
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", ExtrapolationWarning)
    errors = evaluate(arguments.model, arguments.data, split=arguments.split)
    records: list[dict[str, Any]] = [{"data": arguments.data.name, **{key: errors.get(key) for key in KEYS}}]
    calculator = MHDNNCalculator(arguments.model)
    structures = simplest(calculator.metadata["elements"])
    if arguments.foreign:
        given = ase.io.read(arguments.foreign, ":")
        structures |= {f"{n}: {atoms.get_chemical_formula()}": atoms for n, atoms in enumerate(given)}
    records += foreign(calculator, structures)
    if arguments.crystal:
        crystal = ase.io.read(arguments.crystal)
        large = repeated(crystal)
        records += [cost(calculator, crystal), cost(calculator, large), cost_in_lammps(large, arguments.model)]
        records.append(alarms(large, arguments.model, arguments.atom_steps))
    table = Table("what", "value")
    for record in records:
        name, *rest = record.items()
        table.add_row(
            f"{name[0]}: {name[1]}", ", ".join(f"{key} {value:.4g}" for key, value in rest if value is not None)
        )
    Console().print(table)
    if arguments.output:
        arguments.output.write_text(json.dumps(records, indent=2, default=str) + "\n")


if __name__ == "__main__":
    main()
