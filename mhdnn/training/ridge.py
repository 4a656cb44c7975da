r"""The linear part of a network by ridge regression on energies, forces and virials.

The penalty is chosen by cross-validation over the batches.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import torch

from mhdnn.errors import DataError
from mhdnn.neighbors import pair_vectors
from mhdnn.potential import Potential
from mhdnn.segments import segment_sum
from mhdnn.structure import VOIGT, Batch

DIRECTIONS_IN_A_BATCH = 48  # coordinates whose force equations are used
NUM_FOLDS = 3
PENALTIES = tuple(10.0**power for power in range(-8, 1))
"""What is tried, as fractions of the mean diagonal element of the normal matrix."""


class LinearSystem:
    """Weighted least squares as normal equations, summed over batches: rows · w = targets.

    :param size: number of unknowns
    """

    def __init__(self, size: int) -> None:
        self.matrix = torch.zeros(size, size, dtype=torch.float64)
        self.vector = torch.zeros(size, dtype=torch.float64)
        self.squares = 0.0

    def add(self, rows: torch.Tensor, targets: torch.Tensor) -> None:
        """Add equations; those without a finite target are left out."""
        known = torch.isfinite(targets)
        rows, targets = rows[known], targets[known]
        self.matrix += rows.T @ rows
        self.vector += rows.T @ targets
        self.squares += float(targets @ targets)

    def include(self, other: LinearSystem, sign: float = 1.0) -> None:
        """Add the equations of another system, or (sign −1) take them out again; in place, for they are large."""
        self.matrix.add_(other.matrix, alpha=sign)
        self.vector.add_(other.vector, alpha=sign)
        self.squares += sign * other.squares

    def solve(self, penalty: float) -> torch.Tensor:
        """Ridge solution; the penalty is a fraction of the mean diagonal element.

        :return: shape (size,); NaN if the penalty is too small for the equations to be solved
        """
        matrix = self.matrix.clone()
        matrix.diagonal().add_(penalty * matrix.diagonal().mean())
        factor, failed = torch.linalg.cholesky_ex(matrix)
        if failed:
            return torch.full_like(self.vector, torch.nan)
        return torch.cholesky_solve(self.vector.unsqueeze(1), factor).squeeze(1)

    def error(self, solution: torch.Tensor) -> float:
        """Sum of squared residuals of a solution."""
        return float(solution @ self.matrix @ solution - 2 * self.vector @ solution) + self.squares


def choose_penalty(folds: Sequence[LinearSystem], total: LinearSystem) -> float:
    """The penalty of least error on left-out folds; the middle of the range if there is one fold only."""
    used = [fold for fold in folds if fold.squares > 0]
    if len(used) < 2:
        return PENALTIES[len(PENALTIES) // 2]
    errors = np.zeros(len(PENALTIES))
    for fold in used:
        total.include(fold, -1.0)
        errors += [fold.error(total.solve(penalty)) for penalty in PENALTIES]
        total.include(fold)
    return PENALTIES[int(np.nanargmin(errors))]


def fit_linear_part(
    potential: Potential, batches: Iterable[Batch], energy_weight: float, force_weight: float, stress_weight: float
) -> float:
    """Set the network's linear weights by ridge regression.

    :param energy_weight: of the squared error of the energy per atom, as in the loss
    :param force_weight: of the squared error of force components
    :param stress_weight: of the squared error of the virial per atom
    :return: the penalty that cross-validation chose
    :raises DataError: if no batch has a label
    """
    size = len(potential.network.linear_weight)
    folds = [LinearSystem(size) for _ in range(NUM_FOLDS)]
    for number, batch in enumerate(batches):
        rows, targets = weighted_equations(potential, batch, energy_weight, force_weight, stress_weight)
        folds[number % NUM_FOLDS].add(rows, targets)
    total = LinearSystem(size)
    for fold in folds:
        total.include(fold)
    if not total.squares > 0:
        raise DataError("training set: no energy, force or stress to fit the linear part to")
    penalty = choose_penalty(folds, total)
    with torch.no_grad():
        potential.network.linear_weight.copy_(total.solve(penalty))
    return penalty


def weighted_equations(
    potential: Potential, batch: Batch, energy_weight: float, force_weight: float, stress_weight: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Equations of a batch times the square roots of their weights.

    :return: shapes (num_equations, num_linear) and (num_equations,)
    """
    num_atoms = batch.num_atoms_per_structure.to(torch.float64)
    element = potential.element_index(batch.atomic_numbers)
    references = segment_sum(potential.reference_energies[element], batch.structure_index, batch.num_structures)
    features = StructureFeatures(potential, batch)
    rows, targets = [], []

    def add(new_rows: torch.Tensor, new_targets: torch.Tensor, weight: float) -> None:
        rows.append(weight**0.5 * new_rows)
        targets.append(weight**0.5 * new_targets)

    energies = (batch.energy - references) / num_atoms
    add(features.values() / num_atoms.unsqueeze(1), energies, energy_weight / batch.num_structures)
    virials = batch.stress * (torch.linalg.det(batch.cell).abs() / num_atoms).unsqueeze(1)
    for component in range(len(VOIGT)):
        derivative = features.strain_derivative(component) / num_atoms.unsqueeze(1)
        add(derivative, virials[:, component], stress_weight / (len(VOIGT) * batch.num_structures))
    directions = _some_directions(batch, DIRECTIONS_IN_A_BATCH)
    num_components = sum(int((batch.num_atoms_per_structure > atom).sum()) for atom, _ in directions)
    for atom, axis in directions:
        _, atoms, derivative = features.displacement_derivative(atom, axis)
        add(-derivative, batch.forces[atoms, axis], force_weight / num_components)
    return torch.cat(rows), torch.cat(targets)


