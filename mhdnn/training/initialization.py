r"""What is set directly, before gradient descent: reference energies and the scaling of functions.

Reference energies are the least-squares solution of :math:`E \approx \sum_i E_{ref}(Z_i)`; the linear part
of the network is a ridge regression on energies, forces and virials with the weights of the loss.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch

from mhdnn.errors import DataError
from mhdnn.neighbors import pair_vectors
from mhdnn.potential import Potential
from mhdnn.structure import Batch


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
