"""Many independent calculations in parallel: processes of this machine, or jobs of a cluster."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from joblib import Parallel, delayed
from joblib.externals.loky.process_executor import TerminatedWorkerError

from mhdnn.errors import ConfigError, PropertyError
from mhdnn.properties.progress import tracked

EXECUTORS = ("processes", "cluster", "local")
"""joblib; submitit with the scheduler that it finds (SLURM); submitit with processes of this machine."""
LONGEST_JOB = 24 * 60
"""Minutes that a cluster's job may take, unless its parameters say otherwise."""

Item = TypeVar("Item")


def run_jobs(
    compute: Callable[[Item], None],
    items: Sequence[Item],
    processes: int,
    executor: str,
    logs: Path,
    parameters: dict[str, Any] | None = None,
    description: str = "computing",
) -> dict[int, str]:
    """Call a function, which keeps its own results, for each item.

    :param compute: can be pickled
    :param processes: at the same time; with 1 everything happens in this one, with 0 nothing
    :param executor: one of `EXECUTORS`
    :param logs: absolute folder for what a cluster's jobs print
    :param parameters: of a cluster's jobs, as submitit calls them (``slurm_partition`` ...)
    :return: why the jobs of some items died, by the position of the item
    :raises ConfigError: for another executor, or if submitit is missing
    :raises PropertyError: if a process is killed
    """
    check_executor(executor)
    if not items or processes == 0:
        return {}
    if executor == "processes":
        _on_this_machine(compute, items, processes, description)
        return {}
    return _on_a_cluster(compute, items, processes, executor, logs, parameters or {}, description)


def check_executor(executor: str) -> None:
    """:raises ConfigError: if there is no such executor"""
    if executor not in EXECUTORS:
        raise ConfigError(f"`executor`: expected one of {', '.join(EXECUTORS)}, got {executor!r}")


def _on_this_machine(compute: Callable[[Item], None], items: Sequence[Item], processes: int, description: str) -> None:
    if processes == 1:
        for item in tracked(items, description):
            compute(item)
        return
    jobs = (delayed(compute)(item) for item in items)
    try:
        results = Parallel(n_jobs=processes, return_as="generator_unordered", pre_dispatch=processes)(jobs)
        for _ in zip(tracked(items, description), results, strict=True):
            pass
    except TerminatedWorkerError as error:
        raise PropertyError(
            "`processes`: one was killed, perhaps for want of memory; what is finished is kept, the same command "
            f"continues; take fewer processes ({error})"
        ) from error


def _on_a_cluster(
    compute: Callable[[Item], None],
    items: Sequence[Item],
    processes: int,
    executor: str,
    logs: Path,
    parameters: dict[str, Any],
    description: str,
) -> dict[int, str]:
    """A job for each item, at most ``processes`` at the same time; a job that dies leaves the others."""
    try:
        import submitit
    except ImportError as error:
        raise ConfigError(
            f"`executor`: {executor} needs the package submitit, which isn't installed; `pip install mhdnn[cluster]`, "
            "or take `executor=processes`"
        ) from error
    jobs = submitit.AutoExecutor(folder=logs, cluster="local" if executor == "local" else None)
    jobs.update_parameters(**{"timeout_min": LONGEST_JOB, "slurm_array_parallelism": processes} | parameters)
    # processes of this machine have no scheduler that would hold them back
    size = processes if executor == "local" else len(items)
    died = {}
    for start in tracked(range(0, len(items), size), description):
        for number, job in enumerate(jobs.map_array(compute, items[start : start + size]), start):
            failure = job.exception()
            if failure is not None:
                lines = str(failure).strip().splitlines()
                died[number] = lines[-1] if lines else type(failure).__name__
    return died
