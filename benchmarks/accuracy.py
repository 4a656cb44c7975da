"""Errors of `mhdnn train` with its defaults on datasets of one's own, on a random tenth held out.

    python benchmarks/accuracy.py Si.extxyz Ge.extxyz [--trainings 5] [--output F.json]

Anything `mhdnn data convert` reads will do. The held-out tenth is that of --split; --trainings trains with the seeds
0, 1, ... Prints means and standard deviations over the trainings; --output writes the records as JSON.
benchmarks/accuracy.md has what was found with it.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

COLUMNS = {
    "energy_mae_mev_per_atom": ("energy MAE, meV/atom", "{:.2f}"),
    "force_mae_ev_per_angstrom": ("force MAE, eV/Å", "{:.4f}"),
    "stress_mae_gpa": ("stress MAE, GPa", "{:.3f}"),
    "seconds": ("seconds", "{:.0f}"),
}


def run(*command: object) -> None:
    subprocess.run([str(word) for word in command], check=True)


def divided(source: Path, folder: Path, split: int) -> tuple[Path, Path]:
    """Training and test set of a source, a random tenth held out."""
    store, parts = folder / "all.h5", folder / "parts"
    run("mhdnn", "data", "convert", source, store)
    options = ("--by", "structure", "--validation", 0, "--test", 0.1, "--seed", split)
    run("mhdnn", "data", "split", store, *options, "--output", parts)
    return parts / "train.h5", parts / "test.h5"


def measure(train: Path, test: Path, folder: Path, seed: int, overrides: list[str]) -> dict[str, Any]:
    """Train, and read the errors on what was held out."""
    start = time.perf_counter()
    sets = (f"data.train={train}", f"data.test={test}", f"seed={seed}")
    run("mhdnn", "train", *sets, f"hydra.run.dir={folder / f'run_{seed}'}", *overrides)
    seconds = time.perf_counter() - start
    errors = json.loads((folder / f"run_{seed}/errors.json").read_text())["test"]
    return {"seconds": seconds, "seed": seed, **errors}


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
    parser.add_argument("--split", type=int, default=0, help="seed of the held-out tenth")
    parser.add_argument("--trainings", type=int, default=1)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--override", action="append", default=[], help="of mhdnn train, e.g. cutoff=6.0")
    arguments = parser.parse_args()
    table = Table("dataset", "trainings", *(title for title, _ in COLUMNS.values()))
    records: dict[str, list[dict[str, Any]]] = {}
    for source in arguments.sources:
        name = source.parent.name or source.stem
        with tempfile.TemporaryDirectory() as folder:
            train, test = divided(source, Path(folder), arguments.split)
            seeds = range(arguments.trainings)
            records[name] = [measure(train, test, Path(folder), seed, arguments.override) for seed in seeds]
        table.add_row(name, str(arguments.trainings), *cells_of(records[name]))
    Console().print(table)
    if arguments.output:
        arguments.output.write_text(json.dumps(records, indent=2) + "\n")


if __name__ == "__main__":
    main()
