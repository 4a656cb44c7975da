"""One command with several calculators: each one's report, and a picture and numbers of all together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mhdnn.arguments import Key, call
from mhdnn.errors import ConfigError
from mhdnn.evaluation.plots import PALETTE, label_axes, new_figure, plain, style_axes
from mhdnn.properties.calculators import resolve_calculator
from mhdnn.properties.report import Report

FILE = "file"
"""Stands among the calculators for energies that are in the files."""
MOST_BARS = 4
MOST_MARKERS = 60
"""Curves of more points are lines alone."""
COMPARED_UNITS = {
    "_gpa": "GPa",
    "_j_per_m2": "J/m²",
    "_n_per_m": "N/m",
    "_v": "V",
    "_e": "e",
    "_ev": "eV",
    "_ev_per_metal_atom": "eV per metal atom",
    "_v_per_angstrom": "V/Å",
    "_percent": "%",
}
"""Single numbers whose names end so are drawn as bars where a report has no curves, with these units."""


def calculators_key(calculator: Key) -> Key:
    """The key ``calculators`` of a command that has the key ``calculator``."""
    files = ", or `file` for the energies in the files" if not calculator.required else ""
    return Key(
        "calculators",
        f"model files or `module:name` with commas between{files}",
        lambda text: [item.strip() for item in text.split(",")],
        True,
        None,
        "each is computed with, and all are drawn in one picture",
    )


def labels_of(names: Sequence[str]) -> list[str]:
    """Short names of calculators, all different: stems of files, names of classes."""
    labels: list[str] = []
    for name in names:
        short = Path(name).stem if Path(name).is_file() else name.rpartition(":")[2] or name
        number = sum(label == short or label.startswith(f"{short}_") for label in labels)
        labels.append(short if number == 0 else f"{short}_{number + 1}")
    return labels


def reports_of(
    function: Callable[..., Report], keys: Sequence[Key], values: Mapping[str, Any], names: Sequence[str]
) -> dict[str, Report]:
    """The report of each calculator by its label; journals and other files that the command writes get the label, too.

    :param keys: of the command
    :param values: of its keys, without the calculator
    :param names: model files or ``module:name``, or `FILE`
    :raises ConfigError: if one of them is none, or files are given where a calculator is needed
    """
    needed = next(key for key in keys if key.name == "calculator").required
    if needed and FILE in names:
        raise ConfigError("`calculators`: expected calculators, got `file`, but this command computes new structures")
    result = {}
    for name, label in zip(names, labels_of(names), strict=True):
        own = {**values, "calculator": None if name == FILE else resolve_calculator(name)}
        for key in keys:
            path = values.get(key.name, key.default)
            if isinstance(path, Path):
                own[key.name] = path.with_stem(f"{path.stem}_{label}")
        result[label] = call(function, own)
    return result


def comparison(reports: Mapping[str, Report]) -> Report:
    """Numbers of all reports side by side, their curves in common panels.

    :param reports: of one command, by the label of the calculator
    """
    first = next(iter(reports.values()))
    names = [name for name in first.values if all(_is_number(report.values.get(name)) for report in reports.values())]
    values = {"calculators": list(reports), **{name: [r.values[name] for r in reports.values()] for name in names}}
    warnings = [f"{label}: {text}" for label, report in reports.items() for text in report.warnings]
    return Report(first.name, values, comparison_figure(reports, names), warnings)


def comparison_figure(reports: Mapping[str, Report], names: Sequence[str]) -> Figure:
    """A panel for each curve, or bars of single numbers where there are none.

    :param names: of the numbers that all reports have
    """
    curves = list(dict.fromkeys(name for report in reports.values() for name in report.curves))
    bars = (
        []
        if curves
        else [name for name in names if name.endswith(tuple(COMPARED_UNITS)) and "error" not in name][:MOST_BARS]
    )
    number = max(1, len(curves) + len(bars))
    columns = min(3, number)
    rows = -(-number // columns)
    figure = new_figure(4.6 * columns, 3.8 * rows, next(iter(reports.values())).name.replace("_", " "))
    panels = np.ravel(figure.subplots(rows, columns, squeeze=False))
    for axes in panels:
        style_axes(axes)
    for axes, name in zip(panels, [*curves, *bars], strict=False):
        (_draw_curves if curves else _draw_bars)(axes, reports, name)
    for axes in panels[number:]:
        axes.set_visible(False)
    return figure


def _draw_curves(axes: Axes, reports: Mapping[str, Report], name: str) -> None:
    for color, (label, report) in zip(PALETTE, reports.items(), strict=False):
        if (curve := report.curves.get(name)) is not None:
            marker = "o-" if len(curve.x) < MOST_MARKERS else "-"
            axes.plot(curve.x, curve.y, marker, color=color, markersize=4, linewidth=1.4, label=plain(label))
            label_axes(axes, curve.x_label, curve.y_label)
    axes.legend(frameon=False, fontsize=9)


def _draw_bars(axes: Axes, reports: Mapping[str, Report], name: str) -> None:
    heights = [float(report.values[name]) for report in reports.values()]
    axes.bar([plain(label, 14) for label in reports], heights, color=PALETTE[: len(heights)], width=0.6)
    ending = max((unit for unit in COMPARED_UNITS if name.endswith(unit)), key=len)
    axes.grid(False, axis="x")
    label_axes(axes, "", f"{name.removesuffix(ending).replace('_', ' ')}, {COMPARED_UNITS[ending]}")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
