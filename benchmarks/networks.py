"""One network for all elements against one for each, on the bundled DFT set, in one run.

    python benchmarks/networks.py [--output F.json] [--override trainer.max_epochs=50]

The element enters the shared network as its atomic number or as a learned vector.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

NETWORKS = {
    "shared, learned vector": ["network=shared", "network.species_feature=embedding"],
    "shared, atomic number": ["network=shared", "network.species_feature=atomic_number"],
    "one for each element": ["network=per_element"],
}


def num_parameters(checkpoint: Path) -> int:
    state = torch.load(checkpoint, weights_only=True)["state_dict"]
    return sum(
        v.numel() for k, v in state.items() if k.endswith("weight") or k.endswith("bias") or "feature.table" in k
    )


def measure(name: str, overrides: list[str]) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        command = ["mhdnn", "train", "experiment=sn_graphene", f"hydra.run.dir={folder}", "report=false", *overrides]
        subprocess.run(command, check=True)
        seconds = time.perf_counter() - start
        errors = json.loads((Path(folder) / "errors.json").read_text())["test"]
        parameters = num_parameters(Path(folder) / "checkpoints/last.ckpt")
    return {"network": name, "seconds": seconds, "num_parameters": parameters, **errors}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--override", action="append", default=[], help="of mhdnn train, for all networks")
    arguments = parser.parse_args()
    records = [measure(name, overrides + arguments.override) for name, overrides in NETWORKS.items()]
    table = Table("network", "parameters", "energy MAE, meV/atom", "force MAE, eV/Å", "stress MAE, GPa", "seconds")
    for r in records:
        table.add_row(
            r["network"],
            str(r["num_parameters"]),
            f"{r['energy_mae_mev_per_atom']:.1f}",
            f"{r['force_mae_ev_per_angstrom']:.3f}",
            f"{r['stress_mae_gpa']:.2f}",
            f"{r['seconds']:.0f}",
        )
    Console().print(table)
    if arguments.output:
        arguments.output.write_text(json.dumps(records, indent=2) + "\n")


if __name__ == "__main__":
    main()
