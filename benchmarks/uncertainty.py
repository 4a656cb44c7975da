"""Whether expected errors are right: rank correlation and coverage on held-out structures, foreign structures, cost.

    python benchmarks/uncertainty.py MODEL.pt TEST.h5 [--split test] [--foreign FOREIGN.extxyz]
                                     [--crystal CRYSTAL.extxyz] [--output F.json]

FOREIGN.extxyz: structures unlike those trained on (another phase, a melt); isolated atoms and dimers at 0.3 Å of each
element are added. CRYSTAL.extxyz: a crystal of the training set, run at 300 K; an alarm is an expected error above the
largest of the training set. Prints a table; --output writes the records as JSON.
"""

from __future__ import annotations

import argparse
import json
import warnings
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import torch
from ase import Atoms, units
from ase.md.langevin import Langevin
from rich.console import Console
from rich.table import Table
from timing import repeat

from mhdnn import MHDNNCalculator
from mhdnn.deploy.guard import ExtrapolationWarning
from mhdnn.evaluation.command import evaluate
from mhdnn.prediction import predict
from mhdnn.properties.velocities import thermal_momenta

KEYS = ("uncertainty_spearman", "coverage_90", "energy_uncertainty_spearman", "energy_coverage_90")
ROOM = 20.0  # Å


def simplest(symbols: list[str]) -> dict[str, Atoms]:
    """Isolated atoms, and dimers at 0.3 Å."""
    result = {}
    for symbol in symbols:
        result[f"isolated {symbol}"] = Atoms(symbol, cell=[ROOM] * 3, pbc=True)
        result[f"{symbol}2 at 0.3 Å"] = Atoms(f"{symbol}2", [[0, 0, 0], [0, 0, 0.3]], cell=[ROOM] * 3, pbc=True)
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


def alarms(calculator: MHDNNCalculator, atoms: Atoms, num_steps: int, temperature: float = 300.0) -> dict[str, Any]:
    """Atoms whose expected error is above the largest of the training set, in dynamics of 2 fs a step."""
    largest = calculator.metadata["uncertainty"]["largest_error"]
    atoms.calc = calculator
    rng = np.random.default_rng(0)
    atoms.set_momenta(thermal_momenta(atoms, temperature, rng))
    dynamics = Langevin(atoms, 2 * units.fs, temperature_K=temperature, friction=0.02 / units.fs, fixcm=False, rng=rng)
    found = 0
    for _ in dynamics.irun(num_steps):
        found += int((calculator.results["uncertainties"] > largest).sum())
    return {"crystal": atoms.get_chemical_formula(), "atom_steps": num_steps * len(atoms), "alarms": found}


def cost(calculator: MHDNNCalculator, atoms: Atoms) -> dict[str, Any]:
    """Time of energies and forces with and without expected errors, for given pairs."""
    atoms = atoms.copy()
    atoms.calc = calculator
    atoms.get_forces()
    geometry = calculator._geometry()
    seconds = {
        asked: repeat(lambda asked=asked: predict(calculator.potential, geometry, uncertainty=asked), 5.0).fastest
        for asked in (False, True)
    }
    return {"num_atoms": len(atoms), "microseconds_per_atom": 1e6 * seconds[False] / len(atoms),
            "more_with_uncertainty": seconds[True] / seconds[False] - 1.0}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--split")
    parser.add_argument("--foreign", type=Path)
    parser.add_argument("--crystal", type=Path)
    parser.add_argument("--steps", type=int, default=2000)
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
        records += [cost(calculator, crystal), alarms(calculator, crystal, arguments.steps)]
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
