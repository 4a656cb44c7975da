r"""Formation energies of interphases and of the solid-electrolyte interphase (SEI).

An electrode with an electrolyte has, relative to the parts that are told,

.. math:: E_{f}(d) = E(d) - E_{electrolyte} \;[- E_{electrode}],

with d their distance before they react, and the width of the reacted zone after (`mhdnn.properties.interphase`),

and an SEI that formed from an electrolyte and :math:`N_X` atoms of the metal X

.. math:: E_{f} = \frac{E_{SEI} - (E_X + E_{electrolyte})}{N_X}.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator

from mhdnn.errors import ConfigError
from mhdnn.properties.formation_figure import interphase_figure, sei_figure
from mhdnn.properties.interphase import RESOLUTION, composition_of, growth_of, normal_heights, species_of
from mhdnn.properties.points import Points
from mhdnn.properties.report import Curve, Report
from mhdnn.properties.resting import Rest, structures_at_rest
from mhdnn.properties.slab_stress import whole_stress


def interphase_formation_energies(
    interphases: Sequence[Atoms], electrolyte: Atoms, electrode: Atoms | None = None
) -> np.ndarray:
    """Energies of an electrode with an electrolyte relative to the electrolyte, or to both apart.

    :param interphases: at several distances, with energies
    :param electrolyte: alone, with its energy
    :param electrode: alone, with its energy; its energy stays in the result if None
    :return: shape (num_interphases,), eV
    :raises ConfigError: if the parts are not what the interphases consist of
    """
    parts = [electrolyte] if electrode is None else [electrolyte, electrode]
    alone = sum(part.get_potential_energy() for part in parts)
    contained = sum((_counts(part) for part in parts), Counter())
    for number, atoms in enumerate(interphases):
        rest = _counts(atoms)
        rest.subtract(contained)
        if min(rest.values()) < 0 or (electrode is not None and any(rest.values())):
            together = " and ".join(part.get_chemical_formula() for part in parts)
            raise ConfigError(
                f"`interphases`: number {number}, {atoms.get_chemical_formula()}, does not consist of {together}; "
                "expected the same molecules and slabs"
            )
    return np.array([atoms.get_potential_energy() for atoms in interphases]) - alone


def distances(interphases: Sequence[Atoms], num_electrolyte: int) -> np.ndarray:
    """Distance of electrode and electrolyte along the third cell vector's normal: between their nearest layers.

    :param interphases: the electrode's atoms first, below the electrolyte's
    :param num_electrolyte: atoms of the electrolyte
    :return: shape (num_interphases,), Å; negative where they reach into each other
    :raises ConfigError: if there are no atoms besides the electrolyte's
    """
    found = []
    for number, atoms in enumerate(interphases):
        if not 0 < num_electrolyte < len(atoms):
            raise ConfigError(
                f"`interphases`: expected more atoms than the electrolyte's {num_electrolyte}, but number {number} has "
                f"{len(atoms)}"
            )
        heights, _ = normal_heights(atoms)
        found.append(heights[-num_electrolyte:].min() - heights[:-num_electrolyte].max())
    return np.array(found)


def sei_formation_energy(sei: Atoms, electrolyte: Atoms, metal: Atoms) -> float:
    """Energy of an SEI per atom of the metal that it took up.

    :param sei: with its energy
    :param electrolyte: what reacted, with its energy
    :param metal: any number of atoms of one element X, with its energy
    :return: eV for each of the N_X atoms by which the SEI has more X than the electrolyte
    :raises ConfigError: if another element is not conserved, or no metal was taken up
    """
    element = _single_element(metal)
    gained = _counts(sei)
    gained.subtract(_counts(electrolyte))
    num_metal = gained.pop(element, 0)
    if any(gained.values()) or num_metal <= 0:
        raise ConfigError(
            f"`sei`: expected the atoms of the electrolyte, {electrolyte.get_chemical_formula()}, and more {element}, "
            f"got {sei.get_chemical_formula()}"
        )
    of_metal = num_metal * metal.get_potential_energy() / len(metal)
    return (sei.get_potential_energy() - of_metal - electrolyte.get_potential_energy()) / num_metal


def formation_report(
    structures: list[Atoms],
    electrolyte: Atoms,
    calculator: Calculator | None = None,
    electrode: Atoms | None = None,
    metal: Atoms | None = None,
    relax: bool = False,
    max_force: float = 0.01,
    time_between_frames: float | None = None,
    journal: Path | None = None,
) -> Report:
    """Formation energy of interphases, reacted or not, or, with a metal, of SEIs per atom of it.

    Interphases are told their width, their species (those of the electrolyte's atoms) and stress; their energy is
    drawn against the distance of the parts, or the width of the reacted zone if one has reacted.

    :param structures: interphases (the electrode's atoms first, below the electrolyte's), or SEIs if a metal is given
    :param electrolyte: alone
    :param calculator: of energies; without it the energies that the files hold are taken
    :param electrode: alone, for interphases; its energy stays in the result if none
    :param metal: the metal that SEIs took up, for example body-centred lithium
    :param relax: whether positions are relaxed
    :param max_force: at the end of a relaxation, eV/Å
    :param time_between_frames: ps, if the structures are a trajectory: the growth of the width is fitted
    :param journal: JSON file of finished structures, from which an interrupted command continues
    :raises ConfigError: if an electrode is given for SEIs
    """
    if metal is not None and electrode is not None:
        raise ConfigError(
            "`electrode`: expected for interphases only, got it with `metal`, which means SEIs; leave one out"
        )
    parts = [part for part in (electrolyte, electrode, metal) if part is not None]
    points = Points()
    at_rest = structures_at_rest(
        [*parts, *structures], calculator, Rest(relax, False, max_force), points, len(parts), journal, "formation"
    )
    given = [atoms for atoms in at_rest[: len(parts)] if atoms is not None]
    numbers = [number for number, atoms in enumerate(at_rest[len(parts) :]) if atoms is not None]
    known = [atoms for atoms in at_rest[len(parts) :] if atoms is not None]
    points.check(len(known), 1, "structures")
    if metal is not None:
        return _sei_report(known, given[0], given[1], points.failures)
    relative_to = "electrolyte" if electrode is None else "electrolyte and electrode"
    energies = interphase_formation_energies(known, *given)
    times = None if time_between_frames is None else time_between_frames * np.array(numbers)
    report = _interphase_report(known, energies, electrolyte, relative_to, times)
    report.warnings += points.failures
    return report


def _sei_report(seis: list[Atoms], electrolyte: Atoms, metal: Atoms, failures: list[str]) -> Report:
    energies = np.array([sei_formation_energy(atoms, electrolyte, metal) for atoms in seis])
    formulas = [atoms.get_chemical_formula() for atoms in seis]
    values = {
        "metal": _single_element(metal),
        "sei_formation_energies_ev_per_metal_atom": energies,
        "formulas": formulas,
    }
    return Report("formation", values, sei_figure(formulas, energies), failures, seis)


def _interphase_report(
    interphases: Sequence[Atoms],
    energies: np.ndarray,
    electrolyte: Atoms,
    relative_to: str,
    times: np.ndarray | None,
) -> Report:
    gaps = distances(interphases, len(electrolyte))
    origins = [np.arange(len(atoms)) >= len(atoms) - len(electrolyte) for atoms in interphases]
    pairs = list(zip(interphases, origins, strict=True))
    profiles = [composition_of(*pair) for pair in pairs]
    before = species_of(electrolyte)
    species = [species_of(*pair) for pair in pairs]
    # a species of the electrolyte that is there no more has reacted, even if what it became lies above the electrode
    reacted = [bool(gap <= 0 or found != before) for gap, found in zip(gaps, species, strict=True)]
    stresses = [whole_stress(atoms) for atoms in interphases]
    values: dict[str, Any] = {
        "relative_to": relative_to,
        "distances_angstrom": gaps,
        "interphase_formation_energies_ev": energies,
        "lowest_energy_ev": energies.min(),
        "distance_of_lowest_energy_angstrom": gaps[energies.argmin()],
        "is_reacted": reacted,
        "widths_angstrom": np.array([profile.width for profile in profiles]),
        "width_of_a_sharp_contact_angstrom": RESOLUTION,
        "species_of_electrolyte": dict(before),
        "species": [dict(found) for found in species],
        "stress_n_per_m": np.array(stresses) if all(stress is not None for stress in stresses) else None,
    }
    growth = None
    if times is not None:
        growth = growth_of(times, values["widths_angstrom"])
        values |= {
            "times_ps": times,
            "growth_constant_square_angstrom_per_ps": growth.constant,
            "growth_constant_error_square_angstrom_per_ps": growth.error,
            "growth_exponent": growth.exponent,
        }
    figure = interphase_figure(values, profiles[-1], times, growth)
    x, label = (values["widths_angstrom"], "width, Å") if any(reacted) else (gaps, "distance, Å")
    order = np.argsort(x)
    curve = Curve(x[order], energies[order], label, "formation energy, eV")
    return Report("formation", values, figure, [], list(interphases), {"energy": curve})


def _counts(atoms: Atoms) -> Counter[str]:
    return Counter(atoms.get_chemical_symbols())


def _single_element(metal: Atoms) -> str:
    elements = set(metal.get_chemical_symbols())
    if len(elements) != 1:
        raise ConfigError(f"`metal`: expected one element, got {metal.get_chemical_formula() or 'no atoms'}")
    return elements.pop()
