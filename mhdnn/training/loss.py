"""The loss of energies, forces and stress."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from mhdnn.kernels.loading import compiled_for
from mhdnn.prediction import Prediction
from mhdnn.structure import Batch
from mhdnn.units import GPA_PER_EV_PER_CUBIC_ANGSTROM

SMALLEST_THRESHOLD = 1e-12
"""Of structures without volume, whose stress is no label; zero has no root that can be differentiated."""

NO_THRESHOLD = torch.zeros(0, dtype=torch.float64)


@dataclass(frozen=True)
class Ramp:
    """A weight that grows (or falls) geometrically from ``start`` to ``end`` over the training."""

    start: float
    end: float

    def at(self, progress: float) -> float:
        """The weight when the fraction ``progress`` of the training is done."""
        if self.start <= 0 or self.end <= 0:
            return self.start + (self.end - self.start) * progress
        return self.start * (self.end / self.start) ** progress


@dataclass(frozen=True)
class Thresholds:
    """Errors from which on the loss is linear (`huber`); of forces the length of the vector, of stress of its Voigt
    components.

    :param energy: eV/atom
    :param force: eV/Å
    :param stress: eV/Å³
    """

    energy: float
    force: float
    stress: float


@dataclass(frozen=True)
class MeanWeight:
    """Mean weight of the training structures, and of their atoms: what weights are relative to."""

    of_structures: float = 1.0
    of_atoms: float = 1.0


EQUAL_WEIGHTS = MeanWeight()


@dataclass(frozen=True)
class Loss:
    r""":math:`w_E \rho(\Delta E/N) + w_F \rho(\Delta F) + w_S \rho(\Delta W/N) + w_Q \Delta q^2`.

    Each is a mean over what has the label, with the weights of the structures. W is the virial :math:`V\sigma`, in eV
    like the energy. :math:`\rho(x) = x^2`, or `huber` where there are thresholds.

    :param energy_weight: :math:`w_E`, changing over the training
    :param force_weight: :math:`w_F`, of the mean over force components, Å²
    :param stress_weight: :math:`w_S`
    :param charge_weight: :math:`w_Q`, eV²/e², for potentials with charges
    :param thresholds: of energies, forces and stress
    :param mean_weight: of the structures of the training set
    """

    energy_weight: Ramp
    force_weight: float
    stress_weight: float
    charge_weight: float = 0.0
    thresholds: Thresholds | None = None
    mean_weight: MeanWeight = EQUAL_WEIGHTS

    def __call__(self, prediction: Prediction, batch: Batch, progress: float = 1.0) -> torch.Tensor:
        """The loss of one batch, eV².

        :param progress: done fraction of the training
        """
        geometry, labels = batch.geometry, batch.labels
        num_atoms = geometry.num_atoms_per_structure.to(labels.energy.dtype)
        weights, mean, limits = labels.weight, self.mean_weight, self.thresholds
        loss = self.energy_weight.at(progress) * weighted_mean(
            prediction.energy / num_atoms,
            labels.energy / num_atoms,
            weights,
            mean.of_structures,
            limits.energy if limits else None,
        )
        if self.stress_weight > 0:
            volume = geometry.volume / num_atoms
            loss = loss + self.stress_weight * weighted_mean(
                prediction.virial / num_atoms.unsqueeze(1),
                labels.stress * volume.unsqueeze(1),
                weights,
                mean.of_structures,
                limits.stress * volume if limits else None,
            )
        weights = weights.index_select(0, geometry.structure_index)
        loss = loss + self.force_weight * weighted_mean(
            prediction.forces, labels.forces, weights, mean.of_atoms, limits.force if limits else None
        )
        if self.charge_weight > 0 and prediction.charges is not None:
            charges = weighted_mean(prediction.charges, labels.charges, weights, mean.of_atoms)
            loss = loss + self.charge_weight * charges
        return loss


def build_loss(
    settings: Mapping[str, Any], charge_weight: float = 0.0, mean_weight: MeanWeight = EQUAL_WEIGHTS
) -> Loss:
    """The loss that the group ``loss`` describes.

    :param mean_weight: of the training set
    """
    ramp = Ramp(float(settings["energy_weight"]["start"]), float(settings["energy_weight"]["end"]))
    weights = float(settings["force_weight"]), float(settings["stress_weight"]), charge_weight
    given, thresholds = settings.get("thresholds"), None
    if given:
        stress = float(given["stress"]) / GPA_PER_EV_PER_CUBIC_ANGSTROM
        thresholds = Thresholds(float(given["energy"]), float(given["force"]), stress)
    return Loss(ramp, *weights, thresholds, mean_weight)


def weighted_mean(
    prediction: torch.Tensor,
    label: torch.Tensor,
    weights: torch.Tensor,
    mean_weight: float = 1.0,
    threshold: float | torch.Tensor | None = None,
) -> torch.Tensor:
    r""":math:`\sum_i u_i \rho(x_i) / (\bar u M)` over the M labels that are known (finite), zero if there is none.

    A structure of weight 2 counts like two, since the mean weight :math:`\bar u` is that of the training set and not of
    the batch. A prediction that is NaN where the label is known makes it NaN.

    :param prediction: shape (num_rows,) or (num_rows, num_components)
    :param label: of the same shape; a row is known or is not
    :param weights: :math:`u_i`, shape (num_rows,)
    :param threshold: of `huber`, one or one for each row; None for squares
    """
    if compiled_for(prediction):
        limits = NO_THRESHOLD if threshold is None else torch.as_tensor(threshold, dtype=torch.float64)
        mean: torch.Tensor = torch.ops.mhdnn.weighted_mean(
            prediction, label, weights, mean_weight, limits, SMALLEST_THRESHOLD
        )
        return mean
    known = torch.isfinite(label)
    # exchanged before squaring, so that no NaN of a missing label enters the gradient
    label = torch.where(known, label, prediction.detach())
    squares = torch.nn.functional.mse_loss(prediction, label, reduction="none")
    if squares.ndim > 1:  # a product takes a fraction of the time of a sum over few columns
        squares = squares @ squares.new_ones(squares.shape[1])
    if threshold is not None:
        squares = huber(squares, threshold)
    return torch.dot(squares, weights) / (mean_weight * known.sum().clamp(min=1).to(squares.dtype))


def huber(squares: torch.Tensor, threshold: float | torch.Tensor) -> torch.Tensor:
    r""":math:`x^2` below a threshold δ and :math:`2\delta|x| - \delta^2` beyond, of :math:`x^2`
    (Huber 1964, https://doi.org/10.1214/aoms/1177703732, times two).

    :param squares: :math:`x^2`
    :param threshold: δ > 0, one for all or for each
    """
    delta = torch.as_tensor(threshold, dtype=squares.dtype, device=squares.device).clamp(min=SMALLEST_THRESHOLD)
    limit = delta**2
    root = torch.sqrt(torch.maximum(squares, limit))
    return torch.where(squares > limit, 2.0 * delta * root - limit, squares)
