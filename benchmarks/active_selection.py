"""Labels that `mhdnn data select` needs, against as many taken at random from the same pool.

    python benchmarks/active_selection.py Si.extxyz [--sizes 20 40 80] [--seeds 3] [--seen 6000] [--output F.json]
                                          [--plot F.png]
    python benchmarks/active_selection.py pool.h5 --test test.h5

A tenth of the set is the test, the rest the pool, for each seed another tenth; or the pool is given, and --test is a
dataset of its own. For each seed there are other first structures, which both ways share. From there one takes
structures at random, the other those that `mhdnn data select` chooses with the model trained on what it has chosen so
far. Every model is trained from nothing with the defaults, or what --override says, for as many epochs as it takes to
see --seen structures: few labels get no shorter a training than many. Printed are test errors, mean and standard
deviation over the seeds, and how many labels at random have the force error of the chosen ones (by the line through
the logarithms of random's errors).
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accuracy import divided
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

from mhdnn.active.select import select
from mhdnn.data.store import StoreReader, StoreWriter
from mhdnn.evaluation.plots import save_figure, style_axes
from mhdnn.training.command import train_in

ERRORS = {"force_mae_ev_per_angstrom": "force MAE, eV/Å", "energy_mae_mev_per_atom": "energy MAE, meV/atom"}
COLORS = {"random": "#8a8f98", "selected": "#d1495b"}


def write_part(source: Path, numbers: Sequence[int], path: Path) -> Path:
    """Some structures of a dataset, with their labels."""
    reader = StoreReader(source)
    with StoreWriter(path, {key: str(value) for key, value in reader.attributes.items()}) as writer:
        for number in numbers:
            writer.append(reader[int(number)])
    reader.close()
    return path


def trained(train: Path, test: Path, folder: Path, seed: int, chosen: argparse.Namespace) -> dict[str, float]:
    """Test errors of a model in a folder."""
    epochs = f"trainer.max_epochs={round(chosen.seen / len(StoreReader(train)))}"
    quiet = ("report=false", "trainer.enable_progress_bar=false")
    train_in(folder, [f"data.train={train}", f"data.test={test}", f"seed={seed}", epochs, *quiet, *chosen.override])
    return json.loads((folder / "errors.json").read_text())["test"]


def chosen_next(pool: Path, known: list[int], model: Path, num: int, folder: Path) -> list[int]:
    """The structures of the pool that the model knows least, beside those that are known."""
    left = [number for number in range(len(StoreReader(pool))) if number not in known]
    rest = write_part(pool, left, folder / "rest.h5")
    labelled = write_part(pool, known, folder / "known.h5")
    return [left[number] for number in select(rest, model, num, labelled)]


def sets_of(source: Path, test: Path | None, folder: Path, seed: int) -> tuple[Path, Path]:
    """Pool and test set."""
    return divided(source, folder, seed) if test is None else (source, test)


def curve(
    way: str, pool: Path, test: Path, folder: Path, seed: int, chosen: argparse.Namespace
) -> list[dict[str, Any]]:
    """Errors for each number of labels."""
    order = np.random.default_rng(seed).permutation(len(StoreReader(pool))).tolist()
    known: list[int] = []
    model = folder / "none"
    records = []
    for size in chosen.sizes:
        here = folder / f"{way}_{seed}_{size}"
        here.mkdir()
        missing = size - len(known)
        if way == "selected" and known:
            known = known + chosen_next(pool, known, model, missing, here)
        else:
            known = known + [number for number in order if number not in known][:missing]
        errors = trained(write_part(pool, known, here / "train.h5"), test, here / "run", seed, chosen)
        model = here / "run/model.pt"
        records.append({"way": way, "seed": seed, "labels": len(known), **errors})
    return records


def means(records: list[dict[str, Any]], way: str, key: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Numbers of labels, and mean and standard deviation of an error over the seeds."""
    chosen = [record for record in records if record["way"] == way]
    labels = np.unique([record["labels"] for record in chosen])
    values = [[record[key] for record in chosen if record["labels"] == number] for number in labels]
    return labels, np.array([np.mean(v) for v in values]), np.array([np.std(v) for v in values])


def random_labels_for(records: list[dict[str, Any]], error: float, key: str) -> float:
    """How many labels at random have this error, by a line through the logarithms; may be beyond them."""
    labels, mean, _ = means(records, "random", key)
    slope, offset = np.polyfit(np.log(labels), np.log(mean), 1)
    return float(np.exp((np.log(error) - offset) / slope))


def show(name: str, records: list[dict[str, Any]]) -> None:
    table = Table("labels", *(f"{way}: {title}" for title in ERRORS.values() for way in COLORS))
    sizes = means(records, "random", next(iter(ERRORS)))[0]
    columns = []
    for key in ERRORS:
        for way in COLORS:
            found = zip(*means(records, way, key), strict=True)
            columns.append({labels: f"{mean:.3g} ± {deviation:.1g}" for labels, mean, deviation in found})
    for size in sizes:  # where the rest of the pool are duplicates, fewer are selected
        table.add_row(str(size), *(column.get(size, "-") for column in columns))
    console = Console()
    console.print(name)
    console.print(table)
    labels, mean, _ = means(records, "selected", "force_mae_ev_per_angstrom")
    for number, error in zip(labels, mean, strict=True):
        needed = random_labels_for(records, error, "force_mae_ev_per_angstrom")
        console.print(f"{number} selected have the force error of {needed:.0f} at random: ratio {needed / number:.2f}")


def draw(records: dict[str, list[dict[str, Any]]], path: Path) -> None:
    figure = Figure(figsize=(4.2 * len(records), 3.4), layout="constrained")
    for axes, (name, of_set) in zip(figure.subplots(1, len(records), squeeze=False)[0], records.items(), strict=True):
        style_axes(axes)
        for way, color in COLORS.items():
            labels, mean, deviation = means(of_set, way, "force_mae_ev_per_angstrom")
            axes.fill_between(labels, mean - deviation, mean + deviation, color=color, alpha=0.2, linewidth=0)
            axes.plot(labels, mean, "o-", color=color, label=way, markersize=4)
        axes.set(xscale="log", yscale="log", xlabel="labelled structures", ylabel=ERRORS["force_mae_ev_per_angstrom"])
        axes.set_title(name, fontsize="medium")
        axes.legend(fontsize="small")
    save_figure(figure, path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("sources", nargs="+", type=Path)
    parser.add_argument("--test", type=Path, help="dataset of mhdnn; the sources are then such datasets, too")
    parser.add_argument("--sizes", type=int, nargs="+", default=[20, 40, 60, 80, 120])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--seen", type=int, default=6000, help="structures that each training sees, with repetition")
    parser.add_argument("--output", type=Path)
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--override", action="append", default=[], help="of mhdnn train, e.g. cutoff=6.0")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    records: dict[str, list[dict[str, Any]]] = {}
    for source in chosen.sources:
        name = source.parent.name or source.stem
        records[name] = []
        for seed in range(chosen.seeds):
            with tempfile.TemporaryDirectory() as temporary:
                folder = Path(temporary)
                pool, test = sets_of(source, chosen.test, folder, seed)
                for way in COLORS:
                    records[name] += curve(way, pool, test, folder, seed, chosen)
            if chosen.output:
                flat = [{"dataset": key, **record} for key, of_set in records.items() for record in of_set]
                chosen.output.write_text(json.dumps(flat, indent=1) + "\n")
    for name, of_set in records.items():
        show(name, of_set)
    if chosen.plot:
        draw(records, chosen.plot)


if __name__ == "__main__":
    main()
