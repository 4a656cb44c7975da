"""Time of symmetry functions with a network of 2 x 20 nodes: energy and forces from pair vectors.

    python benchmarks/descriptors.py [--output F.json] [--plot-folder FOLDER] [--quick]

Microseconds for each atom, median of repeated runs; the neighbour list is not included. DScribe and TorchANI
are measured in the same run where they are installed (see descriptor_peers.py for what their times include).

- silicon: diamond crystal, 512 atoms, 5.5 Å (31.6 neighbours); 9 radial and 18 angular functions
- water: 360 molecules at 1 g/cm³, 6.35 Å (107 neighbours); 12 radial and 18 angular functions
- 1000 atoms of 1, 4 and 8 elements, 5 Å (59 neighbours), with the shipped sets of functions and network: resolved
  legendre functions, whose number grows with the square of the number of elements, and contracted ones
- time against the number of neighbours (cutoff) and of atoms, with the exponents of fitted power laws
- one and two threads on 8000 atoms of silicon, in symmetry functions; torch's own operations have one,
  as in predictions
"""

from __future__ import annotations

import argparse
import json
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from descriptor_peers import dscribe_derivatives, dscribe_records, is_installed, torchani_record
from descriptor_plots import plot_atoms, plot_neighbors
from descriptor_systems import (
    DIFFERENCES,
    ENERGY_AND_FORCES,
    FUNCTIONS_ONLY,
    LATTICE_CONSTANT,
    System,
    default_settings,
    descriptor_settings,
    mixture,
    network_settings,
    record_of,
    silicon,
    water,
)
from rich.console import Console
from rich.table import Table
from timing import repeat

from mhdnn.factory import build_potential
from mhdnn.kernels.threads import only_functions_in_parallel
from mhdnn.potential import DTYPES, Potential, forces_from_pairs
from mhdnn.training.initialization import fit_scaling

Record = dict[str, Any]
METHODS = ("wide", "narrow", "legendre")
COLUMNS = {
    "system": "system",
    "atoms": "num_atoms",
    "neighbours": "num_neighbors",
    "program": "program",
    "method": "method",
    "functions": "num_functions",
    "dtype": "dtype",
    "threads": "threads",
    "what": "what",
    "µs/atom": "us_per_atom",
    "fastest": "fastest_us_per_atom",
}
TIMES = ("µs/atom", "fastest")
SCALING_DEGREE = 8  # of the legendre functions, where the time against the number of neighbours is measured
console = Console()
console.width = max(console.width, 150)  # in files, too


@dataclass(frozen=True)
class Plan:
    """How much is measured.

    :param budget: seconds for the repetitions of one measurement
    :param silicon_repeats: cells of 8 atoms along each direction
    :param water_repeats: cells of 2 molecules along each direction
    :param neighbors: of a crystal without shells, by which cutoffs are chosen
    :param neighbor_repeats: size of the crystal for these, of each method; without compiled operators, sums over pairs
        of neighbours need much memory
    :param elements: numbers of elements
    :param atom_repeats: sizes of the crystal for the time against the number of atoms
    """

    budget: float = 1.5
    silicon_repeats: int = 4
    water_repeats: tuple[int, int, int] = (5, 6, 6)
    neighbors: tuple[int, ...] = (34, 45, 70, 100, 140, 215)
    neighbor_repeats: tuple[tuple[str, int], ...] = (("wide", 6), ("legendre", 6), ("narrow", 3))
    atom_repeats: tuple[int, ...] = (2, 3, 4, 6, 8, 10)
    elements: tuple[int, ...] = (1, 4, 8)


QUICK = Plan(0.1, 2, (2, 3, 3), (34, 60, 120), (("wide", 2), ("legendre", 2), ("narrow", 2)), (2, 3, 4), (1, 4))


