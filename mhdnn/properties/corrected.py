"""Any calculator with a dispersion correction added: density functionals without one, as an oracle."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import BaseCalculator, Calculator, all_changes

from mhdnn.dispersion import DispersionCorrection
from mhdnn.properties.adapted import start_afresh
from mhdnn.properties.calculators import description_of, resolve_calculator


class CorrectedCalculator(Calculator):
    """Energy (eV), forces (eV/Å), stress (eV/Å³) of a calculator and of a correction, charges of the calculator.

    As an oracle ``calculator=mhdnn.properties.corrected:CorrectedCalculator`` with the settings ``calculator``,
    ``settings`` and ``dispersion``.

    :param calculator: as `resolve_calculator` takes it
    :param settings: of what makes it
    :param dispersion: as in ``d3 bj pbe``
    :raises ConfigError: if the calculator can't be made, or the correction is none
    """

    def __init__(
        self, calculator: BaseCalculator | str, dispersion: str, settings: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__()
        self.correction = DispersionCorrection.parse(dispersion)
        self.inner = resolve_calculator(calculator, settings)
        self.made_of = calculator if isinstance(calculator, str) else None
        able = ("energy", "free_energy", "forces", "stress", "charges")
        self.implemented_properties = [name for name in able if name in self.inner.implemented_properties]

    @property
    def converged(self) -> bool:
        """What the calculator says of itself."""
        return getattr(self.inner, "converged", True) is not False

    def description(self) -> dict[str, Any]:
        """What tells it from others, for journals."""
        return {"calculator": description_of(self.inner, self.made_of), "dispersion": str(self.correction)}

    def start_afresh(self) -> None:
        """Have the calculator forget the structures before."""
        self.reset()
        start_afresh(self.inner)

    def calculate(
        self, atoms: Atoms | None = None, properties: Any = ("energy",), system_changes: Any = all_changes
    ) -> None:
        """Called by ASE; what is asked for of both, and what is added is computed once."""
        super().calculate(atoms, properties, system_changes)
        if hasattr(self.inner, "directory"):
            self.inner.directory = self.directory
        part = self.correction.labels(self.atoms)
        for name in properties:
            value = self.inner.get_property(name, self.atoms)
            added: Any = {"energy": part.energy, "free_energy": part.energy, "forces": part.forces}.get(name, 0.0)
            if name == "stress" and part.stress is not None:
                added = part.stress
            self.results[name] = value + added if np.ndim(value) == 0 else np.asarray(value, dtype=float) + added
