"""Picture of elastic constants: the matrix, stress against strain, Young's modulus by direction."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mhdnn.evaluation.plots import INK, PALETTE, label_axes, new_figure, style_axes
from mhdnn.properties.elastic_tensor import directional_youngs_modulus, is_stable
from mhdnn.units import GPA_PER_EV_PER_CUBIC_ANGSTROM as GPA

if TYPE_CHECKING:
    from mhdnn.properties.elasticity import ElasticConstants

VOIGT_NAMES = ("xx", "yy", "zz", "yz", "xz", "xy")
PLANES = {"xy": (0, 1), "yz": (1, 2), "zx": (2, 0)}


def elasticity_figure(constants: ElasticConstants, as_given: ElasticConstants, title: str) -> Figure:
    """The matrix in GPa, the stresses that were fitted, and Young's modulus in three planes (of a stable crystal).

    :param constants: in crystal axes: matrix and modulus
    :param as_given: in the axes of the file, in which the cells were strained
    """
    figure = new_figure(13, 4.2, title)
    panels = figure.add_gridspec(1, 3)
    _draw_matrix(figure.add_subplot(panels[0]), constants)
    _draw_stresses(figure.add_subplot(panels[1]), as_given)
    if is_stable(constants.stiffness):
        _draw_youngs_modulus(figure.add_subplot(panels[2], projection="polar"), constants.stiffness)
    return figure


def _draw_matrix(axes: Axes, constants: ElasticConstants) -> None:
    stiffness, errors = GPA * constants.stiffness, GPA * constants.errors
    limit = np.abs(stiffness).max() or 1.0
    axes.imshow(stiffness, cmap="RdBu_r", vmin=-limit, vmax=limit, alpha=0.75)
    for (i, j), value in np.ndenumerate(stiffness):
        if abs(value) > 5e-4 * limit:
            text = f"{value:.3g}\n±{errors[i, j]:.1g}" if np.isfinite(errors[i, j]) else f"{value:.3g}"
            axes.text(j, i, text, ha="center", va="center", fontsize=7, color=INK)
    axes.set_xticks(range(6), VOIGT_NAMES)
    axes.set_yticks(range(6), VOIGT_NAMES)
    axes.tick_params(length=0, labelsize=9, colors=INK)
    axes.set_title("$C_{ij}$ in crystal axes, GPa", color=INK, fontsize=10, loc="left")


def _draw_stresses(axes: Axes, constants: ElasticConstants) -> None:
    data = constants.data
    style_axes(axes)
    for number, direction in enumerate(np.unique(data.directions)):
        rows = (data.directions == direction) | (data.amplitudes == 0.0)
        order = np.argsort(data.amplitudes[rows])
        strain = data.amplitudes[rows][order]
        stress = GPA * (data.stresses[rows][order] - constants.residual_stress)[:, direction]
        error = None if data.errors is None else GPA * data.errors[rows][order][:, direction]
        color = PALETTE[number % len(PALETTE)]
        axes.errorbar(100 * strain, stress, error, fmt="o", color=color, markersize=4, label=VOIGT_NAMES[direction])
        axes.plot(100 * strain, GPA * constants.stiffness[direction, direction] * strain, color=color, linewidth=1)
    axes.legend(frameon=False, fontsize=9)
    label_axes(axes, "strain in the axes of the file, %", "stress in its direction, GPa")


def _draw_youngs_modulus(axes: Axes, stiffness: np.ndarray) -> None:
    angle = np.linspace(0.0, 2.0 * np.pi, 361)
    largest = 0.0
    for number, (name, (first, second)) in enumerate(PLANES.items()):
        directions = np.zeros((len(angle), 3))
        directions[:, first], directions[:, second] = np.cos(angle), np.sin(angle)
        modulus = GPA * directional_youngs_modulus(stiffness, directions)
        largest = max(largest, modulus.max())
        axes.plot(angle, modulus, color=PALETTE[number], linewidth=1.5, label=name)
    axes.set_ylim(0.0, 1.15 * largest)
    axes.tick_params(labelsize=8, colors=INK)
    axes.legend(frameon=False, fontsize=9, loc="lower right", bbox_to_anchor=(1.3, -0.1))
    axes.set_title("Young's modulus, GPa", color=INK, fontsize=10, loc="left")
