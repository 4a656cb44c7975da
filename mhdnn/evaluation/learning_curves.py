"""Learning curves from the metrics.csv that Lightning's CSV logger writes."""

from __future__ import annotations

import csv
import math
import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter, MaxNLocator

from mhdnn.errors import DataError
from mhdnn.evaluation.plots import INK, label_axes, new_figure, style_axes

STAGE_COLORS = {"train": "#4477aa", "validation": "#ee6677", "": "#228833"}
LINE_STYLES = ("-", (0, (4, 2)), (0, (1, 1.5)), (0, (6, 2, 1, 2)))
PANELS_PER_ROW = 3
PREFIX = re.compile(r"^(train|validation|valid|val)[_/](.+)$")
# Longest first: "_e" ends many a name.
UNITS = {
    "_mev_per_atom": "meV/atom",
    "_ev_per_angstrom": "eV/Å",
    "_ev_per_atom": "eV/atom",
    "_gpa": "GPa",
    "_e": "e",
}
KINDS = ("loss", "energy", "force", "stress", "charge")


@dataclass(frozen=True)
class Curve:
    """One column of the file, averaged over each epoch.

    :param panel: curves with the same panel share axes: kind of quantity and its unit
    :param stage: ``train``, ``validation`` or empty
    :param name: what distinguishes it from others of its panel
    :param epoch: shape (num_points,), int
    :param value: shape (num_points,)
    """

    panel: tuple[str, str]
    stage: str
    name: str
    epoch: np.ndarray
    value: np.ndarray


def _number(cell: str | None) -> float:
    """The number in a cell; NaN if empty, or cut short because the run was stopped while writing."""
    try:
        return float(cell or math.nan)
    except ValueError:
        return math.nan


def _read_columns(path: Path) -> dict[str, dict[int, list[float]]]:
    """Finite numbers of each column by epoch; Lightning leaves most cells of a row empty."""
    columns: dict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    with path.open(newline="", encoding="utf-8") as stream:
        reader = csv.DictReader(stream)
        if "epoch" not in (reader.fieldnames or ()):
            raise DataError(f"{path}: expected a column `epoch`, as Lightning's CSV logger writes")
        rows = list(reader)
    epoch: int | None = None
    # The learning-rate monitor logs at the start of an epoch, in rows that don't say which: read from
    # the end, they belong to the epoch of the next row that does.
    for row in reversed(rows):
        if row["epoch"]:
            epoch = int(float(row["epoch"]))
        if epoch is None:
            continue
        for name, cell in row.items():
            number = math.nan if name in (None, "epoch", "step") else _number(cell)
            if math.isfinite(number):
                columns[name][epoch].append(number)
    return columns


def _classify(column: str) -> tuple[tuple[str, str], str, str] | None:
    """Panel, stage and name of a column; None for what is no learning curve."""
    if column.startswith("lr-") or column == "lr" or "learning_rate" in column:
        return ("learning rate", ""), "", "" if column in ("lr", "learning_rate") else column
    match = PREFIX.match(column)
    if match is None:
        return None
    stage = "train" if match[1] == "train" else "validation"
    name = match[2].removesuffix("_epoch").replace("/", "_")
    unit = ""
    for suffix, symbol in UNITS.items():
        if name.endswith(suffix):
            name, unit = name.removesuffix(suffix), symbol
            break
    kind = next((kind for kind in KINDS if kind in name), name)
    # The axis already says which quantity it is.
    rest = "" if kind == name else " ".join(word for word in name.split("_") if word != kind)
    return (kind, unit), stage, rest.replace("rmse", "RMSE").replace("mae", "MAE")


def _same_values(one: Curve, other: Curve) -> bool:
    return one.panel == other.panel and np.array_equal(one.value, other.value)


def read_curves(path: Path) -> list[Curve]:
    """All learning curves of a metrics.csv.

    Any column ``train_…``, ``validation_…`` or ``val_…`` and the learning rate is one; a unit is taken
    from the end of its name (``_mev_per_atom``, ``_ev_per_angstrom``, ``_gpa``).

    :raises DataError: if the file has no column ``epoch``
    """
    columns = _read_columns(path)
    curves: list[Curve] = []
    for column, by_epoch in columns.items():
        # Where a quantity is logged per step and per epoch, the epoch's value is the better one.
        if column.endswith("_step") and column.removesuffix("_step") + "_epoch" in columns:
            continue
        found = _classify(column)
        if found is None:
            continue
        panel, stage, name = found
        epochs = sorted(by_epoch)
        means = np.array([np.mean(by_epoch[epoch]) for epoch in epochs])
        curve = Curve(panel, stage, name, np.array(epochs), means)
        # Parameter groups that differ in weight decay only have one learning rate.
        if stage or not any(_same_values(curve, other) for other in curves):
            curves.append(curve)
    order = {kind: rank for rank, kind in enumerate(KINDS)}
    order["learning rate"] = len(order) + 1
    return sorted(curves, key=lambda c: (order.get(c.panel[0], len(KINDS)), c.panel, c.name, c.stage))


class PlainLogFormatter(LogFormatter):
    """Labels of a logarithmic axis as plain numbers: 0.4 instead of 4×10⁻¹."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        return f"{x:g}" if super().__call__(x, pos) else ""


def _draw_panel(axes: Axes, panel: tuple[str, str], curves: list[Curve]) -> None:
    names = sorted({curve.name for curve in curves})
    positive = False
    for curve in curves:
        value = np.where(curve.value > 0.0, curve.value, np.nan)
        drawable = not np.isnan(value).all()
        positive |= drawable
        stage_names = " ".join(part for part in (curve.stage, curve.name if len(names) > 1 else "") if part)
        axes.plot(
            curve.epoch,
            value if drawable else curve.value,
            color=STAGE_COLORS[curve.stage],
            linestyle=LINE_STYLES[names.index(curve.name) % len(LINE_STYLES)],
            linewidth=1.4,
            # A line through one point is invisible.
            marker="o" if len(curve.epoch) < 3 else None,
            markersize=4,
            label=stage_names or panel[0],
        )
    if positive:
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(PlainLogFormatter())
        axes.yaxis.set_minor_formatter(PlainLogFormatter(labelOnlyBase=False, minor_thresholds=(1.0, 0.3)))
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    style_axes(axes)
    kind, unit = panel
    label_axes(axes, "Epoch", f"{kind.capitalize()} ({unit})" if unit else kind.capitalize())
    if len(curves) > 1:
        axes.legend(fontsize=8, labelcolor=INK, facecolor="white", framealpha=0.85, edgecolor="none")


def learning_figure(path: Path, title: str = "") -> Figure | None:
    """All learning curves of a metrics.csv, one panel per kind of quantity, logarithmic.

    :return: None if the file has no curve
    :raises DataError: if the file has no column ``epoch``
    """
    panels: dict[tuple[str, str], list[Curve]] = defaultdict(list)
    for curve in read_curves(path):
        panels[curve.panel].append(curve)
    if not panels:
        return None
    columns = 2 if len(panels) == 4 else min(PANELS_PER_ROW, len(panels))
    rows = math.ceil(len(panels) / columns)
    figure = new_figure(4.2 * columns, 3.2 * rows, title)
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, (panel, curves) in zip(grid, panels.items(), strict=False):
        _draw_panel(axes, panel, curves)
    for axes in grid[len(panels) :]:
        axes.set_visible(False)
    return figure
