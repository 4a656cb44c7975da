"""The command ``fracture``: stress-strain curves to failure, of one structure or of every charge state."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mhdnn.errors import ConfigError
from mhdnn.evaluation.plots import PALETTE, label_axes, new_figure, style_axes
from mhdnn.properties.fracture.loading import LAYER, TENSION, PullSettings
from mhdnn.properties.fracture.pulling import Pull, pull_to_failure
from mhdnn.properties.fracture.stress_strain import values_of
from mhdnn.properties.frames import with_known_energy
from mhdnn.properties.points import Points
from mhdnn.properties.report import Curve, Report

MOST_LABELS = 8
"""States that a legend names."""


def fracture_report(
    structures: list[Atoms],
    calculator: Calculator,
    settings: PullSettings,
    journal: Path | None = None,
) -> Report:
    """Stress-strain curve to failure by tension or shear: ideal strength, energy, what breaks; of charge states, too.

    :param structures: a crystal, layer, slab or interface; or several, as the frames that `charging` writes
    :param calculator: with forces, and a stress unless a slab is pulled apart with lateral=fixed
    :param settings: how they are pulled
    :param journal: JSON file of the steps, from which an interrupted command continues; of each state if several
    """
    points, states = Points(), []
    for number in range(len(structures)):
        pull = _pull_of(number, structures, calculator, settings, journal, points)
        if pull is not None:
            states.append((number, pull))
    points.check(len(states), 1, "structures")
    _check_kinds([pull for _, pull in states])
    found = [{"state": number, **_label(structures[number]), **values_of(pull)} for number, pull in states]
    warnings = list(points.failures)
    for values in found:
        if not values["strength_reached"]:
            warnings.append(
                f"state {values['state']}: the stress is largest at the end of the computed range, so that the "
                "strength is not known; raise `largest_strain`, or pull the other way"
            )
    values = found[0] if len(structures) == 1 else _of_states(found)
    pulls = [pull for _, pull in states]
    figure = fracture_figure(pulls, found)
    return Report("fracture", values, figure, warnings, _structures(pulls), _curves(pulls, found))


def _pull_of(
    number: int,
    structures: Sequence[Atoms],
    calculator: Calculator,
    settings: PullSettings,
    journal: Path | None,
    points: Points,
) -> Pull | None:
    """One of the structures; a failure of the only one is raised, others are left out."""
    if len(structures) == 1:
        return pull_to_failure(structures[0], calculator, settings, journal, points)
    own = None if journal is None else journal.with_stem(f"{journal.stem}_{number}")
    steps = Points()
    pull = points.get(f"state {number}", lambda: pull_to_failure(structures[number], calculator, settings, own, steps))
    points.failures += [f"state {number}: {text}" for text in steps.failures]
    return pull


def fracture_figure(pulls: Sequence[Pull], found: Sequence[dict[str, Any]]) -> Figure:
    """Stress with its maximum, energy taken up, and coordination against strain; of several states also the strength.

    :param found: values of the same pulls
    """
    several = len(pulls) > 1
    figure = new_figure(12, 3.9, _title(pulls[0], several))
    panels = figure.subplots(1, 3)
    name, unit = _unit(pulls[0])
    for number, (pull, values) in enumerate(zip(pulls, found, strict=True)):
        color = PALETTE[number % len(PALETTE)]
        label = _name(values) if several and number < MOST_LABELS else None
        panels[0].plot(
            pull.strains, values[f"stresses_{name}"], "o-", color=color, markersize=3, linewidth=1.3, label=label
        )
        marker = None if several else f"strength {values[f'strength_{name}']:.3g} {unit}"
        panels[0].plot(
            values["strain_at_strength"], values[f"strength_{name}"], "*", color="k", markersize=9, label=marker
        )
        panels[2].plot(pull.strains, values["mean_coordination"], "o-", color=color, markersize=3, linewidth=1.3)
    if several:
        _draw_states(panels[1], found, name, unit)
    else:
        taken = found[0]["energies_ev"] - found[0]["energies_ev"][0]
        panels[1].plot(pulls[0].strains, taken, "o", color=PALETTE[0], markersize=4, label="from energies")
        panels[1].plot(
            pulls[0].strains, found[0]["work_of_stress_ev"], color=PALETTE[1], label="integral of the stress"
        )
        label_axes(panels[1], _strain_label(pulls[0]), "energy taken up, eV")
        panels[1].legend(frameon=False, fontsize=9)
    panels[2].set_ylim(bottom=0.0)
    if not several and found[0]["first_broken_strain"] is not None:
        panels[2].axvline(found[0]["first_broken_strain"], color="0.6", linestyle="--", label="first bonds broken")
        panels[2].legend(frameon=False, fontsize=9)
    label_axes(panels[0], _strain_label(pulls[0]), f"true stress, {unit}")
    label_axes(panels[2], _strain_label(pulls[0]), "mean coordination by unbroken bonds")
    panels[0].legend(frameon=False, fontsize=9)
    for axes in panels:
        style_axes(axes)
    return figure


def _draw_states(axes: Axes, found: Sequence[dict[str, Any]], name: str, unit: str) -> None:
    places = [values.get("num_ions", values["state"]) for values in found]
    axes.plot(places, [values[f"strength_{name}"] for values in found], "o-", color=PALETTE[0], markersize=4)
    axes.set_ylim(bottom=0.0)
    label_axes(axes, "number of ions" if "num_ions" in found[0] else "state", f"strength, {unit}")


def _curves(pulls: Sequence[Pull], found: Sequence[dict[str, Any]]) -> dict[str, Curve]:
    name, unit = _unit(pulls[0])
    if len(pulls) == 1:
        stress = Curve(pulls[0].strains, found[0][f"stresses_{name}"], _strain_label(pulls[0]), f"true stress, {unit}")
        coordination = Curve(
            pulls[0].strains, found[0]["mean_coordination"], _strain_label(pulls[0]), "mean coordination"
        )
        return {"stress": stress, "coordination": coordination}
    places = np.array([values.get("num_ions", values["state"]) for values in found], dtype=float)
    label = "number of ions" if "num_ions" in found[0] else "state"
    strengths = np.array([values[f"strength_{name}"] for values in found])
    strains = np.array([values["strain_at_strength"] for values in found])
    return {
        "strength": Curve(places, strengths, label, f"strength, {unit}"),
        "strain": Curve(places, strains, label, "strain at the strength"),
    }


def _of_states(found: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Numbers of all states side by side, and each in full."""
    names = [name for name, value in found[0].items() if isinstance(value, int | float) and name != "state"]
    listed = {name: [values[name] for values in found] for name in names}
    return {
        "num_states": len(found),
        "formulas": [values["formula"] for values in found],
        **listed,
        "states": list(found),
    }


