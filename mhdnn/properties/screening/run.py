"""Cells of a screening in parallel. Finished ones are not repeated."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

from mhdnn.files import write_text_atomically
from mhdnn.properties.jobs import check_executor, run_jobs
from mhdnn.properties.screening.cells import Cell, Workshop, cells_of, compute, metals_of


def run(workshop: Workshop, processes: int, executor: str, parameters: dict[str, Any] | None = None) -> None:
    """Compute what is not yet known.

    First what others compare with: metals, interfaces without ions. Arguments and errors as of
    `mhdnn.properties.jobs.run_jobs`.
    """
    check_executor(executor)
    cells = cells_of(workshop.plan)
    stages = [
        [*metals_of(workshop.plan), *(cell for cell in cells if not cell.ion)],
        [cell for cell in cells if cell.ion],
    ]
    absolute = Workshop(workshop.plan, Path(workshop.folder).absolute(), workshop.described)
    for stage in stages:
        left = [cell for cell in stage if not workshop.is_complete(cell)]
        used = workshop if executor == "processes" else absolute
        died = run_jobs(
            partial(compute, used), left, processes, executor, absolute.folder / "jobs", parameters, "screening"
        )
        for number, reason in died.items():
            if not absolute.is_complete(left[number]):
                _note(absolute, left[number], reason)


def _note(workshop: Workshop, cell: Cell, reason: str) -> None:
    """Why the job of a cell died, as its failure."""
    failure = {"step": "job", "kind": "FailedJob", "reason": reason}
    write_text_atomically(workshop.place(cell) / "failures.json", json.dumps([failure], indent=1) + "\n")
