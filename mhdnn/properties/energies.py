"""Energies of many structures by one calculator, kept in a journal so that a long scan can be continued."""

from __future__ import annotations

import math
from pathlib import Path

from ase import Atoms
from ase.calculators.calculator import BaseCalculator

from mhdnn.errors import NotFiniteError
from mhdnn.properties.journal import ENERGY, Journal, fingerprint, identity


def energy_of(atoms: Atoms, calculator: BaseCalculator) -> float:
    """Energy of a copy of the atoms, eV.

    :raises NotFiniteError: if it is none
    """
    copy = atoms.copy()
    copy.calc = calculator
    energy = float(copy.get_potential_energy())
    if not math.isfinite(energy):
        raise NotFiniteError(
            f"`calculator`: expected a finite energy of {atoms.get_chemical_formula()}, got {energy}; "
            "look at the structure"
        )
    return energy


class Energies:
    """Energies of structures that are made from one; each is calculated once.

    :param atoms: the structure that the others are made from; the journal is for it and this calculator
    :param journal: JSON file to which each energy is written and from which an interrupted scan continues; None keeps
        them in memory
    :raises ConfigError: if the file is the journal of something else
    """

    def __init__(self, calculator: BaseCalculator, atoms: Atoms, journal: str | Path | None = None) -> None:
        self.calculator = calculator
        settings = {} if journal is None else identity(atoms, calculator)
        self.journal = Journal(journal, settings)
        if settings:
            self.journal.get(fingerprint(atoms), lambda: settings[ENERGY])

    def __call__(self, atoms: Atoms) -> float:
        """Energy, eV."""
        return float(self.journal.get(fingerprint(atoms), lambda: energy_of(atoms, self.calculator)))
