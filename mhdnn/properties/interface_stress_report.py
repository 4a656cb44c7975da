"""The command ``interface_stress``."""

from __future__ import annotations

from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import BaseCalculator, Calculator
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mhdnn.evaluation.plots import INK, PALETTE, label_axes, new_figure, style_axes
from mhdnn.properties.frames import with_results
from mhdnn.properties.interface_stress import StressProfile, atomic_virials, stress_profile
from mhdnn.properties.progress import tracked
from mhdnn.properties.report import Report
from mhdnn.properties.separation import labelled
from mhdnn.properties.slab_stress import (
    in_gpa,
    mean_of,
    slab_stresses,
    touches_next_image,
    traction,
    whole_stress,
)

NAMES = {0: "whole", 1: "slab_1", 2: "slab_2"}
"""Labels in the results."""


def interface_stress_report(
    frames: list[Atoms],
    calculator: Calculator | None = None,
    elements_2: list[str] | None = None,
    num_bins: int = 40,
    smearing: float = 0.5,
    kinetic: bool = False,
) -> Report:
    """Stress of each slab, traction across the gap and profile, of one structure or snapshots.

    ``slab_1_gpa`` and so on depend on no bins; with labels (array ``slab`` or elements_2) there are both slabs and the
    traction, otherwise the whole. Without per-atom stresses there are traction and stress of the whole alone.

    :param frames: structures with z as normal
    :param calculator: any with forces; without, forces and stresses of the file are taken
    :param elements_2: elements of the upper slab, if the file has no array `slab`
    :param num_bins: of the profile, along the normal
    :param smearing: of the profile: standard deviation of the Gaussian over which an atom is spread, Å
    :param kinetic: whether the kinetic part is added (snapshots with velocities)
    """
    frames = [_prepared(atoms, calculator, elements_2) for atoms in tracked(frames, "stress")]
    values: dict[str, Any] = {"num_frames": len(frames)}
    warnings = []
    if frames and frames[0].has("slab"):
        found = mean_of([traction(atoms) for atoms in frames])
        values |= {"traction_gpa": found.mean, "traction_error_gpa": found.error}
        if touches_next_image(frames[0]):
            warnings.append("the cell is periodic along z with little vacuum: the traction is the sum over both gaps")
    whole = [stress for stress in map(whole_stress, frames) if stress is not None and not kinetic]
    values["cell_n_per_m"] = np.mean(whole, axis=0) if whole else None
    values["cell_in_plane_n_per_m"] = float(np.mean(whole, axis=0)[:2].mean()) if whole else None
    profile = None
    if all(_has_stresses(atoms) for atoms in frames):
        profile = stress_profile(frames, None, num_bins, smearing, kinetic)
        values |= _slab_values(frames, kinetic) | _profile_values(profile, smearing)
    else:
        warnings.append("no stress of single slabs and no profile: neither calculator nor file has `stresses` of atoms")
    return Report("interface_stress", values, stress_figure(values, profile, frames[0]), warnings)


def _prepared(atoms: Atoms, calculator: BaseCalculator | None, elements_2: list[str] | None) -> Atoms:
    """Labelled, with the results of the calculator, or those of the file."""
    result = labelled(atoms, elements_2)
    if calculator is not None:
        return with_results(result, calculator)
    result.calc = atoms.calc
    return result


def _has_stresses(atoms: Atoms) -> bool:
    return atoms.calc is None or "stresses" in atoms.calc.results


def _slab_values(frames: list[Atoms], kinetic: bool) -> dict[str, Any]:
    """Force per length, thickness and stress of each slab: means, with errors of the first."""
    series = [slab_stresses(atoms, atomic_virials(atoms, None, kinetic)) for atoms in frames]
    values: dict[str, Any] = {}
    for label in series[0]:
        per_area = mean_of([entry[label][0] for entry in series])
        stress = mean_of([in_gpa(*entry[label]) for entry in series])
        name = NAMES[label]
        values |= {
            f"{name}_gpa": stress.mean,
            f"{name}_error_gpa": stress.error,
            f"{name}_n_per_m": per_area.mean,
            f"{name}_error_n_per_m": per_area.error,
            f"{name}_thickness_angstrom": float(np.mean([entry[label][1] for entry in series])),
            f"{name}_in_plane_gpa": float(stress.mean[:2].mean()),
        }
    return values


def _profile_values(profile: StressProfile, smearing: float) -> dict[str, Any]:
    kinds = {"in_plane": profile.in_plane, "normal": profile.normal, "von_mises": profile.von_mises}
    values: dict[str, Any] = {"bin_width_angstrom": profile.width, "smearing_angstrom": smearing}
    for kind, stress in kinds.items():
        largest, place = profile.largest(stress)
        values |= {f"largest_{kind}_in_bins_gpa": largest, f"largest_{kind}_in_bins_at_angstrom": place}
    return values | {
        "average_gpa": profile.average,
        "heights_angstrom": profile.heights,
        "profile_n_per_m": profile.per_length,
        "profile_gpa": profile.stress,
        "profile_errors_gpa": profile.errors,
        **{f"profile_{kind}_gpa": stress for kind, stress in kinds.items()},
    }


def stress_figure(values: dict[str, Any], profile: StressProfile | None, atoms: Atoms) -> Figure:
    """Stress in the plane of each slab and the traction; and the profile, with the width of its bins."""
    figure = new_figure(9.5, 4, "Stress of the interface")
    bars, lines = figure.subplots(1, 2, width_ratios=(1, 1.7))
    style_axes(bars, "y")
    style_axes(lines)
    shown = {
        name.replace("_", " "): values[f"{name}_in_plane_gpa"] for name in NAMES.values() if f"{name}_gpa" in values
    }
    if "traction_gpa" in values:
        shown["gap, normal"] = values["traction_gpa"][2]
    bars.bar(list(shown), list(shown.values()), color=PALETTE[: len(shown)], width=0.6)
    bars.axhline(0.0, color=INK, linewidth=0.8)
    label_axes(bars, "", "in-plane stress and traction, GPa")
    if profile is None:
        lines.set_axis_off()
    else:
        _draw_profile(lines, profile, atoms)
    return figure


def _draw_profile(axes: Axes, profile: StressProfile, atoms: Atoms) -> None:
    in_plane = 0.5 * (profile.per_length[:, 0] + profile.per_length[:, 1])
    for color, (name, curve) in zip(
        PALETTE[3:], {"in the plane": in_plane, "normal": profile.per_length[:, 2]}.items(), strict=False
    ):
        axes.step(profile.heights, curve, where="mid", color=color, label=name)
    for height in np.unique(np.round(atoms.positions[:, 2], 1)):
        axes.axvline(height, color="0.88", linewidth=0.6, zorder=0)
    axes.axhline(0.0, color="0.6", linewidth=0.8)
    axes.legend(frameon=False, fontsize=9)
    label_axes(axes, "height, Å", f"N/m in each bin of {profile.width:.2f} Å")
