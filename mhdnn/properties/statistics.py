"""Averages over trajectories, with errors that know that successive values are alike."""

from __future__ import annotations

import numpy as np

FEWEST_BLOCKS = 16
"""Fewer blocks than this say little about their own scatter (18 % at 16)."""


def standard_error(samples: np.ndarray) -> np.ndarray:
    r"""Standard error of the mean of a correlated series, by blocking.

    Neighbouring values are averaged in pairs again and again. :math:`\sqrt{c_0/(n - 1)}` of the n blocks grows until
    they are independent; the largest one is taken (Flyvbjerg and Petersen, https://doi.org/10.1063/1.457480).
    The series must be many times longer than its correlations, or the error is too small.

    :param samples: shape (num_samples, ...), at least 16 of them
    :return: shape (...)
    :raises ValueError: if there are fewer samples
    """
    blocks = np.asarray(samples, dtype=float)
    if len(blocks) < FEWEST_BLOCKS:
        raise ValueError(f"`samples`: expected at least {FEWEST_BLOCKS}, got {len(blocks)}")
    error = np.zeros(blocks.shape[1:])
    while len(blocks) >= FEWEST_BLOCKS:
        error = np.maximum(error, np.sqrt(blocks.var(axis=0) / (len(blocks) - 1)))
        even = len(blocks) - len(blocks) % 2
        blocks = 0.5 * (blocks[0:even:2] + blocks[1:even:2])
    return error
