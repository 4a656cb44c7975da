"""Seconds for an epoch of `mhdnn train` on all forces, and its peak memory.

    python benchmarks/training.py [DATA.h5|DATA.extxyz] [--output F.json] [--threads 2] [--profile]
    python benchmarks/training.py DATA.h5 --method defaults --threads 1 --beside OTHER/.venv/bin/python

The second trains in turns with this version and that of another environment, with all defaults (validation included),
and gives the ratio of their CPU times for an epoch; the least of the epochs, as other processes only add to it. A
training with charges has stages, and each gets its ratio. With ``--epochs 0`` both train as long as their settings say,
and the errors of both stand beside the times:

    python benchmarks/training.py data/carbon_chains.h5 --method defaults --threads 1 --turns 1 --epochs 0 \\
        --override experiment=carbon_chains --beside OTHER/.venv/bin/python

Else: about 30 functions for one element, two hidden layers of 20 nodes, everything else as `mhdnn train` has it, but
all structures that are not marked as validation or test are trained on. Without an argument: the bundled set. An
epoch is timed from its start to the start of the next (with logs and checkpoints); the median leaves out the
first, in which neighbours are searched for.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from mhdnn.data.convert import SUFFIXES, convert

HERE = Path(__file__).resolve().parent
BUNDLED = HERE.parent / "data/sn_graphene.h5"
FUNCTIONS = {
    "wide": ["descriptor=wide", "descriptor.radial.num=12"],
    "narrow": ["descriptor=narrow", "descriptor.radial.num=12"],
    "legendre": [
        "descriptor=legendre",
        "descriptor.angular.legendre.max_degree=5",
        "descriptor.angular.legendre.radial.num=2",
    ],
    "defaults": [],
}
"""12 radial and 18 angular functions each, if there is one element; or those of `mhdnn train`."""
OWN = ["data.validation_fraction=0", "cutoff=5.5", "network.hidden=[20,20]"]
"""Of all methods but the defaults."""
console = Console()
console.width = max(console.width, 130)  # in files, too


def store_of(source: Path, folder: Path) -> Path:
    """The data as a dataset file, converted if they are not one."""
    if source.suffix in SUFFIXES:
        return source
    converted = folder / "data.h5"
    convert([source], converted)
    return converted


def measure(arguments: argparse.Namespace, folder: Path, python: Path = Path(sys.executable)) -> dict[str, Any]:
    """Train in a new process, whose memory is that of training alone.

    :param python: whose package trains
    """
    result = folder / "result.json"
    result.unlink(missing_ok=True)
    overrides = [
        f"data.train={store_of(arguments.data, folder)}",
        f"hydra.run.dir={folder / 'run'}",
        *([f"trainer.max_epochs={arguments.epochs}"] if arguments.epochs else []),
        "report=false",
        *(OWN if arguments.method != "defaults" else []),
        *FUNCTIONS[arguments.method],
        *arguments.override,
    ]
    if arguments.profile:
        overrides.append("+trainer.profiler={_target_: pytorch_lightning.profilers.SimpleProfiler}")
    command = [python, HERE / "training_run.py", result, arguments.threads, *overrides]
    environment = {**os.environ, "OMP_NUM_THREADS": str(arguments.threads)}
    subprocess.run([str(word) for word in command], check=True, env=environment)
    errors = folder / "run" / "errors.json"
    return {**json.loads(result.read_text()), "errors": json.loads(errors.read_text()) if errors.exists() else {}}


def record_of(arguments: argparse.Namespace, measured: dict[str, Any]) -> dict[str, Any]:
    return {
        "system": arguments.data.parent.name if arguments.data.stem == "train" else arguments.data.stem,
        "program": "mhdnn",
        "method": arguments.method,
        "threads": arguments.threads,
        "cpu_seconds_per_epoch": min(measured["epoch_cpu_seconds"][1:]),
        "seconds_per_epoch": statistics.median(measured["epoch_seconds"][1:]),
        **measured,
    }


def compare(arguments: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:
    """Records of this version and another one, measured in turns."""
    records: dict[str, list[dict[str, Any]]] = {"this": [], "other": []}
    for _ in range(arguments.turns):
        for name, python in (("other", arguments.beside), ("this", Path(sys.executable))):
            record = record_of(arguments, measure(arguments, folder, python))
            records[name].append({"version": name, **record})
    print_stages(records)
    best = {name: min(own, key=lambda record: record["cpu_seconds_per_epoch"]) for name, own in records.items()}
    if arguments.epochs == 0:
        print_both_errors(*(best[name]["errors"].get("test", {}) for name in ("this", "other")))
    return list(best.values())


def print_stages(records: dict[str, list[dict[str, Any]]]) -> None:
    """The least CPU times of an epoch and of the whole of each stage."""
    table = Table("stage", "", "other, CPU s", "this, CPU s", "ratio")
    stages = list(dict.fromkeys(stage for own in records.values() for stage in own[0]["stages"]))

    def least(version: str, stage: str, time: str) -> float:
        return min(record["stages"].get(stage, {}).get(time, 0.0) for record in records[version])

    def add(stage: str, time: str, other: float, this: float) -> None:
        cells = [f"{seconds:.3f}" if seconds else "" for seconds in (other, this)]
        table.add_row(stage, time, *cells, f"{other / this:.2f}" if other and this else "")

    for stage in stages:  # versions may have different ones
        for time in ("epoch", "whole"):
            add(stage, time, least("other", stage, time), least("this", stage, time))
    add("all", "whole", *(sum(least(version, stage, "whole") for stage in stages) for version in ("other", "this")))
    console.print(table)


def print_both_errors(this: dict[str, float], other: dict[str, float]) -> None:
    """Errors of the test set."""
    table = Table("test", "other", "this")
    for name, value in this.items():
        table.add_row(name, f"{other.get(name, float('nan')):.4g}", f"{value:.4g}")
    console.print(table)


def print_record(record: dict[str, Any]) -> None:
    titles = {
        "system": "system", "method": "method", "dtype": "dtype", "threads": "threads", "num_atoms": "atoms",
        "num_functions": "functions", "steps_per_epoch": "steps", "seconds_per_epoch": "seconds per epoch",
        "cpu_seconds_per_epoch": "CPU seconds",
        "peak_memory_mb": "peak memory, MB", "peak_memory_before_training_mb": "before training, MB",
    }  # fmt: skip
    table = Table(*titles.values())
    cells = [f"{record[key]:.4g}" if isinstance(record[key], float) else str(record[key]) for key in titles]
    table.add_row(*cells)
    console.print(table)
    if "profile" in record:
        shares = Table("what", "seconds per epoch", "ms per step", title="where the time of an epoch goes")
        for label, seconds in record["profile"].items():
            shares.add_row(label, f"{seconds:.4f}", f"{1e3 * seconds / record['steps_per_epoch']:.2f}")
        console.print(shares)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("data", nargs="?", type=Path, default=BUNDLED)
    parser.add_argument("--output", type=Path, help="the record as JSON")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=6, help="0: as many as the settings have")
    parser.add_argument("--method", choices=list(FUNCTIONS), default="wide")
    parser.add_argument("--override", action="append", default=[], help="of mhdnn train, e.g. data.batch_size=8")
    parser.add_argument("--profile", action="store_true", help="where the time of an epoch goes")
    parser.add_argument("--beside", type=Path, help="Python of another environment, whose version trains in turns")
    parser.add_argument("--turns", type=int, default=2, help="of both")
    arguments = parser.parse_args()
    if arguments.epochs < 2 and arguments.epochs != 0:
        parser.error("--epochs: the first epoch is not counted, at least 2 are needed, or 0 for those of the settings")
    with tempfile.TemporaryDirectory() as folder:
        if arguments.beside:
            records = compare(arguments, Path(folder))
        else:
            records = [record_of(arguments, measure(arguments, Path(folder)))]
            print_record(records[0])
    if arguments.output:
        arguments.output.write_text(json.dumps(records, indent=2) + "\n")


if __name__ == "__main__":
    main()
