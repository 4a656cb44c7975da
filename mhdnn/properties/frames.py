"""Structures that keep what a calculator said about them: labels for files, and one calculation for many questions."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from ase.calculators.calculator import BaseCalculator, PropertyNotImplementedError
from ase.calculators.singlepoint import SinglePointCalculator

KEPT = ("energy", "forces", "stress", "stresses", "charges")
"""Results that are kept if the calculator has them."""
NEED_CELL = ("stress", "stresses")


def with_results(atoms: Atoms, calculator: BaseCalculator) -> Atoms:
    """A copy with the results of one calculation: energy, forces, stress of cell and atoms, charges, as far as known.

    Constraints are left aside: forces are those of the calculator.
    """
    result = atoms.copy()
    result.calc = calculator
    kept = {}
    for name in KEPT:
        if name not in calculator.implemented_properties or (name in NEED_CELL and atoms.cell.rank < 3):
            continue
        try:
            kept[name] = calculator.get_property(name, result)
        except PropertyNotImplementedError:
            continue
    result.calc = SinglePointCalculator(result, **{name: value for name, value in kept.items() if value is not None})
    return result


def with_known_energy(atoms: Atoms, energy: float) -> Atoms:
    """A copy with an energy that is known, eV, as its result."""
    result = atoms.copy()
    result.calc = SinglePointCalculator(result, energy=energy)
    return result


def for_a_file(atoms: Atoms) -> Atoms:
    """A copy as it can be written: with results only if they are its own, not those of a shared calculator.

    Of the remarks in ``info`` only numbers, texts and arrays are kept: builders leave others there.
    """
    result = atoms.copy()
    if isinstance(atoms.calc, SinglePointCalculator):
        result.calc = SinglePointCalculator(result, **atoms.calc.results)
    result.info = {key: value for key, value in atoms.info.items() if isinstance(value, str | int | float | np.ndarray)}
    return result
