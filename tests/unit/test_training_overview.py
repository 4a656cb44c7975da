"""What a training says of its data and its cost."""

from types import SimpleNamespace

import numpy as np
import pytest
from rich.console import Console

from mhdnn.data.datamodule import StoreDataModule
from mhdnn.training import overview
from mhdnn.training.overview import CostEstimate, cost_line, data_table, elements_of, lasting
from tests.unit.test_training_guards import write_store


def test_the_data_in_a_table(tmp_path):
    store = write_store(tmp_path / "small.h5")
    options = dict.fromkeys(("split_seed", "num_workers", "cache_megabytes", "validation_fraction"), 0)
    data = StoreDataModule(str(store), None, None, 4.0, split_by="auto", dispersion=True, batch_size=2, **options)
    console = Console(width=120)
    with console.capture() as capture:
        console.print(data_table(data))
    rows = [line.split() for line in capture.get().splitlines()]
    expected = [part.split() for part in ("8 16 2 Si 8, Sn 8 energy, forces", "4 8 2 Si 4, Sn 4 energy, forces")]
    assert ["train", *expected[0]] in rows
    assert ["validation", *expected[1]] in rows


def test_elements_with_their_structures():
    assert elements_of(np.array([[2, 0, 1], [1, 0, 0]]), [3, 6, 8]) == "Li 2, O 1"


@pytest.mark.parametrize(("seconds", "words"), [(59.6, "60 s"), (600, "10 min"), (5400, "90 min"), (9000, "2.5 h")])
def test_durations(seconds, words):
    assert lasting(seconds) == words


def test_cost_by_hand(monkeypatch):
    """Steps of 0.5 s, 100 of them in each of 10 epochs; told once, when 3 s are measured."""
    clock, lines = iter(np.arange(100) * 0.5), []
    monkeypatch.setattr(overview.time, "perf_counter", lambda: next(clock))
    trainer = SimpleNamespace(
        global_step=0, estimated_stepping_batches=1000, num_training_batches=100, is_global_zero=True,
        print=lines.append,
    )  # fmt: skip
    callback = CostEstimate()
    for step in range(1, 12):
        trainer.global_step = step
        callback.on_train_batch_end(trainer)
    assert len(lines) == 1
    assert lines[0].startswith("cost: 500 ms a step, 50 s an epoch of 100 steps; ends at about ")
    assert "in 8 min; memory: " in lines[0]  # (1000 - 7) / 2 s


def test_the_end_on_another_day():
    assert " on " in cost_line(1.0, 10, 2 * 86400.0, 100.0)
    assert " on " not in cost_line(1.0, 10, 0.0, 100.0)
