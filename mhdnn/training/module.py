"""The Lightning module: a potential, its loss, its metrics, its optimiser."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, cast

import pytorch_lightning as pl
import torch
from torchmetrics import MeanAbsoluteError, MeanSquaredError, MetricCollection

import mhdnn
from mhdnn.data.datamodule import StoreDataModule
from mhdnn.deploy.export import CHECKPOINT_KEY
from mhdnn.errors import ModelError
from mhdnn.potential import Potential
from mhdnn.prediction import Prediction, predict
from mhdnn.structure import Batch
from mhdnn.training.guards import FiniteGuard
from mhdnn.training.loss import Loss
from mhdnn.training.optimization import is_plateau
from mhdnn.units import GPA_PER_EV_PER_CUBIC_ANGSTROM, MEV_PER_EV

CHARGES, ENERGIES, JOINT = "charges", "energies", "joint"
"""Stages of a training; a potential without charges has the second alone."""


class EpochMeans:
    """Means over an epoch, weighted by the number of structures; logging in every step costs more than averaging."""

    def __init__(self) -> None:
        self.sums: torch.Tensor | float = 0.0
        self.weights: torch.Tensor | float = 0.0

    def add(self, values: torch.Tensor, weight: int) -> None:
        """Values of a batch; those that are not finite don't count."""
        known = torch.isfinite(values)
        self.sums = self.sums + weight * torch.where(known, values, 0.0)
        self.weights = self.weights + weight * known

    def compute(self) -> torch.Tensor:
        """Means, NaN where no value was known."""
        return torch.as_tensor(self.sums) / torch.as_tensor(self.weights)