def _structures(pulls: Sequence[Pull]) -> list[Atoms]:
    """Of all steps, in the axes of the load, with their energies."""
    result = []
    for pull in pulls:
        for atoms, energy, strain in zip(pull.structures, pull.energies, pull.strains, strict=True):
            kept = with_known_energy(atoms, energy)
            kept.info["strain"] = float(strain)
            result.append(kept)
    return result


def _check_kinds(pulls: Sequence[Pull]) -> None:
    kinds = {pull.loading.kind for pull in pulls}
    if len(kinds) > 1:
        raise ConfigError(
            f"`structures`: expected structures of one kind, got {', '.join(sorted(kinds))}; pull them apart"
        )


def _label(atoms: Atoms) -> dict[str, int]:
    number = atoms.info.get("num_ions")
    return {} if number is None else {"num_ions": int(number)}


def _name(values: dict[str, Any]) -> str:
    return f"{values['num_ions']} ions" if "num_ions" in values else values["formula"]


def _unit(pull: Pull) -> tuple[str, str]:
    return ("n_per_m", "N/m") if pull.loading.kind == LAYER else ("gpa", "GPa")


def _strain_label(pull: Pull) -> str:
    return "strain" if pull.loading.settings.mode == TENSION else "shear strain"


def _title(pull: Pull, several: bool) -> str:
    settings = pull.loading.settings
    load = settings.mode if settings.lateral == "relaxed" else f"{settings.mode}, other strains fixed"
    name = "charge states" if several else pull.loading.atoms.get_chemical_formula()
    return f"{name}: {load} along {_indices(settings)}"


def _indices(settings: PullSettings) -> str:
    numbers = settings.direction if settings.shear_direction is None else settings.shear_direction
    text = " ".join(f"{number:g}" for number in numbers)
    if settings.frame == "cartesian":
        return f"{text} (Cartesian)"
    return f"the normal of ({text})" if settings.frame == "plane" and settings.mode == TENSION else f"[{text}]"
