"""Expected errors against those that are there: rank correlation, coverage of intervals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mhdnn.evaluation.predictions import Predictions
from mhdnn.uncertainty.calibration import rank_correlation


@dataclass(frozen=True)
class SeenCalibration:
    """Expected errors and true ones of a set, where the reference is known.

    :param expected: shape (num,)
    :param error: shape (num,), not negative
    :param quantile: 90 % of errors should be below so many expected ones
    """

    expected: np.ndarray
    error: np.ndarray
    quantile: float

    @property
    def spearman(self) -> float:
        """Rank correlation of the two."""
        return rank_correlation(self.expected, self.error)

    @property
    def coverage(self) -> float:
        """Fraction of errors inside the interval of 90 %."""
        return float((self.error <= self.quantile * self.expected).mean())


def force_calibration(predictions: Predictions) -> SeenCalibration | None:
    """Of forces: lengths of vectors, eV/Å; None if one of the sides is missing."""
    expected, quantile = predictions.forces_uncertainty, predictions.forces_quantile
    reference, predicted = predictions.forces_reference, predictions.forces_predicted
    if expected is None or quantile is None or reference is None or predicted is None:
        return None
    return _known(expected, np.linalg.norm(predicted - reference, axis=1), quantile)


def energy_calibration(predictions: Predictions) -> SeenCalibration | None:
    """Of energies, eV per atom; None if one of the sides is missing."""
    expected, quantile = predictions.energy_uncertainty, predictions.energy_quantile
    reference, predicted = predictions.energy_reference, predictions.energy_predicted
    if expected is None or quantile is None or reference is None or predicted is None:
        return None
    size = predictions.num_atoms
    return _known(expected / size, np.abs(predicted - reference) / size, quantile)


def _known(expected: np.ndarray, error: np.ndarray, quantile: float) -> SeenCalibration | None:
    known = np.isfinite(error)
    return SeenCalibration(expected[known], error[known], quantile) if known.sum() > 1 else None


def calibration_of(predictions: Predictions) -> dict[str, float]:
    """Keys ``uncertainty_spearman`` and ``coverage_90`` (forces), and the same with ``energy_``; empty without them."""
    result: dict[str, float] = {}
    for prefix, found in (("", force_calibration(predictions)), ("energy_", energy_calibration(predictions))):
        if found is not None:
            result[f"{prefix}uncertainty_spearman"] = found.spearman
            result[f"{prefix}coverage_90"] = found.coverage
    return {key: value for key, value in result.items() if np.isfinite(value)}
