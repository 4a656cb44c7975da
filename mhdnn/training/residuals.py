"""Where a potential is wrong on its own training set: a regression of the errors on the environment of an atom.

Errors that come from the form of a potential are nearly as large on structures that it was trained on as on others,
and there are many of the former: they tell where, the few of the validation set how large. The regression is linear in
the principal axes and in Gaussians about the landmarks of an element (radial basis functions).
"""

from __future__ import annotations

from collections.abc import Iterable

import torch

from mhdnn.potential import Potential
from mhdnn.prediction import SeenAtoms, predict
from mhdnn.structure import Batch
from mhdnn.uncertainty.calibration import SMALLEST_ERROR
from mhdnn.uncertainty.model import LEAST_RADIUS, RIGIDITY_POWER, ErrorModel
from mhdnn.uncertainty.prediction import explained_by

ERROR_FLOOR = 0.03
"""Of the median error: what is added to an error before its logarithm is taken; perfect crystals have none."""
FEWEST_ATOMS = 20
"""Of an element, for weights or a quantile of its own; and in all, for a calibration."""
PENALTY = 2.5e-3
"""Of the squared weights of the axes, in units of the mean variance of an axis."""
KERNEL_PENALTY = 1e-2
"""Of the squared weights of the Gaussians."""
KERNEL_WIDTH = 2.0
"""Standard deviation of the Gaussians, in medians of the distance from the nearest landmark. Width and penalty were
chosen on the training set of the bundled data, by errors of structures that the regression had not seen."""


def fit_residuals(potential: Potential, batches: Iterable[Batch]) -> None:
    """Set weights and limits of h (`mhdnn.uncertainty.model`); without forces they stay zero.

    What the predicted forces explain is fitted beside, and left to the calibration: h is what the environment adds.

    :param potential: whose error model has landmarks
    :param batches: the training set, or a part of it
    """
    model = potential.uncertainty
    parts: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]] = []
    for batch in batches:
        atoms, forces = SeenAtoms(potential, batch.geometry), predict(potential, batch.geometry).forces
        errors = (forces - batch.labels.forces).norm(dim=1)
        known = torch.isfinite(errors)
        features = model.features(atoms.functions.detach()).double()
        regressors, _ = explained_by(potential, atoms, forces)
        parts.append((torch.cat([features, regressors[:, 2:]], 1)[known], atoms.element_index[known], errors[known]))
    rows, element, errors = (torch.cat(column) for column in zip(*parts, strict=True))
    if len(errors) < FEWEST_ATOMS:
        return
    logarithms = torch.log(errors + ERROR_FLOOR * errors.median() + SMALLEST_ERROR)
    size = model.residual_weights.shape[1]
    penalty = PENALTY * float(rows[:, 1:size].var(0).mean())
    constants = []
    for number in range(model.num_elements):
        own = element == number
        if int(own.sum()) >= FEWEST_ATOMS:
            fitted = fit_element(model, number, rows[own, :size], rows[own, size:], logarithms[own], penalty)
            constants.append(fitted.mean())
    largest = torch.stack(constants).max() if constants else logarithms.mean()
    for number in range(model.num_elements):
        if int((element == number).sum()) < FEWEST_ATOMS:  # as the worst of the others
            model.residual_weights[number, 0] = largest.to(model.residual_weights.dtype)
            model.residual_limits[:, number] = largest
    model.rigidity_power.fill_(RIGIDITY_POWER)


def fit_element(
    model: ErrorModel,
    number: int,
    features: torch.Tensor,
    forces: torch.Tensor,
    logarithms: torch.Tensor,
    penalty: float,
) -> torch.Tensor:
    """Set weights and limits of one element; returns h of its atoms, shape (num_rows,).

    :param features: of its atoms, shape (num_rows, 1 + num_axes)
    :param forces: what is fitted beside, shape (num_rows, 2)
    :param logarithms: of the errors, shape (num_rows,)
    :param penalty: of the squared weights of the axes
    """
    landmarks, num_axes = model.landmarks[number].double(), features.shape[1] - 1
    distinct = 1 + int((landmarks[1:] != landmarks[:-1]).any(1).sum())  # the last one is repeated
    distances = torch.cdist(features[:, 1:], landmarks[:distinct])
    nearest = distances.amin(1).sort().values[distinct:]  # those of the landmarks themselves are zero
    least = LEAST_RADIUS * float(model.landmarks.square().sum(2).max()) ** 0.5
    width = KERNEL_WIDTH * max(float(nearest.median()), least) if len(nearest) else 0.0
    model.kernel_rates[number] = 0.5 / width**2 if width > 0 else 0.0
    kernels = torch.exp(-0.5 * (distances / width) ** 2) if width > 0 else torch.zeros_like(distances)
    penalties = torch.zeros(num_axes + distinct + forces.shape[1], dtype=torch.float64)
    penalties[:num_axes], penalties[num_axes : num_axes + distinct] = penalty, KERNEL_PENALTY
    columns = torch.cat([features[:, 1:], kernels], 1)
    weights = ridge(torch.cat([columns, forces], 1), logarithms, penalties)[: 1 + columns.shape[1]]
    model.residual_weights[number] = weights[: 1 + num_axes].to(model.residual_weights.dtype)
    model.kernel_weights[number, :distinct] = weights[1 + num_axes :].to(model.kernel_weights.dtype)
    fitted = weights[0] + columns @ weights[1:]
    model.residual_limits[:, number] = torch.stack([fitted.min(), fitted.max()])
    return fitted


def ridge(rows: torch.Tensor, targets: torch.Tensor, penalties: torch.Tensor) -> torch.Tensor:
    """Constant and weights of least squares with a penalty on the weights.

    :param rows: shape (num_rows, num_columns)
    :param targets: shape (num_rows,)
    :param penalties: of the squared weights, in units of the number of rows, shape (num_columns,)
    :return: shape (1 + num_columns,)
    """
    center, mean = rows.mean(0), targets.mean()
    rows = rows - center
    matrix = rows.T @ rows + len(rows) * torch.diag(penalties)
    weights = torch.linalg.solve(matrix, rows.T @ (targets - mean))
    return torch.cat([(mean - center @ weights).unsqueeze(0), weights])
