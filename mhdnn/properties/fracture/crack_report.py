"""The command ``crack``: fracture toughness of a crystal by a crack in it, beside Griffith's; of charge states, too."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mhdnn.evaluation.plots import INK, PALETTE, label_axes, new_figure, style_axes
from mhdnn.properties.fracture.cleavage import side_by_side
from mhdnn.properties.fracture.cleavage import values_of as cleavage_values
from mhdnn.properties.fracture.cleavage import warnings_of as cleavage_warnings
from mhdnn.properties.fracture.cracked_crystal import CrackSettings, middle_of
from mhdnn.properties.fracture.cracking import BLUNTING, Cracking, Step, crack_crystal
from mhdnn.properties.frames import with_known_energy
from mhdnn.properties.points import Points
from mhdnn.properties.report import Curve, Report
from mhdnn.units import GPA_PER_EV_PER_CUBIC_ANGSTROM as GPA
from mhdnn.units import JOULE_PER_SQUARE_METER_PER_EV_PER_SQUARE_ANGSTROM as JOULE_PER_SQUARE_METER

MPA_SQRT_M = GPA * 1e-2
"""1 eV/Å^2.5 in MPa√m: a GPa√Å is 10⁻² MPa√m."""
SHOWN = 12.0
"""Å around the tip that the picture shows."""
FIRST_BROKEN = 20


def crack_report(
    structures: list[Atoms],
    calculator: Calculator,
    settings: CrackSettings,
    relax_cell: bool = True,
    journal: Path | None = None,
) -> Report:
    """Fracture toughness K_Ic of a crystal: a crack that is loaded until bonds break, beside Griffith's; charge states.

    :param structures: a crystal, or several, such as charge states
    :param calculator: with a stress
    :param settings: plane and front of the crack, size of the crystal around, steps of K
    :param relax_cell: whether the crystal is relaxed first
    :param journal: JSON file of the steps, from which an interrupted command continues; of each state if several
    """
    points, found = Points(), []
    for number, atoms in enumerate(structures):
        path = journal if journal is None or len(structures) == 1 else journal.with_stem(f"{journal.stem}_{number}")

        def compute(atoms: Atoms = atoms, path: Path | None = path) -> tuple[Cracking, dict[str, Any]]:
            cracking = crack_crystal(atoms, calculator, settings, relax_cell, path, points)
            return cracking, _values(cracking)

        one = compute() if len(structures) == 1 else points.get(f"state {number}", compute)
        if one is not None:
            label = {"num_ions": int(atoms.info["num_ions"])} if "num_ions" in atoms.info else {}
            found.append((one[0], {"state": number, **label, **one[1]}))
    points.check(len(found), 1, "structures")
    crackings, states = [one for one, _ in found], [values for _, values in found]
    values = states[0] if len(structures) == 1 else side_by_side(states)
    warnings = points.failures + [text for one, state in found for text in _warnings(one, state)]
    kept = [with_known_energy(step.atoms, step.energy) for one in crackings for step in _in_order(one)]
    return Report("crack", values, crack_figure(crackings, states), warnings, kept, _curves(states))


def crack_figure(crackings: Sequence[Cracking], states: Sequence[dict[str, Any]]) -> Figure:
    """Broken bonds against K_I, the atoms around the tip where bonds first break, and what an advance costs."""
    name = states[0]["formula"] if len(states) == 1 else "charge states"
    figure = new_figure(12.5, 4.2, f"{name}: crack in {states[0]['plane']} with the front {states[0]['front']}")
    left, middle, right = figure.subplots(1, 3)
    for number, (cracking, state) in enumerate(zip(crackings, states, strict=True)):
        color = PALETTE[number % len(PALETTE)]
        steps = _in_order(cracking)
        scale = state["griffith_mpa_sqrt_m"]
        label = None if len(states) == 1 else state["formula"]
        left.plot([scale * s.intensity for s in steps], [s.broken.sum() for s in steps], "o-", color=color, label=label)
        left.axvline(scale, color=color, linestyle="--", label="Griffith" if len(states) == 1 else None)
        _draw_costs(right, cracking, scale, color, len(states) == 1)
    left.legend(frameon=False, fontsize=9)
    right.axhline(0.0, color="0.6", linewidth=0.8)
    if len(states) == 1:
        right.legend(frameon=False, fontsize=9)
    _draw_tip(middle, crackings[-1])
    for axes in (left, middle, right):
        style_axes(axes, "" if axes is middle else "both")
    label_axes(left, "$K_I$, MPa√m", "broken bonds")
    left.yaxis.set_major_locator(MaxNLocator(integer=True))
    label_axes(middle, "x from the tip, Å", "y, Å")
    label_axes(right, "$K_I$, MPa√m", "cost of an advance, J/m²")
    return figure


def _draw_costs(axes: Axes, cracking: Cracking, scale: float, color: str, named: bool) -> None:
    """2γ - G by elasticity, and from the energies of cracks."""
    parts = np.linspace(0.8, 1.2, 50)
    costs = cracking.cleavage.energy * (1.0 - parts**2)
    label = r"$2\gamma - G$, elasticity" if named else None
    axes.plot(scale * parts, JOULE_PER_SQUARE_METER * costs, color=color, linewidth=1.2, label=label)
    if cracking.balance is not None:
        label = "energies of the crack" if named else None
        places = scale * cracking.balance.intensities
        axes.plot(places, JOULE_PER_SQUARE_METER * cracking.balance.costs, "s", color=color, markersize=6, label=label)


def _draw_tip(axes: Axes, cracking: Cracking) -> None:
    """Atoms and bonds at the last step of loading; bonds that broke last dashed."""
    step, bonds = cracking.loading[-1], cracking.cracked.bonds
    middle = middle_of(step.atoms)
    places = step.atoms.positions - middle
    vectors = bonds.vectors(step.atoms)
    new = set(cracking.new_bonds.tolist())
    for number, (start, vector) in enumerate(zip(places[bonds.first], vectors, strict=True)):
        if max(abs(start[0]), abs(start[1])) > SHOWN or (step.broken[number] and number not in new):
            continue
        color, line = (PALETTE[1], ":") if number in new else ("0.6", "-")
        (x, y), (along, across) = start[:2], vector[:2]
        axes.plot([x, x + along], [y, y + across], color=color, linestyle=line, linewidth=1.2, zorder=1)
    lost = bonds.coordination(np.zeros_like(step.broken), len(places)) - bonds.coordination(step.broken, len(places))
    near = np.abs(places[:, :2]).max(axis=1) < SHOWN
    colors = np.where(lost[near] > 0, PALETTE[1], PALETTE[0])
    axes.scatter(places[near, 0], places[near, 1], s=22, c=colors, edgecolors=INK, linewidths=0.4, zorder=2)
    axes.set_aspect("equal")
    axes.set_xlim(-SHOWN, SHOWN)
    axes.set_ylim(-SHOWN, SHOWN)


def _values(cracking: Cracking) -> dict[str, Any]:
    cracked, griffith = cracking.cracked, MPA_SQRT_M * cracking.griffith
    upper, lower = cracking.initiation, cracking.healing
    steps = _in_order(cracking)
    release = JOULE_PER_SQUARE_METER * cracking.field.energy_release(cracking.griffith)
    radius = float(np.abs(cracked.rows).max())
    return {
        "formula": cracking.crystal.get_chemical_formula(),
        **_indices(cracking),
        "griffith_mpa_sqrt_m": griffith,
        "initiation_mpa_sqrt_m": None if upper is None else upper * griffith,
        "healing_mpa_sqrt_m": None if lower is None else lower * griffith,
        "initiation_by_griffith": upper,
        "healing_by_griffith": lower,
        **_balance(cracking, griffith),
        "first_event": cracking.mode or "none",
        "error_by_boundary_percent": 100.0 * cracked.advance / (2.0 * radius),
        "energy_release_at_griffith_j_per_m2": release,
        **cleavage_values(cracking.cleavage),
        "num_atoms": len(cracked.atoms),
        "num_held": len(cracked.held),
        "axes": cracked.axes,
        "elastic_constants_in_crack_axes_gpa": GPA * cracking.stiffness,
        "intensities_mpa_sqrt_m": [griffith * step.intensity for step in steps],
        "num_broken_bonds": [int(step.broken.sum()) for step in steps],
        "tips_angstrom": [step.tip for step in steps],
        "first_broken_bonds": _first_broken(cracking),
        **_local_stress(cracking),
    }


def _balance(cracking: Cracking, griffith: float) -> dict[str, Any]:
    """Where an advance costs nothing, by the energies of the crack."""
    balance = cracking.balance
    costs = None if balance is None else JOULE_PER_SQUARE_METER * balance.costs
    return {
        "balance_mpa_sqrt_m": None if balance is None else balance.intensity * griffith,
        "balance_by_griffith": None if balance is None else balance.intensity,
        "cleavage_energy_by_crack_j_per_m2": (
            None if balance is None else JOULE_PER_SQUARE_METER * balance.surface_energy
        ),
        "costs_of_advance_j_per_m2": costs,
    }


def _indices(cracking: Cracking) -> dict[str, str]:
    """Plane and front of the crack as text."""
    settings = cracking.settings
    plane, front = (" ".join(f"{index:g}" for index in three) for three in (settings.plane, settings.front))
    return {"plane": f"({plane})", "front": f"[{front}]"}


def _first_broken(cracking: Cracking) -> list[dict[str, Any]]:
    """The bonds that broke first under load, with their places before, from the tip."""
    cracked, symbols = cracking.cracked, cracking.cracked.atoms.get_chemical_symbols()
    before = cracking.loading[max(0, len(cracking.loading) - 2)].atoms
    centers = cracked.bonds.centers(before) - middle_of(before)
    return [
        {
            "atoms": [int(cracked.bonds.first[number]), int(cracked.bonds.second[number])],
            "elements": [symbols[cracked.bonds.first[number]], symbols[cracked.bonds.second[number]]],
            "from_tip_angstrom": centers[number],
            "across_the_plane": bool(number in cracked.crossing),
        }
        for number in cracking.new_bonds[:FIRST_BROKEN]
    ]


def _local_stress(cracking: Cracking) -> dict[str, Any]:
    """The largest stress across the plane of an atom that moves, before bonds break; nothing without atomic virials."""
    step = cracking.loading[max(0, len(cracking.loading) - 2)]
    if step.virials is None:
        return {}
    stress = GPA * step.virials / (cracking.crystal.get_volume() / len(cracking.crystal))
    stress[cracking.cracked.held] = -np.inf
    largest = int(np.argmax(stress))
    return {
        "largest_local_stress_gpa": float(stress[largest]),
        "largest_local_stress_from_tip_angstrom": step.atoms.positions[largest] - middle_of(step.atoms),
    }


def _warnings(cracking: Cracking, values: dict[str, Any]) -> list[str]:
    texts = cleavage_warnings(cracking.cleavage)
    if cracking.initiation is None:
        texts.append("no bond broke up to the largest K_I: raise `largest_intensity`")
    if cracking.healing is None:
        texts.append("no bond healed down to the smallest K_I: lower `smallest_intensity`")
    if cracking.mode == BLUNTING:
        texts.append(
            "the first bonds broke beside the plane: the crack is blunted there, or emits a dislocation, instead of "
            "advancing, and `initiation` is no cleavage"
        )
    return [f"{values['formula']}: {text}" for text in texts]


def _in_order(cracking: Cracking) -> list[Step]:
    """All steps by rising K_I, the start once."""
    return [*cracking.unloading[:0:-1], *cracking.loading]


def _curves(states: Sequence[dict[str, Any]]) -> dict[str, Curve]:
    if len(states) == 1:
        intensities = np.array(states[0]["intensities_mpa_sqrt_m"])
        broken = np.array(states[0]["num_broken_bonds"], dtype=float)
        return {"broken": Curve(intensities, broken, "$K_I$, MPa√m", "broken bonds")}
    places = np.array([state.get("num_ions", state["state"]) for state in states], dtype=float)
    label = "number of ions" if "num_ions" in states[0] else "state"
    known = {
        "griffith": "Griffith's $K_I$, MPa√m",
        "balance": "$K_I$ at which an advance costs nothing, MPa√m",
        "initiation": "$K_I$ at the first broken bond, MPa√m",
    }
    found = {name: np.array([state[f"{name}_mpa_sqrt_m"] for state in states], dtype=float) for name in known}
    return {name: Curve(places, found[name], label, text) for name, text in known.items()}