def prepared(
    system: System, method: str, dtype: str, max_degree: int | None = None, shipped: bool = False
) -> Potential:
    """A potential with random weights whose functions are scaled on the system.

    :param shipped: with functions and network as the configuration has them
    """
    torch.manual_seed(0)
    if shipped:
        descriptor, network = default_settings("descriptor", method), default_settings("network", "shared")
    else:
        descriptor = descriptor_settings(system.name, method, system.cutoff, max_degree)
        network = network_settings()
    potential = build_potential(
        {
            "atomic_numbers": system.elements,
            "cutoff": system.cutoff,
            "dtype": dtype,
            "descriptor": descriptor,
            "network": network,
        }
    )
    fit_scaling(potential, [system.batch])
    return potential.requires_grad_(False)


def measure(
    system: System, method: str, dtype: str, budget: float, max_degree: int | None = None, shipped: bool = False
) -> Iterator[Record]:
    """Energy and forces, and the functions alone."""
    potential = prepared(system, method, dtype, max_degree, shipped)
    geometry, vectors = system.geometry, system.vectors.to(DTYPES[dtype])
    pairs = (geometry.center_index, geometry.neighbor_index)

    def energy_and_forces() -> tuple[torch.Tensor, torch.Tensor]:
        leaf = vectors.detach().requires_grad_()
        energy = potential(leaf, *pairs, geometry.atomic_numbers).sum()
        (gradient,) = torch.autograd.grad(energy, leaf)
        return energy, forces_from_pairs(gradient, *pairs, geometry.num_atoms)

    @torch.no_grad()
    def functions() -> torch.Tensor:
        return potential.scaled_functions(vectors, *pairs, system.element_index, geometry.num_atoms)

    for what, function in ((ENERGY_AND_FORCES, energy_and_forces), (FUNCTIONS_ONLY, functions)):
        timing = repeat(function, budget)
        yield record_of(system, "mhdnn", method, dtype, potential.descriptor.num_functions, timing, what)


def measure_systems(plan: Plan, peers: list[str]) -> Iterator[Record]:
    """Both systems, all methods and precisions, one thread, with the peers."""
    for system in (silicon(plan.silicon_repeats), water(plan.water_repeats)):
        for dtype in DTYPES:
            for method in METHODS:
                yield from measure(system, method, dtype, plan.budget)
            if "torchani" in peers:
                yield torchani_record(system, dtype, plan.budget)
        if "dscribe" in peers:
            yield from dscribe_records(system, plan.budget)
            if system.name == "silicon":
                yield dscribe_derivatives(system, "narrow")


def measure_elements(plan: Plan) -> Iterator[Record]:
    """Growing numbers of elements."""
    for num_elements in plan.elements:
        for method in ("legendre", "contracted"):
            yield from measure(mixture(num_elements), method, "float32", plan.budget, shipped=True)


def measure_neighbors(plan: Plan) -> Iterator[Record]:
    """Growing cutoffs on one crystal."""
    density = 8.0 / LATTICE_CONSTANT**3
    for method, repeats in plan.neighbor_repeats:
        for count in plan.neighbors:
            system = silicon(repeats, cutoff=(count / (4.0 / 3.0 * math.pi * density)) ** (1.0 / 3.0))
            yield next(measure(system, method, "float32", plan.budget, SCALING_DEGREE))


def measure_atoms(plan: Plan) -> Iterator[Record]:
    """Growing crystals, and the largest again with two threads."""
    for repeats in plan.atom_repeats:
        yield next(measure(silicon(repeats), "wide", "float32", plan.budget))
    torch.set_num_threads(2)
    with only_functions_in_parallel():
        double = next(measure(silicon(plan.atom_repeats[-1]), "wide", "float32", plan.budget))
    torch.set_num_threads(1)
    yield {**double, "threads": 2}


def exponent(records: list[Record], key: str) -> float:
    """Slope of the logarithm of the time against that of ``key``."""
    slope, _ = np.polyfit(np.log([r[key] for r in records]), np.log([r["us_per_atom"] for r in records]), 1)
    return float(slope)


