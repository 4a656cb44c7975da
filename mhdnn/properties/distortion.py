"""Distortion of coordination polyhedra, sizes of blocks and tunnels, for structures in different states of charge."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from ase import Atoms

from mhdnn.properties.blocks import Block, find_blocks
from mhdnn.properties.distortion_figure import distortion_figure
from mhdnn.properties.polyhedra import (
    VOLUMES,
    Polyhedron,
    bond_angle_variance,
    bond_length_distortion,
    bond_length_variance,
    find_polyhedra,
    off_centring,
    quadratic_elongation,
    relative_angle_variance,
    volume,
)
from mhdnn.properties.progress import tracked
from mhdnn.properties.report import Report
from mhdnn.properties.tunnels import widest_tunnel

MEASURES = {
    "mean_bond_length_angstrom": lambda vectors: float(np.linalg.norm(vectors, axis=1).mean()),
    "volume_cubic_angstrom": volume,
    "quadratic_elongation": quadratic_elongation,
    "bond_angle_variance_square_degrees": bond_angle_variance,
    "relative_bond_angle_variance": relative_angle_variance,
    "bond_length_variance": bond_length_variance,
    "bond_length_distortion": bond_length_distortion,
    "off_centring_angstrom": off_centring,
}
"""Of one polyhedron, by its name in the results."""

Kind = tuple[str, int]
"""Element of the centre and number of ligands: only polyhedra of one kind have a common mean."""


def distortion_of(polyhedron: Polyhedron) -> dict[str, Any]:
    """All measures of one polyhedron (`mhdnn.properties.polyhedra`); NaN without ligands."""
    vectors = polyhedron.vectors
    measured = {name: measure(vectors) if len(vectors) else np.nan for name, measure in MEASURES.items()}
    return {"center": polyhedron.center, "num_ligands": len(vectors), **measured}


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
    :param count: number of ligands, the nearest ones. Without cutoff and count, those before the largest gap between
        distances
    :param ion: element that is inserted; its atoms per centre are the state of charge
    """
    states, remarks = [], []
    for number, atoms in enumerate(tracked(structures, "distortion")):
        others = ligands or sorted(set(atoms.get_chemical_symbols()) - {*centers, ion})
        found = find_polyhedra(atoms, centers, others, cutoff, count)
        states.append(_state(atoms, found, ion))
        if cutoff is not None or count is not None:
            remarks += _against_gaps(number, atoms, found, find_polyhedra(atoms, centers, others))
    values = {
        "ion": ion,
        "ions_per_center": [state["ions_per_center"] for state in states],
        "kinds": means_by_kind(states),
        **_largest_blocks(states),
        "tunnel_radius_angstrom": [state["tunnel"]["radius_angstrom"] if state["tunnel"] else None for state in states],
        "states": states,
    }
    return Report("distortion", values, distortion_figure(values), _warnings(states) + remarks)


def means_by_kind(states: Sequence[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """For each element and coordination how many polyhedra each state has, and the means of their measures.

    :param states: with ``polyhedra``, each with element, number of ligands and measures
    :return: such as ``{"Nb 6": {"count": [12, 12], "quadratic_elongation": [1.03, 1.02], ...}}``
    """
    kinds = sorted({_kind(row) for state in states for row in state["polyhedra"]})
    result = {}
    for kind in kinds:
        chosen = [[row for row in state["polyhedra"] if _kind(row) == kind] for state in states]
        means = {name: [_mean([row[name] for row in rows]) for rows in chosen] for name in MEASURES}
        result[f"{kind[0]} {kind[1]}"] = {"count": [len(rows) for rows in chosen], **means}
    return result


def _kind(row: dict[str, Any]) -> Kind:
    return row["element"], row["num_ligands"]


def _state(atoms: Atoms, polyhedra: Sequence[Polyhedron], ion: str) -> dict[str, Any]:
    rows = [{"element": atoms.symbols[p.center], **distortion_of(p)} for p in polyhedra]
    return {
        "formula": atoms.get_chemical_formula(),
        "ions_per_center": atoms.get_chemical_symbols().count(ion) / len(polyhedra),
        "blocks": _blocks(polyhedra),
        "tunnel": _tunnel(atoms[np.array(atoms.get_chemical_symbols()) != ion]) if atoms.pbc.all() else None,
        "polyhedra": rows,
    }


def _blocks(polyhedra: Sequence[Polyhedron]) -> list[dict[str, Any]]:
    """Blocks, the largest first; equal ones once, with their number."""
    found = [(_in_words(block), block) for block in find_blocks(polyhedra)]
    counts = Counter(str(words) for words, _ in found)
    first = {str(words): (words, block) for words, block in reversed(found)}
    ordered = sorted(first.items(), key=lambda item: -len(item[1][1].octahedra))
    return [{**words, "count": counts[text]} for text, (words, _) in ordered]


def _in_words(block: Block) -> dict[str, Any]:
    return {
        "octahedra": _finite(block.size),
        "lengths_angstrom": _finite(np.round(block.lengths, 2).tolist()),
        "area_square_angstrom": round(block.area, 2) if np.isfinite(block.area) else None,
    }


def _largest_blocks(states: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Size, lengths and area of the largest block of each state."""
    largest = [state["blocks"][0] if state["blocks"] else {} for state in states]
    return {
        "block_octahedra": [block.get("octahedra") for block in largest],
        "block_lengths_angstrom": [block.get("lengths_angstrom") for block in largest],
        "block_area_square_angstrom": [block.get("area_square_angstrom") for block in largest],
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


def _against_gaps(
    number: int, atoms: Atoms, polyhedra: Sequence[Polyhedron], by_gap: Sequence[Polyhedron]
) -> list[str]:
    """Polyhedra for which cutoff or count take other ligands than those before the largest gap between distances."""
    pairs = [(len(one.ligands), len(other.ligands)) for one, other in zip(polyhedra, by_gap, strict=True)]
    names = [atoms.symbols[polyhedron.center] for polyhedron in polyhedra]
    others = Counter(
        f"{name} with {taken} ligands instead of {gap}" for name, (taken, gap) in zip(names, pairs, strict=True)
        if taken != gap
    )  # fmt: skip
    if not others:
        return []
    which = ", ".join(f"{count} {kind}" for kind, count in sorted(others.items()))
    return [
        f"structure {number}, {atoms.get_chemical_formula()}: {which}, which lie before the largest gap between "
        "distances; without `cutoff` and `count` these are taken"
    ]


def _warnings(states: Sequence[dict[str, Any]]) -> list[str]:
    """Polyhedra without angle variance and elongation, and kinds that come and go with the charge."""
    found = []
    for number, state in enumerate(states):
        others = Counter(f"{row['element']} with {row['num_ligands']}" for row in state["polyhedra"]
                         if row["num_ligands"] not in VOLUMES)  # fmt: skip
        if others:
            which = ", ".join(f"{count} {kind} ligands" for kind, count in sorted(others.items()))
            found.append(
                f"structure {number}, {state['formula']}: {which}; bond-angle variance and quadratic elongation are "
                "defined for 4, 6 and 7. Check the distances, or choose `cutoff` or `count`"
            )
    return found
