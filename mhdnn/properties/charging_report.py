"""The command ``charging``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mhdnn.evaluation.plots import PALETTE, label_axes, new_figure, style_axes
from mhdnn.properties.charging import CHARGING, ChargingSettings, charge
from mhdnn.properties.report import Curve, Report

PANELS = (
    ("voltage_v", "voltage of the step (V)"),
    ("average_voltage_v", "average voltage (V)"),
    ("relative_volume", "volume / volume of the host"),
    ("mean_ion_charge_e", "mean charge of the ions (e)"),
    ("pressure_gpa", "pressure (GPa)"),
    ("in_plane_stress_gpa", "in-plane stress (GPa)"),
    ("slab_1_in_plane_stress_gpa", "in-plane stress of slab 1 (GPa)"),
    ("slab_2_in_plane_stress_gpa", "in-plane stress of slab 2 (GPa)"),
    ("normal_traction_gpa", "traction across the gap (GPa)"),
    ("quadratic_elongation", "quadratic elongation"),
)
"""Quantities of the picture and their labels; those that are not known are left out."""
STRESSES = [name for name, _ in PANELS if name.endswith(("_stress_gpa", "_traction_gpa"))]


def charging_report(
    atoms: Atoms,
    calculator: Calculator,
    settings: ChargingSettings,
    journal: Path | None = Path("charging_journal.json"),
    trajectory: Path | None = Path("charging.extxyz"),
) -> Report:
    """Charging and discharging: insert ions, drive them into the host, relax, and again; continues if interrupted.

    :param atoms: the host, with a cell
    :param calculator: charges and stress are recorded if it has them
    :param settings: what is inserted, where, how it is driven, and how it relaxes
    :param journal: JSON file with every finished step; the same command continues from it
    :param trajectory: extended XYZ file of the relaxed states, with energies, forces, stresses and labels: what the
        other commands take
    """
    records = charge(atoms, calculator, settings, journal, trajectory)
    charging = [record for record in records if record["phase"] == CHARGING]
    values: dict[str, Any] = {
        "ion": settings.ion,
        "num_states": len(records),
        "num_ions_charged": charging[-1]["num_ions"],
        "num_ions_at_end": records[-1]["num_ions"],
        "rate_ions_per_ps": settings.ions_per_step / settings.drive_time if settings.drive_time else None,
        "num_not_relaxed": sum(not record["is_relaxed"] for record in records),
        "average_voltage_v": charging[-1]["average_voltage_v"],
        "relative_volume_charged": _relative_volumes(records)[len(charging) - 1],
        "records": records,
    }
    states = np.array([record["state_of_charge"] for record in charging])
    known = {name: _values(charging, name) for name, _ in PANELS}
    curves = {
        name: Curve(states, known[name], "state of charge", label)
        for name, label in PANELS
        if np.isfinite(known[name]).any()
    }
    return Report("charging", values, charging_figure(records, settings.ion), _warnings(records), curves=curves)


def _warnings(records: Sequence[dict[str, Any]]) -> list[str]:
    moving = [number for number, record in enumerate(records) if not record["is_relaxed"]]
    if not moving:
        return []
    return [
        f"{len(moving)} of {len(records)} states were not relaxed to `max_force` within `relax_steps` (first: state "
        f"{moving[0]}): their voltages and stresses are not those of states at rest; raise `relax_steps`"
    ]


def charging_figure(records: Sequence[dict[str, Any]], ion: str) -> Figure:
    """Voltage, volume, charges, stresses and distortion against the state of charge.

    :param records: of `charge`
    """
    curves = {name: _values(records, name) for name, _ in PANELS}
    panels = [(name, label) for name, label in PANELS if np.isfinite(curves[name]).any()]
    columns = min(3, len(panels))
    rows = -(-len(panels) // columns)
    figure = new_figure(4.2 * columns, 3.4 * rows, f"{ion}: charging")
    axes = np.ravel(figure.subplots(rows, columns, squeeze=False))
    for place, (name, label) in zip(axes, panels, strict=False):
        _draw(place, records, curves[name])
        label_axes(place, "state of charge", label)
    for place in axes[len(panels) :]:
        place.set_visible(False)
    return figure


def _draw(axes: Axes, records: Sequence[dict[str, Any]], values: np.ndarray) -> None:
    state = np.array([record["state_of_charge"] for record in records])
    style_axes(axes)
    phases = [record["phase"] for record in records]
    for phase, color in zip(dict.fromkeys(phases), PALETTE, strict=False):
        chosen = np.array([item == phase for item in phases]) & np.isfinite(values)
        axes.plot(state[chosen], values[chosen], "o-", color=color, markersize=3.5, linewidth=1.4, label=phase)
    if len(set(phases)) > 1:
        axes.legend(frameon=False, fontsize=9)


def _values(records: Sequence[dict[str, Any]], name: str) -> np.ndarray:
    """A quantity of all records, NaN where it is not known."""
    if name == "relative_volume":
        return _relative_volumes(records)
    if name == "mean_ion_charge_e":
        return np.array([np.mean(record["ion_charges_e"]) if record["ion_charges_e"] else np.nan for record in records])
    if name == "pressure_gpa":
        return np.array([-np.mean(record["stress_gpa"][:3]) if record["stress_gpa"] else np.nan for record in records])
    if name in STRESSES:
        return np.array([_stress(record, name) for record in records])
    return np.array([np.nan if record[name] is None else record[name] for record in records], dtype=float)


def _stress(record: dict[str, Any], name: str) -> float:
    """Of one record, NaN where it is not known."""
    slabs = record["slab_stresses_gpa"] or [None, None]
    stress = {"in_plane_stress_gpa": record["stress_gpa"], "slab_1_in_plane_stress_gpa": slabs[0]}.get(name, slabs[-1])
    if name == "normal_traction_gpa":
        return np.nan if record["traction_gpa"] is None else record["traction_gpa"][2]
    return np.nan if stress is None else float(np.mean(stress[:2]))


def _relative_volumes(records: Sequence[dict[str, Any]]) -> np.ndarray:
    """Volumes by that of the host."""
    volumes = np.array([record["volume_angstrom3"] for record in records], dtype=float)
    return volumes / volumes[0]
