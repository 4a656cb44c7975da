r"""What is fitted directly, before gradient descent: reference energies, scaling, the linear part.

Reference energies are the least-squares solution of :math:`E \approx \sum_i E_{ref}(Z_i)`; the linear part
of the network is a ridge regression on energies, forces and virials with the weights of the loss.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch

from mhdnn.errors import DataError
from mhdnn.neighbors import pair_vectors
from mhdnn.potential import Potential
from mhdnn.segments import segment_sum
from mhdnn.structure import VOIGT, Batch

DIRECTIONS_IN_A_BATCH = 48  # coordinates whose force equations enter the ridge regression


def fit_reference_energies(composition: np.ndarray, energies: np.ndarray) -> np.ndarray:
    """Energy of each element, the smallest of the least-squares solutions.

    :param composition: atoms of each element, shape (num_structures, num_elements)
    :param energies: shape (num_structures,), eV; NaN where a structure has none
    :return: shape (num_elements,), eV
    :raises DataError: if no structure has an energy
    """
    known = np.isfinite(energies)
    if not known.any():
        raise DataError("`energy`: no structure of the training set has one; expected at least one")
    counts = composition[known].astype(np.float64)
    size = counts.sum(axis=1, keepdims=True)
    solution, *_ = np.linalg.lstsq(counts / size, energies[known] / size[:, 0], rcond=1e-8)
    return solution


def fit_scaling(potential: Potential, batches: Iterable[Batch]) -> None:
    """Set the mean, inverse standard deviation and range of every function over all atoms."""
    count = 0
    total = torch.zeros(potential.descriptor.num_functions, dtype=torch.float64)
    squares = torch.zeros_like(total)
    offset = None
    for batch in batches:
        with torch.no_grad():
            values = _functions(potential, batch).to("cpu", torch.float64)
        if offset is None:  # sums of squares about a typical value, not about zero
            offset = values.mean(0)
            minimum, maximum = values.amin(0), values.amax(0)
        total += (values - offset).sum(0)
        squares += ((values - offset) ** 2).sum(0)
        count += len(values)
        minimum = torch.minimum(minimum, values.amin(0))
        maximum = torch.maximum(maximum, values.amax(0))
    if offset is None or count == 0:
        raise DataError("training set: expected at least one atom, got none")
    mean = total / count
    deviation = torch.sqrt(torch.clamp(squares / count - mean**2, min=0.0))
    constant = deviation <= 1e-6 * deviation.max()
    scale = torch.where(constant, torch.zeros_like(deviation), 1.0 / torch.where(constant, 1.0, deviation))
    potential.function_minimum.copy_(minimum)
    potential.function_maximum.copy_(maximum)
    potential.function_mean.copy_(offset + mean)
    potential.function_scale.copy_(scale)


def _functions(potential: Potential, batch: Batch) -> torch.Tensor:
    """Unscaled symmetry functions of a batch."""
    vectors = pair_vectors(batch.positions, batch.center_index, batch.neighbor_index, batch.cell_shifts)
    element = potential.element_index(batch.atomic_numbers)
    return potential.descriptor(
        vectors.to(potential.function_mean.dtype),
        batch.center_index,
        element.index_select(0, batch.neighbor_index),
        batch.num_atoms,
    )


@dataclass
class LinearSystem:
    """Normal equations of the ridge regression, summed over batches."""

    matrix: torch.Tensor
    vector: torch.Tensor
    num_rows: int = 0

    def add(self, rows: torch.Tensor, targets: torch.Tensor, weight: float) -> None:
        """Add equations rows · w = targets with a weight; those without a finite target are left out."""
        known = torch.isfinite(targets)
        rows, targets = rows[known], targets[known]
        self.matrix += weight * (rows.T @ rows)
        self.vector += weight * (rows.T @ targets)
        self.num_rows += len(targets)

    def solve(self, regularization: float) -> torch.Tensor:
        """Ridge solution with the penalty as a fraction of the mean diagonal element."""
        size = len(self.vector)
        penalty = regularization * torch.trace(self.matrix) / size
        return torch.linalg.solve(self.matrix + penalty * torch.eye(size, dtype=torch.float64), self.vector)


def fit_linear_part(
    potential: Potential,
    batches: Iterable[Batch],
    energy_weight: float,
    force_weight: float,
    stress_weight: float,
    regularization: float,
    report: Callable[[int], None] = lambda _: None,
) -> None:
    """Set the network's linear weights by ridge regression.

    :param energy_weight: of the squared error of the energy per atom, (meaning as in the loss)
    :param stress_weight: of the squared error of the virial per atom
    :param regularization: penalty relative to the mean diagonal of the normal matrix
    :param report: called with the number of structures done
    """
    size = len(potential.network.linear_weight)
    system = LinearSystem(torch.zeros(size, size, dtype=torch.float64), torch.zeros(size, dtype=torch.float64))
    for batch in batches:
        weights = (energy_weight, force_weight, stress_weight)
        _add_batch(system, potential, batch, weights, DIRECTIONS_IN_A_BATCH)
        report(batch.num_structures)
    with torch.no_grad():
        potential.network.linear_weight.copy_(system.solve(regularization))


def _add_batch(
    system: LinearSystem, potential: Potential, batch: Batch, weights: tuple[float, float, float], num_directions: int
) -> None:
    energy_weight, force_weight, stress_weight = weights
    num_atoms = batch.num_atoms_per_structure.to(torch.float64)
    element = potential.element_index(batch.atomic_numbers)
    references = segment_sum(
        potential.reference_energies.index_select(0, element), batch.structure_index, batch.num_structures
    )
    structure_features = StructureFeatures(potential, batch)
    rows = structure_features.values() / num_atoms.unsqueeze(1)
    system.add(rows, (batch.energy - references) / num_atoms, energy_weight / batch.num_structures)
    volume = torch.linalg.det(batch.cell).abs()
    for component in range(len(VOIGT)):
        rows = structure_features.strain_derivative(component) / num_atoms.unsqueeze(1)
        targets = batch.stress[:, component] * volume / num_atoms
        system.add(rows, targets, stress_weight / (len(VOIGT) * batch.num_structures))
    directions = _some_directions(batch, num_directions)
    num_components = sum(int((batch.num_atoms_per_structure > atom).sum()) for atom, _ in directions)
    for atom, axis in directions:
        owners, atoms, rows = structure_features.displacement_derivative(atom, axis)
        system.add(-rows, batch.forces[atoms, axis], force_weight / num_components)


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

    Derivatives are taken in forward mode, one displacement in all structures at once: the cost does not
    depend on the number of features.
    """

    def __init__(self, potential: Potential, batch: Batch) -> None:
        vectors = pair_vectors(batch.positions, batch.center_index, batch.neighbor_index, batch.cell_shifts)
        self.potential, self.batch = potential, batch
        self.vectors = vectors.to(potential.function_mean.dtype)
        self.element = potential.element_index(batch.atomic_numbers)
        self.first_atom = torch.cumsum(batch.num_atoms_per_structure, 0) - batch.num_atoms_per_structure

    def _sums(self, vectors: torch.Tensor) -> torch.Tensor:
        batch = self.batch
        functions = self.potential.scaled_functions(vectors, batch.center_index, batch.neighbor_index, self.element)
        features = self.potential.network.linear_features(functions, self.element)
        return segment_sum(features, batch.structure_index, batch.num_structures)

    def _derivative(self, tangent: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            return torch.func.jvp(self._sums, (self.vectors,), (tangent,))[1].double()

    def values(self) -> torch.Tensor:
        """Shape (num_structures, num_linear)."""
        with torch.no_grad():
            return self._sums(self.vectors).double()

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
