"""Errors and cost of TorchNEP (NEP4) beside `mhdnn train`, on the same held-out tenths.

    pip install --no-deps torchnep
    python benchmarks/nep.py Si.extxyz [--split 2 3] [--epochs 600] [--cutoffs 8 4] [--output F.json]

TorchNEP is trained as its documentation says: in two stages, a tenth of the training set for validation, its defaults
for all that isn't given here; energies without the reference energies of the elements (least squares on the training
set), for which it has no terms. Its test errors are those of its ASE calculator. Each training is a process of its own
with as many threads as OMP_NUM_THREADS says.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from accuracy import COLUMNS, cost, divided, measure
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.data import chemical_symbols
from ase.io import write
from rich.console import Console
from rich.table import Table

from mhdnn.data.ase_bridge import atoms_from_structure
from mhdnn.data.store import StoreReader

MARGIN = 10.0
"""Around structures that aren't periodic, Å: TorchNEP reads periodic ones only."""
TRAINING = (
    "from torchnep import train_nep; train_nep({input!r}, {data!r}, {folder!r}, valid_ratio=0.1, run_seed={seed})"
)


def structures_of(path: Path) -> list[Atoms]:
    """With labels, in a large box where there is none."""
    structures = []
    for structure in StoreReader(path):
        atoms = atoms_from_structure(structure)
        if not atoms.pbc.all():
            calculator = atoms.calc
            atoms.center(vacuum=MARGIN)
            atoms.pbc = True
            atoms.calc = calculator
        structures.append(atoms)
    return structures


def reference_energies(structures: list[Atoms]) -> np.ndarray:
    """By least squares on the energies, eV by atomic number."""
    counts = np.stack([np.bincount(atoms.numbers, minlength=119) for atoms in structures])
    energies = np.array([atoms.calc.results["energy"] for atoms in structures])
    return np.linalg.lstsq(counts, energies, rcond=None)[0]


def write_frames(structures: list[Atoms], references: np.ndarray, path: Path) -> None:
    """Extended XYZ with energies above those of the elements."""
    frames = []
    for atoms in structures:
        labels = {key: atoms.calc.results[key] for key in ("energy", "forces", "stress") if key in atoms.calc.results}
        labels["energy"] -= references[atoms.numbers].sum()
        frame = atoms.copy()
        frame.calc = SinglePointCalculator(frame, **labels)
        frames.append(frame)
    write(path, frames, format="extxyz")


def errors_of(model: Path, structures: list[Atoms], references: np.ndarray) -> dict[str, float]:
    """Mean absolute errors of a NEP model."""
    from torchnep.ase_calculator import NEP

    calculator = NEP(str(model))
    energies, forces = [], []
    for atoms in structures:
        found = atoms.copy()
        found.calc = calculator
        energy = found.get_potential_energy() + references[atoms.numbers].sum()
        energies.append(1000.0 * abs(energy - atoms.calc.results["energy"]) / len(atoms))
        forces.append(np.abs(found.get_forces() - atoms.calc.results["forces"]).ravel())
    return {
        "energy_mae_mev_per_atom": float(np.mean(energies)),
        "force_mae_ev_per_angstrom": float(np.mean(np.concatenate(forces))),
    }


def measure_nep(train: Path, test: Path, folder: Path, seed: int, chosen: argparse.Namespace) -> dict[str, Any]:
    """Train NEP4 and compare it with what was held out."""
    structures = structures_of(train)
    references = reference_energies(structures)
    numbers = sorted({int(number) for atoms in structures for number in atoms.numbers})
    write_frames(structures, references, folder / "train.xyz")
    settings = {
        "type": f"{len(numbers)} {' '.join(chemical_symbols[number] for number in numbers)}",
        "version": 4,
        "cutoff": " ".join(str(cutoff) for cutoff in chosen.cutoffs),
        "stage2": 1,
        "epoch": chosen.epochs,
    }
    (folder / "nep.in").write_text("".join(f"{key} {value}\n" for key, value in settings.items()))
    paths = {"input": str(folder / "nep.in"), "data": str(folder / "train.xyz"), "folder": str(folder / "nep")}
    used = cost(sys.executable, "-c", TRAINING.format(**paths, seed=seed))
    return {**used, **errors_of(folder / "nep/nep_best.txt", structures_of(test), references)}


def show(records: list[dict[str, Any]]) -> None:
    columns = {key: COLUMNS[key] for key in COLUMNS if key != "stress_mae_gpa"}
    table = Table("dataset", "split", "program", *(title for title, _ in columns.values()))
    for record in records:
        cells = (form.format(record[key]) for key, (_, form) in columns.items())
        table.add_row(record["dataset"], str(record["split"]), record["program"], *cells)
    Console().print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("sources", nargs="+", type=Path)
    parser.add_argument("--split", type=int, nargs="+", default=[0], help="seeds of the held-out tenths")
    parser.add_argument("--epochs", type=int, default=600, help="of TorchNEP")
    parser.add_argument("--cutoffs", type=float, nargs=2, default=(8.0, 4.0), help="of TorchNEP, Å")
    parser.add_argument("--output", type=Path)
    parser.add_argument("--override", action="append", default=[], help="of mhdnn train, e.g. cutoff=6.0")
    chosen = parser.parse_args()
    records: list[dict[str, Any]] = []
    for source in chosen.sources:
        for split in chosen.split:
            with tempfile.TemporaryDirectory() as name:
                folder = Path(name)
                train, test = divided(source, folder, split)
                found = {
                    "TorchNEP": measure_nep(train, test, folder, split, chosen),
                    "mhdnn": measure(train, test, folder, split, chosen.override),
                }
            dataset = source.parent.name or source.stem
            records += [{"dataset": dataset, "split": split, "program": key, **found[key]} for key in found]
            if chosen.output:
                chosen.output.write_text(json.dumps(records, indent=1) + "\n")
    show(records)


if __name__ == "__main__":
    main()
