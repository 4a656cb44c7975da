r"""Fits of expected errors to errors that were seen.

Errors of forces, :math:`|\Delta\mathbf F_i|`, span decades: what is fitted is their logarithm, by least squares with
weights of the regressors that are not negative (a larger grade, or a larger force, never means less error). Errors of
energies are fitted as Gaussian with the variance that depends on the structure. Both are then multiplied such that
68 % of the errors are below; the quantile of 90 % is counted with the correction for finite samples of split conformal
prediction (Lei, G'Sell, Rinaldo, Tibshirani, Wasserman 2018, https://doi.org/10.1080/01621459.2017.1307116).
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import lsq_linear, minimize
from scipy.stats import rankdata

ONE_SIGMA = 0.6827
INTERVAL = 0.9
"""Fraction of errors that intervals are to hold."""
PENALTY = 1e-2
"""Of squared weights about zero (intercepts: about their mean), in units of the number of rows."""
SMALLEST_ERROR = 1e-6
"""eV/Å, eV: what is added before a logarithm is taken."""


def positive_regression(
    regressors: np.ndarray, values: np.ndarray, element: np.ndarray, num_elements: int
) -> np.ndarray:
    """Least squares with an intercept for each element, and weights of at least zero.

    :param regressors: shape (num_rows, num_regressors)
    :param values: shape (num_rows,)
    :param element: shape (num_rows,)
    :return: intercepts, then weights; the intercept of an element without rows is the largest of the others
    """
    num_rows, num_regressors = regressors.shape
    center, mean = regressors.mean(0), values.mean()
    intercepts = np.eye(num_elements)[element]
    rows = np.hstack([intercepts, regressors - center])
    shift = (PENALTY * num_rows) ** 0.5 * np.eye(rows.shape[1])
    targets = np.concatenate([values - mean, np.zeros(rows.shape[1])])
    lower = np.concatenate([np.full(num_elements, -np.inf), np.zeros(num_regressors)])
    solution = lsq_linear(np.vstack([rows, shift]), targets, (lower, np.inf)).x
    offset, weights = solution[:num_elements] + mean - center @ solution[num_elements:], solution[num_elements:]
    seen = intercepts.any(0)
    offset[~seen] = offset[seen].max()
    return np.concatenate([offset, weights])


def gaussian_scales(errors: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    r"""Weights :math:`\alpha, \beta` of the largest likelihood of errors of variance :math:`\alpha^2x^2 + \beta^2y^2`.

    :param errors: shape (num_rows,)
    :param first: x, shape (num_rows,)
    :param second: y, shape (num_rows,)
    """
    squares = errors**2 + SMALLEST_ERROR**2
    starts = 0.5 * np.log(squares.mean() / np.array([(first**2).mean(), (second**2).mean()]))

    def negative_likelihood(logarithms: np.ndarray) -> float:
        alpha, beta = np.exp(2 * logarithms)
        variance = alpha * first**2 + beta * second**2
        return float((np.log(variance) + squares / variance).mean())

    bounds = [(start - 12.0, start + 3.0) for start in starts]
    return np.exp(minimize(negative_likelihood, starts - 0.35, bounds=bounds).x)


def upper_quantile(ratios: np.ndarray, fraction: float) -> float:
    """What a fraction of new values is below, if they are like these; their largest where they are too few."""
    ordered = np.sort(ratios)
    rank = int(np.ceil((len(ordered) + 1) * fraction))
    return float(ordered[min(rank, len(ordered)) - 1])


def rank_correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Spearman's rank correlation; NaN where one of the two does not vary."""
    ranks = [rankdata(values) for values in (first, second)]
    if len(first) < 2 or any(np.ptp(values) == 0 for values in ranks):
        return float("nan")
    return float(np.corrcoef(*ranks)[0, 1])