def chosen(records: list[Record], **values: Any) -> list[Record]:
    return [record for record in records if all(record[key] == value for key, value in values.items())]


def print_table(title: str, records: list[Record]) -> None:
    table = Table(*COLUMNS, title=title)
    for record in records:
        values = (record[key] for key in COLUMNS.values())
        table.add_row(*(f"{v:.2f}" if heading in TIMES else str(v) for heading, v in zip(COLUMNS, values, strict=True)))
    console.print(table)


def comparable(peer: Record, own: Record) -> bool:
    """DScribe has a twin of each method but one precision; TorchANI has one kind of function and both precisions."""
    if own["program"] != "mhdnn" or own["system"] != peer["system"]:
        return False
    if peer["program"] == "torchani":
        return own["dtype"] == peer["dtype"] and own["what"] == peer["what"]
    return own["method"] == peer["method"] and peer["what"] != DIFFERENCES


def print_ratios(records: list[Record]) -> None:
    """How many times longer the peers take."""
    table = Table("system", "program", "its time for", "divided by mhdnn's", "for", "ratio", title="ratios")
    for peer in [record for record in records if record["program"] != "mhdnn"]:
        for own in [record for record in records if comparable(peer, record)]:
            ratio = peer["us_per_atom"] / own["us_per_atom"]
            first = (peer["program"], f"{peer['method']} {peer['dtype']}, {peer['what']}")
            table.add_row(peer["system"], *first, f"{own['method']} {own['dtype']}", own["what"], f"{ratio:.2f}")
    console.print(table)


def print_scaling(by_neighbors: list[Record], by_atoms: list[Record]) -> None:
    for method in METHODS:
        found = exponent(chosen(by_neighbors, method=method), "num_neighbors")
        console.print(f"{method}: time per atom grows as the number of neighbours to the power {found:.2f}")
    *single, double = by_atoms
    found = exponent(single, "num_atoms")
    console.print(f"wide: time per atom grows as the number of atoms to the power {found:.2f}")
    speed_up = single[-1]["us_per_atom"] / double["us_per_atom"]
    console.print(f"wide, {double['num_atoms']} atoms: two threads are {speed_up:.2f} times as fast as one")


def installed_peers() -> list[str]:
    """Peers that can be imported; the others are named."""
    found = [name for name in ("dscribe", "torchani") if is_installed(name)]
    for name in ("dscribe", "torchani"):
        if name not in found:
            console.print(f"{name} is not installed and left out (pip install -c constraints.txt {name})")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--output", type=Path, help="records as JSON")
    parser.add_argument("--plot-folder", type=Path, help="for the figures")
    parser.add_argument("--quick", action="store_true", help="small systems and few repetitions: a test of the script")
    arguments = parser.parse_args()
    plan = QUICK if arguments.quick else Plan()
    if (os.cpu_count() or 1) < 2:
        console.print("this machine has one core: two threads will not be faster than one")
    torch.set_num_threads(1)
    groups = {"systems": list(measure_systems(plan, installed_peers()))}
    print_table("energy and forces", groups["systems"])
    print_ratios(groups["systems"])
    groups["elements"] = list(measure_elements(plan))
    print_table("growing numbers of elements", groups["elements"])
    groups["neighbors"] = list(measure_neighbors(plan))
    groups["atoms"] = list(measure_atoms(plan))
    print_table("growing numbers of neighbours and atoms", groups["neighbors"] + groups["atoms"])
    print_scaling(groups["neighbors"], groups["atoms"])
    if arguments.plot_folder:
        arguments.plot_folder.mkdir(parents=True, exist_ok=True)
        plot_neighbors(groups["neighbors"], arguments.plot_folder / "time_by_neighbors.png")
        plot_atoms(groups["atoms"], arguments.plot_folder / "time_by_atoms.png")
    if arguments.output:
        records = [{**record, "series": series} for series, group in groups.items() for record in group]
        arguments.output.write_text(json.dumps(records, indent=2) + "\n")


if __name__ == "__main__":
    main()
