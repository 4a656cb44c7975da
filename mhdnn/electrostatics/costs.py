"""What the dense matrix and the mesh cost in time and memory: which one `auto` takes, and what is refused."""

from __future__ import annotations

import math
from pathlib import Path
from typing import NamedTuple

import torch

from mhdnn.errors import ElectrostaticsError

SECONDS_PER_ELEMENT = {True: 5e-7, False: 2.5e-7}
"""Of a dense matrix, with periodic directions and without (energies and forces on one core, measured)."""
SECONDS_PER_POINT = 1e-6
"""Of a mesh: its share in all iterations (measured)."""
SECONDS_PER_ATOM = 2e-4
"""On a mesh with splines of order 7: its neighbours and spline points (measured)."""
MEASURED_ORDER = 7

BYTES_PER_ELEMENT = 200
"""Of a dense matrix: with widths, distances and what their derivatives need (measured)."""
BYTES_PER_POINT = 100
BYTES_PER_SPLINE_POINT = 50
BYTES_PER_ATOM = 40_000
"""Of its neighbours."""

BYTES_PER_GIGABYTE = 1e9
LIMITS_OF_CONTAINERS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


class Cost(NamedTuple):
    """An estimate, to a factor of two or so."""

    seconds: float
    bytes: float


def dense_cost(num_atoms: int, periodic: bool) -> Cost:
    """Of the dense matrix of one structure."""
    elements = float(num_atoms) ** 2
    return Cost(SECONDS_PER_ELEMENT[periodic] * elements, BYTES_PER_ELEMENT * elements)


def mesh_cost(num_atoms: int, num_points: int, order: int) -> Cost:
    """Of one structure on a mesh with splines of an order."""
    seconds_per_atom = SECONDS_PER_ATOM * (order / MEASURED_ORDER) ** 3
    bytes_per_atom = BYTES_PER_ATOM + BYTES_PER_SPLINE_POINT * order**3
    return Cost(
        SECONDS_PER_POINT * num_points + seconds_per_atom * num_atoms,
        BYTES_PER_POINT * float(num_points) + bytes_per_atom * num_atoms,
    )


def available_memory(device: torch.device) -> float:
    """Bytes that are free on a device; of the host as far as it says."""
    if device.type == "cuda":
        return float(torch.cuda.mem_get_info(device)[0])
    found = [math.inf]
    meminfo = Path("/proc/meminfo")
    if meminfo.is_file():
        lines = dict(line.split(":", 1) for line in meminfo.read_text().splitlines() if ":" in line)
        found += [1024.0 * float(lines["MemAvailable"].split()[0])] if "MemAvailable" in lines else []
    for path in map(Path, LIMITS_OF_CONTAINERS):
        text = path.read_text().strip() if path.is_file() else "max"
        found += [float(text)] if text.isdigit() else []
    return min(found)


def check_memory(needed: float, what: str, remedy: str, device: torch.device) -> None:
    """Refuse what would not fit, before it is tried.

    :param needed: bytes
    :param what: takes them
    :raises ElectrostaticsError: if there is less memory
    """
    free = available_memory(device)
    if needed > free:
        raise ElectrostaticsError(
            f"`solver`: expected a system that fits into {free / BYTES_PER_GIGABYTE:.1f} GB of free memory, got "
            f"{what}, which take about {needed / BYTES_PER_GIGABYTE:.1f} GB; {remedy}"
        )
