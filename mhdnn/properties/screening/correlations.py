r"""Correlation of two columns, with the band in which the coefficient lies.

Pearson's coefficient r of n points, and its interval by Fisher's transformation (R. A. Fisher, Metron 1, 3 (1921)):
:math:`\operatorname{artanh} r` is nearly normal with the standard deviation :math:`1/\sqrt{n - 3}`, if both
quantities are and the points are independent. Several contents of one pair are not quite independent: the true band is
wider.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm, t

from mhdnn.properties.screening.table import GRADIENT, TRANSFER, WORK, Quantity, Table

LEVEL = 0.95
FEWEST = 4
"""Points below which there is no interval."""
PAIRS = ((GRADIENT, WORK), (TRANSFER, WORK), (TRANSFER, GRADIENT))
METHOD = f"Pearson's r with its {100 * LEVEL:.0f} % interval by Fisher's transformation"


@dataclass(frozen=True)
class Correlation:
    """Of two quantities.

    :param x: shape (num_points,)
    :param y: shape (num_points,)
    :param coefficient: r; None if it does not exist
    :param low: lower end of its interval, or None
    :param high: upper end, or None
    :param remark: why something is missing
    """

    first: Quantity
    second: Quantity
    x: np.ndarray
    y: np.ndarray
    coefficient: float | None
    low: float | None
    high: float | None
    remark: str = ""

    def __str__(self) -> str:
        if self.coefficient is None:
            return self.remark
        if self.low is None:
            return f"r = {self.coefficient:.2f}, {self.remark}"
        return f"r = {self.coefficient:.2f} ({self.low:.2f} to {self.high:.2f}), n = {len(self.x)}"


def correlate(first: Quantity, second: Quantity, x: Sequence[float], y: Sequence[float]) -> Correlation:
    """The correlation of points that both columns have.

    :param x: shape (num_points,)
    :param y: shape (num_points,)
    """
    one, other = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    if len(one) < FEWEST:
        return Correlation(first, second, one, other, None, None, None, f"{len(one)} points: at least {FEWEST} needed")
    spread = one.std() * other.std()
    if not spread > 1e-12 * max(np.abs(one).max() * np.abs(other).max(), 1e-300):
        return Correlation(first, second, one, other, None, None, None, "one of them does not vary")
    coefficient = float(np.clip(np.mean((one - one.mean()) * (other - other.mean())) / spread, -1.0, 1.0))
    if abs(coefficient) > 1.0 - 1e-12:
        return Correlation(first, second, one, other, coefficient, coefficient, coefficient)
    half = norm.ppf(0.5 + 0.5 * LEVEL) / np.sqrt(len(one) - 3)
    low, high = np.tanh(np.arctanh(coefficient) + np.array([-half, half]))
    return Correlation(first, second, one, other, coefficient, float(low), float(high))


def correlations_of(table: Table, calculator: str) -> list[Correlation]:
    """Work of separation, potential gradient and charge with each other, as far as they are known.

    :param calculator: label of the calculator whose rows count
    """
    found = []
    for first, second in PAIRS:
        columns = table.column_of(first), table.column_of(second)
        if None in columns:
            continue
        points = [
            (row.values[str(columns[0])], row.values[str(columns[1])])
            for row in table.rows
            if row.cell.calculator == calculator and all(column in row.values for column in columns)
        ]
        x, y = zip(*points, strict=True) if points else ((), ())
        found.append(correlate(first, second, x, y))
    return found


def fitted_line(x: np.ndarray, y: np.ndarray, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    r"""Least-squares line and half the width of the band in which it lies.

    :math:`t\,s\sqrt{1/n + (x - \bar x)^2/S_{xx}}` with Student's t of n - 2 degrees of freedom and the residuals' s.

    :param places: where, shape (num_places,)
    :return: line and half widths, each of shape (num_places,)
    """
    slope, level = np.polyfit(x - x.mean(), y, 1)
    offset = places - x.mean()
    residual = y - level - slope * (x - x.mean())
    freedom = len(x) - 2
    deviation = np.sqrt((residual**2).sum() / freedom)
    width = t.ppf(0.5 + 0.5 * LEVEL, freedom) * deviation
    return level + slope * offset, width * np.sqrt(1.0 / len(x) + offset**2 / ((x - x.mean()) ** 2).sum())
