"""Runs workers over all damaged files of a target; one that hangs or crashes is counted and the rest goes on."""

from __future__ import annotations

import multiprocessing
import signal
import tempfile
from dataclasses import dataclass, field

from scripts.robustness.targets import Target
from scripts.robustness.worker import use_damaged

SECONDS = 20.0
LONGEST_SILENCE = 1200.0
"""Seconds without a word from a worker that waits for something."""

PROCESSES = multiprocessing.get_context("forkserver")
"""Importing torch takes longer than many files: one process does it, and workers are its copies."""
PROCESSES.set_forkserver_preload(["scripts.robustness.worker", "scripts.robustness.works", "mhdnn.training.run"])


@dataclass
class Counts:
    """What became of the damaged files of a target.

    :param own: errors of the package
    :param accepted: used as if they were sound
    :param changed: accepted with another number, although a digest or checksum tells that they are damaged
    :param escaped: other errors, and signals such as SIGSEGV
    :param hung: took too long
    :param examples: of what must not be
    """

    target: str
    own: int = 0
    accepted: int = 0
    changed: int = 0
    escaped: int = 0
    hung: int = 0
    examples: list[str] = field(default_factory=list)

    @property
    def mutations(self) -> int:
        return self.own + self.accepted + self.changed + self.escaped + self.hung

    @property
    def failures(self) -> int:
        return self.changed + self.escaped + self.hung

    def add(self, word: str, number: int, text: str) -> None:
        setattr(self, word, getattr(self, word) + 1)
        if word in ("changed", "escaped", "hung"):
            self.examples.append(f"{self.target}, number {number}: {word} {text}")


def run_batch(target: Target, count: int, seconds: float = SECONDS) -> Counts:
    """Use ``count`` damaged files of a target.

    :param seconds: of the processor that one may take
    """
    counts = Counts(target.name)
    done = 0
    while done < count:
        reached = _run_worker(target, counts, done, count, seconds)
        if reached <= done:
            raise SystemExit(f"{target.name}: the sound sample can't be made or used")
        done = reached
    return counts


def _run_worker(target: Target, counts: Counts, first: int, last: int, seconds: float) -> int:
    """One process, until it has done all or died; returns the number of the next file."""
    with tempfile.TemporaryDirectory(prefix="mhdnn-robustness-") as folder:
        return _watched(target, counts, first, last, seconds, folder)


def _watched(target: Target, counts: Counts, first: int, last: int, seconds: float, folder: str) -> int:
    receiver, sender = PROCESSES.Pipe(duplex=False)
    process = PROCESSES.Process(target=use_damaged, args=(target, first, last, seconds, folder, sender))
    process.start()
    sender.close()
    current, finished = None, first
    try:
        while receiver.poll(LONGEST_SILENCE):
            word, number, text = receiver.recv()
            if word == "start":
                current = number
            else:
                counts.add(word, number, text)
                current, finished = None, number + 1
    except EOFError:
        process.join()
    is_silent = process.is_alive()
    process.kill()
    process.join()
    if current is not None:  # it died in the middle of one
        hung = is_silent or process.exitcode == -signal.SIGPROF
        counts.add("hung" if hung else "escaped", current, "" if hung else f"exit status {process.exitcode}")
        finished = current + 1
    return finished
