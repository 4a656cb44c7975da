"""Training of the charges: electronegativities and hardness from atomic charges of DFT."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from ase.data import chemical_symbols

from mhdnn.charge_model import ChargeModel
from mhdnn.errors import DataError
from mhdnn.potential import Potential
from mhdnn.prediction import predict_charges
from mhdnn.structure import Batch
from mhdnn.training.kept import kept_charges
from mhdnn.training.loss import weighted_mean
from mhdnn.training.module import StageModule


class ChargeModule(StageModule):
    """Trains the charges of a potential, in units of their spread."""

    needs_forces = False
    train_metrics = ("train_loss", "train_charge_mae_e")

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._squares: dict[str, list[torch.Tensor]] = {}

    def charges(self, batch: Batch) -> torch.Tensor:
        """What is compared with the labels, shape (num_atoms,), e."""
        return predict_charges(self.potential, batch.geometry)

    def find_loss(self, batch: Batch) -> torch.Tensor:
        return self._loss(self.charges(batch), batch)

    def _loss(self, charges: torch.Tensor, batch: Batch) -> torch.Tensor:
        weights = batch.labels.weight.index_select(0, batch.geometry.structure_index)
        mean = weighted_mean(charges, batch.labels.charges, weights, self.mean_weight.of_atoms)
        return mean * charge_model_of(self.potential).charge_scale ** 2

    def training_step(self, batch: Batch, batch_index: int) -> torch.Tensor:
        size = batch.geometry.num_structures
        with self.naming_structures(batch):
            kept = self.kept.of(batch.geometry)
            charges = self.charges(batch) if kept is None else kept_charges(self.potential, batch.geometry, kept)
        loss = self.checked({"charges": charges}, self._loss(charges, batch), batch)
        with torch.no_grad():
            mae = (charges - batch.labels.charges).abs().nanmean()
            self.train_means.add(torch.stack([loss.detach(), mae]), size)
        return loss

    def validation_step(self, batch: Batch, batch_index: int) -> None:
        with torch.no_grad(), self.naming_structures(batch, "validation"):
            charges = self.charges(batch).detach()
        geometry, difference = batch.geometry, charges - batch.labels.charges
        loss = self.checked({"charges": charges}, self._loss(charges, batch), batch, "validation")
        size = geometry.num_structures
        self.log("validation_loss", loss, on_epoch=True, batch_size=size, sync_dist=True, prog_bar=True)
        for number in torch.unique(geometry.atomic_numbers).tolist():
            chosen = difference[(geometry.atomic_numbers == number) & torch.isfinite(batch.labels.charges)]
            self._squares.setdefault(chemical_symbols[number], []).append(chosen**2)

    def on_validation_epoch_end(self) -> None:
        """Root-mean-square errors, of all atoms and of each element."""
        super().on_validation_epoch_end()
        squares = {symbol: torch.cat(parts) for symbol, parts in self._squares.items()}
        self._squares = {}
        for symbol, values in squares.items():
            if len(values):
                self.log(f"validation_charge_rmse_e_{symbol}", values.mean().sqrt(), sync_dist=True)
        everything = torch.cat(list(squares.values())) if squares else torch.zeros(0)
        if len(everything):
            self.log("validation_charge_rmse_e", everything.mean().sqrt(), sync_dist=True)


def fit_charge_scaling(potential: Potential, batches: Iterable[Batch]) -> None:
    """Mean charge of each element and inverse spread about it, for the network's charge input.

    :raises DataError: if no atom has a charge
    """
    model, charges, elements = charge_model_of(potential), [], []
    for batch in batches:
        known = torch.isfinite(batch.labels.charges)
        charges.append(batch.labels.charges[known])
        elements.append(potential.element_index(batch.geometry.atomic_numbers)[known])
    if not charges or not sum(map(len, charges)):
        raise DataError("`charges`: no atom of the training set has one; a model with charges is trained on them first")
    values, index = torch.cat(charges), torch.cat(elements)
    total = torch.zeros(len(model.charge_mean), dtype=torch.float64)
    count = total.index_add(0, index, torch.ones_like(values)).clamp(min=1)
    mean = total.index_add(0, index, values) / count
    spread = torch.sqrt(((values - mean[index]) ** 2).mean()).clamp(min=1e-4)
    model.charge_mean.copy_(mean)
    model.charge_scale.fill_(1.0 / float(spread))


def charge_model_of(potential: Potential) -> ChargeModel:
    """The charge model of a potential that has one."""
    assert potential.charge_model is not None
    return potential.charge_model
