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
from mhdnn.potential import Potential, forces_from_pairs, pair_virials, sum_by_structure
from mhdnn.structure import Batch

FEATURES_AT_A_TIME = 64


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
        _add_batch(system, potential, batch, (energy_weight, force_weight, stress_weight))
        report(batch.num_structures)
    with torch.no_grad():
        potential.network.linear_weight.copy_(system.solve(regularization))


def _add_batch(system: LinearSystem, potential: Potential, batch: Batch, weights: tuple[float, float, float]) -> None:
    energy_weight, force_weight, stress_weight = weights
    energy_rows, force_rows, virial_rows = linear_rows(potential, batch)
    num_atoms = batch.num_atoms_per_structure.to(torch.float64)
    element = potential.element_index(batch.atomic_numbers)
    references = sum_by_structure(
        potential.reference_energies.index_select(0, element), batch.structure_index, batch.num_structures
    )
    volume = torch.linalg.det(batch.cell).abs()
    virial = (batch.stress * volume.unsqueeze(1)) / num_atoms.unsqueeze(1)
    system.add(
        energy_rows / num_atoms.unsqueeze(1),
        (batch.energy - references) / num_atoms,
        energy_weight / batch.num_structures,
    )
    system.add(force_rows, batch.forces.reshape(-1), force_weight / (3 * batch.num_atoms))
    system.add(
        (virial_rows / num_atoms[:, None, None]).reshape(-1, virial_rows.shape[-1]),
        virial.reshape(-1),
        stress_weight / (6 * batch.num_structures),
    )


def linear_rows(potential: Potential, batch: Batch) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """What every linear feature adds to energies, forces and virials.

    :return: shapes (num_structures, L), (3 · num_atoms, L), (num_structures, 6, L); float64
    """
    vectors = pair_vectors(batch.positions, batch.center_index, batch.neighbor_index, batch.cell_shifts)
    vectors = vectors.to(potential.function_mean.dtype).requires_grad_()
    element = potential.element_index(batch.atomic_numbers)
    functions = potential.scaled_functions(vectors, batch.center_index, batch.neighbor_index, element)
    features = potential.network.linear_features(functions, element)
    energies = sum_by_structure(features.detach().double(), batch.structure_index, batch.num_structures)
    totals = features.sum(0)
    structure_of_pair = batch.structure_index.index_select(0, batch.center_index)
    forces, virials = [], []
    for start in range(0, len(totals), FEATURES_AT_A_TIME):
        chosen = torch.eye(len(totals), dtype=totals.dtype)[start : start + FEATURES_AT_A_TIME]
        (gradients,) = torch.autograd.grad(
            totals, vectors, chosen, retain_graph=True, is_grads_batched=True, allow_unused=True
        )
        if gradients is None:
            gradients = torch.zeros(len(chosen), *vectors.shape, dtype=vectors.dtype)
        for gradient in gradients.double():
            forces.append(
                forces_from_pairs(gradient, batch.center_index, batch.neighbor_index, batch.num_atoms).reshape(-1)
            )
            pair_terms = pair_virials(vectors.detach().double(), gradient)
            virials.append(sum_by_structure(pair_terms, structure_of_pair, batch.num_structures))
    return energies, torch.stack(forces, -1), torch.stack(virials, -1)
