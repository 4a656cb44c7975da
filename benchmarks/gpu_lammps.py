"""Steps of LAMMPS with the pair style's networks and functions on a GPU, for benchmarks/gpu.py."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from descriptor_systems import silicon
from lammps import SCRIPTS, UNGUARDED, Case, model_settings, run, write_model

from mhdnn.deploy.lammps.build import build_plugin

STEPS = 20


def is_there() -> bool:
    """Whether this environment has a LAMMPS."""
    return shutil.which("lmp", path=str(SCRIPTS)) is not None


@contextmanager
def plugin_with_libtorch() -> Iterator[None]:
    """LAMMPS finds the pair style with libtorch, and afterwards the plain one again."""
    build_plugin(torch=True)  # the one that was built last is found
    try:
        yield
    finally:
        build_plugin()


def seconds_of_a_step(functions: str, repeats: int, device: str) -> float:
    """Of silicon in one process, neighbour lists as LAMMPS makes them, one thread on the CPU."""
    system = silicon(repeats)
    with tempfile.TemporaryDirectory() as name, plugin_with_libtorch():
        model = Path(name) / "model.pt"
        small = silicon(3).atoms
        write_model(small, False, model, model_settings(small, False, functions))
        case = Case("silicon", functions, system.atoms, model, False, STEPS)
        found = run(case, 1, Path(name), f"{UNGUARDED} device {device}")
    return float(found["us_per_atom_step"]) * len(system.atoms) / 1e6
