"""`mhdnn doctor`: what this machine has."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import shutil

import torch
from rich.console import Console
from rich.table import Table

import mhdnn
from mhdnn.segments import HAS_TORCH_SCATTER

PACKAGES = ("ase", "numpy", "h5py", "vesin", "pytorch-lightning", "hydra-core", "torchmetrics")


def findings() -> dict[str, str]:
    """What matters for running mhdnn, as name and finding."""
    result = {
        "mhdnn": mhdnn.__version__,
        "Python": platform.python_version(),
        "torch": torch.__version__,
        "threads": f"{torch.get_num_threads()} of {os.cpu_count()} cores",
        "CUDA": torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU",
        "C++ compiler": shutil.which("g++") or shutil.which("clang++") or "none",
        "symmetry functions": "torch",
        "torch-scatter": "used" if HAS_TORCH_SCATTER else "not installed (optional)",
    }
    for package in PACKAGES:
        result[package] = importlib.metadata.version(package)
    return result


def print_findings() -> None:
    table = Table(show_header=False, box=None)
    for name, finding in findings().items():
        table.add_row(name, finding)
    Console().print(table)
