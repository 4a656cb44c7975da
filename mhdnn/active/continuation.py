"""A loop that goes on, with other settings where nothing that is done depends on them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mhdnn.active.plan import CHANGEABLE, EXPLORING
from mhdnn.errors import ConfigError
from mhdnn.properties.journal import Journal, differences_of, read_journal
from mhdnn.properties.report import plain

FINAL = "final"
"""In the names of steps of trainings with the last settings, and of their explorations."""


def opened(path: Path, settings: dict[str, Any], changed: bool) -> tuple[Journal, list[str]]:
    """The journal of a loop, and what its settings differ in from those that it had, in words.

    :param settings: what the results depend on
    :param changed: whether those of `CHANGEABLE` may differ; what is done stays, but with other ones of `EXPLORING` the
        exploration of the last round
    :raises ConfigError: if it is of another loop, or settings differ that must not
    """
    if not path.exists():
        return Journal(path, settings), []
    before, results = read_journal(path)
    wanted = plain(settings)
    old = {key: before[key] for key in CHANGEABLE if key in before}
    differences = differences_of({key: wanted[key] for key in CHANGEABLE}, old)
    if differences and not changed:
        told = ", ".join(f"`{key}` {value} (there: {there})" for key, value, there in differences)
        raise ConfigError(
            f"{path}: these settings differ from those of the folder: {told}; continue with those, go on with the new "
            "ones by changed=true, or choose another `folder`"
        )
    journal = Journal(path, settings | old)  # refuses whatever else differs
    if differences:
        journal.settings = wanted
        if any(key.startswith(EXPLORING) for key, _, _ in differences):
            for key in of_last_exploration(journal.results):
                del journal.results[key]
        journal.write()
    return journal, [f"`{key}` {value}, was {there}" for key, value, there in differences]


def of_last_exploration(results: dict[str, Any]) -> list[str]:
    """Steps of the last exploration and of what was not chosen after it; none if it has been followed."""
    rounds = [int(key.split()[1].rstrip(":")) for key in results if key.startswith("round")]
    trainings = ("training", f"{FINAL} training")
    last = max((one for one in rounds if any(f"round {one}: {name}" in results for name in trainings)), default=None)
    if last is None or results.get(f"round {last + 1}: selection", {}).get("num"):
        return []
    kept = [f"round {last}: {name}" for name in ("pool", "selection", "labels", "training set", *trainings)]
    own = [key for key in results if key.startswith(f"round {last}: ") and key not in kept]
    return own + [key for key in results if key.startswith(f"round {last + 1}: ")]
