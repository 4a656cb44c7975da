"""One training in a process of its own, timed; started by benchmarks/training.py.

python training_run.py RESULT.json THREADS [overrides of mhdnn train]
"""

from __future__ import annotations

import itertools
import json
import math
import resource
import sys
import time
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch

from mhdnn.cli import run_train

STEP_ACTIONS = {
    "reading and collating": ("train_dataloader_next",),
    "forward, with forces": (".training_step",),
    "backward": (".backward",),
    "optimizer step": (".optimizer_step",),
}
"""Lightning's names of what happens in every step; an optimizer's step contains forward and backward."""


def peak_memory() -> float:
    """Largest resident memory of this process so far, MB."""
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return largest / (2**20 if sys.platform == "darwin" else 2**10)


class Recorder(pl.Callback):
    """Time of every epoch, from its start to the start of the next, and memory; written as JSON at the end.

    Of several stages those of the last; of all of them the least CPU time of an epoch and the whole, with what is made
    ready before the first epoch.

    :param path: where to
    """

    def __init__(self, path: str) -> None:
        self.path = Path(path)
        self.starts: list[tuple[float, float]] = []
        self.memory_before = self.cpu_before = 0.0
        self.first_start = math.inf

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.memory_before = peak_memory()
        self.cpu_before = time.process_time()

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.starts.append((time.perf_counter(), time.process_time()))
        self.first_start = min(self.first_start, time.time())

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        times = [*self.starts, (time.perf_counter(), time.process_time())]
        spans = [(end[0] - start[0], end[1] - start[1]) for start, end in itertools.pairwise(times)]
        cpu = [seconds for _, seconds in spans]
        stages = json.loads(self.path.read_text())["stages"] if self.path.exists() else {}
        stages[pl_module.stage] = {"epoch": min(cpu[1:]), "whole": times[-1][1] - self.cpu_before}
        data = trainer.datamodule
        indices = data.indices["train"]
        result = {
            "dtype": pl_module.settings["dtype"],
            "num_structures": len(indices),
            "num_atoms": int(data.train_reader.num_atoms[indices].sum()),
            "num_functions": pl_module.potential.descriptor.num_functions,
            "steps_per_epoch": trainer.num_training_batches,
            "cutoff": pl_module.settings["cutoff"],
            "first_step_at": self.first_start,  # on the clock that all processes share
            "epoch_seconds": [seconds for seconds, _ in spans],
            "epoch_cpu_seconds": cpu,
            "stages": stages,
            "peak_memory_mb": peak_memory(),
            "peak_memory_before_training_mb": self.memory_before,
        }
        if isinstance(trainer.profiler, pl.profilers.SimpleProfiler):
            result["profile"] = where_time_goes(trainer.profiler.recorded_durations, trainer, result["epoch_seconds"])
        self.path.write_text(json.dumps(result))


def where_time_goes(durations: dict[str, list[float]], trainer: pl.Trainer, epochs: list[float]) -> dict[str, float]:
    """Seconds of an epoch, mean of those after the first, for each kind of work."""
    number = len(epochs) - 1

    def seconds(part: str) -> float:
        found = {name: times for name, times in durations.items() if part in name}
        # what happens in every step is listed for all epochs; the first is left out
        return sum(sum(times[-(len(times) * number // len(epochs)) :]) for times in found.values()) / number

    result = {label: sum(map(seconds, parts)) for label, parts in STEP_ACTIONS.items()}
    result["optimizer step"] -= result["forward, with forces"] + result["backward"]
    for callback in trainer.callbacks:
        name = type(callback).__name__
        own = seconds(f"[Callback]{name}")
        if name != "Recorder" and own > 0.0:
            result[f"callback {name}"] = own
    result["everything else (Lightning, validation)"] = sum(epochs[1:]) / number - sum(result.values())
    return result


def main() -> None:
    result, threads, *overrides = sys.argv[1:]
    torch.set_num_threads(int(threads))
    recorder: dict[str, Any] = {"_target_": "training_run.Recorder", "path": result}
    written = ",".join(f"{key}: {value}" for key, value in recorder.items())
    sys.exit(run_train([*overrides, f"+callbacks.recorder={{{written}}}"]))


if __name__ == "__main__":
    main()
