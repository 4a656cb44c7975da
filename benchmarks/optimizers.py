"""L-BFGS on the whole training set, after `mhdnn train` or in its place, beside the default optimiser.

    python benchmarks/optimizers.py Si.extxyz [--split 7] [--iterations 60] [--output F.json]

The loss is that of the last epoch, whose weights don't change any more; a tenth of the structures is held out as in
benchmarks/accuracy.py. "In its place" begins with the model of one epoch, after the direct fits that each training
begins with. benchmarks/accuracy.md has what was found.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from accuracy import divided, run
from rich.console import Console

from mhdnn.data.datamodule import StoreDataModule
from mhdnn.prediction import predict
from mhdnn.structure import Batch
from mhdnn.training.configuration import default_config
from mhdnn.training.initial_model import read_initial
from mhdnn.training.loss import MeanWeight, build_loss
from mhdnn.units import GPA_PER_EV_PER_CUBIC_ANGSTROM, MEV_PER_EV

KEYS = ("energy_mae_mev_per_atom", "force_mae_ev_per_angstrom", "stress_mae_gpa")


def errors_of(predictions: list[tuple[Any, Batch]]) -> dict[str, float]:
    """Mean absolute errors."""
    energy, forces, stress = [], [], []
    for prediction, batch in predictions:
        geometry, labels = batch.geometry, batch.labels
        energy.append((prediction.energy - labels.energy) / geometry.num_atoms_per_structure)
        forces.append(prediction.forces - labels.forces)
        stress.append(geometry.stress(prediction.virial) - labels.stress)
    means = [float(torch.cat(parts).abs().nanmean()) for parts in (energy, forces, stress)]
    return dict(zip(KEYS, (MEV_PER_EV * means[0], means[1], GPA_PER_EV_PER_CUBIC_ANGSTROM * means[2]), strict=True))


def refine(potential: torch.nn.Module, data: StoreDataModule, iterations: int) -> float:
    """L-BFGS over all training structures together; seconds of the processor."""
    potential.requires_grad_(True)
    loss_of = build_loss(default_config([]).loss, mean_weight=MeanWeight(*data.mean_weight))
    batches = list(data.batches("train"))
    weights = [batch.geometry.num_structures / len(data.indices["train"]) for batch in batches]
    parameters = [parameter for parameter in potential.parameters() if parameter.numel() > 0]
    optimizer = torch.optim.LBFGS(parameters, max_iter=iterations, history_size=20, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        total = torch.zeros(())
        for batch, weight in zip(batches, weights, strict=True):
            loss = weight * loss_of(predict(potential, batch.geometry, create_graph=True), batch)
            loss.backward(inputs=parameters)
            total = total + loss.detach()
        return total

    start = time.process_time()
    optimizer.step(closure)
    return time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path)
    parser.add_argument("--split", type=int, default=7)
    parser.add_argument("--iterations", type=int, default=60)
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    records = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        train, test = divided(arguments.source, folder, arguments.split)
        for label, epochs in (("after the training", []), ("in its place", ["trainer.max_epochs=1"])):
            sets = (f"data.train={train}", f"data.test={test}", f"seed={arguments.split}")
            run("mhdnn", "train", *sets, f"hydra.run.dir={folder / label}", "report=false", *epochs)
            model = read_initial(folder / label / "model.pt")
            config = default_config([])
            config.data.train, config.data.test = str(train), str(test)
            data = StoreDataModule(**config.data, cutoff=model.potential.cutoff, seed=arguments.split)
            for iterations in (0, arguments.iterations):
                seconds = refine(model.potential, data, iterations) if iterations else 0.0
                errors = {
                    part: errors_of([(predict(model.potential, b.geometry), b) for b in data.batches(part)])
                    for part in ("train", "test")
                }
                records.append({"what": label, "iterations": iterations, "cpu_seconds": seconds, **errors})
                Console().print(json.dumps(records[-1]), soft_wrap=True)
    if arguments.output:
        arguments.output.write_text(json.dumps(records, indent=1) + "\n")


if __name__ == "__main__":
    main()
