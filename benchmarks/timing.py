"""Times of repeated runs."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import NamedTuple


class Timing(NamedTuple):
    """Seconds of repeated runs; far apart where other processes disturb them."""

    median: float
    fastest: float


def seconds_of(function: Callable[[], object]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def repeat(function: Callable[[], object], budget: float, most: int = 200) -> Timing:
    """Time of at least three runs, after two that warm up (one if it takes longer than the budget).

    :param budget: seconds that the runs may take together, if three take less
    """
    if seconds_of(function) < budget:
        seconds_of(function)
    times: list[float] = []
    while len(times) < 3 or (sum(times) < budget and len(times) < most):
        times.append(seconds_of(function))
    return Timing(statistics.median(times), min(times))
