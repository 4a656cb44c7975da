"""Time of charge equilibration: charges, electrostatic energy and forces of rock salt.

    python benchmarks/charges.py [--output F.json] [--largest N]

Sodium chloride, atoms displaced as at room temperature, Gaussians as wide as covalent radii, electronegativities
that vary from atom to atom, accuracy 1e-6. Everything that a molecular dynamics step needs is included: neighbour
search, mesh, charges, energy, adjoint charges, forces. The energy has a part that is not stationary in the
charges, as a network's has; without it there would be no adjoint equation to solve.

- cold: without charges to start from, the first time in the process
- warm: the next steps, atoms moved by 0.01 Å, from the charges of the step before; the fastest of several
- product: of the Coulomb matrix with charges, as in every iteration; the fastest of many

Every size runs in a process of its own, for its peak memory. Where other processes use the cores, set
OMP_WAIT_POLICY=PASSIVE, else threads that wait for one another hold on to the cores.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import torch
from ase.build import bulk
from ase.data import covalent_radii
from rich.console import Console
from rich.table import Table

from mhdnn.electrostatics import CoulombSystem, build_coulomb

LATTICE_CONSTANT = 5.64  # Å
REPEATS = (4, 5, 6, 8, 11, 16)
"""Of the cubic cell of 8 atoms: 512, 1000, 1728, 4096, 10,648 and 32,768 atoms."""
LARGEST_DENSE = 1000
WARM_STEPS = 4
PRODUCTS = 50
FLOORS = {
    "exponent, iterative, cold": 1.2,
    "exponent, iterative, warm": 1.2,
    "10,648 atoms, iterative, seconds_cold": 5.0,
    "10,648 atoms, iterative, seconds_warm": 2.0,
    "1000 atoms, dense, seconds_warm": 0.5,
}
"""What must not be exceeded, on two cores."""
console = Console()
console.width = max(console.width, 130)  # in files, too


class RockSalt(NamedTuple):
    """Tensors of a crystal: positions and cell in Å, electronegativity in eV/e, hardness in eV/e²."""

    positions: torch.Tensor
    cell: torch.Tensor
    widths: torch.Tensor
    electronegativity: torch.Tensor
    hardness: torch.Tensor


def rock_salt(repeats: int) -> RockSalt:
    atoms = bulk("NaCl", "rocksalt", a=LATTICE_CONSTANT, cubic=True).repeat(repeats)
    atoms.rattle(0.1, seed=0)
    noise = torch.randn(len(atoms), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    sodium = torch.from_numpy(atoms.numbers == 11)
    return RockSalt(
        torch.from_numpy(atoms.positions),
        torch.from_numpy(atoms.cell[:])[None],
        torch.from_numpy(covalent_radii[atoms.numbers]),
        torch.where(sodium, 3.0, 7.0).to(torch.float64) + 0.3 * noise,
        torch.where(sodium, 5.0, 8.0).to(torch.float64),
    )


def build(crystal: RockSalt, positions: torch.Tensor, solver: str) -> CoulombSystem:
    structure_index = torch.zeros(len(positions), dtype=torch.int64)
    periodic = torch.ones(1, 3, dtype=torch.bool)
    return build_coulomb(positions, crystal.cell, periodic, structure_index, 1, crystal.widths, solver=solver)


def step(crystal: RockSalt, solver: str, start: torch.Tensor | None) -> tuple[torch.Tensor, list[int]]:
    """Charges and forces of one geometry; returns the charges and the iterations it took."""
    positions = crystal.positions.clone().requires_grad_()
    system = build(crystal, positions, solver)
    system.initial_charges = start
    charges = system.equilibrate(crystal.electronegativity, crystal.hardness, torch.zeros(1, dtype=torch.float64))
    energy = system.energy(charges).sum() + 0.05 * charges.pow(3).sum()
    torch.autograd.grad(energy, positions)
    return charges.detach(), system.iterations


def product_seconds(crystal: RockSalt) -> float:
    """Time of one product with the matrix of the iterative solver."""
    system = build(crystal, crystal.positions, "iterative")
    seconds = []
    for _ in range(PRODUCTS):
        start = time.perf_counter()
        system.potential(crystal.electronegativity)
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def measure(repeats: int, solver: str) -> dict[str, Any]:
    """Record of one size; meant for a process of its own."""
    crystal = rock_salt(repeats)
    generator = torch.Generator().manual_seed(1)
    charges: torch.Tensor | None = None
    seconds = []
    for _ in range(1 + WARM_STEPS):
        start = time.perf_counter()
        charges, iterations = step(crystal, solver, charges)
        seconds.append(time.perf_counter() - start)
        shift = 0.01 * torch.randn(crystal.positions.shape, generator=generator, dtype=torch.float64)
        crystal = crystal._replace(positions=crystal.positions + shift)
    product = 1e3 * product_seconds(crystal) if solver == "iterative" else None
    return {
        "system": "rock salt",
        "num_atoms": len(crystal.positions),
        "solver": solver,
        "threads": torch.get_num_threads(),
        "seconds_cold": seconds[0],
        "seconds_warm": min(seconds[1:]),
        "milliseconds_product": product,
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "iterations": iterations,
    }


def measure_apart(repeats: int, solver: str) -> dict[str, Any]:
    command = [sys.executable, __file__, "--measure", str(repeats), solver]
    environment = {"OMP_WAIT_POLICY": "PASSIVE", **os.environ}
    output = subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout
    return json.loads(output.splitlines()[-1])


def exponent(records: list[dict[str, Any]], column: str) -> float:
    """Of a power law fitted to the times of the iterative solver."""
    chosen = [record for record in records if record["solver"] == "iterative"]
    x = [math.log(record["num_atoms"]) for record in chosen]
    y = [math.log(record[column]) for record in chosen]
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    covariance = sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True))
    return covariance / sum((a - mean_x) ** 2 for a in x)


def summary(records: list[dict[str, Any]]) -> dict[str, float]:
    """What the floors are about, as far as it was measured."""
    values = {}
    if sum(record["solver"] == "iterative" for record in records) > 1:
        for kind in ("cold", "warm"):
            values[f"exponent, iterative, {kind}"] = exponent(records, f"seconds_{kind}")
    for record in records:
        for column in ("seconds_cold", "seconds_warm"):
            num_atoms = record["num_atoms"]
            count = f"{num_atoms:,}" if num_atoms >= 10_000 else str(num_atoms)
            name = f"{count} atoms, {record['solver']}, {column}"
            if name in FLOORS:
                values[name] = record[column]
    return values


def cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3g}" if value < 100 else f"{value:.0f}"
    return "" if value is None else str(value)


def show(records: list[dict[str, Any]], values: dict[str, float]) -> None:
    table = Table(*records[0], title="charges, energy and forces")
    for record in records:
        table.add_row(*map(cell, record.values()))
    console.print(table)
    for name, value in values.items():
        verdict = "" if value <= FLOORS[name] else "  EXCEEDED"
        console.print(f"{name}: {value:.2f} (at most {FLOORS[name]}){verdict}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, help="JSON file")
    parser.add_argument("--largest", type=int, default=8 * REPEATS[-1] ** 3, help="number of atoms")
    parser.add_argument("--measure", nargs=2, metavar=("REPEATS", "SOLVER"), help="one size, in this process")
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure(int(arguments.measure[0]), arguments.measure[1])))
        return
    records = []
    for repeats in REPEATS:
        for solver in ("dense", "iterative"):
            num_atoms = 8 * repeats**3
            if num_atoms <= arguments.largest and (solver == "iterative" or num_atoms <= LARGEST_DENSE):
                records.append(measure_apart(repeats, solver))
    values = summary(records)
    show(records, values)
    if arguments.output:
        arguments.output.parent.mkdir(parents=True, exist_ok=True)
        arguments.output.write_text(json.dumps({"records": records, "summary": values}, indent=2) + "\n")


if __name__ == "__main__":
    main()
