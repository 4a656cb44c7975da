r"""In-plane elastic constants of a layer: graphene, dichalcogenides, MXenes.

A layer has no thickness, so that stress is force per length: the stress of the cell times its height. With
:math:`S = C^{-1}` of the components xx, yy, xy, Young's modulus along x is :math:`1/S_{11}`, Poisson's ratio
:math:`-S_{12}/S_{11}`, the shear modulus :math:`1/S_{66}`, all as in `mhdnn.properties.elasticity` otherwise.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator
from matplotlib.figure import Figure

from mhdnn.errors import ConfigError
from mhdnn.evaluation.plots import INK, PALETTE, label_axes, new_figure, style_axes
from mhdnn.properties.elastic_tensor import invariant_stiffnesses, is_stable
from mhdnn.properties.elasticity import DEFAULT_STRAINS, StrainSettings, strain_and_fit
from mhdnn.properties.points import Points
from mhdnn.properties.relaxation import relaxed
from mhdnn.properties.report import Report
from mhdnn.units import JOULE_PER_SQUARE_METER_PER_EV_PER_SQUARE_ANGSTROM as NEWTON_PER_METER

IN_PLANE = (0, 1, 5)
LEAST_VACUUM = 4.0
"""Å without nuclei along z; of a layer that touches its images a force per length has no meaning."""


def layer_elastic_constants(
    atoms: Atoms,
    calculator: Calculator,
    settings: StrainSettings = DEFAULT_STRAINS,
    journal: str | Path | None = None,
    points: Points | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Elastic constants of a layer at rest, with relaxed atoms.

    :param atoms: a layer in the plane of x and y, periodic there, relaxed, with vacuum in a third cell vector along z
    :return: C of the components xx, yy, xy and its standard errors, shapes (3, 3), eV/Å²
    :raises ConfigError: if the layer lies otherwise, or the calculator has no stress
    :param points: keeps what failed; strained cells that fail are left out
    :raises PropertyError: if so many cells fail that the others don't determine the constants
    """
    _check_layer(atoms)
    basis = invariant_stiffnesses(atoms, settings.symmetry_tolerance, IN_PLANE)
    found = strain_and_fit(atoms, calculator, basis, settings, journal, points)
    height = atoms.cell[2, 2]
    plane = np.ix_(IN_PLANE, IN_PLANE)
    return height * found.stiffness[plane], height * found.errors[plane]


def layer_moduli(stiffness: np.ndarray, angle: float = 0.0) -> dict[str, float]:
    """Young's modulus along a direction in the plane, Poisson's ratio across, and the shear modulus.

    :param stiffness: of xx, yy, xy, shape (3, 3), any unit
    :param angle: of the direction from x, radians
    """
    c, s = np.cos(angle), np.sin(angle)
    # of a strain, in the axes of the direction; with its transposed, of a compliance
    rotation = np.array([[c * c, s * s, c * s], [s * s, c * c, -c * s], [-2 * c * s, 2 * c * s, c * c - s * s]])
    compliance = rotation @ np.linalg.inv(stiffness) @ rotation.T
    return {
        "youngs_modulus": float(1.0 / compliance[0, 0]),
        "poisson_ratio": float(-compliance[0, 1] / compliance[0, 0]),
        "shear_modulus": float(1.0 / compliance[2, 2]),
    }