class StageModule(pl.LightningModule):
    """What all stages of a training share: optimiser, schedule, and what travels in checkpoints.

    :param potential: initialised potential; parameters that don't require gradients stay as they are
    :param settings: plain settings it was built from (they travel in the checkpoint)
    :param optimizer: makes an optimiser for a potential
    :param scheduler: makes a schedule from an optimiser (and ``total_steps``, if it asks for it)
    :param provenance: where the training data come from; travels into the model file
    :param monitored: what a schedule waits for that waits for progress
    :param stage: name of the stage
    """

    def __init__(
        self,
        potential: Potential,
        settings: Mapping[str, Any],
        optimizer: Callable[..., torch.optim.Optimizer],
        scheduler: Callable[..., Any] | None,
        provenance: Mapping[str, Any] | None = None,
        monitored: str = "validation_loss",
        stage: str = ENERGIES,
    ) -> None:
        super().__init__()
        self.potential = potential
        self.settings = dict(settings)
        self.provenance = dict(provenance or {})
        self.monitored = monitored
        self.make_optimizer = optimizer
        self.make_scheduler = scheduler
        self.stage = stage
        self.guard = FiniteGuard(self.find_loss)
        self._batch: Batch | None = None

    def find_loss(self, batch: Batch) -> torch.Tensor:
        """The loss of a batch as `training_step` has it."""
        raise NotImplementedError

    @property
    def _data(self) -> StoreDataModule:
        return cast(StoreDataModule, self.trainer.datamodule)  # type: ignore[attr-defined]

    def checked(
        self, predicted: Mapping[str, torch.Tensor | None], loss: torch.Tensor, batch: Batch, part: str = "train"
    ) -> torch.Tensor:
        """The loss, looked at; what is not finite stops the training before the next step or the end of validation.

        :param predicted: fields of a `mhdnn.prediction.Prediction`
        """
        self._batch = batch if part == "train" else self._batch
        return self.guard.look_at(predicted, loss, batch, self._data, part)

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        if self._batch is not None:
            parameters = [parameter for parameter in self.parameters() if parameter.requires_grad]
            self.guard.check_gradients(parameters, self._batch, self._data, self.trainer.world_size > 1)

    def on_validation_epoch_end(self) -> None:
        """Before anything saves or compares a validation loss.

        :raises NotFiniteError: naming a structure of which something was not finite
        """
        self.guard.stop(self.trainer.world_size > 1)

    def progress(self) -> float:
        """Done fraction of the training."""
        return min(1.0, self.trainer.global_step / max(1, self._total_steps() - 1))

    def _total_steps(self) -> int:
        return int(self.trainer.estimated_stepping_batches)

    def backward(self, loss: torch.Tensor, *args: Any, **kwargs: Any) -> None:
        """Gradients of the parameters alone; without this, those of the pair vectors are computed as well."""
        loss.backward(inputs=[parameter for parameter in self.parameters() if parameter.requires_grad])

    def configure_optimizers(self) -> Any:
        optimizer = self.make_optimizer(self.potential)
        if self.make_scheduler is None:
            return optimizer
        accepted = inspect.signature(self.make_scheduler).parameters
        arguments = {"total_steps": self._total_steps()} if "total_steps" in accepted else {}
        scheduler = self.make_scheduler(optimizer, **arguments)
        if is_plateau(scheduler):
            entry = {"scheduler": scheduler, "interval": "epoch", "monitor": self.monitored}
        else:
            entry = {"scheduler": scheduler, "interval": "step"}
        return {"optimizer": optimizer, "lr_scheduler": entry}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint[CHECKPOINT_KEY] = {
            "settings": self.settings,
            "training": self.provenance,
            "version": mhdnn.__version__,
            "stage": self.stage,
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        check_same_architecture(checkpoint, self.settings)


class PotentialModule(StageModule):
    """Trains a potential on energies, forces and stress; in the joint stage on charges, too.

    :param loss: loss of a batch
    """

    def __init__(
        self, potential: Potential, settings: Mapping[str, Any], loss: Loss, *args: Any, **options: Any
    ) -> None:
        super().__init__(potential, settings, *args, **options)
        self.loss = loss
        self.train_means = EpochMeans()
        self.errors = MetricCollection(
            {
                f"{label}_{name}": metric()
                for label in ("energy", "force", "stress")
                for name, metric in (("mae", MeanAbsoluteError), ("mse", MeanSquaredError))
            }
        )

    def find_loss(self, batch: Batch) -> torch.Tensor:
        prediction = predict(self.potential, batch, create_graph=True)
        return self.loss(prediction, batch, self.progress()) / self.loss_scale()

    def training_step(self, batch: Batch, batch_index: int) -> torch.Tensor:
        prediction = predict(self.potential, batch, create_graph=True)
        loss = self.loss(prediction, batch, self.progress()) / self.loss_scale()
        loss = self.checked(prediction._asdict(), loss, batch)
        with torch.no_grad():
            energy_error = ((prediction.energy - batch.energy) / batch.num_atoms_per_structure).abs().nanmean()
            force_error = (prediction.forces - batch.forces).abs().nanmean()
            values = torch.stack([loss.double(), MEV_PER_EV * energy_error, force_error])
        self.train_means.add(values, batch.num_structures)
        return loss

    def on_train_epoch_end(self) -> None:
        names = ("train_loss", "train_energy_mae_mev_per_atom", "train_force_mae_ev_per_angstrom")
        for name, value in zip(names, self.train_means.compute(), strict=True):
            if torch.isfinite(value):
                self.log(name, value, sync_dist=True)
        self.train_means = EpochMeans()

    def validation_step(self, batch: Batch, batch_index: int) -> None:
        prediction = predict(self.potential, batch)
        loss = self.loss(prediction, batch) / self.loss_scale()  # with the final weights: epochs compare
        loss = self.checked(prediction._asdict(), loss, batch, "validation")
        self.log("validation_loss", loss, on_epoch=True, batch_size=batch.num_structures, sync_dist=True, prog_bar=True)
        for label, (predicted, reference) in _labels(prediction, batch).items():
            known = torch.isfinite(reference)
            if known.any():
                self.errors[f"{label}_mae"].update(predicted[known], reference[known])
                self.errors[f"{label}_mse"].update(predicted[known], reference[known])

    def on_validation_epoch_end(self) -> None:
        super().on_validation_epoch_end()
        units = {"energy": "mev_per_atom", "force": "ev_per_angstrom", "stress": "gpa"}
        for label, unit in units.items():
            if self.errors[f"{label}_mae"].update_called:
                self.log(f"validation_{label}_mae_{unit}", self.errors[f"{label}_mae"].compute(), sync_dist=True)
                rmse = self.errors[f"{label}_mse"].compute().sqrt()
                self.log(f"validation_{label}_rmse_{unit}", rmse, sync_dist=True)
        self.errors.reset()

    def loss_scale(self) -> torch.Tensor:
        """Squared scale of the forces, so that learning rates and clipping mean the same for every dataset."""
        return self.potential.network.output_scale**2


def _labels(prediction: Prediction, batch: Batch) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """Predicted and reference values in the units of the metrics."""
    size = batch.num_atoms_per_structure
    volume = torch.linalg.det(batch.cell).abs().unsqueeze(1)
    return {
        "energy": (MEV_PER_EV * prediction.energy / size, MEV_PER_EV * batch.energy / size),
        "force": (prediction.forces, batch.forces),
        "stress": (
            GPA_PER_EV_PER_CUBIC_ANGSTROM * prediction.virial / torch.where(volume > 0, volume, 1.0),
            GPA_PER_EV_PER_CUBIC_ANGSTROM * batch.stress,
        ),
    }


def check_same_architecture(checkpoint: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
    """Refuse to continue a checkpoint with another architecture.

    :raises ModelError: naming the first setting that differs, or that the file is no checkpoint of mhdnn
    """
    if CHECKPOINT_KEY not in checkpoint:
        raise ModelError("`resume`: expected a checkpoint written by `mhdnn train`, got another file")
    saved = _flat(checkpoint[CHECKPOINT_KEY]["settings"])
    wanted = _flat(settings)
    for name in sorted(saved.keys() | wanted.keys()):
        if saved.get(name) != wanted.get(name):
            raise ModelError(
                f"`resume`: the checkpoint was trained with {name}={saved.get(name)}, this run asks for "
                f"{name}={wanted.get(name)}; resume with the configuration of the first run"
            )


def _flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in settings.items():
        name = f"{prefix}{key}"
        result.update(_flat(value, f"{name}.") if isinstance(value, Mapping) else {name: value})
    return result
