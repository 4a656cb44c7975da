"""Pictures of works of separation: over the registry, along a path, against the gap."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from scipy.signal import resample

from mhdnn.evaluation.plots import PALETTE, label_axes, new_figure, style_axes
from mhdnn.properties.interface_works import RegistryMap, Separation
from mhdnn.properties.interfaces import interface_views
from mhdnn.properties.sliding_path import Sliding
from mhdnn.properties.universal_curve import GapCurve

FINE = 8
"""Points of a picture between two shifts."""


def separation_figure(results: Mapping[str, Separation]) -> Figure:
    """The interface, relaxed if it was, with its gap; bars if there are several works of separation.

    :param results: by kind: rigid, relaxed
    """
    *_, (kind, last) = results.items()
    title = f"Work of separation, {kind}: {last.work:.3f} J/m²"
    figure, panels = interface_views(last.atoms, title, int(len(results) > 1))
    if len(results) > 1:
        works = [result.work for result in results.values()]
        panels[2].bar(list(results), works, width=0.5, color=PALETTE[: len(works)])
        label_axes(panels[2], "", "work of separation, J/m²")
        style_axes(panels[2], "y")
    return figure


def registry_figure(result: RegistryMap) -> Figure:
    """The map, refined by its Fourier series; a single shift is drawn as structure."""
    if result.work.size == 1:
        return interface_views(result.structures[0], f"Work of separation: {result.work.item():.3f} J/m²")[0]
    num_1, num_2 = result.work.shape
    figure = new_figure(5, 4.2, "Registry")
    axes = figure.subplots()
    complete = np.where(np.isnan(result.work), np.nanmean(result.work), result.work)
    fine = resample(resample(complete, FINE * num_1, axis=0), FINE * num_2, axis=1)  # by the Fourier series
    repeated = np.pad(fine, ((0, 1), (0, 1)), mode="wrap")  # the first row again as the last, so that it closes
    x, y = np.moveaxis(np.moveaxis(np.indices(repeated.shape), 0, -1) / fine.shape @ result.cell, -1, 0)
    mesh = axes.pcolormesh(x, y, repeated, shading="gouraud", cmap="viridis")
    known = np.isfinite(result.work)
    axes.plot(*result.shifts[known].T, ".", color="k", markersize=2)
    if not known.all():
        axes.plot(*result.shifts[~known].T, "x", color="k", markersize=6, label="failed, drawn as the mean")
    axes.plot(*result.best_shift, "o", color="w", markeredgecolor="k", label="largest")
    label_axes(axes, "shift x, Å", "shift y, Å")
    axes.set_aspect("equal")
    axes.legend(fontsize=9)
    style_axes(axes, "")
    figure.colorbar(mesh, ax=axes, label="work of separation, J/m²")
    return figure


def sliding_figure(result: Sliding) -> Figure:
    """Work of separation and traction along the path."""
    fine = np.linspace(0.0, result.period, 400)
    figure = new_figure(5.5, 5.2, "Sliding")
    upper, lower = figure.subplots(2, 1, sharex=True)
    upper.plot(result.path, result.work, "o", color=PALETTE[0], markersize=4)
    upper.plot(fine, result.interpolated(fine), color=PALETTE[0])
    lower.plot(fine, result.traction(fine), color=PALETTE[1])
    lower.axvline(result.largest_place, color="0.7", linewidth=0.8)
    for axes in (upper, lower):
        style_axes(axes)
    label_axes(upper, "", "work of separation, J/m²")
    label_axes(lower, "path, Å", "traction, GPa")
    return figure


def gap_curve_figure(curve: GapCurve) -> Figure:
    """Points, the spline that gap and strength come from, the universal curve; and the traction."""
    figure = new_figure(9, 4, "Gap curve")
    left, right = figure.subplots(1, 2)
    fine = np.linspace(curve.gaps[0], curve.gaps[-1], 400)
    left.plot(fine, curve.energy(fine), color=PALETTE[0], label="spline")
    left.plot(curve.gaps, curve.energies, "o", color=PALETTE[0], markersize=4, label="calculated")
    left.plot(
        fine, curve.fit.energy(fine), "--", color=PALETTE[1], label=f"universal curve, R² = {curve.fit.quality:.4f}"
    )
    left.axvline(curve.equilibrium_gap, color="0.7", linewidth=0.8)
    left.set_ylim(-1.25 * curve.work, 0.8 * curve.work)
    left.legend(frameon=False, fontsize=9)
    right.plot(fine, curve.traction(fine), color=PALETTE[0])
    right.plot(
        [curve.strength_gap], [curve.strength], "o", color=PALETTE[1], label=f"strength {curve.strength:.3g} GPa"
    )
    right.axhline(0.0, color="0.7", linewidth=0.8)
    right.set_ylim(-1.5 * curve.strength, 1.3 * curve.strength)
    right.legend(frameon=False, fontsize=9)
    for axes in (left, right):
        style_axes(axes)
    label_axes(left, "gap, Å", "interaction energy, J/m²")
    label_axes(right, "gap, Å", "traction of the spline, GPa")
    return figure
