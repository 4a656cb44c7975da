"""Energies of many structures by one calculator, kept in a journal so that a long scan can be continued."""

from __future__ import annotations

from pathlib import Path

from ase import Atoms
from ase.calculators.calculator import Calculator

from mhdnn.properties.journal import Journal, fingerprint


def energy_of(atoms: Atoms, calculator: Calculator) -> float:
    """Energy of a copy of the atoms, eV."""
    copy = atoms.copy()
    copy.calc = calculator
    return float(copy.get_potential_energy())


class Energies:
    """Energies of structures with one total charge; each structure is calculated once.

    :param journal: JSON file to which each energy is written and from which an interrupted scan continues; None keeps
        them in memory
    :param total_charge: what the journal is for, beside the kind of calculator, e
    :raises ConfigError: if the file is the journal of something else
    """

    def __init__(
        self, calculator: Calculator, journal: str | Path | None = None, total_charge: float | None = None
    ) -> None:
        self.calculator = calculator
        self.journal = Journal(journal, {"calculator": type(calculator).__name__, "total_charge": total_charge})

    def __call__(self, atoms: Atoms) -> float:
        """Energy, eV."""
        return float(self.journal.get(fingerprint(atoms), lambda: energy_of(atoms, self.calculator)))
