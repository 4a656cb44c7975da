"""Figures of predictions against their reference: parity, error histograms, errors per family.

Everything uses matplotlib's object-oriented interface: no global state, no display, safe in threads.
"""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib
import numpy as np
from ase.data import chemical_symbols
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PolyCollection
from matplotlib.colors import LogNorm, to_hex
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from mhdnn.evaluation.errors import CHARGE, ENERGY, FORCE, Errors, Quantity, compute_errors, residuals, values
from mhdnn.evaluation.predictions import Predictions
from mhdnn.evaluation.table import STATISTICS, format_number
from mhdnn.files import write_atomically

DOTS_PER_INCH = 160
SCATTER_LIMIT = 20_000
"""More points than this are drawn as a density: a scatter plot would be one blot."""
LEGEND_LIMIT = 12
"""Families beyond the largest ones share one colour, so that the legend stays readable."""
OTHERS = "others"
INK = "#30343b"
GRID = "#e4e7eb"
MAE_COLOR, RMSE_COLOR = "#3b6ea8", "#a9c4e0"
# Paul Tol's "bright" and "muted" schemes, distinguishable with colour blindness.
PALETTE = (
    "#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377",
    "#882255", "#44aa99", "#999933", "#332288", "#cc6677", "#117733",
)  # fmt: skip


def new_figure(width: float, height: float, title: str = "") -> Figure:
    """A figure that arranges its parts itself, with a left-aligned title; inches."""
    figure = Figure(figsize=(width, height), layout=ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.08))
    FigureCanvasAgg(figure)
    if title:
        figure.suptitle(title, color=INK, fontsize=11, fontweight="bold", x=0.015, ha="left")
    return figure


def save_figure(figure: Figure, path: Path) -> Path:
    """Write a PNG, creating its folder.

    :raises OutputError: if it can't be written
    """
    content = io.BytesIO()
    figure.savefig(content, dpi=DOTS_PER_INCH, format="png", facecolor="white")
    write_atomically(path, content.getvalue())
    return path


def style_axes(axes: Axes, grid: str = "both") -> None:
    """Thin spines, light grid behind the data, dark grey instead of black."""
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(INK)
        axes.spines[side].set_linewidth(0.8)
    axes.tick_params(which="both", colors=INK, labelsize=9, width=0.8)
    if grid:
        axes.grid(True, axis=grid, color=GRID, linewidth=0.7)  # type: ignore[arg-type]
    axes.set_axisbelow(True)


def label_axes(axes: Axes, x: str, y: str, title: str = "") -> None:
    """Axis labels and a left-aligned title in the common style."""
    axes.set_xlabel(x, color=INK, fontsize=10)
    axes.set_ylabel(y, color=INK, fontsize=10)
    if title:
        axes.set_title(title, color=INK, fontsize=11, fontweight="bold", loc="left")


def family_colors(families: Sequence[str]) -> dict[str, str]:
    """A colour for each family, the most frequent families first.

    Pass the families of all sets at once, so that one family has one colour in every figure.

    :param families: family of each structure, with repetitions
    """
    names, counts = np.unique(np.asarray(families, dtype=str), return_counts=True)
    ranked = [str(name) for name in names[np.argsort(-counts, kind="stable")]]
    if len(ranked) <= len(PALETTE):
        return dict(zip(ranked, PALETTE, strict=False))
    colors = matplotlib.colormaps["turbo"](np.linspace(0.05, 0.95, LEGEND_LIMIT))
    return {name: to_hex(colors[rank]) if rank < LEGEND_LIMIT else "#9aa0a8" for rank, name in enumerate(ranked)}


def plain(name: str, longest: int = 30) -> str:
    """A name as matplotlib shows it unchanged: no formulas, no hidden legend entries, not too long."""
    short = name if len(name) <= longest else name[: longest - 1] + "…"
    return (short.lstrip("_") or "unnamed").replace("$", r"\$")


def _padded(low: float, high: float, margin: float = 0.05) -> tuple[float, float]:
    """Axis limits with a margin; never of zero width, which matplotlib would warn about."""
    width = high - low
    if width <= 1e-9 * max(abs(low), abs(high), 1e-6):
        width = 0.1 * max(abs(low), abs(high), 1e-3)
        return low - width, high + width
    return low - margin * width, high + margin * width


