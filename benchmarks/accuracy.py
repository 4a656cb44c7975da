"""Errors of `mhdnn train` with its defaults on datasets of one's own, on a random tenth held out.

    python benchmarks/accuracy.py Si.extxyz Ge.extxyz [--output F.json]

Anything `mhdnn data convert` reads will do. Prints a table; --output writes the records as JSON.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

COLUMNS = {
    "num_structures": ("held out", "{:d}"),
    "energy_mae_mev_per_atom": ("energy MAE, meV/atom", "{:.2f}"),
    "force_mae_ev_per_angstrom": ("force MAE, eV/Å", "{:.4f}"),
    "stress_mae_gpa": ("stress MAE, GPa", "{:.3f}"),
    "seconds": ("seconds", "{:.0f}"),
}


def run(*command: object) -> None:
    subprocess.run([str(word) for word in command], check=True)


def measure(source: Path, folder: Path, seed: int, overrides: list[str]) -> dict[str, Any]:
    """Convert, hold out a tenth, train, and read the errors on the tenth."""
    store, parts = folder / "all.h5", folder / "parts"
    run("mhdnn", "data", "convert", source, store)
    split = ("--by", "structure", "--validation", 0, "--test", 0.1, "--seed", seed)
    run("mhdnn", "data", "split", store, *split, "--output", parts)
    start = time.perf_counter()
    sets = (f"data.train={parts / 'train.h5'}", f"data.test={parts / 'test.h5'}")
    run("mhdnn", "train", *sets, f"hydra.run.dir={folder / 'run'}", *overrides)
    seconds = time.perf_counter() - start
    errors = json.loads((folder / "run/errors.json").read_text())["test"]
    return {"dataset": source.parent.name or source.stem, "seconds": seconds, **errors}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("sources", nargs="+", type=Path)
    parser.add_argument("--seed", type=int, default=0, help="of the held-out tenth")
    parser.add_argument("--output", type=Path)
    parser.add_argument("--override", action="append", default=[], help="of mhdnn train, e.g. cutoff=6.0")
    arguments = parser.parse_args()
    records = []
    for source in arguments.sources:
        with tempfile.TemporaryDirectory() as folder:
            records.append(measure(source, Path(folder), arguments.seed, arguments.override))
    table = Table("dataset", *(title for title, _ in COLUMNS.values()))
    for record in records:
        cells = [form.format(record[key]) if key in record else "-" for key, (_, form) in COLUMNS.items()]
        table.add_row(record["dataset"], *cells)
    Console().print(table)
    if arguments.output:
        arguments.output.write_text(json.dumps(records, indent=2) + "\n")


if __name__ == "__main__":
    main()
