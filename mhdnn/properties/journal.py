"""Long calculations continue where they were interrupted."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import BaseCalculator

from mhdnn.errors import ConfigError
from mhdnn.files import write_text_atomically
from mhdnn.properties.calculators import description_of
from mhdnn.properties.report import plain

ENERGY = "energy_ev"
ENERGY_TOLERANCE = 1e-3
"""eV; what the same calculator may give differently when it is asked again (DFT on other processors)."""


def fingerprint(atoms: Atoms) -> str:
    """A text that differs for structures that differ by more than 1e-8 Å."""
    rounded = np.round(np.concatenate([atoms.cell[:].ravel(), atoms.positions.ravel()]), 8) + 0.0
    return hashlib.sha256(rounded.tobytes() + atoms.numbers.tobytes() + atoms.pbc.tobytes()).hexdigest()[:16]


def identity(atoms: Atoms, calculator: BaseCalculator) -> dict[str, Any]:
    """Settings that tell structure and calculator apart from others.

    A fingerprint, the constraints, the total charge; the calculator's class, model or parameters; and the energy, which
    tells calculators apart that don't say what they are made of.
    """
    copy = atoms.copy()
    copy.calc = calculator
    return {
        "structure": fingerprint(atoms),
        "constraints": [str(constraint.todict()) for constraint in atoms.constraints],
        "total_charge": atoms.info.get("total_charge"),
        "calculator": description_of(calculator),
        ENERGY: float(copy.get_potential_energy()),
    }


class Journal:
    """Results of the steps of a long calculation, in a JSON file after each step.

    :param path: the file; nothing is kept if None
    :param settings: what the results depend on; numbers may differ by round-off
    :raises ConfigError: if the file is of another calculation (names everything that differs), or is no journal
    """

    def __init__(self, path: str | Path | None, settings: dict[str, Any]) -> None:
        self.path = None if path is None else Path(path)
        self.settings = plain(settings)
        self.results: dict[str, Any] = {}
        if self.path is not None and self.path.exists():
            self.results = self._checked(*read_journal(self.path))

    def get(self, step: str, compute: Callable[[], Any]) -> Any:
        """The result of a step: from the file, or computed and written to it.

        :param compute: gives what JSON has, or numpy arrays, which come back as lists
        """
        if step not in self.results:
            self.results[step] = plain(compute())
            self.write()
        return self.results[step]

    def write(self) -> None:
        """Write the file, if there is one."""
        if self.path is not None:
            text = json.dumps({"settings": self.settings, "results": self.results}, indent=1)
            write_text_atomically(self.path, text + "\n")

    def _checked(self, settings: dict[str, Any], results: dict[str, Any]) -> dict[str, Any]:
        differences = [
            f"`{key}` {wanted}, got one with {found}" for key, wanted, found in differences_of(self.settings, settings)
        ]
        if differences:
            raise ConfigError(
                f"`{self.path}`: expected a journal with {'; with '.join(differences)}; it is of another calculation: "
                "remove it to begin anew, or name another journal"
            )
        return results


def read_journal(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Settings and results of a file.

    :raises ConfigError: if it is no journal
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        settings, results = content["settings"], content["results"]
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"`{path}`: expected a journal to continue, got another file; remove it or name another"
        ) from error
    if not isinstance(settings, dict) or not isinstance(results, dict):
        raise ConfigError(f"`{path}`: expected a journal to continue, got another file; remove it or name another")
    return settings, results


def differences_of(wanted: dict[str, Any], found: dict[str, Any], prefix: str = "") -> list[tuple[str, Any, Any]]:
    """Key, wanted and found value of whatever differs; keys of dictionaries within are joined by dots."""
    result: list[tuple[str, Any, Any]] = []
    for key in dict.fromkeys([*wanted, *found]):
        ours, theirs = wanted.get(key), found.get(key)
        if isinstance(ours, dict) and isinstance(theirs, dict):
            result += differences_of(ours, theirs, f"{prefix}{key}.")
        elif not _same(ours, theirs, ENERGY_TOLERANCE if key == ENERGY else 1e-6):
            result.append((prefix + key, ours, theirs))
    return result


def _same(wanted: Any, found: Any, tolerance: float) -> bool:
    if isinstance(found, float) and isinstance(wanted, float):
        return math.isclose(found, wanted, rel_tol=1e-6, abs_tol=tolerance)
    return bool(found == wanted)
