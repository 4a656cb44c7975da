"""Damaged files and kills, all of them or a few; exit status 1 if one does what it must not."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from scripts.robustness.batches import Counts, run_batch
from scripts.robustness.kills import KillCounts, run_kills
from scripts.robustness.targets import targets
from scripts.robustness.works import works

MUTATIONS, KILLS = 525, 11
SHORT_MUTATIONS, SHORT_KILLS = 12, 1
PROCESSES = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the tables; returns the exit status."""
    parser = argparse.ArgumentParser(prog="scripts/robustness.sh", description=__doc__)
    parser.add_argument("--short", action="store_true", help="a few of each, in a minute")
    parser.add_argument("--mutations", type=int, help="of each kind of file")
    parser.add_argument("--kills", type=int, help="of each kind of work")
    parser.add_argument("--work", choices=[work.name for work in works()], help="the only one that is killed")
    chosen = parser.parse_args(arguments)
    mutations = chosen.mutations if chosen.mutations is not None else (SHORT_MUTATIONS if chosen.short else MUTATIONS)
    kills = chosen.kills if chosen.kills is not None else (SHORT_KILLS if chosen.short else KILLS)
    with ThreadPoolExecutor(PROCESSES) as pool:
        counts = list(pool.map(lambda target: run_batch(target, mutations), targets() if mutations else []))
    print_mutations(counts)
    killed = run_kills(kills, chosen.work) if kills else []
    print_kills(killed)
    examples = [text for item in (*counts, *killed) for text in item.examples]
    for text in examples[:40]:
        print(text)
    return 1 if examples else 0


def print_mutations(counts: list[Counts]) -> None:
    """One line for each kind of file, and their sum."""
    columns = ("mutations", "own", "accepted", "changed", "escaped", "hung")
    heads = ("mutations", "own errors", "accepted", "accepted, changed", "escaped", "hung")
    print(f"{'damaged files':24s}" + "".join(f"{head:>19s}" for head in heads))
    for item in counts:
        print(f"{item.target:24s}" + "".join(f"{getattr(item, column):19d}" for column in columns))
    print(f"{'all':24s}" + "".join(f"{sum(getattr(item, column) for item in counts):19d}" for column in columns))


def print_kills(counts: list[KillCounts]) -> None:
    """One line for each kind of work, and their sum."""
    print(f"\n{'killed work':24s}{'kills':>19s}{'losses':>19s}")
    for item in counts:
        print(f"{item.work:24s}{item.kills:19d}{len(item.examples):19d}")
    print(f"{'all':24s}{sum(item.kills for item in counts):19d}{sum(len(item.examples) for item in counts):19d}")


if __name__ == "__main__":
    sys.exit(main())
