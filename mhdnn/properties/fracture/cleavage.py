r"""Cleavage of a crystal along a plane: energy against the opening, traction, and the energy of the surfaces.

.. math:: \gamma(\delta) = \frac{E(\delta) - E(0)}{A}, \qquad t = \frac{\partial\gamma}{\partial\delta}, \qquad
          \gamma(\infty) = \int t\,d\delta = 2\gamma_s

of rigid halves; and once more with relaxed surfaces at the largest opening. Both surfaces count together, so that a
cut with two different ones has its energy, too. This is what a crack pays for (Griffith).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator
from matplotlib.figure import Figure
from scipy.interpolate import CubicSpline

from mhdnn.errors import ConfigError
from mhdnn.evaluation.plots import PALETTE, label_axes, new_figure, style_axes
from mhdnn.properties.energies import Energies
from mhdnn.properties.fracture.planes import check_crystal, opened, slab_of, whole_indices
from mhdnn.properties.frames import with_known_energy
from mhdnn.properties.points import Points
from mhdnn.properties.progress import tracked
from mhdnn.properties.relaxation import relaxed
from mhdnn.properties.report import Curve, Report
from mhdnn.units import GPA_PER_JOULE_PER_SQUARE_METER_PER_ANGSTROM as GPA_PER_SLOPE
from mhdnn.units import JOULE_PER_SQUARE_METER_PER_EV_PER_SQUARE_ANGSTROM as JOULE_PER_SQUARE_METER

DEFAULT_OPENINGS = (0.0, 0.15, 0.3, 0.5, 0.7, 0.9, 1.2, 1.5, 1.9, 2.4, 3.0, 4.0, 5.5, 8.0)
"""Å"""
FEWEST_OPENINGS = 5
STILL_RISING = 0.02
"""Part of the largest traction that may be left at the last opening."""


@dataclass(frozen=True)
class Cleavage:
    r"""A crystal that is cleaved.

    :param openings: ascending from zero, shape (num_openings,), Å
    :param energies: :math:`\gamma(\delta)` of rigid halves, shape (num_openings,), eV/Å²
    :param relaxed_energy: :math:`2\gamma_s` with relaxed surfaces, eV/Å²; None if not computed
    :param structures: of the openings, with their energies, the relaxed one last
    """

    openings: np.ndarray
    energies: np.ndarray
    relaxed_energy: float | None
    structures: list[Atoms]

    def traction(self, openings: np.ndarray) -> np.ndarray:
        """Slope of the cubic spline through the energies, eV/Å³."""
        return self._spline()(openings, 1)

    @property
    def strength(self) -> tuple[float, float]:
        """The largest traction, eV/Å³, and its opening, Å."""
        turning = self._spline().derivative(2).roots(extrapolate=False)
        candidates = np.array([*self.openings, *turning])
        tractions = self.traction(candidates)
        return float(tractions.max()), float(candidates[np.argmax(tractions)])

    @property
    def energy(self) -> float:
        r""":math:`2\gamma_s`, relaxed if known, otherwise of the rigid halves at the largest opening, eV/Å²."""
        return float(self.energies[-1]) if self.relaxed_energy is None else self.relaxed_energy

    def _spline(self) -> CubicSpline:
        return CubicSpline(self.openings, self.energies)


def cleave(
    atoms: Atoms,
    calculator: Calculator,
    plane: Sequence[float],
    cut: int = 0,
    thickness: float = 15.0,
    openings: Sequence[float] = DEFAULT_OPENINGS,
    relax: bool = True,
    max_force: float = 0.01,
    max_steps: int = 2000,
    journal: str | Path | None = None,
    points: Points | None = None,
) -> Cleavage:
    """Pull a crystal apart along a plane, and relax the surfaces.

    :param atoms: crystal at rest
    :param plane: Miller indices (hkl) of its cell
    :param cut: which gap between planes of atoms, 0 the widest
    :param thickness: of the crystal between its periodic cuts, at least, Å
    :param openings: Å; zero is added if it is not among them
    :param relax: whether the surfaces relax at the largest opening
    :param journal: JSON file of energies, from which an interrupted curve continues
    :param points: keeps what failed
    :raises ConfigError: if it is no crystal, or the indices are none, or there are too few openings
    """
    check_crystal(atoms)
    wanted = sorted({0.0, *(float(opening) for opening in openings)})
    if wanted[0] < 0 or len(wanted) < FEWEST_OPENINGS:
        raise ConfigError(
            f"`openings`: expected at least {FEWEST_OPENINGS} that are not negative, Å, got {list(openings)}"
        )
    points = points or Points()
    slab = slab_of(atoms, whole_indices(plane, "plane"), cut, thickness)
    energies = Energies(calculator, slab, journal)
    area = float(np.linalg.norm(np.cross(*slab.cell[:2])))
    found = []
    closed = energies(slab)
    for opening in tracked(wanted, "cleavage"):
        energy = points.get(f"opening {opening:g} Å", partial(energies, opened(slab, opening)))
        if energy is not None:
            found.append((opening, energy))
    points.check(len(found), FEWEST_OPENINGS, "openings")
    places, values = np.array(found).T
    structures = [with_known_energy(opened(slab, opening), energy) for opening, energy in found]
    relaxed_energy = None
    if relax:
        apart = opened(slab, wanted[-1])
        at_rest = energies.journal.get("relaxed", lambda: _relaxed(apart, calculator, max_force, max_steps))
        apart.set_positions(at_rest["positions"], apply_constraint=False)
        structures.append(with_known_energy(apart, at_rest["energy"]))
        relaxed_energy = (at_rest["energy"] - closed) / area
    return Cleavage(places, (values - closed) / area, relaxed_energy, structures)


def _relaxed(atoms: Atoms, calculator: Calculator, max_force: float, max_steps: int) -> dict[str, Any]:
    found = relaxed(atoms, calculator, max_force, max_steps=max_steps)
    return {"positions": found.positions, "energy": float(found.get_potential_energy())}


def values_of(cleavage: Cleavage) -> dict[str, Any]:
    """What a report says of it."""
    strength, opening = cleavage.strength
    factor = JOULE_PER_SQUARE_METER
    relaxed_energy = cleavage.relaxed_energy
    return {
        "cleavage_energy_rigid_j_per_m2": factor * float(cleavage.energies[-1]),
        "cleavage_energy_relaxed_j_per_m2": None if relaxed_energy is None else factor * relaxed_energy,
        "surface_energy_j_per_m2": 0.5 * factor * cleavage.energy,
        "cleavage_strength_gpa": GPA_PER_SLOPE * factor * strength,
        "opening_at_strength_angstrom": opening,
        "openings_angstrom": cleavage.openings,
        "cleavage_energies_j_per_m2": factor * cleavage.energies,
        "tractions_gpa": GPA_PER_SLOPE * factor * cleavage.traction(cleavage.openings),
    }


def warnings_of(cleavage: Cleavage) -> list[str]:
    """What the reader of its numbers should know."""
    left = abs(float(cleavage.traction(cleavage.openings[-1:])[0])) / cleavage.strength[0]
    if left < STILL_RISING:
        return []
    return [
        f"at the largest opening {100 * left:.0f} % of the largest traction is left: the surfaces still hold each "
        "other; give a larger one"
    ]


def cleavage_report(
    structures: list[Atoms],
    calculator: Calculator,
    plane: tuple[float, float, float],
    cut: int = 0,
    thickness: float = 15.0,
    openings: list[float] | None = None,
    relax_cell: bool = True,
    relax: bool = True,
    max_force: float = 0.01,
    max_steps: int = 2000,
    journal: Path | None = None,
) -> Report:
    """Energy and traction of a crystal that opens along a lattice plane; surface energy; of charge states, too.

    :param structures: a crystal, or several, such as charge states
    :param plane: Miller indices (hkl) of the cell of the file
    :param cut: which gap between planes of atoms, 0 the widest, 1 the next
    :param thickness: of the crystal between its periodic cuts, at least, Å
    :param openings: Å; 14 up to 8 if not given
    :param relax_cell: whether the crystal is relaxed before
    :param relax: whether the surfaces relax at the largest opening
    :param max_force: at the end of relaxations, eV/Å
    :param max_steps: of each relaxation, at most
    :param journal: JSON file of energies, from which an interrupted command continues; of each state if several
    """
    points, found = Points(), []
    for number, atoms in enumerate(structures):
        path = journal if journal is None or len(structures) == 1 else journal.with_stem(f"{journal.stem}_{number}")
        check_crystal(atoms)

        def compute(atoms: Atoms = atoms, path: Path | None = path) -> Cleavage:
            resting = relaxed(atoms, calculator, max_force, True, max_steps) if relax_cell else atoms
            wanted = openings or DEFAULT_OPENINGS
            return cleave(resting, calculator, plane, cut, thickness, wanted, relax, max_force, max_steps, path, points)

        one = compute() if len(structures) == 1 else points.get(f"state {number}", compute)
        if one is not None:
            found.append((number, one))
    points.check(len(found), 1, "structures")
    states = [{"state": n, "formula": structures[n].get_chemical_formula(), **values_of(one)} for n, one in found]
    warnings = points.failures + [text for _, one in found for text in warnings_of(one)]
    cleavages = [one for _, one in found]
    values = states[0] if len(structures) == 1 else side_by_side(states)
    figure = cleavage_figure(cleavages, [state["formula"] for state in states], plane)
    kept = [atoms for one in cleavages for atoms in one.structures]
    return Report("cleavage", values, figure, warnings, kept, _curves(cleavages))


def cleavage_figure(cleavages: Sequence[Cleavage], names: Sequence[str], plane: Sequence[float]) -> Figure:
    """Energy and traction against the opening."""
    indices = " ".join(f"{index:g}" for index in plane)
    figure = new_figure(9, 4, f"{names[0] if len(names) == 1 else 'charge states'}: cleavage along ({indices})")
    left, right = figure.subplots(1, 2)
    for number, (cleavage, name) in enumerate(zip(cleavages, names, strict=True)):
        color = PALETTE[number % len(PALETTE)]
        fine = np.linspace(0.0, cleavage.openings[-1], 400)
        spline = CubicSpline(cleavage.openings, JOULE_PER_SQUARE_METER * cleavage.energies)
        left.plot(fine, spline(fine), color=color, linewidth=1.3, label=name if len(names) > 1 else "rigid halves")
        left.plot(cleavage.openings, spline(cleavage.openings), "o", color=color, markersize=4)
        if cleavage.relaxed_energy is not None:
            height = JOULE_PER_SQUARE_METER * cleavage.relaxed_energy
            label = "relaxed surfaces" if number == 0 else None
            left.plot(cleavage.openings[-1], height, "s", color=color, markersize=6, fillstyle="none", label=label)
        right.plot(fine, GPA_PER_SLOPE * spline(fine, 1), color=color, linewidth=1.3)
        strength, place = cleavage.strength
        height = GPA_PER_SLOPE * JOULE_PER_SQUARE_METER * strength
        right.plot(place, height, "*", color="k", label=f"{height:.3g} GPa" if len(names) == 1 else None)
    left.legend(frameon=False, fontsize=9)
    if len(names) == 1:
        right.legend(frameon=False, fontsize=9)
    for axes in (left, right):
        style_axes(axes)
    label_axes(left, "opening, Å", "energy of both surfaces, J/m²")
    label_axes(right, "opening, Å", "traction, GPa")
    return figure


def _curves(cleavages: Sequence[Cleavage]) -> dict[str, Curve]:
    if len(cleavages) > 1:
        states = np.arange(len(cleavages), dtype=float)
        energies = np.array([0.5 * JOULE_PER_SQUARE_METER * one.energy for one in cleavages])
        return {"surface_energy": Curve(states, energies, "state", "surface energy, J/m²")}
    one = cleavages[0]
    energies = JOULE_PER_SQUARE_METER * one.energies
    fine = np.linspace(0.0, one.openings[-1], 200)
    tractions = GPA_PER_SLOPE * JOULE_PER_SQUARE_METER * one.traction(fine)
    return {
        "energy": Curve(one.openings, energies, "opening, Å", "energy of both surfaces, J/m²"),
        "traction": Curve(fine, tractions, "opening, Å", "traction, GPa"),
    }


def side_by_side(states: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Values of several charge states: lists of the single ones, by their names, and all of each state."""
    names = [name for name in states[0] if isinstance(states[0][name], int | float | str) or states[0][name] is None]
    listed = {name: [state.get(name) for state in states] for name in names if name != "state"}
    return {"num_states": len(states), **listed, "states": list(states)}
