r"""Work of separation of an interface, rigid or relaxed, and its map over the registry.

.. math:: W_{sep} = (E_1 + E_2 - E_{12})/A

with the energies of the two slabs apart and together and the area A of the interface; positive if they are bound.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator
from scipy.optimize import minimize_scalar

from mhdnn.errors import ConfigError, PropertyError
from mhdnn.properties.energies import Energies, energy_of
from mhdnn.properties.frames import with_known_energy
from mhdnn.properties.insertion import SLAB, inserted_ions, with_labels
from mhdnn.properties.interface_figures import registry_figure, separation_figure
from mhdnn.properties.interface_works import RegistryMap, Separation, work_of_separation
from mhdnn.properties.interfaces import (
    gap_of,
    interface_area,
    label_slabs,
    moved_slab,
    plane_of,
    slabs_of,
    with_gap,
)
from mhdnn.properties.journal import Journal, identity
from mhdnn.properties.points import Points
from mhdnn.properties.progress import tracked
from mhdnn.properties.relaxation import relaxed
from mhdnn.properties.report import Report

GAP_STEP = 0.1
"""Å"""
GAP_TOLERANCE = 1e-4
"""Å to which an equilibrium gap is found; the energy is stationary there."""


def separate(atoms: Atoms, calculator: Calculator, area: float | None = None) -> Separation:
    """Work of separation of rigid slabs, in the cell and the geometry of the interface.

    :param atoms: labelled (`mhdnn.properties.interfaces`)
    :param area: Å², the cell's if None; twice that if the slabs touch on both sides, the contact area of a particle
    :raises DataError: if the atoms have no labels
    """
    one, two = slabs_of(atoms)
    return Separation(
        energy_of(one, calculator),
        energy_of(two, calculator),
        energy_of(atoms, calculator),
        interface_area(atoms, area),
        atoms,
    )


def separate_relaxed(
    atoms: Atoms,
    calculator: Calculator,
    max_force: float = 0.02,
    max_steps: int = 1000,
    area: float | None = None,
    journal: str | Path | None = None,
) -> Separation:
    """Work of separation of relaxed slabs: the interface, and from there each slab alone, at constant cell.

    Constraints of the atoms hold for all three.

    :param max_force: largest force at the end, eV/Å
    :param max_steps: at most, for each of the three
    :param journal: JSON file of relaxed structures, from which an interrupted calculation continues
    :raises PropertyError: if a relaxation takes more steps
    """
    settings = {} if journal is None else identity(atoms, calculator) | {"max_force": max_force}
    kept = Journal(journal, settings)

    def positions(part: Atoms) -> np.ndarray:
        return relaxed(part, calculator, max_force, max_steps=max_steps).positions

    def relaxed_once(name: str, part: Atoms) -> Atoms:
        result = part.copy()
        result.set_positions(kept.get(name, partial(positions, part)), apply_constraint=False)
        return result

    together = relaxed_once("interface", atoms)
    one, two = (relaxed_once(f"slab {number}", part) for number, part in enumerate(slabs_of(together), 1))
    return Separation(
        energy_of(one, calculator),
        energy_of(two, calculator),
        energy_of(together, calculator),
        interface_area(atoms, area),
        together,
    )


def at_equilibrium_gap(atoms: Atoms, energies: Energies, lowest: float = 1.0, highest: float = 8.0) -> Atoms:
    """A copy with rigid slabs at the gap of the energy minimum that lies downhill from the present one.

    Steps of 0.1 Å until the energy rises, then Brent's method to 1e-4 Å: what a potential says of much closer slabs,
    perhaps without having seen any, does not matter.

    :param lowest: smallest gap that is tried, Å
    :param highest: largest one, Å
    :raises PropertyError: if there is no minimum between them
    """

    def energy(gap: float) -> float:
        return energies(with_gap(atoms, gap))

    gap = gap_of(atoms)
    here = energy(gap)
    step = GAP_STEP if energy(gap + GAP_STEP) < here else -GAP_STEP
    while (there := energy(gap + step)) < here:
        gap, here = gap + step, there
        if not lowest < gap < highest:
            raise PropertyError(
                f"`gap`: expected a minimum of the energy between {lowest} and {highest} Å, downhill from "
                f"{gap_of(atoms):.3f} Å; start from another gap, or look whether the slabs bind at all"
            )
    bounds = (gap - GAP_STEP, gap + GAP_STEP)
    found = minimize_scalar(energy, bounds=bounds, method="bounded", options={"xatol": GAP_TOLERANCE})
    return with_gap(atoms, float(found.x))


def registry_cell_of(atoms: Atoms) -> np.ndarray:
    """Vectors in the plane by which slab 2 can be moved without a change, shape (2, 2), Å.

    Those that `build_interface` left in ``info``, otherwise the cell's.
    """
    return np.asarray(atoms.info.get("registry_cell", plane_of(atoms)), dtype=float).reshape(2, 2)


def map_registry(
    atoms: Atoms,
    calculator: Calculator,
    num_1: int,
    num_2: int,
    relax_gap: bool = False,
    area: float | None = None,
    journal: str | Path | None = None,
    points: Points | None = None,
) -> RegistryMap:
    """Work of separation of rigid slabs for shifts over one period of the registry; NaN where it fails.

    :param num_1: shifts along the first period
    :param num_2: along the second one
    :param relax_gap: whether the gap is that of least energy at each shift, not the given one
    :param area: Å², the cell's if None
    :param journal: JSON file of energies, from which an interrupted map continues
    :param points: keeps what failed
    :raises ConfigError: if a number is below 1
    :raises PropertyError: if all of them fail
    """
    if min(num_1, num_2) < 1:
        raise ConfigError(f"`num_1`, `num_2`: expected at least one shift each, got {num_1} and {num_2}")
    cell = registry_cell_of(atoms)
    fractions = np.stack(np.meshgrid(np.arange(num_1) / num_1, np.arange(num_2) / num_2, indexing="ij"), -1)
    shifts = fractions @ cell
    energies = Energies(calculator, atoms, journal)
    energy_1, energy_2 = (energies(part) for part in slabs_of(atoms))
    area = interface_area(atoms, area)
    work, gaps = np.full((num_1, num_2), np.nan), np.full((num_1, num_2), np.nan)
    points, structures = points or Points(), []
    for place in tracked(list(np.ndindex(num_1, num_2)), "registry"):
        moved = moved_slab(atoms, [*shifts[place], 0.0])
        found = points.get(f"shift {place}", partial(at_rest, moved, energies, relax_gap))
        if found is not None:
            work[place] = work_of_separation(energy_1, energy_2, found.get_potential_energy(), area)
            gaps[place] = gap_of(found)
            structures.append(found)
    points.check(len(structures), 1, "shifts")
    return RegistryMap(shifts, work, gaps, cell, structures)


def at_rest(atoms: Atoms, energies: Energies, relax_gap: bool) -> Atoms:
    """The interface with its energy, at the gap of least energy (`at_equilibrium_gap`) or as it is."""
    moved = at_equilibrium_gap(atoms, energies) if relax_gap else atoms
    return with_known_energy(moved, energies(moved))


def labelled(atoms: Atoms, elements_2: list[str] | None) -> Atoms:
    """The atoms with their own labels, or with labels by elements if these are given.

    Inserted ions without a label get that of the nearest atom of the host.
    """
    if elements_2 is not None:
        return label_slabs(atoms, elements_2)
    unlabelled = atoms.has(SLAB) and (atoms.get_array(SLAB)[inserted_ions(atoms)] == 0).any()
    return with_labels(atoms) if unlabelled else atoms


def separation_report(
    atoms: Atoms,
    calculator: Calculator,
    elements_2: list[str] | None = None,
    relax: bool = True,
    max_force: float = 0.02,
    max_steps: int = 1000,
    area: float | None = None,
    journal: Path | None = None,
) -> Report:
    """Work of separation of an interface, rigid and relaxed.

    :param elements_2: elements of the upper slab, if the file has no array `slab`
    :param relax: whether it is computed for relaxed slabs, too
    :param max_force: largest force at the end of the relaxations, eV/Å
    :param max_steps: of each relaxation, at most
    :param area: Å², if not the cell's
    :param journal: JSON file of relaxed structures, from which an interrupted command continues
    """
    atoms = labelled(atoms, elements_2)
    results = {"rigid": separate(atoms, calculator, area)}
    if relax:
        results["relaxed"] = separate_relaxed(atoms, calculator, max_force, max_steps, area, journal)
    values: dict[str, object] = {"area_square_angstrom": results["rigid"].area}
    for kind, result in results.items():
        values |= {
            f"work_of_separation_{kind}_j_per_m2": result.work,
            f"gap_{kind}_angstrom": gap_of(result.atoms),
            f"energies_{kind}_ev": [result.energy_1, result.energy_2, result.energy_12],
        }
    figure = separation_figure(results)
    structures = [with_known_energy(result.atoms, result.energy_12) for result in results.values()]
    return Report("separation", values, figure, structures=structures)


def registry_map_report(
    atoms: Atoms,
    calculator: Calculator,
    elements_2: list[str] | None = None,
    num_1: int = 8,
    num_2: int = 8,
    relax_gap: bool = False,
    area: float | None = None,
    journal: Path | None = None,
) -> Report:
    """Work of separation over all registries of the two slabs.

    :param elements_2: elements of the upper slab, if the file has no array `slab`
    :param num_1: shifts along the first period
    :param num_2: shifts along the second period
    :param relax_gap: whether each registry has its own equilibrium gap
    :param area: Å², if not the cell's
    :param journal: JSON file of energies, from which an interrupted map continues
    """
    points = Points()
    result = map_registry(labelled(atoms, elements_2), calculator, num_1, num_2, relax_gap, area, journal, points)
    values = {
        "largest_work_of_separation_j_per_m2": float(np.nanmax(result.work)),
        "smallest_work_of_separation_j_per_m2": float(np.nanmin(result.work)),
        "corrugation_j_per_m2": result.corrugation,
        "best_shift_angstrom": result.best_shift,
        "registry_cell_angstrom": result.cell,
        "shifts_angstrom": result.shifts,
        "work_of_separation_j_per_m2": result.work,
        "gaps_angstrom": result.gaps,
    }
    return Report("registry_map", values, registry_figure(result), points.failures, result.structures)
