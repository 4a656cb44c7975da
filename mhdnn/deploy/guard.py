"""What the ASE calculator does about atoms outside the range of the training data (`mhdnn.domain`)."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from ase import Atoms
from ase.data import chemical_symbols

from mhdnn.errors import ConfigError, ModelError
from mhdnn.prediction import SeenAtoms

EXTRAPOLATION = ("warn", "off", "stop")
OUTSIDE = "outside the range of the training data"
REMEDY = 'train on such structures, or choose `extrapolation="warn"`'


class ExtrapolationWarning(UserWarning):
    """A model is asked about atoms unlike all that it was trained on."""


class ExtrapolationGuard:
    """Marks such atoms and counts the calculations that had any; warns at the 1st, 10th, 100th ..., or stops.

    With the choice off it marks them, too, since their expected errors are larger, but neither counts nor says a word.

    :param choice: of `EXTRAPOLATION`
    :param domain: of the potential, scripted or not
    :param source: name of the model, for messages
    :ivar outside: marks of the last calculation, shape (num_atoms,), bool
    :ivar num_extrapolations: calculations with marked atoms
    :raises ConfigError: if the choice is none
    """

    def __init__(self, choice: str, domain: Any, source: str) -> None:
        if choice not in EXTRAPOLATION:
            raise ConfigError(f"`extrapolation`: expected one of {', '.join(EXTRAPOLATION)}, got {choice!r}")
        self.choice, self.domain = choice, domain
        self.outside = np.zeros(0, dtype=bool)
        self.num_extrapolations = 0
        self._atomic_numbers = np.zeros(0, dtype=int)
        self._why: Callable[[int], str] | None = None
        self._told_of_total_charge = False
        if choice != "off" and not domain.is_complete():
            warnings.warn(
                f"{source}: has no ranges of elements, distances and charges (it is of an older version, or of an "
                f"unfinished training), so that atoms {OUTSIDE} may go unnoticed; train again with this version",
                ExtrapolationWarning,
                stacklevel=3,
            )

    def forget(self, num_atoms: int) -> None:
        """Before a calculation: no atom is marked yet."""
        self.outside, self._why = np.zeros(num_atoms, dtype=bool), None

    def look_at_total_charge(self, total_charge: float) -> None:
        """Before a calculation with charges.

        :param total_charge: e
        :raises ModelError: if it is outside and the choice is stop
        """
        found = self.domain.total_charge_outside(total_charge) if self.choice != "off" else ""
        if not found:
            return
        message = f"`total_charge`: {OUTSIDE} ({found})"
        if self.choice == "stop":
            raise ModelError(f"{message}; {REMEDY}")
        if not self._told_of_total_charge:
            self._told_of_total_charge = True
            warnings.warn(f"{message}: charges and energies may be wrong", ExtrapolationWarning, stacklevel=5)

    def look(self, atoms: SeenAtoms) -> None:
        """Mark atoms by their functions and distances; called by `mhdnn.prediction.predict`.

        :raises ModelError: if there are any and the choice is stop
        """
        geometry = atoms.geometry
        functions, element = atoms.symmetry_functions.detach(), atoms.element_index
        pairs = (atoms.vectors.detach(), geometry.center_index, geometry.neighbor_index)
        outside = self.domain.functions_outside(functions, element)
        outside |= self.domain.distances_outside(*pairs, element, geometry.num_atoms)
        self._mark_seen(outside, atoms, None)

    def look_at_charges(self, atoms: SeenAtoms, charges: torch.Tensor) -> None:
        """Mark atoms by their charges (e), too; as `look`."""
        outside = self.domain.charges_outside(charges, atoms.element_index)
        self._mark_seen(outside | torch.as_tensor(self.outside, device=outside.device), atoms, charges)

    def _mark_seen(self, outside: torch.Tensor, atoms: SeenAtoms, charges: torch.Tensor | None) -> None:
        geometry = atoms.geometry

        def why(number: int) -> str:
            pairs = (atoms.vectors.detach(), geometry.center_index, geometry.neighbor_index)
            functions = atoms.symmetry_functions.detach()
            return str(self.domain.why_outside(number, functions, *pairs, atoms.element_index, charges))

        self.mark(outside.cpu().numpy(), geometry.atomic_numbers.cpu().numpy(), why)

    def mark(self, outside: np.ndarray, atomic_numbers: np.ndarray, why: Callable[[int], str]) -> None:
        """Take marks that were found.

        :param outside: shape (num_atoms,), bool
        :param atomic_numbers: shape (num_atoms,)
        :param why: tells in words why an atom is outside; called until `report`
        :raises ModelError: if there are any and the choice is stop
        """
        self.outside, self._atomic_numbers, self._why = outside, atomic_numbers, why
        if self.choice == "stop" and outside.any():
            self.num_extrapolations += 1
            raise ModelError(f"`atoms`: {self._words()}; {REMEDY}")

    def report(self) -> None:
        """After a calculation: count it and warn, if an atom was marked."""
        if self.choice != "off" and self.outside.any():
            self.num_extrapolations += 1
            if is_power_of_ten(self.num_extrapolations):
                warnings.warn(
                    f"{self._words()}; energies and forces may be wrong. Train on such structures; `outside_training` "
                    f"marks them, `num_extrapolations` counts such calculations ({self.num_extrapolations} so far)",
                    ExtrapolationWarning,
                    stacklevel=4,
                )
        self._why = None

    def _words(self) -> str:
        assert self._why is not None
        numbers, atomic_numbers = np.flatnonzero(self.outside), self._atomic_numbers
        first = int(numbers[0])
        formula, symbol = Atoms(atomic_numbers[numbers]).get_chemical_formula(), chemical_symbols[atomic_numbers[first]]
        return (
            f"{len(numbers)} of {len(atomic_numbers)} atoms ({formula}, the first is number {first}) are {OUTSIDE} "
            f"({symbol}: {self._why(first)})"
        )


def is_power_of_ten(number: int) -> bool:
    """Whether a positive number is 1, 10, 100 ..."""
    return str(number).strip("0") == "1"
