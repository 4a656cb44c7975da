"""Where a potential is wrong on its own training set: a regression of the errors on the environment of an atom.

Errors that come from the form of a potential are nearly as large on structures that it was trained on as on others,
and there are many of the former: they tell where, the few of the validation set how large.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch

from mhdnn.potential import Potential
from mhdnn.prediction import SeenAtoms, predict
from mhdnn.structure import Batch
from mhdnn.uncertainty.calibration import SMALLEST_ERROR
from mhdnn.uncertainty.model import RIGIDITY_POWER
from mhdnn.uncertainty.prediction import explained_by

ERROR_FLOOR = 0.03
"""Of the median error: what is added to an error before its logarithm is taken; perfect crystals have none."""
FEWEST_ATOMS = 20
"""Of an element, for weights or a quantile of its own; and in all, for a calibration."""
PENALTY = 2.5e-3
"""Of the squared weights, in units of the mean variance of a feature."""


def fit_residuals(potential: Potential, batches: Iterable[Batch]) -> None:
    """Set weights and limits of h (`mhdnn.uncertainty.model`); without forces they stay zero.

    What the predicted forces explain is fitted beside, and left to the calibration: h is what the environment adds.

    :param batches: the training set, or a part of it
    """
    model = potential.uncertainty
    num_axes = model.axes.shape[1]
    parts: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]] = []
    for batch in batches:
        atoms, forces = SeenAtoms(potential, batch.geometry), predict(potential, batch.geometry).forces
        errors = (forces - batch.labels.forces).norm(dim=1)
        known = torch.isfinite(errors)
        axes = model.features(atoms.functions.detach())[:, 1:].double()
        regressors, _ = explained_by(potential, atoms, forces)
        parts.append((torch.cat([axes, regressors[:, 2:]], 1)[known], atoms.element_index[known], errors[known]))
    rows, element, errors = (torch.cat(column) for column in zip(*parts, strict=True))
    if len(errors) < FEWEST_ATOMS:
        return
    logarithms = torch.log(errors + ERROR_FLOOR * errors.median() + SMALLEST_ERROR)
    penalties = torch.zeros(rows.shape[1], dtype=torch.float64)
    penalties[:num_axes] = PENALTY * float(rows[:, :num_axes].var(0).mean())
    constants = []
    for number in range(model.num_elements):
        own = element == number
        if int(own.sum()) < FEWEST_ATOMS:
            continue
        weights = ridge(rows[own], logarithms[own], penalties)[: 1 + num_axes]
        fitted = weights[0] + rows[own, :num_axes] @ weights[1:]
        model.residual_weights[number] = weights.to(model.residual_weights.dtype)
        model.residual_limits[:, number] = torch.stack([fitted.min(), fitted.max()])
        constants.append(fitted.mean())
    largest = torch.stack(constants).max() if constants else logarithms.mean()
    for number in range(model.num_elements):
        if int((element == number).sum()) < FEWEST_ATOMS:  # as the worst of the others
            model.residual_weights[number, 0] = largest.to(model.residual_weights.dtype)
            model.residual_limits[:, number] = largest
    model.rigidity_power.fill_(RIGIDITY_POWER)


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
