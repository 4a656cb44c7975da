"""A long scan survives a point that fails: it is left out, named in the report, and tried again by the next run."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from ase.calculators.calculator import CalculatorError

from mhdnn.errors import ElectrostaticsError, PropertyError

FAILURES = (CalculatorError, PropertyError, ElectrostaticsError, ArithmeticError)
"""What a calculation at one point may fail with; wrong settings fail at once."""

Result = TypeVar("Result")


class Points:
    """Results of points, and what became of those that failed.

    :ivar failures: a sentence for each, for the warnings of a report
    """

    def __init__(self) -> None:
        self.failures: list[str] = []

    def get(self, name: str, compute: Callable[[], Result]) -> Result | None:
        """The result of a point, or None if it fails.

        :param name: of the point, in words
        """
        try:
            return compute()
        except FAILURES as error:
            self.failures.append(
                f"{name} failed and is left out ({type(error).__name__}: {error}); the same command tries it again"
            )
            return None

    def check(self, number: int, least: int, what: str) -> None:
        """Whether enough points are left.

        :raises PropertyError: if fewer than the least number are, with the first failure
        """
        if self.failures and number < least:
            raise PropertyError(f"`{what}`: expected at least {least} points, {number} are left; {self.failures[0]}")
