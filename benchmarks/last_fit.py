"""What the last fit of the linear part has brought: errors of a last checkpoint, which is without it, and of the model.

    python benchmarks/last_fit.py RUN [RUN ...] [--output F.json]

RUN: folders of `mhdnn train` whose data are where they were. Prints mean absolute errors of validation and test set.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from rich.console import Console
from rich.table import Table

from mhdnn.data.datamodule import StoreDataModule
from mhdnn.deploy.export import CHECKPOINT_KEY, potential_from_checkpoint, read_checkpoint
from mhdnn.evaluation.errors import compute_errors
from mhdnn.evaluation.run import predict_structures

FORMS = {"energy_mae_mev_per_atom": "{:.2f}", "force_mae_ev_per_angstrom": "{:.4f}", "stress_mae_gpa": "{:.3f}"}
"""meV/atom, eV/Å, GPa."""


def without(run: Path) -> dict[str, dict[str, Any]]:
    """Errors of the last checkpoint, by parts of the data."""
    checkpoint = read_checkpoint(run / "checkpoints/last.ckpt")
    settings = OmegaConf.create(checkpoint[CHECKPOINT_KEY]["configuration"])
    potential, of_model = potential_from_checkpoint(checkpoint)
    potential.eval()
    data = StoreDataModule(**settings.data, cutoff=settings.cutoff, seed=settings.seed)
    errors = {}
    for part in ("validation", "test"):
        if part in data.indices:
            items, source = data.dataset(part).in_order(), str(data.paths()[part])
            errors[part] = compute_errors(predict_structures(potential, items, of_model["atomic_numbers"], source))
    return errors


def shown(errors: dict[str, Any]) -> str:
    return " | ".join(form.format(errors[key]) for key, form in FORMS.items() if key in errors)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN")
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    records = []
    table = Table("training", "part", "without", "with")
    for run in arguments.runs:
        before, after = without(run), json.loads((run / "errors.json").read_text())
        records.append({"run": str(run), "without": before, "with": after})
        for part, errors in before.items():
            table.add_row(str(run), part, shown(errors), shown(after[part]))
    console = Console()
    console.width = max(console.width, 130)  # in files, too
    console.print("mean absolute errors: meV/atom | eV/Å | GPa", table)
    if arguments.output:
        arguments.output.write_text(json.dumps(records, indent=2) + "\n")


if __name__ == "__main__":
    main()
