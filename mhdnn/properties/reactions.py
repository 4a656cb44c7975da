r"""Reaction energies of balanced equations: an SEI with its by-products, from crystals and molecules.

.. math:: \sum_r \nu_r R_r \to \sum_p \nu_p P_p, \qquad \Delta E = \sum_p \nu_p E_p - \sum_r \nu_r E_r

The numbers :math:`\nu` follow from the conservation of every element; they are the smallest whole ones. A crystal (with
periodic directions) counts by its formula unit, a molecule as it is. Per atom of a metal the energy is
:math:`\Delta E/N_X` with the :math:`N_X` atoms of the metal X that react.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator
from ase.formula import Formula
from matplotlib.figure import Figure

from mhdnn.data.compositions import null_space
from mhdnn.errors import ConfigError
from mhdnn.evaluation.plots import INK, PALETTE, label_axes, new_figure, style_axes
from mhdnn.properties.points import Points
from mhdnn.properties.report import Report
from mhdnn.properties.resting import Rest, structures_at_rest


@dataclass(frozen=True)
class Compound:
    """What takes part in a reaction.

    :param formula: of the unit that is counted
    :param elements: atoms of each element in it
    :param energy: of it, eV
    """

    formula: str
    elements: dict[str, int]
    energy: float


def compound_of(atoms: Atoms) -> Compound:
    """The compound of a structure with an energy: the formula unit of a crystal, or the molecule."""
    counts = Counter(atoms.get_chemical_symbols())
    units = math.gcd(*counts.values()) if atoms.pbc.any() else 1
    elements = {symbol: count // units for symbol, count in counts.items()}
    return Compound(Formula.from_dict(elements).format("hill"), elements, atoms.get_potential_energy() / units)


def balance(reactants: Sequence[Compound], products: Sequence[Compound]) -> list[int]:
    """How many units of each reactant and product, the smallest whole numbers.

    :raises ConfigError: if no equation, or more than one, conserves all elements with all compounds
    """
    compounds = [*reactants, *products]
    elements = sorted({symbol for compound in compounds for symbol in compound.elements})
    signs = [1] * len(reactants) + [-1] * len(products)
    solutions = null_space(
        [
            [sign * compound.elements.get(symbol, 0) for sign, compound in zip(signs, compounds, strict=True)]
            for symbol in elements
        ]
    )
    names = [compound.formula for compound in compounds]
    equation = f"{' + '.join(names[: len(reactants)])} → {' + '.join(names[len(reactants) :])}"
    if len(solutions) != 1:
        found = "none" if not solutions else f"{len(solutions)} independent ones; leave compounds out"
        raise ConfigError(f"`products`: expected one way to balance {equation}, got {found}")
    direction = 1 if max(solutions[0], key=abs) > 0 else -1
    numbers = [direction * number for number in solutions[0]]
    if min(numbers) <= 0:
        wrong = ", ".join(name for name, number in zip(names, numbers, strict=True) if number <= 0)
        raise ConfigError(
            f"`products`: expected all compounds of {equation} to take part on their side, but {wrong} does not; "
            "leave it out, or move it to the other side"
        )
    return numbers


def reaction_report(
    reactants: list[Atoms],
    products: list[Atoms],
    calculator: Calculator | None = None,
    metal: str = "Li",
    relax: bool = False,
    max_force: float = 0.01,
    journal: Path | None = None,
) -> Report:
    """Energy of a reaction that is balanced from its compounds, such as EC + 2 Li → Li2CO3 + C2H4.

    :param reactants: molecules, and crystals with their cell
    :param products: molecules, and crystals with their cell
    :param calculator: of energies; without it the energies that the files hold are taken
    :param metal: element whose atoms the energy is divided by, those on the side of the reactants
    :param relax: whether positions are relaxed, and cells of crystals
    :param max_force: at the end of a relaxation, eV/Å
    :param journal: JSON file of finished structures, from which an interrupted command continues
    :raises ConfigError: if it can't be balanced, or no atoms of the metal react
    """
    everything = [*reactants, *products]
    found = structures_at_rest(
        everything, calculator, Rest(relax, True, max_force), Points(), len(everything), journal, "reaction"
    )
    at_rest = [atoms for atoms in found if atoms is not None]
    compounds = [compound_of(atoms) for atoms in at_rest]
    left, right = compounds[: len(reactants)], compounds[len(reactants) :]
    numbers = balance(left, right)
    signs = np.array([-1] * len(left) + [1] * len(right))
    energies = np.array([compound.energy for compound in compounds])
    energy = float((signs * np.array(numbers)) @ energies)
    num_metal = sum(number * one.elements.get(metal, 0) for number, one in zip(numbers, left, strict=False))
    if num_metal == 0:
        raise ConfigError(f"`metal`: expected an element of the reactants, got {metal!r}")
    equation = " → ".join(
        " + ".join(f"{n if n > 1 else ''} {one.formula}".strip() for n, one in side)
        for side in (list(zip(numbers, left, strict=False)), list(zip(numbers[len(left) :], right, strict=True)))
    )
    values = {
        "equation": equation,
        "numbers": numbers,
        "formulas": [compound.formula for compound in compounds],
        "energies_per_unit_ev": energies,
        "reaction_energy_ev": energy,
        "metal": metal,
        "num_metal_atoms": num_metal,
        "reaction_energy_ev_per_metal_atom": energy / num_metal,
    }
    return Report("reaction", values, _figure(equation, energy, metal, num_metal), structures=at_rest)


def _figure(equation: str, energy: float, metal: str, num_metal: int) -> Figure:
    """Levels of reactants and products."""
    figure = new_figure(6.4, 3.4, equation)
    axes = figure.subplots()
    style_axes(axes, "y")
    for place, level, color in ((0, 0.0, PALETTE[0]), (1, energy, PALETTE[1])):
        axes.plot([place - 0.3, place + 0.3], [level, level], color=color, linewidth=3)
    axes.plot([0.3, 0.7], [0.0, energy], color="0.6", linewidth=0.9, linestyle="--")
    axes.text(
        1, energy, f"{energy:.3f} eV\n{energy / num_metal:.3f} eV per {metal}", ha="center", va="bottom", color=INK
    )
    low, high = min(0.0, energy), max(0.0, energy)
    axes.set(xlim=(-0.5, 1.5), ylim=(low - 0.15 * (high - low), high + 0.35 * (high - low)))
    axes.set_xticks([0, 1], ["reactants", "products"])
    label_axes(axes, "", "energy, eV")
    return figure
