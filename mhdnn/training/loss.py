"""The loss of energies, forces and stress."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from mhdnn.prediction import Prediction
from mhdnn.structure import Batch


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
class Loss:
    r""":math:`w_E (\Delta E/N)^2 + w_F \Delta F^2 + w_S (\Delta W/N)^2 + w_Q \Delta q^2`.

    Each is a mean over what has the label. W is the virial :math:`V\sigma`, in eV like the energy.

    :param energy_weight: :math:`w_E`, changing over the training
    :param force_weight: :math:`w_F`, of the mean over force components, Å²
    :param stress_weight: :math:`w_S`
    :param charge_weight: :math:`w_Q`, eV²/e², for potentials with charges
    """

    energy_weight: Ramp
    force_weight: float
    stress_weight: float
    charge_weight: float = 0.0

    def __call__(self, prediction: Prediction, batch: Batch, progress: float = 1.0) -> torch.Tensor:
        """The loss of one batch, eV².

        :param progress: done fraction of the training
        """
        num_atoms = batch.num_atoms_per_structure.to(batch.energy.dtype)
        volume = torch.linalg.det(batch.cell).abs()
        virial = batch.stress * volume.unsqueeze(1)
        size = num_atoms.unsqueeze(1)
        loss = (
            self.energy_weight.at(progress) * mean_square(prediction.energy / num_atoms, batch.energy / num_atoms)
            + self.force_weight * mean_square(prediction.forces, batch.forces)
            + self.stress_weight * mean_square(prediction.virial / size, virial / size)
        )
        if self.charge_weight > 0 and prediction.charges is not None:
            loss = loss + self.charge_weight * mean_square(prediction.charges, batch.charges)
        return loss


def mean_square(prediction: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
    """Mean square of prediction minus label over the labels that are known (finite), zero if there is none.

    A prediction that is NaN where the label is known makes it NaN.
    """
    known = torch.isfinite(label)
    # exchanged before squaring, so that no NaN of a missing label enters the gradient
    squares = torch.where(known, prediction - label, torch.zeros_like(prediction)) ** 2
    return squares.sum() / known.sum().clamp(min=1)
