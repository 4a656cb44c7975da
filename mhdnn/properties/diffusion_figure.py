"""Picture of diffusion: mean square displacements with their fits, and the Arrhenius line or the directions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mhdnn.evaluation.plots import INK, PALETTE, label_axes, new_figure, style_axes
from mhdnn.properties.diffusion_statistics import Arrhenius
from mhdnn.units import SQUARE_CENTIMETER_PER_SECOND_PER_SQUARE_ANGSTROM_PER_PICOSECOND as CM2_PER_S

if TYPE_CHECKING:
    from mhdnn.properties.diffusion import Diffusion


def diffusion_figure(results: Sequence[Diffusion], line: Arrhenius | None) -> Figure:
    """Mean square displacements; D over inverse temperature, or along x, y, z if there is no line."""
    figure = new_figure(10, 4.2, "Diffusion")
    left, right = figure.subplots(1, 2)
    for axes in (left, right):
        style_axes(axes)
    for number, result in enumerate(results):
        _draw_displacements(left, result, PALETTE[number % len(PALETTE)])
    left.set_xlim(0.0, None)
    left.set_ylim(0.0, None)
    left.legend(frameon=False, fontsize=9, loc="upper left")
    label_axes(left, "time, ps", "mean square displacement, Å²")
    if line is None:
        _draw_directions(right, results)
    else:
        _draw_arrhenius(right, results, line)
    return figure


def _draw_displacements(axes: Axes, result: Diffusion, color: str) -> None:
    found, total = result.found, result.found.means.sum(axis=1)
    axes.plot(found.times, total, "o", color=color, markersize=3, label=f"{result.temperature:g} K")
    if result.enough:
        ends = np.array(found.window)
        inside = (found.times >= ends[0]) & (found.times <= ends[1])
        slope = 6.0 * float(found.coefficient.value)
        axes.plot(ends, total[inside].mean() + slope * (ends - found.times[inside].mean()), color=color, linewidth=1.4)


def _draw_arrhenius(axes: Axes, results: Sequence[Diffusion], line: Arrhenius) -> None:
    """Error bars are 95 % intervals; the band is one standard error of the line."""
    known = [result for result in results if result.enough]
    inverse = np.array([1000.0 / result.temperature for result in known])
    values = CM2_PER_S * np.array([float(result.found.coefficient.value) for result in known])
    widths = CM2_PER_S * np.array([float(result.found.coefficient.half_width) for result in known])
    below = np.minimum(widths, 0.99 * values)
    axes.errorbar(inverse, values, [below, widths], fmt="o", color=PALETTE[0], markersize=4, capsize=3, label="95 %")
    fine = np.linspace(inverse.min(), inverse.max(), 50)
    fitted = [line.at(1000.0 / x) for x in fine]
    center = CM2_PER_S * np.array([value for value, _ in fitted])
    spread = np.exp([error for _, error in fitted])
    error = f" ± {line.energy_error:.2g}" if np.isfinite(line.energy_error) else ""
    axes.plot(fine, center, color=PALETTE[1], label=f"{line.energy:.3g}{error} eV")
    if np.isfinite(spread).all():
        axes.fill_between(fine, center / spread, center * spread, color=PALETTE[1], alpha=0.2, linewidth=0)
    for result in results:
        if not result.enough:
            axes.plot(1000.0 / result.temperature, CM2_PER_S * result.bound, "v", color="0.5", markersize=6)
    axes.set_yscale("log")
    axes.legend(frameon=False, fontsize=9, loc="upper right")
    label_axes(axes, "1000 K / T", "D, cm²/s")


def _draw_directions(axes: Axes, results: Sequence[Diffusion]) -> None:
    width = 0.8 / len(results)
    for number, result in enumerate(results):
        if not result.enough:
            continue
        tensor, places = result.found.tensor, np.arange(3) + width * (number - 0.5 * (len(results) - 1))
        heights = CM2_PER_S * np.diagonal(tensor.value)
        errors = CM2_PER_S * np.diagonal(tensor.half_width)
        axes.bar(places, heights, width, yerr=errors, color=PALETTE[number % len(PALETTE)], ecolor=INK, capsize=3)
    axes.set_xticks(range(3), ["x", "y", "z"])
    if not any(result.enough for result in results):
        axes.text(0.5, 0.5, "too few hops", transform=axes.transAxes, ha="center", color=INK)
        axes.set_xlim(-0.5, 2.5)
    axes.ticklabel_format(axis="y", style="sci", scilimits=(-2, 3))
    label_axes(axes, "direction (bars: 95 %)", "D, cm²/s")