def _points(predictions: Predictions, quantity: Quantity) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Reference and predicted components and what colours them, finite ones only, flat.

    Charges are coloured by element, everything else by family.

    Unit: eV/atom for energies, where meV/atom would give axes of many digits; else the quantity's.
    """
    pair = values(predictions, quantity)
    if pair is None:
        return np.empty(0), np.empty(0), np.empty(0, dtype=object)
    reference, predicted = pair
    names = np.array(predictions.families, dtype=object)
    if quantity is CHARGE:
        names = np.array(chemical_symbols, dtype=object)[predictions.atomic_numbers]
    elif quantity is FORCE:
        names = names[predictions.structure_index]
    scale = 1e-3 if quantity is ENERGY else 1.0
    finite = np.isfinite(reference) & np.isfinite(predicted)
    return reference[finite] * scale, predicted[finite] * scale, np.repeat(names, reference.shape[1])[finite.ravel()]


def _scatter(axes: Axes, x: np.ndarray, y: np.ndarray, names: np.ndarray, colors: Mapping[str, str]) -> None:
    """Points coloured by family, in random order: no family lies on top of all others."""
    order = np.random.default_rng(0).permutation(len(x))
    alpha = 0.85 if len(x) < 500 else 0.55 if len(x) < 5000 else 0.35
    axes.scatter(
        x[order],
        y[order],
        c=[colors[name] for name in names[order]],
        s=22 if len(x) < 500 else 9,
        alpha=alpha,
        linewidths=0,
        rasterized=True,
    )


def _density(
    axes: Axes, x: np.ndarray, y: np.ndarray, extent: tuple[float, float, float, float], rows: int
) -> PolyCollection:
    """Number of points per hexagon, logarithmic; returns what the colour bar describes."""
    return axes.hexbin(
        x,
        y,
        gridsize=(110, rows),
        extent=extent,
        norm=LogNorm(vmin=1, vmax=max(10, len(x) / 20), clip=True),
        mincnt=1,
        cmap="viridis",
        linewidths=0.1,
    )


def _legend(figure: Figure, names: np.ndarray, colors: Mapping[str, str], kind: str) -> None:
    """Families or elements beside the plot, largest first."""
    present = set(names.tolist())
    ranked = [name for name in colors if name in present]
    shown = ranked if len(colors) <= len(PALETTE) else ranked[:LEGEND_LIMIT]
    entries = [(name, colors[name]) for name in shown]
    if len(ranked) > len(shown):
        entries.append((OTHERS, colors[ranked[-1]]))
    handles = [
        Line2D([], [], marker="o", linestyle="", color=color, markersize=6, label=plain(name))
        for name, color in entries
    ]
    legend = figure.legend(
        handles=handles,
        labels=[handle.get_label() for handle in handles],
        loc="outside right upper",
        frameon=False,
        fontsize=9,
        labelcolor=INK,
        title=f"{len(ranked)} {kind}" if len(ranked) > 1 else None,
        title_fontsize=9,
        alignment="left",
    )
    legend.get_title().set_color(INK)


def parity_figure(
    predictions: Predictions, quantity: Quantity, title: str = "", colors: Mapping[str, str] | None = None
) -> Figure | None:
    """Predicted against reference values, and below the error against the reference.

    The lower panel is what tells models apart: on the upper one every decent model is a diagonal.
    Few points are coloured by family (charges: by element); more than `SCATTER_LIMIT` are shown as a density.

    :param colors: as from `family_colors`; from these predictions if None
    :return: None if there is nothing to draw
    """
    reference, predicted, names = _points(predictions, quantity)
    if reference.size == 0:
        return None
    unit, error_scale = ("eV/atom", 1e3) if quantity is ENERGY else (quantity.unit, 1.0)
    error = (predicted - reference) * error_scale
    figure = new_figure(6.6, 6.0)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    both = _padded(min(reference.min(), predicted.min()), max(reference.max(), predicted.max()))
    band = float(np.abs(error).max()) * 1.08 or 1e-6
    if reference.size > SCATTER_LIMIT:
        mapped = _density(upper, reference, predicted, (*both, *both), rows=54)
        _density(lower, reference, error, (*both, -band, band), rows=18)
        bar = figure.colorbar(mapped, ax=[upper, lower], shrink=0.55, aspect=28, pad=0.02)
        bar.set_label("points per hexagon", color=INK, fontsize=9)
        bar.ax.tick_params(colors=INK, labelsize=8)
        bar.outline.set_visible(False)
    else:
        if colors is None or quantity is CHARGE:
            colors = family_colors(names.tolist())
        _scatter(upper, reference, predicted, names, colors)
        _scatter(lower, reference, error, names, colors)
        _legend(figure, names, colors, "elements" if quantity is CHARGE else "families")
    upper.plot(both, both, color=INK, linewidth=0.9, linestyle=(0, (4, 3)), zorder=3)
    lower.axhline(0.0, color=INK, linewidth=0.9, linestyle=(0, (4, 3)), zorder=3)
    style_axes(upper)
    style_axes(lower)
    upper.set(xlim=both, ylim=both)
    lower.set_ylim(-band, band)
    upper.xaxis.set_major_locator(MaxNLocator(6))
    upper.yaxis.set_major_locator(MaxNLocator(6))
    label_axes(upper, "", f"Predicted ({unit})", title)
    label_axes(lower, f"Reference ({unit})", f"Error ({quantity.unit})")
    _annotate(upper, compute_errors(predictions), quantity)
    return figure


def _annotate(axes: Axes, errors: Errors, quantity: Quantity) -> None:
    lines = [
        f"{label} {format_number(errors.get(quantity.key(statistic)))} {quantity.unit}"
        for statistic, label in STATISTICS.items()
    ]
    axes.text(
        0.03, 0.97, "\n".join(lines), transform=axes.transAxes, va="top", fontsize=9.5, color=INK,
        linespacing=1.5, bbox={"facecolor": "white", "alpha": 0.85, "edgecolor": "none", "pad": 3},
    )  # fmt: skip


def histogram_figure(predictions: Predictions, quantities: Sequence[Quantity], title: str = "") -> Figure | None:
    """Distribution of the errors of each quantity that is there, side by side.

    Many points: logarithmic counts, or the tails would not be seen.

    :return: None if there is nothing to draw
    """
    found = []
    for quantity in quantities:
        difference = residuals(predictions, quantity)
        finite = np.empty(0) if difference is None else difference[np.isfinite(difference)]
        if finite.size:
            found.append((quantity, finite))
    if not found:
        return None
    figure = new_figure(4.2 * len(found), 3.4, title)
    for axes, (quantity, error) in zip(figure.subplots(1, len(found), squeeze=False)[0], found, strict=True):
        limit = float(np.abs(error).max()) * 1.02 or 1e-6
        # An odd number of bins has one centred on zero.
        bins = 2 * int(np.clip(math.sqrt(error.size), 5, 40)) + 1
        axes.hist(error, bins=bins, range=(-limit, limit), color=MAE_COLOR, linewidth=0)
        axes.axvline(0.0, color=INK, linewidth=0.9, linestyle=(0, (4, 3)))
        if error.size > 200:
            axes.set_yscale("log", nonpositive="clip")
            axes.set_ylim(bottom=0.5)
        else:
            axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
        axes.xaxis.set_major_locator(MaxNLocator(5))
        style_axes(axes, grid="y")
        label_axes(axes, f"{quantity.label} error ({quantity.unit})", "Count")
    return figure


def family_figure(errors: Mapping[str, Errors], quantities: Sequence[Quantity], title: str = "") -> Figure | None:
    """Horizontal bars of MAE and RMSE for each family, one panel per quantity.

    :param errors: as from `errors_by_family`
    :return: None if there is nothing to draw
    """
    shown = [q for q in quantities if any(q.key("mae") in entry for entry in errors.values())]
    if not shown:
        return None
    names = list(errors)
    position = np.arange(len(names))
    figure = new_figure(1.5 + 3.6 * len(shown), 1.5 + 0.42 * len(names), title)
    panels = figure.subplots(1, len(shown), sharey=True, squeeze=False)[0]
    for axes, quantity in zip(panels, shown, strict=True):
        for statistic, offset, color in (("mae", -0.19, MAE_COLOR), ("rmse", 0.19, RMSE_COLOR)):
            width = np.array([float(errors[name].get(quantity.key(statistic), 0.0)) for name in names])
            width[~np.isfinite(width)] = 0.0
            axes.barh(position + offset, width, height=0.36, color=color, label=STATISTICS[statistic])
        style_axes(axes, grid="x")
        axes.spines["left"].set_visible(False)
        axes.tick_params(axis="y", length=0)
        axes.xaxis.set_major_locator(MaxNLocator(5))
        label_axes(axes, f"{quantity.label} error ({quantity.unit})", "")
    panels[0].set_yticks(position, [plain(name) for name in names])
    panels[0].set_ylim(len(names) - 0.4, -0.6)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside right upper", frameon=False, fontsize=9)
    return figure
