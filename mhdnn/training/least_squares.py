r"""Weighted least squares with a penalty, :math:`\min_w |Rw - t|^2 + \lambda|w|^2`, chosen by cross-validation.

Few unknowns: the normal equations :math:`(R^TR + \lambda)w = R^Tt`, summed over all equations. Many: the same
solution as :math:`w = R^T(RR^T + \lambda)^{-1}t`, whose matrix has the size of the number of equations; these are
bounded instead (Saunders, Gammerman, Vovk 1998, ridge regression in dual variables).
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch

NUM_FOLDS = 3
PENALTIES = tuple(10.0**power for power in range(-8, 1))
"""What is tried, as fractions of the mean diagonal element of :math:`R^TR`."""

MOST_UNKNOWNS = 3000
"""Of normal equations, whose matrices take 72 MB each then."""
MOST_EQUATIONS = 8000
MOST_BYTES = 2**30
"""Of the equations kept where there are more unknowns."""


class LeastSquares(Protocol):
    """Equations rows · w = targets in folds, and their solution for a penalty."""

    def add(self, rows: torch.Tensor, targets: torch.Tensor, fold: int) -> None:
        """Add equations, shapes (num_equations, num_unknowns) and (num_equations,), all of them finite."""

    def is_full(self) -> bool:
        """Whether no more equations are taken."""

    def squares(self, fold: int) -> float:
        """Sum of the squared targets of a fold."""

    def error_without(self, fold: int, penalties: tuple[float, ...]) -> np.ndarray:
        """Sum of squared residuals on a fold that the solution did not see, for each penalty; NaN if unsolvable."""

    def solve(self, penalty: float) -> torch.Tensor:
        """The solution, shape (num_unknowns,)."""


def least_squares(num_unknowns: int) -> LeastSquares:
    """The form that suits the number of unknowns."""
    return NormalEquations(num_unknowns) if num_unknowns <= MOST_UNKNOWNS else GramEquations(num_unknowns)


def choose_penalty(system: LeastSquares) -> float:
    """The penalty of `cross_validated`."""
    return cross_validated(system)[0]


def cross_validated(system: LeastSquares) -> tuple[float, float]:
    """The penalty of least error on folds that are left out in turn, and the share of their squares that it leaves.

    Of one fold alone nothing is known: the middle of the range, and one.
    """
    used = [fold for fold in range(NUM_FOLDS) if system.squares(fold) > 0]
    if len(used) < 2:
        return PENALTIES[len(PENALTIES) // 2], 1.0
    errors = np.sum([system.error_without(fold, PENALTIES) for fold in used], axis=0)
    best = int(np.nanargmin(errors))
    return PENALTIES[best], float(errors[best]) / sum(system.squares(fold) for fold in used)


def _cholesky_solve(matrix: torch.Tensor, shift: float, vector: torch.Tensor) -> torch.Tensor:
    """Solution of (matrix + shift) x = vector; NaN if the matrix is not positive definite."""
    shifted = matrix.clone()
    shifted.diagonal().add_(shift)
    factor, failed = torch.linalg.cholesky_ex(shifted)
    if failed:
        return torch.full_like(vector, torch.nan)
    return torch.cholesky_solve(vector.unsqueeze(1), factor).squeeze(1)


class NormalEquations:
    """Least squares for few unknowns: keeps a matrix of their size for each fold."""

    def __init__(self, num_unknowns: int) -> None:
        self._matrices = torch.zeros(NUM_FOLDS, num_unknowns, num_unknowns, dtype=torch.float64)
        self._vectors = torch.zeros(NUM_FOLDS, num_unknowns, dtype=torch.float64)
        self._squares = [0.0] * NUM_FOLDS

    def add(self, rows: torch.Tensor, targets: torch.Tensor, fold: int) -> None:
        self._matrices[fold].addmm_(rows.T, rows)
        self._vectors[fold] += rows.T @ targets
        self._squares[fold] += float(targets @ targets)

    def is_full(self) -> bool:
        return False

    def squares(self, fold: int) -> float:
        return self._squares[fold]

    def error_without(self, fold: int, penalties: tuple[float, ...]) -> np.ndarray:
        matrix = self._matrices.sum(0) - self._matrices[fold]
        vector = self._vectors.sum(0) - self._vectors[fold]
        scale = float(matrix.diagonal().mean())
        solutions = torch.stack([_cholesky_solve(matrix, penalty * scale, vector) for penalty in penalties], 1)
        quadratic = (solutions * (self._matrices[fold] @ solutions)).sum(0)
        return (quadratic - 2 * self._vectors[fold] @ solutions + self._squares[fold]).numpy()

    def solve(self, penalty: float) -> torch.Tensor:
        matrix = self._matrices.sum(0)
        return _cholesky_solve(matrix, penalty * float(matrix.diagonal().mean()), self._vectors.sum(0))


class GramEquations:
    """Least squares for many unknowns: keeps a bounded number of equations."""

    def __init__(self, num_unknowns: int) -> None:
        self._num_unknowns = num_unknowns
        capacity = min(MOST_EQUATIONS, MOST_BYTES // (8 * num_unknowns))
        self._rows = torch.empty(capacity, num_unknowns, dtype=torch.float64)
        self._targets = torch.empty(capacity, dtype=torch.float64)
        self._folds = torch.empty(capacity, dtype=torch.long)
        self._count = 0
        self._gram: torch.Tensor | None = None

    def add(self, rows: torch.Tensor, targets: torch.Tensor, fold: int) -> None:
        kept = slice(self._count, min(self._count + len(rows), len(self._rows)))
        number = kept.stop - kept.start
        self._rows[kept], self._targets[kept], self._folds[kept] = rows[:number], targets[:number], fold
        self._count, self._gram = kept.stop, None

    def is_full(self) -> bool:
        return self._count == len(self._rows)

    def squares(self, fold: int) -> float:
        chosen = self._targets[: self._count][self._folds[: self._count] == fold]
        return float(chosen @ chosen)

    def error_without(self, fold: int, penalties: tuple[float, ...]) -> np.ndarray:
        left_out = self._folds[: self._count] == fold
        targets, gram = self._targets[: self._count], self._products()
        seen = gram[~left_out][:, ~left_out]
        scale = float(seen.diagonal().sum()) / self._num_unknowns
        factors = torch.stack([_cholesky_solve(seen, p * scale, targets[~left_out]) for p in penalties], 1)
        residuals = gram[left_out][:, ~left_out] @ factors - targets[left_out].unsqueeze(1)
        return (residuals**2).sum(0).numpy()

    def solve(self, penalty: float) -> torch.Tensor:
        gram = self._products()
        scale = float(gram.diagonal().sum()) / self._num_unknowns
        return self._rows[: self._count].T @ _cholesky_solve(gram, penalty * scale, self._targets[: self._count])

    def _products(self) -> torch.Tensor:
        """:math:`RR^T`."""
        if self._gram is None:
            rows = self._rows[: self._count]
            self._gram = rows @ rows.T
        return self._gram
