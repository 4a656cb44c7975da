"""Errors of `mhdnn train` with its defaults on datasets of one's own, on a random tenth held out.

    python benchmarks/accuracy.py Si.extxyz Ge.extxyz [--split 2 3 4 5 6] [--trainings 1] [--output F.json]

Anything `mhdnn data convert` reads will do. A tenth is held out for each seed of --split; --trainings trains each with
as many seeds, from that of the split on. Prints means and standard deviations over all trainings; --output writes the
records as JSON, after each training. benchmarks/accuracy.md has what was found with it.
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

COLUMNS = {
    "energy_mae_mev_per_atom": ("energy MAE, meV/atom", "{:.2f}"),
    "force_mae_ev_per_angstrom": ("force MAE, eV/Å", "{:.4f}"),
    "stress_mae_gpa": ("stress MAE, GPa", "{:.3f}"),
    "cpu_seconds": ("CPU, s", "{:.0f}"),
    "peak_memory_gb": ("memory, GB", "{:.1f}"),
}


def run(*command: object) -> None:
    subprocess.run([str(word) for word in command], check=True)


def cost(*command: object) -> dict[str, float]:
    """CPU seconds and memory of a command.

    :raises subprocess.CalledProcessError: if it fails
    """
    words = [str(word) for word in command]
    process = subprocess.Popen(words)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, words)
    memory = used.ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e9
    return {"cpu_seconds": used.ru_utime + used.ru_stime, "peak_memory_gb": memory}


def divided(source: Path, folder: Path, split: int) -> tuple[Path, Path]:
    """Training and test set of a source, a random tenth held out."""
    store, parts = folder / "all.h5", folder / "parts"
    run("mhdnn", "data", "convert", source, store)
    options = ("--by", "structure", "--validation", 0, "--test", 0.1, "--seed", split)
    run("mhdnn", "data", "split", store, *options, "--output", parts)
    return parts / "train.h5", parts / "test.h5"


def measure(train: Path, test: Path, folder: Path, seed: int, overrides: list[str]) -> dict[str, Any]:
    """Train, and read the errors on what was held out."""
    sets = (f"data.train={train}", f"data.test={test}", f"seed={seed}")
    used = cost("mhdnn", "train", *sets, f"hydra.run.dir={folder / f'run_{seed}'}", *overrides)
    errors = json.loads((folder / f"run_{seed}/errors.json").read_text())["test"]
    return {"seed": seed, **used, **errors}


def mean_and_deviation(values: list[float], form: str) -> str:
    """As in 1.23 ± 0.04; a single value as it is."""
    mean = form.format(statistics.mean(values))
    return f"{mean} ± {form.format(statistics.stdev(values))}" if len(values) > 1 else mean


def cells_of(records: list[dict[str, Any]]) -> list[str]:
    """What the table says of the trainings on a dataset."""
    known = {key: [record[key] for record in records if key in record] for key in COLUMNS}
    return [mean_and_deviation(known[key], form) if known[key] else "-" for key, (_, form) in COLUMNS.items()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("sources", nargs="+", type=Path)
    parser.add_argument("--split", type=int, nargs="+", default=[0], help="seeds of the held-out tenths")
    parser.add_argument("--trainings", type=int, default=1, help="for each split")
    parser.add_argument("--output", type=Path)
    parser.add_argument("--override", action="append", default=[], help="of mhdnn train, e.g. cutoff=6.0")
    arguments = parser.parse_args()
    table = Table("dataset", "trainings", *(title for title, _ in COLUMNS.values()))
    records: list[dict[str, Any]] = []
    for source in arguments.sources:
        name = source.parent.name or source.stem
        for split in arguments.split:
            with tempfile.TemporaryDirectory() as folder:
                train, test = divided(source, Path(folder), split)
                for seed in range(split, split + arguments.trainings):
                    found = measure(train, test, Path(folder), seed, arguments.override)
                    records.append({"dataset": name, "split": split, **found})
                    if arguments.output:
                        arguments.output.write_text(json.dumps(records, indent=1) + "\n")
        chosen = [record for record in records if record["dataset"] == name]
        table.add_row(name, str(len(chosen)), *cells_of(chosen))
    Console().print(table)


if __name__ == "__main__":
    main()
