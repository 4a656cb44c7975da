r"""Charges that minimise the charge-equilibration energy, and their derivatives by the adjoint equation.

.. math:: (A + \mathrm{diag} J)\,q + C\mu = -\chi, \qquad C^T q = Q

(A. K. Rappé and W. A. Goddard III, J. Phys. Chem. 95, 3358 (1991), https://doi.org/10.1021/j100161a070;
with networks for :math:`\chi`: S. A. Ghasemi et al., Phys. Rev. B 92, 045131 (2015),
https://doi.org/10.1103/PhysRevB.92.045131). With the adjoint charges :math:`\lambda` that solve the same
equations for the gradient of a loss by q,

.. math:: \frac{\partial L}{\partial\theta} = -\lambda^T \frac{\partial b}{\partial\theta}\Big|_{b = \chi}
          - \lambda^T \frac{\partial (A + J)}{\partial\theta} q,

a bilinear form in charges that are known. It is evaluated by the function that gives A q, so it can be
differentiated again, and its :math:`\lambda` by this same rule. Iterations are never differentiated.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from mhdnn.electrostatics.blocks import Block, Groups, Solver
from mhdnn.errors import DataError


@dataclass
class Problem:
    """One block's equations.

    :param start: guess of the charges, shape (num_atoms,), e
    """

    block: Block
    solver: Solver
    start: torch.Tensor | None = None


class _ConstrainedSolve(torch.autograd.Function):
    """x and µ of `Solver`, differentiable to any order by everything but the groups."""

    @staticmethod
    def forward(
        ctx: Any,
        problem: Problem,
        right_side: torch.Tensor,
        totals: torch.Tensor,
        hardness: torch.Tensor,
        *parameters: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        solution, multiplier = problem.solver.solve(right_side, totals, problem.start)
        ctx.problem = problem
        ctx.save_for_backward(solution, hardness, *parameters)
        return solution, multiplier

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        solution, hardness, *parameters = ctx.saved_tensors
        block = ctx.problem.block
        problem = Problem(block, ctx.problem.solver)
        again = torch.is_grad_enabled()
        adjoint, multiplier = _ConstrainedSolve.apply(problem, gradients[0], gradients[1], hardness, *parameters)
        by_hardness = -adjoint * solution if ctx.needs_input_grad[3] else None
        wanted = [place for place, needed in enumerate(ctx.needs_input_grad[4:]) if needed]
        by_parameters: list[torch.Tensor | None] = [None] * len(parameters)
        if wanted:
            with torch.enable_grad():
                # aliases, so that the derivative doesn't go on through the solution and the adjoint
                aliases = [tensor.view_as(tensor) if again else tensor.detach() for tensor in parameters]
                if not again:
                    aliases = [alias.requires_grad_(place in wanted) for place, alias in enumerate(aliases)]
                    solution, adjoint = solution.detach(), adjoint.detach()
                form = -(adjoint * block.potential(solution, *aliases)).sum()
                derivatives = torch.autograd.grad(form, [aliases[place] for place in wanted], create_graph=again)
            for place, derivative in zip(wanted, derivatives, strict=True):
                by_parameters[place] = derivative
        if not again:
            adjoint, multiplier = adjoint.detach(), multiplier.detach()
        return None, adjoint, multiplier, by_hardness, *by_parameters


def equilibrate_block(
    problem: Problem, electronegativity: torch.Tensor, hardness: torch.Tensor, totals: torch.Tensor
) -> torch.Tensor:
    """Charges of a block's atoms, shape (num_atoms,), e.

    :param electronegativity: of the block's atoms, shape (num_atoms,), eV/e
    :param hardness: shape (num_atoms,), eV/e²
    :param totals: charge of each group, shape (num_groups,), e
    """
    solution, _ = _ConstrainedSolve.apply(problem, -electronegativity, totals, hardness, *problem.block.parameters)
    return solution


def check_positive(name: str, values: torch.Tensor, num_atoms: int, unit: str) -> None:
    """Raise unless there is a positive number for each atom.

    :raises DataError: naming the first atom whose number isn't positive
    """
    if values.shape != (num_atoms,):
        raise DataError(f"`{name}`: expected shape ({num_atoms},), one for each atom, got {tuple(values.shape)}")
    wrong = torch.nonzero(~(values.detach() > 0) | ~torch.isfinite(values.detach()))
    if len(wrong):
        atom = int(wrong[0])
        raise DataError(
            f"`{name}`: expected positive numbers in {unit}, got {float(values[atom])} for atom {atom}; "
            f"set a positive value for its element"
        )


def structure_groups(
    total_charge: torch.Tensor | None, structure_index: torch.Tensor, num_structures: int
) -> tuple[Groups, torch.Tensor]:
    """Each structure's atoms have its total charge.

    :raises DataError: if a total charge is missing
    """
    remedy = "give the total charge of each structure in e (0 for a neutral one)"
    if total_charge is None:
        raise DataError(f"`total_charge`: expected one number for each structure, got None; {remedy}")
    if total_charge.shape != (num_structures,):
        raise DataError(
            f"`total_charge`: expected shape ({num_structures},), got {tuple(total_charge.shape)}; {remedy}"
        )
    missing = torch.nonzero(~torch.isfinite(total_charge.detach()))
    if len(missing):
        structure = int(missing[0])
        value = float(total_charge[structure])
        raise DataError(f"`total_charge`: expected a finite number, got {value} for structure {structure}; {remedy}")
    index = torch.arange(num_structures, device=structure_index.device)
    return Groups(structure_index, index), total_charge


def fragment_groups(
    fragment_index: torch.Tensor,
    fragment_charge: torch.Tensor | None,
    total_charge: torch.Tensor | None,
    structure_index: torch.Tensor,
    num_structures: int,
) -> tuple[Groups, torch.Tensor]:
    """Each fragment's atoms have its charge.

    :raises DataError: unless the fragments divide the structures and their charges are given and add up
    """
    if fragment_charge is None or fragment_charge.ndim != 1 or not bool(torch.isfinite(fragment_charge).all()):
        raise DataError(
            f"`fragment_charge`: expected a finite number for each fragment, got {fragment_charge}; "
            f"give the charge of each fragment in e"
        )
    num_fragments = len(fragment_charge)
    if fragment_index.shape != structure_index.shape:
        raise DataError(
            f"`fragment_index`: expected a fragment for each of {len(structure_index)} atoms, "
            f"got shape {tuple(fragment_index.shape)}; every atom belongs to one fragment"
        )
    present = torch.unique(fragment_index)
    if present.tolist() != list(range(num_fragments)):
        raise DataError(
            f"`fragment_index`: expected every number from 0 to {num_fragments - 1} (one fragment for each of "
            f"`fragment_charge`), got {present.tolist()}; number the fragments through the batch without gaps"
        )
    structure = fragment_index.new_zeros(num_fragments).index_copy(0, fragment_index, structure_index)
    if not torch.equal(structure.index_select(0, fragment_index), structure_index):
        raise DataError(
            "`fragment_index`: expected fragments within one structure, got one that has atoms of two; "
            "number the fragments through the batch, not anew in each structure"
        )
    if total_charge is not None:
        sums = fragment_charge.new_zeros(num_structures).index_add(0, structure, fragment_charge)
        if total_charge.shape != sums.shape or not bool(torch.allclose(sums, total_charge, rtol=0.0, atol=1e-6)):
            raise DataError(
                f"`fragment_charge`: expected charges that add up to `total_charge` {total_charge.tolist()}, "
                f"got {sums.tolist()}; correct one of them or leave out `total_charge`"
            )
    return Groups(fragment_index, structure), fragment_charge