def layer_elasticity_report(
    atoms: Atoms,
    calculator: Calculator,
    relax_cell: bool = True,
    settings: StrainSettings = DEFAULT_STRAINS,
    journal: Path | None = None,
) -> Report:
    """In-plane elastic constants and moduli of a layer, in N/m.

    :param atoms: a layer in the plane of x and y with vacuum along z
    :param calculator: with a stress
    :param relax_cell: whether atoms and the cell in the plane are relaxed first
    :param settings: which strains, and how the atoms relax
    :param journal: JSON file from which an interrupted calculation continues
    """
    _check_layer(atoms)
    in_plane = [component in IN_PLANE for component in range(6)]
    at_rest = relaxed(atoms, calculator, settings.max_force, cell=in_plane) if relax_cell else atoms
    points = Points()
    stiffness, errors = layer_elastic_constants(at_rest, calculator, settings, journal, points)
    stiffness, errors = NEWTON_PER_METER * stiffness, NEWTON_PER_METER * errors
    values: dict[str, Any] = {
        "num_atoms": len(atoms),
        "cell_angstrom": at_rest.cell[:],
        "elastic_constants_n_per_m": stiffness,
        "elastic_constants_error_n_per_m": errors,
        "born_stable": is_stable(stiffness),
        "layer_modulus_n_per_m": float(stiffness[:2, :2].sum() / 4.0),
    }
    # moduli of an unstable layer mean nothing
    for name, angle in (("x", 0.0), ("y", np.pi / 2)) if is_stable(stiffness) else ():
        for key, value in layer_moduli(stiffness, angle).items():
            values[f"{key}_{name}" if "ratio" in key else f"{key}_{name}_n_per_m"] = value
    return Report(
        "layer_elasticity", values, _figure(stiffness, errors, atoms.get_chemical_formula()), points.failures, [at_rest]
    )


def _check_layer(atoms: Atoms) -> None:
    cell = atoms.cell[:]
    upright = np.abs([cell[0, 2], cell[1, 2], cell[2, 0], cell[2, 1]]).max() < 1e-6
    if not (atoms.pbc[:2].all() and atoms.cell.rank == 3 and upright):
        raise ConfigError(
            "`atoms`: expected a layer that is periodic in x and y and has a third cell vector along z, got pbc "
            f"{atoms.pbc.tolist()} and cell {np.round(cell, 3).tolist()}; turn it and add vacuum (`atoms.center`)"
        )
    if atoms.pbc[2]:
        heights = np.sort(atoms.get_scaled_positions()[:, 2]) * cell[2, 2]
        widest = float(np.diff(np.append(heights, heights[0] + cell[2, 2])).max())
        if widest < LEAST_VACUUM:
            raise ConfigError(
                f"`atoms`: expected a layer with at least {LEAST_VACUUM:g} Å of vacuum along z, got {widest:.3g} Å "
                "between its atoms and their images; add some (`atoms.center`), or ask `elasticity` for a crystal's"
            )


def _figure(stiffness: np.ndarray, errors: np.ndarray, formula: str) -> Figure:
    figure = new_figure(9, 4.2, f"{formula}: elasticity of the layer")
    panels = figure.add_gridspec(1, 2)
    table = figure.add_subplot(panels[0])
    style_axes(table, grid="")
    limit = np.abs(stiffness).max()
    table.imshow(stiffness, cmap="RdBu_r", vmin=-limit, vmax=limit, alpha=0.75)
    for (i, j), value in np.ndenumerate(stiffness):
        if abs(value) > 5e-4 * limit:
            table.text(j, i, f"{value:.4g}\n±{errors[i, j]:.1g}", ha="center", va="center", fontsize=9, color=INK)
    table.set_xticks(range(3), ("xx", "yy", "xy"))
    table.set_yticks(range(3), ("xx", "yy", "xy"))
    label_axes(table, "", "", "$C_{ij}$, N/m")
    if is_stable(stiffness):
        polar = figure.add_subplot(panels[1], projection="polar")
        angles = np.linspace(0.0, 2.0 * np.pi, 361)
        modulus = [layer_moduli(stiffness, angle)["youngs_modulus"] for angle in angles]
        polar.plot(angles, modulus, color=PALETTE[0], linewidth=1.5)
        polar.set_ylim(0.0, 1.15 * max(modulus))
        polar.tick_params(labelsize=8, colors=INK)
        polar.set_title("Young's modulus, N/m", color=INK, fontsize=11, fontweight="bold", loc="left")
    return figure
