"""What `mhdnn train` says when it begins: the data, the model, and what the training will cost."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from ase.data import chemical_symbols
from rich import box
from rich.console import Console
from rich.table import Table

from mhdnn.data.datamodule import StoreDataModule
from mhdnn.potential import Potential
from mhdnn.structure import LABELS

console = Console()
FEWEST_SECONDS = 30.0
"""Of a training whose cost is worth a line."""
MEASURED = 3.0
"""Seconds over which steps are timed."""


def describe(potential: Potential, data: StoreDataModule) -> None:
    """What is about to be trained: a table of the data, and a line about the model."""
    console.print(data_table(data))
    for remark in data.remarks:
        console.print(f"warning: {remark}", style="yellow", markup=False, soft_wrap=True)
    parameters = sum(p.numel() for p in potential.parameters() if p.requires_grad)
    size = sum(t.numel() * t.element_size() for t in (*potential.parameters(), *potential.buffers()))
    console.print(
        f"model: {potential.descriptor.num_functions} symmetry functions, {parameters} parameters, "
        f"{size / 2**20:.2g} MB",
        soft_wrap=True,
    )


def data_table(data: StoreDataModule) -> Table:
    """Structures, atoms, elements and labels of each part."""
    table = Table("part", "structures", "atoms", "atoms each", "elements", "labels", box=box.SIMPLE_HEAD)
    for part, indices in data.indices.items():
        reader = data.reader_of(part)
        sizes = reader.num_atoms[indices]
        least, most = int(sizes.min()), int(sizes.max())
        table.add_row(
            part,
            f"{len(indices):,}",
            f"{int(sizes.sum()):,}",
            str(least) if least == most else f"{least}-{most}",
            elements_of(reader.composition(reader.elements())[indices], reader.elements()),
            ", ".join(label for label in LABELS if label in reader.labels),
        )
    return table


def elements_of(composition: np.ndarray, numbers: Sequence[int]) -> str:
    """Elements with the structures that have them, such as ``C 12, Li 7``."""
    counts = zip(numbers, (composition > 0).sum(axis=0).tolist(), strict=True)
    return ", ".join(f"{chemical_symbols[number]} {count}" for number, count in counts if count)


class CostEstimate(pl.Callback):
    """Once some steps are timed, says how long an epoch takes, when the training ends, and how much memory it has."""

    def __init__(self) -> None:
        self.start: float | None = None
        self.first_step = 0

    def on_train_batch_end(self, trainer: pl.Trainer, *arguments: Any) -> None:
        if self.start is None:  # the first step compiles and allocates
            self.start, self.first_step = time.perf_counter(), trainer.global_step
            return
        seconds = time.perf_counter() - self.start
        if self.first_step < 0 or seconds < MEASURED:
            return
        per_step = seconds / (trainer.global_step - self.first_step)
        self.first_step = -1
        left = per_step * (int(trainer.estimated_stepping_batches) - trainer.global_step)
        if trainer.is_global_zero and left >= FEWEST_SECONDS:
            # through Lightning, whose progress bar stands in the line below
            trainer.print(cost_line(per_step, int(trainer.num_training_batches), left, memory_in_use()))


def cost_line(per_step: float, steps: int, left: float, memory: float) -> str:
    """:param per_step: seconds
    :param steps: of an epoch
    :param left: seconds
    :param memory: MB
    """
    end = datetime.now() + timedelta(seconds=left)
    day = "" if end.date() == datetime.now().date() else f" on {end:%Y-%m-%d}"
    return (
        f"cost: {1e3 * per_step:.3g} ms a step, {per_step * steps:.3g} s an epoch of {steps} steps; "
        f"ends at about {end:%H:%M}{day}, in {lasting(left)}; memory: {memory:.0f} MB"
    )


def lasting(seconds: float) -> str:
    """A duration in words."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def memory_in_use() -> float:
    """Largest memory of this process so far, of the GPU where there is one, MB."""
    if torch.cuda.is_available() and torch.cuda.max_memory_allocated() > 0:
        return torch.cuda.max_memory_allocated() / 2**20
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return largest / (2**20 if sys.platform == "darwin" else 2**10)
