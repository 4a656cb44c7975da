"""Errors as a table on the terminal."""

from __future__ import annotations

import math
from collections.abc import Mapping

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mhdnn.evaluation.errors import QUANTITIES

CALIBRATION = {
    "uncertainty_spearman": "Force uncertainty, rank correlation",
    "coverage_90": "Force errors in 90 % intervals",
    "energy_uncertainty_spearman": "Energy uncertainty, rank correlation",
    "energy_coverage_90": "Energy errors in 90 % intervals",
}
STATISTICS = {"mae": "MAE", "rmse": "RMSE"}


def format_number(value: float | int | None) -> str:
    """Four significant digits, whole numbers in full, an em dash for what is missing."""
    if value is None:
        return "—"
    if isinstance(value, int):
        return str(value)
    if not math.isfinite(value):
        return "diverged"
    if value == 0.0 or 1e-4 <= abs(value) < 1e5:
        digits = 3 if value == 0.0 else max(0, 3 - math.floor(math.log10(abs(value))))
        return f"{value:.{digits}f}"
    return f"{value:.3e}"


def print_errors(
    errors_by_set: Mapping[str, Mapping[str, float | int]],
    title: str = "Errors",
    console: Console | None = None,
) -> None:
    """Print one column of errors per set of structures.

    :param errors_by_set: for each set (``validation``, ``test``) the result of `compute_errors`
    :param console: where to print; standard output if None
    """
    table = Table(title=Text(title), box=box.SIMPLE_HEAD, title_justify="left", title_style="bold")
    table.add_column("")
    table.add_column("Unit", style="dim")
    for name in errors_by_set:
        table.add_column(Text(name), justify="right")

    def add_row(label: str, unit: str, key: str, end_section: bool = False) -> None:
        if any(key in errors for errors in errors_by_set.values()):
            cells = [format_number(errors.get(key)) for errors in errors_by_set.values()]
            table.add_row(label, unit, *cells, end_section=end_section)

    add_row("Structures", "", "num_structures")
    add_row("Atoms", "", "num_atoms", end_section=True)
    for quantity in QUANTITIES:
        for statistic, label in STATISTICS.items():
            add_row(f"{quantity.label} {label}", quantity.unit, quantity.key(statistic))
    for key, label in CALIBRATION.items():
        add_row(label, "", key)
    (console or Console()).print(table)
