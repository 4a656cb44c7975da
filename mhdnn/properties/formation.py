r"""Formation energies of interphases and of the solid-electrolyte interphase (SEI).

An electrode at the distance d from an electrolyte has, relative to the parts that are told,

.. math:: E_{f}(d) = E(d) - E_{electrolyte} \;[- E_{electrode}],

and an SEI that formed from an electrolyte and :math:`N_X` atoms of the metal X

.. math:: E_{f} = \frac{E_{SEI} - (E_X + E_{electrolyte})}{N_X}.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator
from matplotlib.figure import Figure

from mhdnn.errors import ConfigError
from mhdnn.evaluation.plots import PALETTE, label_axes, new_figure, style_axes
from mhdnn.properties.progress import tracked
from mhdnn.properties.relaxation import with_energy
from mhdnn.properties.report import Report


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
    :return: shape (num_interphases,), Å
    :raises ConfigError: if the electrolyte is not above the electrode
    """
    found = []
    for number, atoms in enumerate(interphases):
        if not 0 < num_electrolyte < len(atoms):
            raise ConfigError(
                f"`interphases`: expected more atoms than the electrolyte's {num_electrolyte}, but number {number} has "
                f"{len(atoms)}"
            )
        normal = np.cross(*atoms.cell.complete()[:2])
        heights = atoms.positions @ normal / np.linalg.norm(normal)
        gap = heights[-num_electrolyte:].min() - heights[:-num_electrolyte].max()
        if gap <= 0:
            raise ConfigError(
                f"`interphases`: number {number}: expected the last {num_electrolyte} atoms, the electrolyte's, above "
                f"all others, but they begin {-gap:.2f} Å below; order and place the atoms so"
            )
        found.append(gap)
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
) -> Report:
    """Formation energy of interphases against distance, or, with a metal, of SEIs per atom of it.

    :param structures: interphases (the electrode's atoms first, below the electrolyte's), or SEIs if a metal is given
    :param electrolyte: alone
    :param calculator: of energies; without it the energies that the files hold are taken
    :param electrode: alone, for interphases; its energy stays in the result if none
    :param metal: the metal that SEIs took up, for example body-centred lithium
    :param relax: whether positions are relaxed
    :param max_force: at the end of a relaxation, eV/Å
    :raises ConfigError: if an electrode is given for SEIs
    """
    if metal is not None and electrode is not None:
        raise ConfigError(
            "`electrode`: expected for interphases only, got it with `metal`, which means SEIs; leave one out"
        )
    parts = [part for part in (electrolyte, electrode, metal) if part is not None]
    at_rest = [
        with_energy(atoms, calculator, relax, max_force=max_force)
        for atoms in tracked([*parts, *structures], "formation")
    ]
    given, known = at_rest[: len(parts)], at_rest[len(parts) :]
    if metal is not None:
        energies = np.array([sei_formation_energy(atoms, *given) for atoms in known])
        values = {"metal": _single_element(metal), "sei_formation_energies_ev_per_metal_atom": energies}
        formulas = [atoms.get_chemical_formula() for atoms in structures]
        return Report("formation", values | {"formulas": formulas}, _sei_figure(formulas, energies))
    energies = interphase_formation_energies(known, *given)
    gaps = distances(known, len(electrolyte))
    values = {
        "relative_to": "electrolyte" if electrode is None else "electrolyte and electrode",
        "distances_angstrom": gaps,
        "interphase_formation_energies_ev": energies,
        "lowest_energy_ev": energies.min(),
        "distance_of_lowest_energy_angstrom": gaps[energies.argmin()],
    }
    return Report("formation", values, _interphase_figure(gaps, energies))


def _counts(atoms: Atoms) -> Counter[str]:
    return Counter(atoms.get_chemical_symbols())


def _single_element(metal: Atoms) -> str:
    elements = set(metal.get_chemical_symbols())
    if len(elements) != 1:
        raise ConfigError(f"`metal`: expected one element, got {metal.get_chemical_formula() or 'no atoms'}")
    return elements.pop()


def _interphase_figure(gaps: np.ndarray, energies: np.ndarray) -> Figure:
    figure = new_figure(5.5, 4, "Interphase formation energy")
    axes = figure.subplots()
    style_axes(axes)
    order = np.argsort(gaps)
    axes.plot(gaps[order], energies[order], "o-", color=PALETTE[0], markersize=4)
    label_axes(axes, "distance, Å", "formation energy, eV")
    return figure


def _sei_figure(formulas: Sequence[str], energies: np.ndarray) -> Figure:
    figure = new_figure(5.5, 1.5 + 0.4 * len(formulas), "SEI formation energy")
    axes = figure.subplots()
    style_axes(axes, grid="x")
    places = np.arange(len(formulas))
    axes.barh(places, energies, color=PALETTE[0], height=0.6)
    axes.set_yticks(places, formulas)
    label_axes(axes, "eV per metal atom", "")
    return figure
