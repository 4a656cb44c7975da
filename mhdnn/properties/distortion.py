"""Distortion of coordination polyhedra, sizes of blocks and tunnels, for structures in different states of charge."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from ase import Atoms
from matplotlib.figure import Figure

from mhdnn.evaluation.plots import PALETTE, label_axes, new_figure, style_axes
from mhdnn.properties.blocks import find_blocks
from mhdnn.properties.polyhedra import (
    Polyhedron,
    bond_angle_variance,
    bond_length_distortion,
    find_polyhedra,
    off_centring,
    quadratic_elongation,
    volume,
)
from mhdnn.properties.progress import tracked
from mhdnn.properties.report import Report
from mhdnn.properties.tunnels import widest_tunnel

MEASURES = {
    "quadratic_elongation": ("quadratic elongation", 2e-3),
    "bond_angle_variance_square_degrees": ("bond-angle variance, degree²", 2.0),
    "off_centring_angstrom": ("off-centring, Å", 0.02),
    "bond_length_distortion": ("bond-length distortion", 2e-3),
}
"""What is drawn: its axis, and the least that the axis spans, so that round-off is not drawn as scatter."""


def distortion_of(polyhedron: Polyhedron) -> dict[str, Any]:
    """All measures of one polyhedron (`mhdnn.properties.polyhedra`)."""
    vectors = polyhedron.vectors
    return {
        "center": polyhedron.center,
        "num_ligands": len(vectors),
        "mean_bond_length_angstrom": float(np.linalg.norm(vectors, axis=1).mean()) if len(vectors) else np.nan,
        "volume_cubic_angstrom": volume(vectors),
        "quadratic_elongation": quadratic_elongation(vectors),
        "bond_angle_variance_square_degrees": bond_angle_variance(vectors),
        "off_centring_angstrom": off_centring(vectors) if len(vectors) else np.nan,
        "bond_length_distortion": bond_length_distortion(vectors) if len(vectors) else np.nan,
    }


def distortion_report(
    structures: list[Atoms],
    centers: list[str],
    ligands: list[str] | None = None,
    cutoff: float | None = None,
    count: int | None = None,
    ion: str = "Li",
) -> Report:
    """Distortion of polyhedra, blocks of shear phases and tunnels, for one or more states of charge.

    :param structures: one for each state of charge
    :param centers: elements in the polyhedra
    :param ligands: elements at their corners; all but the centres and the ion if none
    :param cutoff: largest distance of a ligand, Å
    :param count: number of ligands, the nearest ones; 6 if there is no cutoff
    :param ion: element that is inserted; its atoms per centre are the state of charge
    """
    if cutoff is None and count is None:
        count = 6
    states = []
    for atoms in tracked(structures, "distortion"):
        others = ligands or sorted(set(atoms.get_chemical_symbols()) - {*centers, ion})
        found = find_polyhedra(atoms, centers, others, cutoff, count)
        states.append(_state(atoms, found, ion))
    keys = ["ions_per_center", *(f"mean_{key}" for key in MEASURES)]
    summary = {key: [state[key] for state in states] for key in keys}
    return Report("distortion", {"ion": ion, **summary, "states": states}, _figure(states, ion))


def _state(atoms: Atoms, polyhedra: Sequence[Polyhedron], ion: str) -> dict[str, Any]:
    rows = [distortion_of(polyhedron) for polyhedron in polyhedra]
    means = {f"mean_{key}": _mean([row[key] for row in rows]) for key in MEASURES}
    counts: Counter[tuple[tuple[float, ...], tuple[float, ...]]] = Counter()
    for block in find_blocks(polyhedra):
        counts[block.size, tuple(np.round(block.lengths, 2).tolist())] += 1
    blocks = [
        {"octahedra": _finite(size), "lengths_angstrom": _finite(lengths), "count": count}
        for (size, lengths), count in counts.items()
    ]
    return {
        "formula": atoms.get_chemical_formula(),
        "ions_per_center": atoms.get_chemical_symbols().count(ion) / len(polyhedra),
        **means,
        "blocks": blocks,
        "tunnel": _tunnel(atoms[np.array(atoms.get_chemical_symbols()) != ion]) if atoms.pbc.all() else None,
        "polyhedra": rows,
    }


def _tunnel(framework: Atoms) -> dict[str, Any]:
    tunnel = widest_tunnel(framework)
    return {
        "radius_angstrom": tunnel.radius,
        "direction": tunnel.direction,
        "cavity_radius_angstrom": tunnel.cavity_radius,
    }


def _finite(values: Sequence[float]) -> list[float | str]:
    """Endless chains in words: JSON has no infinity."""
    return [value if np.isfinite(value) else "endless" for value in values]


def _mean(values: Sequence[float]) -> float:
    """Of the polyhedra that have the measure."""
    defined = [value for value in values if np.isfinite(value)]
    return float(np.mean(defined)) if defined else np.nan


def _figure(states: Sequence[dict[str, Any]], ion: str) -> Figure:
    figure = new_figure(11, 6.4, "Distortion of polyhedra")
    for axes, (key, (label, span)) in zip(figure.subplots(2, 2).flat, MEASURES.items(), strict=True):
        style_axes(axes)
        for state in states:
            values = [row[key] for row in state["polyhedra"]]
            place = [state["ions_per_center"]] * len(values)
            axes.plot(place, values, "o", color=PALETTE[0], alpha=0.35, markersize=4, markeredgewidth=0)
        ordered = sorted(states, key=lambda state: state["ions_per_center"])
        means = [state[f"mean_{key}"] for state in ordered]
        axes.plot([state["ions_per_center"] for state in ordered], means, "o-", color=PALETTE[1], markersize=5)
        low, high = axes.get_ylim()
        axes.set_ylim(min(low, 0.5 * (low + high - span)), max(high, 0.5 * (low + high + span)))
        axes.ticklabel_format(useOffset=False)
        label_axes(axes, f"{ion} per centre", label)
    return figure