def _some_directions(batch: Batch, num_directions: int) -> list[tuple[int, int]]:
    """Atoms (counted within their structure) and axes to displace; all of them if they are few."""
    largest = int(batch.num_atoms_per_structure.max())
    everything = [(atom, axis) for atom in range(largest) for axis in range(3)]
    if len(everything) <= num_directions:
        return everything
    chosen = np.random.default_rng(0).choice(len(everything), num_directions, replace=False)
    return [everything[index] for index in chosen]


class StructureFeatures:
    """Linear features summed over each structure, and their derivatives.

    One displacement in all structures at once: the cost does not depend on the number of features. The
    gradient of a weighted sum of the features is linear in the weights; its derivative by the weights is
    the derivative of the features along the displacement.
    """

    def __init__(self, potential: Potential, batch: Batch) -> None:
        vectors = pair_vectors(batch.positions, batch.center_index, batch.neighbor_index, batch.cell_shifts)
        element = potential.element_index(batch.atomic_numbers)
        self.batch = batch
        self.first_atom = torch.cumsum(batch.num_atoms_per_structure, 0) - batch.num_atoms_per_structure
        self.vectors = vectors.to(potential.function_mean.dtype)
        with torch.enable_grad():
            variables = self.vectors.detach().requires_grad_()
            functions = potential.scaled_functions(
                variables, batch.center_index, batch.neighbor_index, element, batch.num_atoms
            )
            features = potential.network.linear_features(potential.linear_inputs(functions), element)
            self._sums = segment_sum(features, batch.structure_index, batch.num_structures)
            self._weights = torch.zeros_like(self._sums, requires_grad=True)
            (self._gradient,) = torch.autograd.grad(self._sums, variables, self._weights, create_graph=True)

    def _derivative(self, tangent: torch.Tensor) -> torch.Tensor:
        (derivative,) = torch.autograd.grad(self._gradient, self._weights, tangent, retain_graph=True)
        return derivative.double()

    def values(self) -> torch.Tensor:
        """Shape (num_structures, num_linear)."""
        return self._sums.detach().double()

    def strain_derivative(self, component: int) -> torch.Tensor:
        """By a component of the strain (Voigt), shape (num_structures, num_linear)."""
        first, second = VOIGT[component]
        tangent = torch.zeros_like(self.vectors)
        tangent[:, first] += 0.5 * self.vectors[:, second]
        tangent[:, second] += 0.5 * self.vectors[:, first]
        return self._derivative(tangent)

    def displacement_derivative(self, atom: int, axis: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """By one coordinate of the same atom of every structure that has it.

        :return: these structures, the index of the atom in the batch for each, and the derivatives
        """
        batch = self.batch
        owners = torch.nonzero(batch.num_atoms_per_structure > atom).squeeze(1)
        atoms = self.first_atom[owners] + atom
        moved = torch.zeros(batch.num_atoms, dtype=self.vectors.dtype)
        moved[atoms] = 1.0
        tangent = torch.zeros_like(self.vectors)
        tangent[:, axis] = moved[batch.neighbor_index] - moved[batch.center_index]
        return owners, atoms, self._derivative(tangent)[owners]
