"""Pictures of a screening: a panel for each quantity, and correlations."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mhdnn.evaluation.plots import INK, PALETTE, label_axes, new_figure, plain, style_axes
from mhdnn.properties.screening.correlations import LEVEL, Correlation, correlations_of, fitted_line
from mhdnn.properties.screening.plan import Plan
from mhdnn.properties.screening.table import Quantity, Row, Table

WIDTH, ROW_HEIGHT, REST_HEIGHT = 4.0, 0.24, 1.35
"""Inches: of a panel, of a pair in it, of all else."""
MARKERS = "osD^vPX*"


def states_of(rows: Sequence[Row]) -> list[str]:
    """What ions are in, in the order of the table: contents, with the ion."""
    return list(dict.fromkeys(state_of(row) for row in rows))


def state_of(row: Row) -> str:
    """The ions of a row in words."""
    return f"{row.cell.content:g} {row.cell.ion}" if row.cell.ion else "without ions"


def pair_of(row: Row) -> str:
    """Name of a pair."""
    return f"{row.cell.material} / {row.cell.partner}"


def quantity_figure(table: Table, plan: Plan, column: str, quantity: Quantity) -> Figure:
    """All pairs one below the other; contents by colour, calculators by marker, published numbers as stars."""
    pairs = {pair_of(row) for row in table.rows}
    figure = new_figure(WIDTH, REST_HEIGHT + ROW_HEIGHT * len(pairs))
    axes = figure.subplots()
    _draw_quantity(axes, table, plan, column, quantity)
    if axes.get_legend_handles_labels()[0]:
        figure.legend(loc="outside upper left", ncols=2 if len(plan.calculators) > 1 else 3, frameon=False, fontsize=8)
    return figure


def _draw_quantity(axes: Axes, table: Table, plan: Plan, column: str, quantity: Quantity) -> None:
    style_axes(axes)
    pairs = list(dict.fromkeys(pair_of(row) for row in table.rows))
    states = states_of(table.rows)
    for number, calculator in enumerate(plan.calculators):
        for place, state in enumerate(states):
            chosen = [
                row
                for row in table.rows
                if column in row.values and row.cell.calculator == calculator and state_of(row) == state
            ]
            axes.plot(
                [row.values[column] for row in chosen],
                [pairs.index(pair_of(row)) for row in chosen],
                MARKERS[number % len(MARKERS)],
                color=PALETTE[place % len(PALETTE)],
                markersize=5,
                alpha=0.85,
                label=plain(f"{state}, {calculator}" if len(plan.calculators) > 1 else state),
            )
    _draw_published(axes, plan, column, pairs)
    axes.set_yticks(range(len(pairs)), [plain(pair) for pair in pairs])
    axes.set_ylim(len(pairs) - 0.5, -0.5)
    label_axes(axes, f"{quantity.name}, {quantity.unit}", "")


def _draw_published(axes: Axes, plan: Plan, column: str, pairs: Sequence[str]) -> None:
    label = "published"
    for one in plan.published:
        pair = f"{one.material} / {one.partner}"
        if one.quantity == column and pair in pairs:
            axes.plot(one.value, pairs.index(pair), "*", color=INK, markersize=9, markerfacecolor="none", label=label)
            label = "_again"


def correlation_figure(correlation: Correlation, calculator: str) -> Figure:
    """Points, the line of least squares, and the band in which it lies."""
    figure = new_figure(WIDTH, 3.6)
    _draw_correlation(figure.subplots(), correlation, calculator)
    return figure


def _draw_correlation(axes: Axes, correlation: Correlation, calculator: str) -> None:
    style_axes(axes)
    axes.plot(correlation.x, correlation.y, "o", color=PALETTE[0], markersize=5, alpha=0.85)
    if correlation.coefficient is not None:
        fine = np.linspace(correlation.x.min(), correlation.x.max(), 100)
        line, width = fitted_line(correlation.x, correlation.y, fine)
        axes.plot(fine, line, color=PALETTE[1], linewidth=1.2)
        axes.fill_between(
            fine, line - width, line + width, color=PALETTE[1], alpha=0.15, linewidth=0, label=f"{100 * LEVEL:.0f} %"
        )
    label_axes(
        axes,
        f"{correlation.first.name}, {correlation.first.unit}",
        f"{correlation.second.name}, {correlation.second.unit}",
    )
    axes.set_title(f"{plain(calculator)}: {correlation}", color=INK, fontsize=9, loc="left")


def overview_figure(table: Table, plan: Plan) -> Figure:
    """The picture of the report: quantities on one sheet, work of separation first."""
    shown = table.shown
    correlations = [(label, one) for label in plan.calculators for one in correlations_of(table, label)]
    number = max(1, len(shown) + len(correlations))
    columns = min(3, number)
    rows = -(-number // columns)
    pairs = len({pair_of(row) for row in table.rows})
    height = max(3.4, REST_HEIGHT + ROW_HEIGHT * pairs)
    figure = new_figure(WIDTH * columns, height * rows, f"Screening: {len(table.rows)} interfaces")
    grid = np.ravel(figure.subplots(rows, columns, squeeze=False))
    for axes, (column, quantity) in zip(grid, shown, strict=False):
        _draw_quantity(axes, table, plan, column, quantity)
    for axes, (label, correlation) in zip(grid[len(shown) :], correlations, strict=False):
        _draw_correlation(axes, correlation, label)
    for axes in grid[len(shown) + len(correlations) :]:
        axes.set_visible(False)
    handles, labels = grid[0].get_legend_handles_labels()
    if handles:
        figure.legend(handles, labels, loc="outside lower left", ncols=6, frameon=False, fontsize=9)
    return figure
