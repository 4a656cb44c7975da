"""The page of a loop: errors of each round on the fixed test set, labels, grades of the exploration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mhdnn.active.plan import Plan
from mhdnn.evaluation.errors import ENERGY, FORCE, Errors, Quantity
from mhdnn.evaluation.learning_curves import PlainLogFormatter
from mhdnn.evaluation.page import html_figure, html_page, html_section, html_table
from mhdnn.evaluation.plots import PALETTE, label_axes, new_figure, save_figure, style_axes
from mhdnn.evaluation.report import errors_table
from mhdnn.evaluation.table import format_number
from mhdnn.files import write_text_atomically


@dataclass(frozen=True)
class Round:
    """What is to be told of a round.

    :param is_final: whether its training has the last settings
    :param num_labels: that training and validation have
    :param num_test: structures of the test set
    :param num_computed: structures that the oracle was asked for so far, failures and the test set included
    :param errors: on the test set, as from `mhdnn.evaluation.errors.compute_errors`
    :param limit: grade up to which its model is trusted, eV/Å
    :param trajectories: by name, as from `Trajectory.summary`
    """

    number: int
    is_final: bool
    num_labels: int
    num_test: int
    num_computed: int
    errors: Errors
    limit: float
    trajectories: dict[str, dict[str, Any]]

    @property
    def largest_grade(self) -> float:
        """Of all trajectories, eV/Å; infinite where one came to a number that is none."""
        grades = [one["largest_grade"] for one in self.trajectories.values()]
        return max(float("inf") if grade is None else float(grade) for grade in grades)

    @property
    def num_trusted(self) -> int:
        """Trajectories that stayed below the limit."""
        return sum(one["is_trusted"] for one in self.trajectories.values())

    @property
    def is_trusted(self) -> bool:
        """Whether all did."""
        return self.num_trusted == len(self.trajectories)

    @property
    def name(self) -> str:
        """Its number, and whether its training is one of the last."""
        return f"{self.number}, final" if self.is_final else f"{self.number}"

    def __str__(self) -> str:
        return (
            f"round {self.name}: {self.num_labels} labels, test: {in_words(self.errors)}; {self.num_trusted} of "
            f"{len(self.trajectories)} trajectories trusted, largest grade {self.largest_grade:.3g}, limit "
            f"{self.limit:.3g} eV/Å"
        )


def in_words(errors: Errors) -> str:
    """Errors of energies and forces."""
    return ", ".join(
        f"{quantity.name} RMSE {format_number(errors.get(quantity.key('rmse')))} {quantity.unit}"
        for quantity in (ENERGY, FORCE)
    )


def write_report(folder: Path, rounds: Sequence[Round], reason: str, plan: Plan) -> Path:
    """Write report.html and its picture rounds.png; returns the path of the page.

    :param reason: why the loop has stopped, or that it goes on
    """
    picture = save_figure(rounds_figure(rounds), folder / "rounds.png")
    last = rounds[-1]
    summary = {
        "state": reason,
        "oracle": plan.calculator,
        "structures": ", ".join(plan.structures),
        "labels": f"{last.num_labels} to train and validate, {last.num_test} to test",
        "computed": f"{last.num_computed} structures of at most {plan.max_labels}",
        "model": str(folder / "model.pt"),
    }
    by_round = {one.name: one.errors for one in rounds}
    parts = [
        ("summary", "Summary", html_table(["", ""], list(summary.items()), text_columns=2)),
        ("rounds", "Rounds", html_figure(picture.read_bytes(), "Errors and grades of each round") + _rounds(rounds)),
        ("errors", "Errors on the test set", errors_table("Round", by_round)),
        ("exploration", "Exploration of the last round", _trajectories(last)),
    ]
    maps = [_map(folder, number) for number in sorted({one.number for one in rounds} - {0})]
    if any(maps):
        parts.append(("selection", "What was chosen", f'<div class="figures">\n{"".join(maps)}</div>'))
    page = html_page(
        f"Learning: {folder.name}",
        {anchor: heading for anchor, heading, _ in parts},
        "".join(html_section(*part) for part in parts),
    )
    path = folder / "report.html"
    write_text_atomically(path, page)
    return path


def _rounds(rounds: Sequence[Round]) -> str:
    heads = ["Round", "Labels", "Computed", "Trajectories trusted", "Largest grade (eV/Å)", "Limit (eV/Å)"]
    rows = [
        (
            one.name, one.num_labels, one.num_computed, f"{one.num_trusted} of {len(one.trajectories)}",
            one.largest_grade, one.limit,
        )
        for one in rounds
    ]  # fmt: skip
    return html_table(heads, rows)


def _trajectories(last: Round) -> str:
    heads = ["Trajectory", "Ended", "Steps", "Largest grade (eV/Å)", "First step above the limit"]
    rows = [
        (name, one["ended"], one["num_steps"], one["largest_grade"], one["first_above"])
        for name, one in last.trajectories.items()
    ]
    return html_table(heads, rows, text_columns=2)


def _map(folder: Path, number: int) -> str:
    """The map of what a round chose, as `mhdnn data select` draws it."""
    path = folder / f"round_{number:02d}" / "selected.png"
    return html_figure(path.read_bytes(), f"Chosen for round {number}") if path.is_file() else ""


def rounds_figure(rounds: Sequence[Round]) -> Figure:
    """Errors against labels, and grades against rounds."""
    figure = new_figure(11.0, 3.4)
    force, energy, grades = figure.subplots(1, 3)
    for axes, quantity, color in ((force, FORCE, PALETTE[0]), (energy, ENERGY, PALETTE[2])):
        _draw_errors(axes, rounds, quantity, color)
    numbers = range(len(rounds))
    grades.plot(numbers, [one.largest_grade for one in rounds], "o-", color=PALETTE[1], label="largest grade")
    grades.plot(numbers, [one.limit for one in rounds], "s--", color=PALETTE[0], label="limit")
    grades.set_yscale("log")
    grades.yaxis.set_major_formatter(PlainLogFormatter())
    grades.yaxis.set_minor_formatter(PlainLogFormatter(labelOnlyBase=False, minor_thresholds=(1.0, 0.3)))
    grades.set_xticks(numbers, [one.name.replace(", ", "\n") for one in rounds])
    grades.legend(frameon=False, fontsize=9)
    style_axes(grades)
    label_axes(grades, "Round", "Grade (eV/Å)")
    return figure


def _draw_errors(axes: Axes, rounds: Sequence[Round], quantity: Quantity, color: str) -> None:
    known = [(one.num_labels, one.errors[quantity.key("rmse")]) for one in rounds if quantity.key("rmse") in one.errors]
    if known:
        axes.plot(*zip(*known, strict=True), "o-", color=color)
        axes.set_ylim(0.0, 1.08 * max(error for _, error in known) or 1.0)
    style_axes(axes)
    label_axes(axes, "Labels", f"{quantity.label} RMSE, test ({quantity.unit})")
