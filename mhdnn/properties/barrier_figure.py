"""Picture of barriers: energy along the paths, and the way of the ion or the barriers through the crystal."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from ase import Atoms
from ase.data import covalent_radii
from ase.data.colors import jmol_colors
from ase.geometry import find_mic
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle

from mhdnn.evaluation.plots import INK, PALETTE, label_axes, new_figure, style_axes
from mhdnn.properties.energy_profile import EnergyProfile

if TYPE_CHECKING:
    from mhdnn.properties.barrier_paths import IonPaths

AROUND = 3.5
"""Atoms so near to the ion's way are drawn, Å."""
MOST_LABELS = 12


def barrier_figure(profiles: Sequence[EnergyProfile], labels: Sequence[str], crystal: IonPaths | None = None) -> Figure:
    """Profiles; the surroundings of one path, or the barriers through a crystal.

    :param labels: of the profiles, empty for one
    """
    figure = new_figure(10, 4.2, "Barriers")
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    for number, (profile, label) in enumerate(zip(profiles, labels, strict=True)):
        color = PALETTE[number % len(PALETTE)]
        fine = np.linspace(0.0, profile.distances[-1], 300)
        text = f"{label}{': ' if label else ''}{profile.barrier:.3g} eV"
        left.plot(fine, profile.spline(fine), color=color, label=text if number < MOST_LABELS else None)
        left.plot(profile.distances, profile.energies, "o", color=color, markersize=4)
    style_axes(left)
    left.legend(
        frameon=False,
        fontsize=9,
        loc="upper right",
        title="hop: barrier" if any(labels) else "barrier",
        title_fontsize=9,
    )
    label_axes(left, "distance along the path, Å", "energy, eV")
    if crystal is None:
        _draw_way(right, profiles[0])
    else:
        _draw_network(right, crystal)
    return figure


def _draw_network(axes: Axes, crystal: IonPaths) -> None:
    """Barriers through the crystal, along its vectors and in one to three dimensions."""
    network = crystal.network
    names = ["along a", "along b", "along c", "1D", "2D", "3D"]
    values = np.concatenate([network.along, network.energies])
    colors = [PALETTE[0]] * 3 + [PALETTE[2]] * 3
    style_axes(axes, "y")
    axes.bar(names, np.nan_to_num(values), color=colors, width=0.6)
    for place, value in enumerate(values):
        text = f"{value:.3g}" if np.isfinite(value) else "none"
        axes.annotate(
            text, (place, np.nan_to_num(value)), ha="center", va="bottom", fontsize=9, color=INK,
            xytext=(0, 2), textcoords="offset points",
        )  # fmt: skip
    axes.set_ylim(0.0, 1.15 * max(np.nan_to_num(values).max(), 1e-3))
    label_axes(axes, f"hops up to {crystal.max_length:.2f} Å", "barrier through the crystal, eV")


def _draw_way(axes: Axes, profile: EnergyProfile) -> None:
    """The ion at each image and the atoms around the path, seen from where the path looks longest."""
    ion, way = profile.moving_atom, profile.positions[:, profile.moving_atom]
    image = profile.images[profile.saddle]
    along = way[-1] - way[0]
    right = along / np.linalg.norm(along)
    bow = way - way[0] - ((way - way[0]) @ right)[:, None] * right
    up = bow[np.linalg.norm(bow, axis=1).argmax()]
    if np.linalg.norm(up) < 0.05:  # a straight path: the axis of the frame that is most nearly across it
        up = np.eye(3)[::-1][np.abs(right[::-1]).argmin()]
        up = up - (up @ right) * right
    up = up / np.linalg.norm(up)
    depth = np.cross(right, up)
    frame = np.stack([right, up, depth], axis=1)
    places, kinds = _surroundings(image, ion, way)
    seen = (places - way[0]) @ frame
    style_axes(axes)
    for atom in np.argsort(seen[:, 2]):
        color, radius = jmol_colors[kinds[atom]], 0.5 * covalent_radii[kinds[atom]]
        axes.add_patch(Circle(tuple(seen[atom, :2]), radius, facecolor=color, edgecolor=INK, linewidth=0.6, zorder=2))
    x, y, _ = ((way - way[0]) @ frame).T
    axes.plot(x, y, "-", color=PALETTE[1], linewidth=1, zorder=3)
    axes.plot(x, y, "o", color=PALETTE[1], markersize=5, markeredgecolor=INK, markeredgewidth=0.5, zorder=3)
    axes.set_aspect("equal")
    axes.autoscale_view()
    label_axes(axes, f"along the hop of {image.symbols[ion]}, Å", "across it, Å")


def _surroundings(image: Atoms, ion: int, way: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Atoms and their periodic images around a way: places and atomic numbers."""
    cells = np.array(list(itertools.product(*((-1, 0, 1) if periodic else (0,) for periodic in image.pbc))))
    middle = way.mean(axis=0)
    others = np.delete(np.arange(len(image)), ion)
    nearest = middle + find_mic(image.positions[others] - middle, image.cell, image.pbc)[0]
    places = (nearest[None] + (cells @ image.cell[:])[:, None]).reshape(-1, 3)
    near = np.linalg.norm(places[:, None] - way[None], axis=2).min(axis=1) < AROUND
    return places[near], np.tile(image.numbers[others], len(cells))[near]
