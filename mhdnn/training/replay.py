"""How much of what a model was trained on it sees again while it learns something new."""

from __future__ import annotations

import numpy as np
from rich.console import Console

from mhdnn.data.datamodule import StoreDataModule
from mhdnn.data.joined import names_of_sources, source_of
from mhdnn.training.initial_model import InitialModel

console = Console()
REPLAY = 3.0
"""Known structures in an epoch for each new one (docs/benchmarks.md has what was tried)."""
LEAST_REPLAY = 250
"""Of known structures in an epoch: with so few it takes seconds, and less of them is forgotten."""


def replay_known(model: InitialModel, data: StoreDataModule) -> None:
    """Let an epoch see a part of the files that the model was trained on, drawn anew each time, and all of the others.

    Only where the user has given no fractions, and where the files are for certain those of the model's training: with
    their names, and as many training structures. Else an epoch sees everything.
    """
    reader, trained = data.train_reader, data.indices["train"]
    known = [name in model.trained_on for name in names_of_sources(reader)]
    sizes = np.bincount(source_of(reader, trained), minlength=len(known))
    num_known = int(sizes[known].sum())
    is_the_same = sum(known) == len(model.trained_on) and num_known == model.num_trained_on
    if data.fractions is not None or not is_the_same or all(known):
        return
    num_seen = max(LEAST_REPLAY, round(REPLAY * int(sizes[np.logical_not(known)].sum())))
    if num_seen >= num_known:
        return
    data.fractions = [num_seen / num_known if is_known else 1.0 for is_known in known]
    console.print(
        f"of the {num_known} structures that {model.path.name} was trained on an epoch sees {num_seen}, drawn anew "
        "each time (`data.fractions` gives others)",
        soft_wrap=True,
    )
