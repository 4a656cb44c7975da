"""Fits the error model of `mhdnn.uncertainty` after training, in some passes over training and validation set."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields

import numpy as np
import torch
from rich.console import Console
from rich.progress import Progress

from mhdnn.data.datamodule import StoreDataModule
from mhdnn.potential import Potential
from mhdnn.prediction import SeenAtoms, predict
from mhdnn.structure import Batch, Geometry
from mhdnn.training.domain import training_set
from mhdnn.training.residuals import ERROR_FLOOR, FEWEST_ATOMS, fit_residuals
from mhdnn.uncertainty.calibration import (
    INTERVAL,
    ONE_SIGMA,
    SMALLEST_ERROR,
    gaussian_scales,
    positive_regression,
    upper_quantile,
)
from mhdnn.uncertainty.model import LEAST_RADIUS, ErrorModel
from mhdnn.uncertainty.prediction import explained_by

console = Console()
PRIOR = 1e-2
"""Penalty lambda, as a fraction of the mean diagonal element of what the training set adds."""
FLOOR = 0.01
"""Of the root mean square of forces: what is added to a force before its logarithm is taken."""
LEAST_ERROR = 0.1
"""Quantile of the errors of an element below which none is expected."""
FEWEST_STRUCTURES = 5
SEEN_DISTANCES = 0.99
"""Quantile of the distances of structures that errors were seen on, within which nothing is foreign."""
MOST_CANDIDATES = 100_000
"""Of an element, for landmarks."""
MOST_ATOMS = 100_000
"""Of a calibration, and of the training set for what a part of it tells as well."""


def fit_uncertainty(potential: Potential, data: StoreDataModule) -> None:
    """Set the error model; without forces that the errors could be seen on it stays unfitted, and that is said."""
    part = "validation" if "validation" in data.indices else "train"
    with Progress(console=console, transient=True) as progress:
        passes = data.thinned(MOST_ATOMS), data.batches(part), training_set(data, progress)
        fitted = fit_error_model(potential, *passes)
    if not fitted:
        console.print(f"no uncertainties: the {part} set has less than {FEWEST_ATOMS} atoms with forces")
    elif part == "train":
        console.print("warning: uncertainties are too small: no validation set, errors were those of the training set")


def fit_error_model(
    potential: Potential,
    training: Callable[[], Iterable[Batch]],
    calibration: Iterable[Batch],
    whole: Iterable[Batch],
) -> bool:
    """Posterior covariance from the training set, expected errors from those of the calibration set.

    :param training: gives a pass over the training set, or a random part of it if it is large
    :param calibration: structures with labels, better not those trained on
    :param whole: the training set, all of it
    :return: whether there were enough forces
    """
    model = potential.uncertainty
    model.force_floor.copy_(FLOOR * potential.short_range.network.output_scale)
    model.largest_grade.fill_(torch.inf)  # nothing is beyond, while errors are looked at
    model.radius.fill_(torch.inf)
    fit_posterior(potential, training)
    fit_landmarks(potential, training())
    fit_residuals(potential, training())
    errors = SeenErrors.gathered(potential, calibration)
    if len(errors.force) < FEWEST_ATOMS:
        model.largest_grade.zero_()
        model.radius.zero_()
        return False
    calibrate_forces(model, errors)
    calibrate_energies(model, errors)
    fit_largest(potential, whole, errors)
    return True


def fit_posterior(potential: Potential, training: Callable[[], Iterable[Batch]]) -> None:
    """Principal axes and the posterior covariance of the linear energy model."""
    model = potential.uncertainty
    num_functions, num_axes = model.axes.shape
    moments = torch.zeros(num_functions, num_functions, dtype=torch.float64)
    for functions, _, _ in _functions(potential, training()):
        moments.addmm_(functions.T, functions)
    _, vectors = torch.linalg.eigh(moments)
    axes = vectors[:, num_functions - num_axes :].flip(1)
    size = 1 + num_axes
    total = torch.zeros(model.factor.shape, dtype=torch.float64)
    trace = 0.0
    for functions, element, geometry in _functions(potential, training()):
        rows = geometry.structure_index * model.num_elements + element
        sums = torch.zeros(geometry.num_structures * model.num_elements, 1 + num_functions, dtype=torch.float64)
        sums.index_add_(0, rows, torch.nn.functional.pad(functions, (1, 0), value=1.0))
        features = torch.cat([sums[:, :1], sums[:, 1:] @ axes], 1).view(geometry.num_structures, -1)
        inverse_size = 1.0 / geometry.num_atoms_per_structure.to(torch.float64)
        total.addmm_(features.T, features * inverse_size.unsqueeze(1))
        trace += float((sums.square().sum(1).view(geometry.num_structures, -1).sum(1) * inverse_size).sum())
    penalty = PRIOR * trace / (model.num_elements * (1 + num_functions))
    set_posterior(model, axes, total, penalty, size)


def set_posterior(model: ErrorModel, axes: torch.Tensor, total: torch.Tensor, penalty: float, size: int) -> None:
    r"""Factors of :math:`(\sum\Phi\Phi^T/N + \lambda)^{-1}`.

    :param total: the sum
    :param size: of the block of an element
    """
    covariance = torch.cholesky_inverse(torch.linalg.cholesky(total + penalty * torch.eye(len(total)).double()))
    model.axes.copy_(axes)
    model.factor.copy_(torch.linalg.cholesky(covariance))
    for element in range(model.num_elements):
        block = slice(element * size, (element + 1) * size)
        model.atomic_factor[element] = torch.linalg.cholesky(covariance[block, block]).to(model.axes.dtype)
    model.inverse_penalty.fill_(1.0 / penalty)


def _functions(potential: Potential, batches: Iterable[Batch]) -> Iterator[tuple[torch.Tensor, torch.Tensor, Geometry]]:
    """Scaled functions (float64), elements and geometry."""
    for batch in batches:
        with torch.no_grad():
            atoms = SeenAtoms(potential, batch.geometry)
            yield atoms.functions.detach().to(torch.float64), atoms.element_index, batch.geometry


@dataclass
class SeenErrors:
    """Errors of some structures and what they are explained by; atoms and structures without labels are left out.

    :param regressors: of atoms, shape (num_atoms, 4)
    :param element: shape (num_atoms,)
    :param force: lengths of the errors of forces, shape (num_atoms,), eV/Å
    :param distance: from the nearest landmark, shape (num_atoms,)
    :param grades: of structures, shape (num_structures,)
    :param size: their numbers of atoms, shape (num_structures,)
    :param energy: absolute errors of energies, shape (num_structures,), eV
    """

    regressors: np.ndarray
    element: np.ndarray
    force: np.ndarray
    distance: np.ndarray
    grades: np.ndarray
    size: np.ndarray
    energy: np.ndarray

    @classmethod
    def gathered(cls, potential: Potential, batches: Iterable[Batch]) -> SeenErrors:
        """Of the first `MOST_ATOMS` atoms."""
        parts: list[list[np.ndarray]] = [[] for _ in fields(cls)]
        num_atoms = 0
        for batch in batches:
            for part, values in zip(parts, _errors(potential, batch), strict=True):
                part.append(values.numpy())
            num_atoms += batch.geometry.num_atoms
            if num_atoms >= MOST_ATOMS:
                break
        return cls(*map(np.concatenate, parts))


def _errors(potential: Potential, batch: Batch) -> tuple[torch.Tensor, ...]:
    """Fields of `SeenErrors` for one batch."""
    model, geometry, labels = potential.uncertainty, batch.geometry, batch.labels
    prediction, atoms = predict(potential, geometry), SeenAtoms(potential, geometry)
    regressors, _ = explained_by(potential, atoms, prediction.forces)
    force = (prediction.forces - labels.forces).square().sum(1).sqrt()
    structures = (atoms.functions.detach(), atoms.element_index, geometry.structure_index, geometry.num_structures)
    energy = (prediction.energy - labels.energy).abs()
    known, told = torch.isfinite(force), torch.isfinite(energy)
    sizes = geometry.num_atoms_per_structure[told].to(torch.float64)
    return (regressors[known], atoms.element_index[known], force[known], model.sizes(*structures[:2])[known, 1],
            model.structure_grades(*structures)[told], sizes, energy[told])  # fmt: skip


def calibrate_forces(model: ErrorModel, errors: SeenErrors) -> None:
    """Offsets, weights, least errors and the quantile, from errors of forces."""
    logarithms = np.log(errors.force + ERROR_FLOOR * np.median(errors.force) + SMALLEST_ERROR)
    solution = positive_regression(errors.regressors, logarithms, errors.element, model.num_elements)
    offset, weights = solution[: model.num_elements], solution[model.num_elements :]
    least = np.array([_least_error(errors, element) for element in range(model.num_elements)])
    expected = np.maximum(np.exp(offset[errors.element] + errors.regressors @ weights), least[errors.element])
    scale = upper_quantile(errors.force / expected, ONE_SIGMA)
    for target, values in (
        (model.offset, offset + np.log(scale)), (model.weights, weights), (model.least_error, scale * least),
        (model.force_quantile, upper_quantile(errors.force / expected, INTERVAL) / scale),
        (model.num_calibrated[1], len(errors.force)),
    ):  # fmt: skip
        target.copy_(torch.as_tensor(values))


def _least_error(errors: SeenErrors, element: int) -> float:
    own = errors.force[errors.element == element]
    return float(np.quantile(own if len(own) >= FEWEST_ATOMS else errors.force, LEAST_ERROR)) + SMALLEST_ERROR


def calibrate_energies(model: ErrorModel, errors: SeenErrors) -> None:
    """Weights and the quantile, from errors of energies; none if there are too few."""
    if len(errors.energy) < FEWEST_STRUCTURES:
        return
    alpha, beta = gaussian_scales(errors.energy, errors.grades, np.sqrt(errors.size))
    expected = np.sqrt((alpha * errors.grades) ** 2 + beta**2 * errors.size)
    scale = upper_quantile(errors.energy / expected, ONE_SIGMA)
    model.energy_weights.copy_(scale * torch.tensor([alpha, beta]))
    model.energy_quantile.fill_(upper_quantile(errors.energy / expected, INTERVAL) / scale)
    model.num_calibrated[0] = len(errors.energy)


def fit_landmarks(potential: Potential, batches: Iterable[Batch]) -> None:
    """Choose landmarks of each element among the first `MOST_CANDIDATES` of its atoms."""
    model = potential.uncertainty
    candidates: list[list[torch.Tensor]] = [[] for _ in range(model.num_elements)]
    for functions, element, _ in _functions(potential, batches):
        rows = functions.to(model.axes.dtype) @ model.axes
        for number in torch.unique(element).tolist():
            if sum(map(len, candidates[number])) < MOST_CANDIDATES:
                candidates[number].append(rows[element == number])
    for number, parts in enumerate(candidates):
        if parts:
            points = torch.cat(parts)
            chosen = farthest_points(points, max(1, min(model.landmarks.shape[1], len(points) // 2)))
            model.landmarks[number] = chosen[-1]  # where they are few, the last one is repeated
            model.landmarks[number, : len(chosen)] = chosen


def farthest_points(points: torch.Tensor, number: int) -> torch.Tensor:
    """Points that are each the farthest from those before, beginning with that farthest from the origin.

    :param points: shape (num_points, num_axes)
    :return: shape (number, num_axes)
    """
    squares = points.square().sum(1)
    chosen = [int(squares.argmax())]
    distances = torch.full_like(squares, torch.inf)
    while len(chosen) < number:
        last = points[chosen[-1]]
        distances = torch.minimum(distances, squares + last.square().sum() - 2.0 * (points @ last))
        chosen.append(int(distances.argmax()))
    return points[chosen]


def fit_largest(potential: Potential, batches: Iterable[Batch], seen: SeenErrors) -> None:
    """Largest grades, distances from landmarks and expected errors of the training set.

    :param seen: whose distances count, too
    """
    model = potential.uncertainty
    error = torch.zeros_like(model.largest_error)
    grade, distance = torch.zeros_like(model.largest_grade), torch.zeros_like(model.radius)
    for batch in batches:
        prediction, atoms = predict(potential, batch.geometry), SeenAtoms(potential, batch.geometry)
        explained = explained_by(potential, atoms, prediction.forces)
        error = torch.maximum(error, model.errors_of(*explained, atoms.element_index).max())
        sizes = model.sizes(atoms.functions.detach(), atoms.element_index)
        grade = grade.scatter_reduce(0, atoms.element_index, sizes[:, 0], "amax")
        distance = distance.scatter_reduce(0, atoms.element_index, sizes[:, 1], "amax")
    model.largest_error.copy_(error)
    model.largest_grade.copy_(torch.where(grade > 0, grade, grade[grade > 0].min()))
    for element in np.unique(seen.element):
        of_seen = upper_quantile(seen.distance[seen.element == element], SEEN_DISTANCES)
        distance[element] = max(float(distance[element]), of_seen)
    least = LEAST_RADIUS * model.landmarks.square().sum(2).max().double().sqrt()
    model.radius.copy_(torch.maximum(distance, least))
