"""Cells of a screening in parallel: processes of this machine, or jobs of a cluster. Finished ones are not repeated."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from joblib import Parallel, delayed
from joblib.externals.loky.process_executor import TerminatedWorkerError

from mhdnn.errors import ConfigError, PropertyError
from mhdnn.files import write_text_atomically
from mhdnn.properties.progress import tracked
from mhdnn.properties.screening.cells import Cell, Workshop, cells_of, compute, metals_of

EXECUTORS = ("processes", "cluster", "local")
"""joblib; submitit with the scheduler that it finds (SLURM); submitit with processes of this machine."""
LONGEST_JOB = 24 * 60
"""Minutes that a cluster's job may take, unless its parameters say otherwise."""


def run(workshop: Workshop, processes: int, executor: str, parameters: dict[str, Any] | None = None) -> None:
    """Compute what is not yet known.

    First what others compare with: metals, interfaces without ions.

    :param processes: at the same time; with 1 everything happens in this one, with 0 nothing
    :param executor: one of `EXECUTORS`
    :param parameters: of a cluster's jobs, as submitit calls them (``slurm_partition`` ...)
    :raises ConfigError: for another executor, or if submitit is missing
    :raises PropertyError: if a process is killed
    """
    if executor not in EXECUTORS:
        raise ConfigError(f"`executor`: expected one of {', '.join(EXECUTORS)}, got {executor!r}")
    cells = cells_of(workshop.plan)
    stages = [
        [*metals_of(workshop.plan), *(cell for cell in cells if not cell.ion)],
        [cell for cell in cells if cell.ion],
    ]
    for stage in stages:
        left = [cell for cell in stage if not workshop.is_complete(cell)]
        if not left or processes == 0:
            continue
        if executor == "processes":
            _on_this_machine(workshop, left, processes)
        else:
            _on_a_cluster(workshop, left, processes, executor, parameters or {})


def _on_this_machine(workshop: Workshop, cells: Sequence[Cell], processes: int) -> None:
    if processes == 1:
        for cell in tracked(cells, "screening"):
            compute(workshop, cell)
        return
    jobs = (delayed(compute)(workshop, cell) for cell in cells)
    try:
        results = Parallel(n_jobs=processes, return_as="generator_unordered", pre_dispatch=processes)(jobs)
        for _ in zip(tracked(cells, "screening"), results, strict=True):
            pass
    except TerminatedWorkerError as error:
        raise PropertyError(
            "`processes`: one was killed, perhaps for want of memory; what is finished is kept, the same command "
            f"continues; take fewer processes ({error})"
        ) from error


def _on_a_cluster(
    workshop: Workshop, cells: Sequence[Cell], processes: int, executor: str, parameters: dict[str, Any]
) -> None:
    """A job for each cell, at most ``processes`` at the same time; a job that dies leaves the others."""
    try:
        import submitit
    except ImportError as error:
        raise ConfigError(
            f"`executor`: {executor} needs the package submitit, which isn't installed; `pip install mhdnn[cluster]`, "
            "or take `executor=processes`"
        ) from error
    logs = workshop.folder.absolute() / "jobs"
    jobs = submitit.AutoExecutor(folder=logs, cluster="local" if executor == "local" else None)
    jobs.update_parameters(**{"timeout_min": LONGEST_JOB, "slurm_array_parallelism": processes} | parameters)
    absolute = Workshop(workshop.plan, Path(workshop.folder).absolute(), workshop.described)
    # processes of this machine have no scheduler that would hold them back
    size = processes if executor == "local" else len(cells)
    for start in range(0, len(cells), size):
        part = cells[start : start + size]
        for cell, job in zip(part, jobs.map_array(compute, [absolute] * len(part), part), strict=True):
            died = job.exception()
            if died is not None and not absolute.is_complete(cell):
                _note(absolute, cell, str(died))


def _note(workshop: Workshop, cell: Cell, reason: str) -> None:
    """Why the job of a cell died, as its failure."""
    failure = {"step": "job", "kind": "FailedJob", "reason": reason.strip().splitlines()[-1] if reason.strip() else ""}
    write_text_atomically(workshop.place(cell) / "failures.json", json.dumps([failure], indent=1) + "\n")
