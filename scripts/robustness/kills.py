"""Kills work at moments all over its run, continues it, and compares with work that was left alone."""

from __future__ import annotations

import math
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scripts.robustness.batches import PROCESSES
from scripts.robustness.works import Work, works

ATTEMPTS = 8
"""For each kill that is wanted: work may have ended before."""


@dataclass
class KillCounts:
    """Kills of one kind of work, and what was lost by them."""

    work: str
    kills: int = 0
    examples: list[str] = field(default_factory=list)


def run_kills(count: int, name: str | None = None) -> list[KillCounts]:
    """Kill each kind of work, or that of a name, so many times."""
    _run(Path.exists, Path.cwd(), None)  # what all processes import is there before one is timed
    return [kill_work(work, count) for work in works() if name in (None, work.name)]


def kill_work(work: Work, count: int) -> KillCounts:
    """Kill one kind of work so many times."""
    counts = KillCounts(work.name)
    generator = random.Random(work.name)
    with tempfile.TemporaryDirectory(prefix="mhdnn-robustness-") as name:
        prepared, alone = Path(name) / "prepared", Path(name) / "alone"
        prepared.mkdir()
        work.prepare(prepared)
        shutil.copytree(prepared, alone)
        start = time.perf_counter()
        if _run(work.run, alone, None) != 0:
            raise SystemExit(f"{work.name}: does not end well even if it is left alone")
        duration, expected = time.perf_counter() - start, work.result(alone)
        folder, before = _begun(work, prepared, 0)
        for attempt in range(1, ATTEMPTS * count + 1):
            # mostly early, so that work that continues is killed several times
            status = _run(work.run, folder, duration * generator.uniform(0.05, 0.95) ** 1.5)
            if status == -signal.SIGKILL:
                counts.kills += 1
                before = _look(work, folder, before, counts)
            elif status != 0:
                counts.examples.append(f"{work.name}, kill {counts.kills}: continuing ends with status {status}")
            if status != -signal.SIGKILL or counts.kills == count:
                _finish(work, folder, expected, counts)
                folder, before = _begun(work, prepared, attempt)
            if counts.kills == count:
                break
    return counts


def _begun(work: Work, prepared: Path, number: int) -> tuple[Path, float]:
    folder = prepared.with_name(f"killed{number}")
    shutil.copytree(prepared, folder)
    return folder, work.progress(folder)


def _look(work: Work, folder: Path, before: float, counts: KillCounts) -> float:
    try:
        now = work.progress(folder)
    except Exception as error:  # noqa: BLE001 - whatever it is, something is lost
        counts.examples.append(f"{work.name}, kill {counts.kills}: {type(error).__name__}: {error}")
        return before
    if now < before:
        counts.examples.append(f"{work.name}, kill {counts.kills}: was at {before:g}, is at {now:g}")
    return now


def _finish(work: Work, folder: Path, expected: object, counts: KillCounts) -> None:
    status = _run(work.run, folder, None)
    if status != 0:
        counts.examples.append(f"{work.name}, kill {counts.kills}: can't be finished, status {status}")
    elif not _same(work.result(folder), expected, work.tolerance):
        counts.examples.append(f"{work.name}, kill {counts.kills}: another result than without kills")


def _same(found: Any, expected: Any, tolerance: float) -> bool:
    if isinstance(expected, float) and isinstance(found, float):
        return math.isclose(found, expected, rel_tol=tolerance, abs_tol=tolerance)
    if isinstance(expected, dict) and isinstance(found, dict):
        return expected.keys() == found.keys() and all(_same(found[key], expected[key], tolerance) for key in expected)
    if isinstance(expected, list) and isinstance(found, list):
        pairs = zip(found, expected, strict=False)
        return len(expected) == len(found) and all(_same(a, b, tolerance) for a, b in pairs)
    return bool(found == expected)


def _run(function: Callable[[Path], None], folder: Path, seconds: float | None) -> int:
    """Exit status of the function in a process of its own, which is killed after some seconds."""
    process = PROCESSES.Process(target=_alone, args=(function, folder))
    process.start()
    process.join(seconds)
    if process.exitcode is None:
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join()
    return int(process.exitcode or 0)


def _alone(function: Callable[[Path], None], folder: Path) -> None:
    sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    function(folder)
