"""Damaged files and kills: a few of each as scripts/robustness.sh makes them, and that failures would be seen."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mhdnn.errors import DataError
from scripts.robustness.batches import run_batch
from scripts.robustness.kills import kill_work
from scripts.robustness.mutations import mutated
from scripts.robustness.targets import Target
from scripts.robustness.works import Work, works

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_short_form():
    result = subprocess.run(
        [sys.executable, "-m", "scripts.robustness", "--short"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
    mutations, kills = result.stdout.split("\n\n")[:2]
    *_, total = mutations.splitlines()
    assert [int(word) for word in total.split()[-3:]] == [0, 0, 0]
    assert int(total.split()[1]) >= 240
    assert kills.splitlines()[-1].split() == ["all", "6", "0"]


def write_text(folder):
    (folder / "text").write_text("some words of some sense\n" * 4)
    return folder / "text"


def refuse(path):
    if path.read_text(errors="replace") != "some words of some sense\n" * 4:
        raise DataError("damaged")
    return 0.0


def crash(path):
    if path.read_text(errors="replace") != "some words of some sense\n" * 4:
        os.kill(os.getpid(), signal.SIGSEGV)
    return 0.0


def spin(path):
    while path.read_text(errors="replace") != "some words of some sense\n" * 4:
        pass
    return 0.0


def forget(path):
    return float(len(path.read_bytes()))


def divide(path):
    return 1 / (path.read_text(errors="replace") == "some words of some sense\n" * 4)


@pytest.mark.parametrize(
    ("use", "outcome"),
    [(refuse, "own"), (crash, "escaped"), (spin, "hung"), (forget, "changed"), (divide, "escaped")],
)
def test_every_outcome_is_counted(use, outcome):
    counts = run_batch(Target("text", write_text, use, is_sealed=True), 3, seconds=0.2)
    assert counts.mutations == 3
    assert getattr(counts, outcome) >= 2, counts  # some damages undo each other, or leave the length
    assert (counts.failures > 0) == (outcome != "own")


def test_damages_are_the_same_each_time():
    data = bytes(range(256)) * 4
    first = [mutated(data, "target", number) for number in range(200)]
    assert first == [mutated(data, "target", number) for number in range(200)]
    assert sum(other != data for other in first) > 190
    assert len(set(first)) > 190


@pytest.mark.slow
def test_a_killed_loop_loses_one_label_at_most_and_ends_as_if_left_alone():
    """Of `mhdnn learn`; calls of the oracle are counted, journals and labels compared to the last digit."""
    (work,) = (one for one in works() if one.name == "learn")
    counts = kill_work(work, 3)
    assert counts.kills == 3
    assert counts.examples == []


def nothing(folder):
    pass


def write_in_two_halves(folder):
    """As no program should: a reader may find half of it."""
    for _ in range(20):
        (folder / "result").write_text("half")
        time.sleep(0.02)
    (folder / "result").write_text("half and half")


def is_whole(folder):
    if (folder / "result").exists() and (folder / "result").read_text() != "half and half":
        raise ValueError("half of it")
    return 0.0


def test_losses_are_counted():
    counts = kill_work(Work("halves", nothing, write_in_two_halves, is_whole, lambda _: None), 2)
    assert counts.kills == 2
    assert any("half of it" in text for text in counts.examples)
