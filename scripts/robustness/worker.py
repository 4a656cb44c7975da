"""Uses damaged files, one after the other; says before and after each what happens.

What is sent: ``("start", N, "")``, then ``("own" | "accepted" | "changed" | "escaped", N, words)``. An input that needs
too much time of the processor ends the process by SIGPROF, also from within C.
"""

from __future__ import annotations

import os
import random
import resource
import signal
import sys
import warnings
from multiprocessing.connection import Connection
from pathlib import Path

from mhdnn.errors import MHDNNError
from scripts.robustness.mutations import mutated
from scripts.robustness.targets import Target

MEMORY = 12 * 2**30


def use_damaged(target: Target, first: int, last: int, seconds: float, folder: str, pipe: Connection) -> None:
    """Use the files FIRST to LAST - 1 of a target; runs in a process of its own.

    :param seconds: of the processor for each file; the time of others on the machine doesn't count
    :param folder: empty; the caller removes it, since the process may die
    """
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    warnings.simplefilter("ignore")
    sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    inner = Path(folder) / "in"
    inner.mkdir()
    source = target.make(inner)
    sound = {path: path.read_bytes() for path in sorted(inner.rglob("*")) if path.is_file()}
    expected = target.use(source)
    for number in range(first, last):
        damaged = random.Random(f"{target.name} {number}").choice(list(sound))
        damaged.write_bytes(mutated(sound[damaged], target.name, number))
        pipe.send(("start", number, ""))
        signal.setitimer(signal.ITIMER_PROF, seconds)
        word, text = _outcome(target, source, expected)
        signal.setitimer(signal.ITIMER_PROF, 0.0)
        pipe.send((word, number, text))
        damaged.write_bytes(sound[damaged])


def _outcome(target: Target, source: Path, expected: float) -> tuple[str, str]:
    try:
        found = target.use(source)
    except MHDNNError:
        return "own", ""
    except BaseException as error:  # whatever it is, it is counted
        words = " ".join(f"{type(error).__name__}: {error}".split())
        return "escaped", words[:200]
    if target.is_sealed and found != expected:
        return "changed", f"{found} instead of {expected}"
    return "accepted", ""
