r"""Charge equilibration by projected preconditioned conjugate gradients.

Iterates keep the sums of the groups: search directions are projected with the preconditioner D,

.. math:: z = D^{-1}(r - C\mu), \qquad \mu = (C^T D^{-1} C)^{-1} C^T D^{-1} r

(N. I. M. Gould, M. E. Hribar and J. Nocedal, SIAM J. Sci. Comput. 23, 1376 (2001),
https://doi.org/10.1137/S1064827598345667), so that the matrix has to be positive definite only for charges
that add up to zero, as it is for slabs too.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from mhdnn.electrostatics.blocks import Groups, Solver
from mhdnn.electrostatics.dense import indefinite
from mhdnn.errors import ElectrostaticsError

SMALLEST_TOLERANCE = 1e-13
MOST_ITERATIONS = 1000

Product = Callable[[torch.Tensor], torch.Tensor]


class IterativeSolver(Solver):
    """Conjugate gradients for one structure.

    :param product: A x without gradient
    :param hardness: shape (num_atoms,), eV/e²
    :param diagonal: D > 0 of the preconditioner, shape (num_atoms,), eV/e²
    :ivar tolerance: residual, relative to that of charges spread evenly over their group, at which to stop
    :ivar iterations: of each solution so far
    """

    def __init__(self, product: Product, hardness: torch.Tensor, diagonal: torch.Tensor, groups: Groups) -> None:
        self.product = product
        self.hardness = hardness
        self.inverse = 1.0 / diagonal
        self.groups = groups
        self.counts = groups.sum(torch.ones_like(hardness))
        self.inverse_sum = groups.sum(self.inverse)
        self.tolerance = 1e-8
        self.most_iterations = MOST_ITERATIONS
        self.iterations: list[int] = []

    def _multiply(self, x: torch.Tensor) -> torch.Tensor:
        return self.product(x) + self.hardness * x

    def _spread(self, totals: torch.Tensor) -> torch.Tensor:
        """Charges that have the totals, spread evenly."""
        return (totals / self.counts).index_select(0, self.groups.index)

    def _project(self, x: torch.Tensor) -> torch.Tensor:
        """The part of x whose groups have the sum zero."""
        return x - self._spread(self.groups.sum(x))

    def _precondition(self, residual: torch.Tensor) -> torch.Tensor:
        """z of the formula above."""
        scaled = self.inverse * residual
        multiplier = self.groups.sum(scaled) / self.inverse_sum
        return scaled - self.inverse * multiplier.index_select(0, self.groups.index)

    def solve(
        self, right_side: torch.Tensor, totals: torch.Tensor, start: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        with torch.no_grad():
            even = self._spread(totals)
            residual = right_side - self._multiply(even) if bool(totals.any()) else right_side
            scale = float(torch.linalg.vector_norm(self._project(residual)))
            x = even
            if start is not None:
                x = start + self._spread(totals - self.groups.sum(start))
                residual = right_side - self._multiply(x)
            target = max(self.tolerance, SMALLEST_TOLERANCE) * scale
            x, residual = self._iterate(x, self._project(residual), target)
            residual = right_side - self._multiply(x)
            left = float(torch.linalg.vector_norm(self._project(residual)))
            if not left <= 10.0 * target:
                raise self._not_converged(left, scale)
            return x, self.groups.sum(residual) / self.counts

    def _iterate(self, x: torch.Tensor, residual: torch.Tensor, target: float) -> tuple[torch.Tensor, torch.Tensor]:
        """Iterations until the norm of the residual is below the target."""
        direction = torch.zeros_like(x)
        previous = 1.0
        for iteration in range(self.most_iterations + 1):
            norm = float(torch.linalg.vector_norm(residual))
            if norm <= target:
                self.iterations.append(iteration)
                return x, residual
            step = self._precondition(residual)
            product = float(torch.dot(residual, step))
            direction = step + (product / previous) * direction if iteration else step
            image = self._multiply(direction)
            curvature = float(torch.dot(direction, image))
            if not curvature > 0.0:
                raise indefinite("charges that add up to zero")
            x = x + (product / curvature) * direction
            residual = self._project(residual - (product / curvature) * image)
            previous = product
        raise self._not_converged(norm, target / max(self.tolerance, SMALLEST_TOLERANCE))

    def _not_converged(self, residual: float, scale: float) -> ElectrostaticsError:
        return ElectrostaticsError(
            f"`equilibrate`: expected a residual below {self.tolerance:.1e} of the first one, got "
            f"{residual / max(scale, 1e-300):.1e} after at most {self.most_iterations} iterations; look for a hardness "
            f"that is too small and for atoms at the same place, raise `accuracy`, or choose solver='dense'"
        )
