"""Operators that a wheel brings compiled: for the torch of its making, one library for each level of the processor.

A wheel has them if it was built with the environment variable MHDNN_SHIP, which names the levels (setup.py). They know
no GPU; where there is one with its compiler, and with any other torch, operators are compiled on first use as always.
"""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Callable
from pathlib import Path

from mhdnn.compilation import processor

FOLDER = Path(__file__).parent / "compiled"
LEVELS = {
    "x86-64-v4": frozenset(("avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl")),
    "x86-64-v3": frozenset(("avx2", "bmi1", "bmi2", "f16c", "fma", "movbe", "abm")),
    "armv8-a": frozenset(("asimd",)),
}
"""Architectures that a library is compiled for, the best first, and the features of a processor that each needs beside
those of the levels below, as Linux names them."""
MACHINES = {"x86_64": ("x86-64-v4", "x86-64-v3"), "aarch64": ("armv8-a",)}


def library_name(level: str, torch_version: str) -> str:
    """Of patch releases of torch one library does for all; ``2.13.0+cpu`` is 2.13."""
    return f"mhdnn_operators-torch{'.'.join(torch_version.split('.')[:2])}-{level}.so"


def core_name(level: str) -> str:
    """Of the core, which knows no torch."""
    return f"mhdnn_core-{level}.so"


def levels_of(features: set[str], machine: str) -> list[str]:
    """The levels that a processor has, the best first.

    :param features: as in /proc/cpuinfo
    :param machine: as `platform.machine` names it
    """
    found: list[str] = []
    for level in reversed(MACHINES.get(machine, ())):
        if not LEVELS[level] <= features:
            break
        found.insert(0, level)
    return found


def shipped_library(folder: Path = FOLDER) -> Path | None:
    """The operators for this torch and this processor that the wheel brought, or None."""
    version = importlib.metadata.version("torch")
    return _best(folder, lambda level: library_name(level, version))


def shipped_core(folder: Path = FOLDER) -> Path | None:
    """The core for this processor that the wheel brought, or None."""
    return _best(folder, core_name)


def _best(folder: Path, name_of: Callable[[str], str]) -> Path | None:
    """The library of the best level that this processor has and the folder, too."""
    if not folder.is_dir():
        return None
    for level in levels_of(set(processor().split()), platform.machine()):
        library = folder / name_of(level)
        if library.is_file():
            return library
    return None
