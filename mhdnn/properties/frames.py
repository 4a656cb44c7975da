"""Structures that keep what a calculator said about them: labels for files, and one calculation for many questions."""

from __future__ import annotations

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
