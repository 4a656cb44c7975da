"""Pictures of structures themselves: from above and from the side, to scale, with the elements named."""

from __future__ import annotations

from itertools import product

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols, covalent_radii
from ase.data.colors import jmol_colors
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PatchCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Circle

from mhdnn.evaluation.plots import INK, label_axes, new_figure
from mhdnn.neighbors import find_pairs

VIEWS = {"from above": (0, 1, 2, 1.0), "from the side": (0, 2, 1, -1.0)}
"""Axes to the right and upwards, axis of the depth, and its sign: the last drawn is nearest."""
SHOWN_RADIUS = 0.55
"""Of the covalent radius."""
BONDED = 1.2
"""Of the sum of covalent radii, up to which a bond is drawn."""
LEAST_EXTENT, MOST_REPEATS = 7.0, 4
"""Å; smaller cells are repeated in the plane, so that a structure can be seen."""
MARGIN = 2.0
"""Å around the atoms."""


def structure_figure(atoms: Atoms, title: str, more_panels: int = 0) -> tuple[Figure, list[Axes]]:
    """Both views of a structure.

    :param more_panels: empty panels beside them
    :return: the figure and all its panels
    """
    shown = repeated(atoms)
    figure = new_figure(4.4 * (2 + more_panels), 4.4, title)
    panels = list(np.ravel(figure.subplots(1, 2 + more_panels, squeeze=False)))
    for axes, view in zip(panels, VIEWS, strict=False):
        draw_view(axes, shown, atoms, view)
    numbers = sorted(set(atoms.numbers.tolist()))
    handles = [_handle(number) for number in numbers]
    figure.legend(handles=handles, loc="outside lower left", ncols=len(handles), frameon=False, fontsize=9)
    return figure, panels


def repeated(atoms: Atoms) -> Atoms:
    """The atoms inside their cell in the plane of x and y, those of a small one with their images."""
    inside = atoms.copy()
    inside.wrap(pbc=[*atoms.pbc[:2], False], eps=1e-3)
    counts = []
    for vector, periodic in zip(atoms.cell[:2], atoms.pbc[:2], strict=True):
        length = float(np.linalg.norm(vector))
        needed = int(np.ceil(LEAST_EXTENT / length)) if periodic and length > 0 else 1
        counts.append(min(needed, MOST_REPEATS))
    return inside.repeat((*counts, 1))


def draw_view(axes: Axes, shown: Atoms, atoms: Atoms, view: str) -> None:
    """One view.

    :param shown: what is drawn
    :param atoms: whose cell is drawn
    :param view: of `VIEWS`
    """
    right, up, depth, sign = VIEWS[view]
    flat = shown.positions[:, [right, up]]
    radii = SHOWN_RADIUS * covalent_radii[shown.numbers]
    axes.add_collection(LineCollection(list(_bonds(shown)[:, :, [right, up]]), colors="0.55", linewidths=1.6, zorder=1))
    order = np.argsort(sign * shown.positions[:, depth], kind="stable")
    circles = [Circle((float(flat[index, 0]), float(flat[index, 1])), float(radii[index])) for index in order]
    colors = jmol_colors[shown.numbers[order]]
    axes.add_collection(PatchCollection(circles, facecolors=colors, edgecolors=INK, linewidths=0.5, zorder=2))
    edges = _edges(atoms)
    if len(edges):
        axes.add_collection(
            LineCollection(list(edges[:, :, [right, up]]), colors="0.5", linewidths=0.7, linestyles="dashed", zorder=0)
        )
    corners = [flat, edges.reshape(-1, 3)[:, [right, up]]] if view == "from above" else [flat]
    everything = np.vstack(corners)
    low, high = everything.min(axis=0) - MARGIN, everything.max(axis=0) + MARGIN
    axes.set_xlim(low[0], high[0])
    axes.set_ylim(low[1], high[1])
    axes.set_aspect("equal")
    axes.tick_params(colors=INK, labelsize=8)
    for side in axes.spines.values():
        side.set_visible(False)
    label_axes(axes, f"{'xyz'[right]}, Å", f"{'xyz'[up]}, Å", view)


def mark_distance(axes: Axes, low: float, high: float, text: str) -> None:
    """A vertical distance at the right edge of a side view.

    :param low: Å
    :param high: Å
    """
    place = axes.get_xlim()[1] - 0.4 * MARGIN
    axes.annotate("", (place, high), (place, low), arrowprops={"arrowstyle": "<->", "color": INK, "linewidth": 0.9})
    axes.annotate(text, (place, 0.5 * (low + high)), (4, 0), textcoords="offset points", va="center", fontsize=9)
    for height in (low, high):
        axes.axhline(height, color="0.6", linewidth=0.7, linestyle=":", zorder=0)


def _bonds(atoms: Atoms) -> np.ndarray:
    """Ends of the bonds between drawn atoms, shape (num_bonds, 2, 3), Å."""
    radii = covalent_radii[atoms.numbers]
    pairs = find_pairs(atoms.positions, np.zeros((3, 3)), np.zeros(3, dtype=bool), 2.0 * BONDED * float(radii.max()))
    first, second = pairs.center_index, pairs.neighbor_index
    ends = np.stack([atoms.positions[first], atoms.positions[second]], axis=1)
    lengths = np.linalg.norm(ends[:, 1] - ends[:, 0], axis=1)
    return ends[(first < second) & (lengths <= BONDED * (radii[first] + radii[second]))]


def _edges(atoms: Atoms) -> np.ndarray:
    """The cell's edges, of those vectors that are periodic, shape (num_edges, 2, 3), Å."""
    vectors = atoms.cell[atoms.pbc]
    corners = np.array(list(product((0, 1), repeat=len(vectors))), dtype=float)
    edges = []
    for corner in corners:
        for axis in range(len(vectors)):
            if corner[axis] == 0:
                other = corner.copy()
                other[axis] = 1
                edges.append([corner @ vectors, other @ vectors])
    return np.array(edges).reshape(-1, 2, 3)


def _handle(number: int) -> Line2D:
    color = jmol_colors[number]
    return Line2D(
        [], [], marker="o", linestyle="", color=color, markeredgecolor=INK, markersize=8, label=chemical_symbols[number]
    )
