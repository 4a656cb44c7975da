"""Picture of an intercalation electrode: hull, voltage profile, volume, cell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mhdnn.evaluation.plots import INK, PALETTE, label_axes, new_figure, style_axes

if TYPE_CHECKING:
    from mhdnn.properties.voltage import Intercalation, Plateau


def voltage_figure(states: Intercalation, plateaus: Sequence[Plateau]) -> Figure:
    """Formation energies with the hull; the voltage with the volume; and a, b, c and the angles, against x."""
    figure = new_figure(13, 4.0, f"{states.ion} in {states.host}")
    hull, profile, cell = figure.subplots(1, 3)
    x_label = f"x in {states.ion}$_x${states.host}"
    stable, ions = states.stable, states.ions
    for axes in (hull, profile, cell):
        style_axes(axes)
    hull.plot(
        ions, states.formation_energies, "o", color=PALETTE[0], markersize=4, fillstyle="none", label="structures"
    )
    hull.plot(ions[stable], states.formation_energies[stable], "o-", color=PALETTE[1], markersize=5, label="hull")
    hull.legend(frameon=False, fontsize=9)
    label_axes(hull, x_label, "formation energy, eV per formula unit")
    profile.step(
        [plateau.charged for plateau in plateaus] + [plateaus[-1].discharged],
        [plateau.voltage for plateau in plateaus] + [plateaus[-1].voltage],
        where="post",
        color=PALETTE[2],
        linewidth=1.8,
    )
    label_axes(profile, x_label, f"voltage against {states.ion}, V")
    profile.yaxis.label.set_color(PALETTE[2])
    if np.isfinite(states.volumes).any():
        _draw_volumes(profile, states)
    _draw_cells(cell, states, x_label)
    return figure


def _draw_volumes(profile: Axes, states: Intercalation) -> None:
    """Changes of the volume on a second axis: of all structures, and of those on the hull."""
    axes = profile.twinx()
    first = states.volumes[states.stable[0]]
    axes.plot(
        states.ions, 100.0 * (states.volumes / first - 1.0), "o", color=PALETTE[5], markersize=4, fillstyle="none"
    )
    axes.plot(states.ions[states.stable], 100.0 * states.volume_changes, "o--", color=PALETTE[5], markersize=5)
    style_axes(axes, grid="")
    axes.spines["right"].set_visible(True)
    label_axes(axes, "", "change of volume, %")
    axes.yaxis.label.set_color(PALETTE[5])


def _draw_cells(axes: Axes, states: Intercalation, x_label: str) -> None:
    """Changes of lengths (left axis) and angles (right axis) on the hull."""
    ions, changes = states.ions[states.stable], states.cell_changes
    if not np.isfinite(changes).all():
        axes.text(0.5, 0.5, "cells of different size", transform=axes.transAxes, ha="center", color=INK, fontsize=10)
        label_axes(axes, x_label, "")
        return
    angles = axes.twinx()
    style_axes(angles, grid="")
    angles.spines["right"].set_visible(True)
    for number, name in enumerate(("a", "b", "c")):
        axes.plot(ions, 100.0 * changes[:, number], "o-", color=PALETTE[number], markersize=5, label=name)
    for number, name in enumerate(("α", "β", "γ")):
        angles.plot(ions, changes[:, 3 + number], "s:", color=PALETTE[3 + number], markersize=4, label=name)
    lines = [*axes.get_lines(), *angles.get_lines()]
    axes.legend(handles=lines, frameon=False, fontsize=9, ncols=2)
    label_axes(axes, x_label, "change of lengths, %")
    label_axes(angles, "", "change of angles, degree")
