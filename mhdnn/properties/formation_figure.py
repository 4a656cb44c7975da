"""Pictures of formation energies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mhdnn.evaluation.plots import PALETTE, label_axes, new_figure, style_axes
from mhdnn.properties.interphase import Composition, Growth


def interphase_figure(
    values: dict[str, Any], composition: Composition, times: np.ndarray | None, growth: Growth | None
) -> Figure:
    """Formation energy against distance or width, against the stress, the last composition, products or growth.

    The energy of a single structure is told in the title.

    :param values: of the report
    :param composition: of the last structure
    :param times: of the structures, ps, if they are a trajectory
    """
    energies = np.asarray(values["interphase_formation_energies_ev"])
    reacted = values["is_reacted"]
    several = len(energies) > 1
    panels = [("width of the reacted zone, Å" if any(reacted) else "distance, Å", values[_axis(values)])]
    panels = panels if several else []
    if values["stress_n_per_m"] is not None and several:
        panels.append(("in-plane force per length, N/m", np.mean(np.asarray(values["stress_n_per_m"])[:, :2], axis=1)))
    columns = len(panels) + 1 + (growth is not None)
    title = "Interphase formation energy" if several else f"Interphase formation energy: {energies[0]:.3f} eV"
    figure = new_figure(4.4 * max(columns, 1.3), 3.8, title)
    axes = figure.subplots(1, columns, squeeze=False)[0]
    for place, (label, x) in zip(axes, panels, strict=False):
        style_axes(place)
        order = np.argsort(x)
        place.plot(np.asarray(x)[order], energies[order], "o-", color=PALETTE[0], markersize=4)
        label_axes(place, label, "formation energy, eV")
    if growth is not None and times is not None:
        _draw_growth(axes[len(panels)], times, np.asarray(values["widths_angstrom"]), growth)
    _draw_composition(axes[-1], composition)
    return figure


def _axis(values: dict[str, Any]) -> str:
    return "widths_angstrom" if any(values["is_reacted"]) else "distances_angstrom"


def _draw_growth(axes: Axes, times: np.ndarray, widths: np.ndarray, growth: Growth) -> None:
    style_axes(axes)
    axes.plot(times, widths**2, "o", color=PALETTE[2], markersize=4)
    offset = np.mean(widths**2 - 2.0 * growth.constant * times)
    axes.plot(times, offset + 2.0 * growth.constant * times, color=PALETTE[1], label=f"k = {growth.constant:.3g} Å²/ps")
    axes.legend(frameon=False, fontsize=9)
    label_axes(axes, "time, ps", "width², Å²")


def _draw_composition(axes: Axes, composition: Composition) -> None:
    style_axes(axes)
    heights = composition.heights - composition.heights[0]
    axes.fill_between(
        heights, composition.electrode, color=PALETTE[0], alpha=0.5, linewidth=0, label="of the electrode"
    )
    axes.fill_between(
        heights, composition.electrolyte, color=PALETTE[1], alpha=0.5, linewidth=0, label="of the electrolyte"
    )
    axes.legend(frameon=False, fontsize=9)
    label_axes(axes, "height, Å", "atoms per Å³ (last structure)")


def sei_figure(formulas: Sequence[str], energies: np.ndarray) -> Figure:
    """Energies per metal atom as bars."""
    figure = new_figure(5.5, 1.5 + 0.4 * len(formulas), "SEI formation energy")
    axes = figure.subplots()
    style_axes(axes, grid="x")
    places = np.arange(len(formulas))
    axes.barh(places, energies, color=PALETTE[0], height=0.6)
    axes.set_yticks(places, formulas)
    label_axes(axes, "eV per metal atom", "")
    return figure
