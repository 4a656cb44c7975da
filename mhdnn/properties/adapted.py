"""Calculators that keep to ASE's protocol without its base class, as GPAW's do, made into ones of the base class."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeGuard

from ase import Atoms
from ase.calculators.calculator import BaseCalculator, Calculator, PropertyNotImplementedError, all_changes


class CalculatorProtocol(Protocol):
    """What is asked of them."""

    implemented_properties: list[str]

    def get_property(self, name: str, atoms: Atoms) -> Any:
        """In ASE's units; a KeyError or NotImplementedError if there is none."""
        ...


def keeps_to_protocol(made: object) -> TypeGuard[CalculatorProtocol]:
    """Whether it can be adapted."""
    return callable(getattr(made, "get_property", None)) and hasattr(made, "implemented_properties")


class AdaptedCalculator(Calculator):
    """All properties of another calculator.

    :param make: makes such a calculator anew; None: what it knows of the structures before stays
    """

    def __init__(self, inner: CalculatorProtocol, make: Callable[[], CalculatorProtocol] | None = None) -> None:
        super().__init__()
        self.inner = inner
        self._make = make
        self.implemented_properties = list(self.inner.implemented_properties)

    def description(self) -> dict[str, Any]:
        """What tells it from others, for journals."""
        kind = type(self.inner)
        parameters = self.inner.todict() if hasattr(self.inner, "todict") else {}
        return {"class": f"{kind.__module__}.{kind.__qualname__}", "parameters": str(parameters)}

    def start_afresh(self) -> None:
        """Forget what was computed before: wave functions of another structure, too."""
        self.reset()
        if self._make is not None:
            self.inner = self._make()

    def calculate(
        self, atoms: Atoms | None = None, properties: Any = ("energy",), system_changes: Any = all_changes
    ) -> None:
        """Called by ASE."""
        super().calculate(atoms, properties, system_changes)
        for name in properties:
            try:
                self.results[name] = self.inner.get_property(name, self.atoms)
            except (KeyError, NotImplementedError) as error:
                raise PropertyNotImplementedError(f"{type(self.inner).__name__} has no {name} here") from error


def start_afresh(calculator: BaseCalculator) -> None:
    """Have a calculator forget the structures before, so that labels don't depend on their order."""
    if hasattr(calculator, "start_afresh"):
        calculator.start_afresh()
    elif hasattr(calculator, "reset"):
        calculator.reset()
