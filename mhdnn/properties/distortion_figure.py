"""Picture of distorted polyhedra, blocks and tunnels against the state of charge."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mhdnn.evaluation.plots import PALETTE, label_axes, new_figure, style_axes

PANELS = {
    "quadratic_elongation": ("quadratic elongation", 2e-3),
    "bond_angle_variance_square_degrees": ("bond-angle variance, degree²", 2.0),
    "off_centring_angstrom": ("off-centring, Å", 0.02),
    "bond_length_variance": ("bond-length variance", 2e-4),
}
"""What is drawn of polyhedra: its axis, and the least that it spans, so that round-off is not drawn as scatter."""


def distortion_figure(values: dict[str, Any]) -> Figure:
    """Measures of all polyhedra and their means by kind; blocks and tunnels if several states differ in charge.

    One state is drawn by kinds of polyhedra instead.

    :param values: of `distortion_report`
    """
    charges = np.array(values["ions_per_center"])
    several = len(charges) > 1
    sizes = _size_panels(values) if several else []
    columns = 3 if sizes else 2
    figure = new_figure(4.6 * columns, 6.4, "Distortion of polyhedra")
    grid = figure.add_gridspec(2, columns)
    for number, (key, (label, span)) in enumerate(PANELS.items()):
        axes = figure.add_subplot(grid[number // 2, number % 2])
        style_axes(axes)
        (_draw_states if several else _draw_kinds)(axes, values, key)
        low, high = axes.get_ylim()
        axes.set_ylim(min(low, 0.5 * (low + high - span)), max(high, 0.5 * (low + high + span)))
        axes.ticklabel_format(axis="y", useOffset=False)
        label_axes(axes, f"{values['ion']} per centre" if several else "centre and number of ligands", label)
        if number == 0 and several:
            axes.legend(frameon=False, fontsize=9)
    for number, (label, curves) in enumerate(sizes):
        axes = figure.add_subplot(grid[number, 2])
        style_axes(axes)
        _draw_sizes(axes, charges, curves)
        label_axes(axes, f"{values['ion']} per centre", label)
    return figure


def _draw_states(axes: Axes, values: dict[str, Any], key: str) -> None:
    charges = np.array(values["ions_per_center"])
    order = np.argsort(charges, kind="stable")
    for color, (kind, means) in zip(PALETTE, values["kinds"].items(), strict=False):
        for state in values["states"]:
            shown = _of_kind(state, kind, key)
            place = [state["ions_per_center"]] * len(shown)
            axes.plot(place, shown, "o", color=color, alpha=0.3, markersize=4, markeredgewidth=0)
        axes.plot(charges[order], np.array(means[key])[order], "o-", color=color, markersize=5, label=kind)


def _draw_kinds(axes: Axes, values: dict[str, Any], key: str) -> None:
    (state,) = values["states"]
    for number, (color, kind) in enumerate(zip(PALETTE, values["kinds"], strict=False)):
        shown = _of_kind(state, kind, key)
        axes.plot([number] * len(shown), shown, "o", color=color, alpha=0.5, markersize=5, markeredgewidth=0)
        mean = values["kinds"][kind][key]
        axes.plot([number - 0.2, number + 0.2], [*mean, *mean], color=color, linewidth=2)
    axes.set_xticks(range(len(values["kinds"])), list(values["kinds"]))
    axes.set_xlim(-0.6, len(values["kinds"]) - 0.4)


def _of_kind(state: dict[str, Any], kind: str, key: str) -> list[float]:
    return [row[key] for row in state["polyhedra"] if f"{row['element']} {row['num_ligands']}" == kind]


def _size_panels(values: dict[str, Any]) -> list[tuple[str, dict[str, np.ndarray]]]:
    """Labels and curves of the largest block's lengths and area and of the tunnel, as far as they are finite."""
    lengths = [[x for x in (row or []) if not isinstance(x, str)] for row in values["block_lengths_angstrom"]]
    panels = []
    if all(len(row) == 2 for row in lengths):
        shorter, longer = np.array(lengths).T
        panels.append(("length of the block, Å", {"shorter": shorter, "longer": longer}))
        panels.append(("area of the block, Å²", {"": np.array(values["block_area_square_angstrom"], dtype=float)}))
    elif all(radius is not None for radius in values["tunnel_radius_angstrom"]):
        panels.append(("radius of the tunnel, Å", {"": np.array(values["tunnel_radius_angstrom"])}))
    return panels


def _draw_sizes(axes: Axes, charges: Sequence[float] | np.ndarray, curves: dict[str, np.ndarray]) -> None:
    order = np.argsort(charges, kind="stable")
    for color, (name, curve) in zip(PALETTE[3:], curves.items(), strict=False):
        axes.plot(np.array(charges)[order], curve[order], "o-", color=color, markersize=5, label=name)
    if len(curves) > 1:
        axes.legend(frameon=False, fontsize=9)
