"""A new element for a trained potential: lithium for tin and graphene, beside a training from nothing on everything.

    python benchmarks/fine_tuning.py [--seeds 2] [--structures 30] [--output F.json] [--override optimizer.lr=2e-3]

The bundled set is divided: structures without lithium (old) and with it (new), of which so many train. For each seed
a potential is trained on the old ones, one on everything from nothing, and the first is trained further on everything
(`init=`, defaults of fine-tuning but for --override). Errors are those of the old and the new test structures.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from mhdnn.data.store import StoreReader
from mhdnn.data.writer import StoreWriter

BUNDLED = Path(__file__).parents[1] / "data/sn_graphene.h5"
NEW_ELEMENT = 3
KEYS = {"energy_mae_mev_per_atom": "{:.1f}", "force_mae_ev_per_angstrom": "{:.3f}", "stress_mae_gpa": "{:.2f}"}


def divided(folder: Path, num_structures: int) -> tuple[Path, Path]:
    """Stores of the old structures, and of the new ones with so many to train."""
    reader = StoreReader(BUNDLED)
    split = reader.split
    assert split is not None
    is_new = reader.composition(reader.elements())[:, reader.elements().index(NEW_ELEMENT)] > 0
    trained = np.random.default_rng(0).permutation(np.flatnonzero(is_new & (split == "train")))
    left_out = set(trained[num_structures:].tolist())
    paths = folder / "old.h5", folder / "new.h5"
    for path, chosen in zip(paths, (~is_new, is_new), strict=True):
        with StoreWriter(path, reader.attributes) as writer:
            for number in np.flatnonzero(chosen).tolist():
                if number not in left_out:
                    record = reader.record(number)
                    writer.append(record.structure, record.dispersion, split=split[number])
    return paths


def train(folder: Path, stores: list[Path], *overrides: str) -> float:
    """Train, and return the CPU seconds of the whole command."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    words = ["mhdnn", "train", f"data.train=[{','.join(map(str, stores))}]", f"hydra.run.dir={folder}", "report=false"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    subprocess.run([*words, "trainer.enable_progress_bar=false", *overrides], check=True, env=environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def errors(model: Path, store: Path) -> dict[str, Any]:
    """Of the test structures of a store."""
    output = model.parent / f"{store.stem}.json"
    subprocess.run(
        ["mhdnn", "evaluate", f"model={model}", f"data={store}", "split=test", f"output={output}"], check=True
    )
    found = json.loads(output.read_text())
    return {key: found[key] for key in KEYS}


def measure(folder: Path, stores: tuple[Path, Path], seed: int, overrides: list[str]) -> list[dict[str, Any]]:
    """Old model, training from nothing and fine-tuning with one seed."""
    old, new = stores
    from_nothing = ["experiment=sn_graphene", f"seed={seed}"]
    seconds = {"old": train(folder / "old", [old], *from_nothing)}
    seconds["from nothing"] = train(folder / "from nothing", [old, new], *from_nothing)
    loss = ["loss.stress_weight=0.5", "loss.energy_weight.end=50.0"]  # of the experiment
    start = f"init={folder / 'old/model.pt'}"
    seconds["fine-tuned"] = train(folder / "fine-tuned", [old, new], start, f"seed={seed}", *loss, *overrides)
    records = []
    for name, time in seconds.items():
        model = folder / name / "model.pt"
        of_new = errors(model, new) if name != "old" else None
        records.append({"model": name, "seed": seed, "cpu_seconds": time, "old": errors(model, old), "new": of_new})
    return records


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--structures", type=int, default=30, help="with lithium, to train")
    parser.add_argument("--output", type=Path)
    parser.add_argument("--override", action="append", default=[], help="of the fine-tuning")
    arguments = parser.parse_args()
    records: list[dict[str, Any]] = []
    for seed in range(arguments.seeds):
        with tempfile.TemporaryDirectory() as folder:
            stores = divided(Path(folder), arguments.structures)
            records += measure(Path(folder), stores, seed, arguments.override)
    table = Table("model", "seed", "CPU s", "old structures", "new structures")
    for record in records:
        cells = [
            " | ".join(form.format(record[part][key]) for key, form in KEYS.items()) if record[part] else "-"
            for part in ("old", "new")
        ]
        table.add_row(record["model"], str(record["seed"]), f"{record['cpu_seconds']:.0f}", *cells)
    Console().print("mean absolute errors: meV/atom | eV/Å | GPa", table)
    if arguments.output:
        arguments.output.write_text(json.dumps(records, indent=2) + "\n")


if __name__ == "__main__":
    main()
