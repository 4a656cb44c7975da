r"""Charge equilibration by projected preconditioned conjugate gradients.

Residuals and search directions are projected onto charges that add up to zero in every group (Π), so that the
sums stay as they are and the matrix has to be positive definite only there, as it is for slabs too:
conjugate gradients with the preconditioner :math:`\Pi P \Pi` in that subspace (N. I. M. Gould, M. E. Hribar and
J. Nocedal, SIAM J. Sci. Comput. 23, 1376 (2001), https://doi.org/10.1137/S1064827598345667).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from mhdnn.electrostatics.blocks import Groups, Solver
from mhdnn.electrostatics.dense import indefinite
from mhdnn.errors import ElectrostaticsError

SMALLEST_TOLERANCE = 1e-13
MOST_ITERATIONS = 500

Product = Callable[[torch.Tensor], torch.Tensor]


class IterativeSolver(Solver):
    """Conjugate gradients for one structure.

    :param product: A x without gradient
    :param hardness: shape (num_atoms,), eV/e²
    :param preconditioners: approximate inverses; the next one is taken when one is not positive definite
        or needs too many iterations
    :ivar tolerance: residual, relative to that of charges spread evenly over their group, at which to stop
    :ivar most_iterations: with one preconditioner
    :ivar iterations: of each solution so far
    """

    def __init__(
        self, product: Product, hardness: torch.Tensor, groups: Groups, preconditioners: Sequence[Product]
    ) -> None:
        self.product = product
        self.hardness = hardness
        self.groups = groups
        self.counts = groups.sum(torch.ones_like(hardness))
        self.preconditioners = preconditioners
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

    def solve(
        self, right_side: torch.Tensor, totals: torch.Tensor, start: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        with torch.no_grad():
            x = self._spread(totals)
            residual = right_side - self._multiply(x) if bool(totals.any()) else right_side
            # where all atoms are alike the projection leaves nothing but the round-off of what it takes away
            round_off = SMALLEST_TOLERANCE * float(torch.linalg.vector_norm(residual))
            scale = float(torch.linalg.vector_norm(self._project(residual)))
            if start is not None and scale > 0.0:
                x = start + self._spread(totals - self.groups.sum(start))
                residual = right_side - self._multiply(x)
            target = max(max(self.tolerance, SMALLEST_TOLERANCE) * scale, round_off)
            self.iterations.append(0)
            for preconditioner in self.preconditioners:
                x = self._iterate(x, self._project(residual), target, preconditioner)
                residual = right_side - self._multiply(x)  # not the recurrence, which drifts
                left = float(torch.linalg.vector_norm(self._project(residual)))
                if left <= 10.0 * target:
                    return x, self.groups.sum(residual) / self.counts
            raise ElectrostaticsError(
                f"`equilibrate`: expected a residual below {target / scale:.1e} of the first one, got "
                f"{left / scale:.1e} after {self.iterations[-1]} iterations; look for a hardness that is too small "
                f"and for atoms at the same place, ask for less accuracy, or choose solver='dense'"
            )

    def _iterate(self, x: torch.Tensor, residual: torch.Tensor, target: float, preconditioner: Product) -> torch.Tensor:
        """Iterations until the norm of the residual is below the target, or this preconditioner is given up."""
        direction = torch.zeros_like(x)
        previous = 1.0
        for iteration in range(self.most_iterations):
            if float(torch.linalg.vector_norm(residual)) <= target:
                break
            step = self._project(preconditioner(residual))
            product = float(torch.dot(residual, step))
            if not product > 0.0:
                break
            direction = step + (product / previous) * direction if iteration else step
            image = self._multiply(direction)
            curvature = float(torch.dot(direction, image))
            if not curvature > 0.0:
                raise indefinite("charges that add up to zero")
            x = x + (product / curvature) * direction
            residual = self._project(residual - (product / curvature) * image)
            previous = product
            self.iterations[-1] += 1
        return x
