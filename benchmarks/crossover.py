"""Wide functions from moments against sums over pairs of neighbours: from which number of neighbours on are
moments cheaper, and does the rule say so?

    python benchmarks/crossover.py [--num-atoms 512]

The rule is `mhdnn.descriptors.groups.fewest_neighbors_for_moments`.
"""

from __future__ import annotations

import argparse
import statistics
import time

import torch
from rich.console import Console
from rich.table import Table

from mhdnn.descriptors.basis import listed_gaussians
from mhdnn.descriptors.groups import TripletFunctions, WideFunctions, angular_products
from mhdnn.kernels import load_operators

CUTOFF = 6.0
ETAS = (0.01, 0.05, 0.2)


def random_pairs(num_atoms: int, num_neighbors: int) -> tuple[torch.Tensor, ...]:
    """Pair vectors in a ball, the channel table, first pairs and elements."""
    generator = torch.Generator().manual_seed(0)
    directions = torch.randn(num_atoms * num_neighbors, 3, generator=generator)
    radii = 1.5 + (CUTOFF - 1.5) * torch.rand(len(directions), 1, generator=generator)
    vectors = directions / directions.norm(dim=1, keepdim=True) * radii
    first_pair = torch.arange(num_atoms + 1) * num_neighbors
    return vectors, torch.ones(1, 1), first_pair, torch.zeros(len(vectors), dtype=torch.long)


def microseconds(group: torch.nn.Module, num_atoms: int, num_neighbors: int) -> float:
    """Median time of functions and forces, per atom."""
    vectors, *others = random_pairs(num_atoms, num_neighbors)
    times = []
    for _ in range(7):
        variables = vectors.clone().requires_grad_()
        start = time.perf_counter()
        group(variables, *others).sum().backward()
        times.append(time.perf_counter() - start)
    return 1e6 * statistics.median(times[1:]) / num_atoms


NUM_NEIGHBORS = (4, 8, 16, 32, 64, 128)


def times_and_rule(
    etas: tuple[float, ...], zetas: tuple[int, ...], num_atoms: int
) -> tuple[list[tuple[float, float]], float]:
    """Times of moments and of pairs for growing numbers of neighbours, and where the rule changes over."""
    basis = listed_gaussians(etas, [0.0])
    functions = angular_products(len(etas), zetas, (-1, 1))
    moments = WideFunctions(basis, functions, 1, CUTOFF, "cosine")
    rule, moments.fewest_neighbors = moments.fewest_neighbors, 0.0
    pairs = TripletFunctions("wide", basis, functions, 1, CUTOFF, "cosine")
    return [(microseconds(moments, num_atoms, k), microseconds(pairs, num_atoms, k)) for k in NUM_NEIGHBORS], rule


def measured_crossover(times: list[tuple[float, float]]) -> str:
    """Between which numbers of neighbours the two change places."""
    cheaper = [moments < pairs for moments, pairs in times]
    if all(cheaper):
        return f"< {NUM_NEIGHBORS[0]}"
    last = max(place for place, value in enumerate(cheaper) if not value)
    return f"> {NUM_NEIGHBORS[-1]}" if last + 1 == len(times) else f"{NUM_NEIGHBORS[last]}-{NUM_NEIGHBORS[last + 1]}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--num-atoms", type=int, default=512)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    load_operators()
    columns = [f"{k}" for k in NUM_NEIGHBORS]
    table = Table("radial", "zetas", "functions", *columns, "measured", "rule")
    for etas in (ETAS[:1], ETAS):
        for zetas in ((1,), (1, 2), (1, 2, 4), (1, 2, 4, 8), (1, 2, 4, 8, 16), (16,)):
            times, rule = times_and_rule(etas, zetas, arguments.num_atoms)
            cells = [f"{m:.1f} | {p:.1f}" for m, p in times]
            name = ",".join(map(str, zetas))
            table.add_row(
                str(len(etas)), name, str(2 * len(zetas) * len(etas)), *cells, measured_crossover(times), f"{rule:.0f}"
            )
    console = Console(width=140)
    console.print("µs per atom against neighbours: moments | pairs (one thread, float32, functions and forces)")
    console.print(table)


if __name__ == "__main__":
    main()
