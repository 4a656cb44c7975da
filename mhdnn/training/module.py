"""The Lightning module: a potential, its loss, its metrics, its optimiser."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import Any, ClassVar, cast

import pytorch_lightning as pl
import torch
from torchmetrics import MeanAbsoluteError, MeanSquaredError, MetricCollection

import mhdnn
from mhdnn.data.datamodule import StoreDataModule
from mhdnn.deploy.export import CHECKPOINT_KEY
from mhdnn.deploy.model_file import first_line
from mhdnn.errors import ConfigError, DataError, ElectrostaticsError
from mhdnn.potential import Potential
from mhdnn.prediction import Prediction, mean_of, predict, predict_members
from mhdnn.structure import Batch
from mhdnn.training.guards import FiniteGuard
from mhdnn.training.kept import KeptStructures, predict_kept
from mhdnn.training.loss import EQUAL_WEIGHTS, Loss, MeanWeight
from mhdnn.training.offsets import LEARNING_RATE, SourceOffsets, composition_of, sources_in
from mhdnn.training.optimization import carry_state, is_plateau, lengthen_steps
from mhdnn.training.resume import check_same_architecture
from mhdnn.units import GPA_PER_EV_PER_CUBIC_ANGSTROM, MEV_PER_EV

FASTER_NEW_ELEMENTS = 20.0
"""Steps of what is of new elements alone, in those of what the model knows (docs/benchmarks.md has what was tried)."""
CLIP_EPSILON = 1e-6
"""As torch's own clipping has it."""


class EpochMeans:
    """Means over an epoch, weighted by the number of structures; to log in every step costs more than to remember."""

    def __init__(self) -> None:
        self.rows: list[torch.Tensor] = []
        self.weights: list[int] = []

    def add(self, values: torch.Tensor, weight: int) -> None:
        """Values of a batch; those that are not finite don't count."""
        self.rows.append(values)
        self.weights.append(weight)

    @property
    def totals(self) -> torch.Tensor:
        """Sums and weights, shape (2, num_values)."""
        rows = torch.stack(self.rows)
        known = torch.isfinite(rows)
        weights = known * torch.tensor(self.weights, device=rows.device).unsqueeze(1)
        return torch.stack([(weights * torch.where(known, rows, 0.0)).sum(0), weights.sum(0).to(rows)])


class StageModule(pl.LightningModule):
    """What all stages of a training share: optimiser, schedule, and what travels in checkpoints.

    :param potential: initialised potential; parameters that don't require gradients stay as they are
    :param settings: plain settings it was built from (they travel in the checkpoint)
    :param optimizer: makes an optimiser for a potential
    :param scheduler: makes a schedule from an optimiser (and ``total_steps``, if it asks for it)
    :param provenance: where the training data come from; travels into the model file
    :param monitored: what a schedule waits for that waits for progress
    :param stage: its name, for checkpoints
    :param configuration: all settings of the training; they travel in the checkpoint
    :param span: begin and end of the stage as fractions of the schedule that it shares with others
    :param previous: optimiser of the stage whose schedule this one continues
    :param mean_weight: of the training structures
    :param new_rows: what is of new elements alone, by names of the potential's parameters; takes longer steps
    :cvar needs_forces: whether the loss needs them, or charges alone
    :cvar train_metrics: names of what `train_means` are of
    :ivar kept: what the stage doesn't change of the training structures
    """

    needs_forces: ClassVar[bool] = True
    train_metrics: ClassVar[tuple[str, ...]] = ("train_loss",)

    def __init__(
        self,
        potential: Potential,
        settings: Mapping[str, Any],
        optimizer: Callable[..., torch.optim.Optimizer],
        scheduler: Callable[..., Any] | None,
        provenance: Mapping[str, Any] | None = None,
        monitored: str = "validation_loss",
        stage: str = "",
        configuration: Mapping[str, Any] | None = None,
        span: tuple[float, float] = (0.0, 1.0),
        previous: torch.optim.Optimizer | None = None,
        mean_weight: MeanWeight = EQUAL_WEIGHTS,
        new_rows: Mapping[str, torch.Tensor] | None = None,
    ) -> None:
        super().__init__()
        self.potential = potential
        self.settings = dict(settings)
        self.provenance = dict(provenance or {})
        self.monitored = monitored
        self.make_optimizer = optimizer
        self.make_scheduler = scheduler
        self.stage = stage
        self.configuration = dict(configuration or {})
        self.span = span
        self.previous = previous
        self.mean_weight = mean_weight
        self.new_rows = dict(new_rows or {})
        self.guard = FiniteGuard(self.find_loss)
        self.kept = KeptStructures(potential, self.needs_forces)
        self.train_means = EpochMeans()
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

    @contextmanager
    def naming_structures(self, batch: Batch, part: str = "train") -> Iterator[None]:
        """Errors of charges tell which structures they are about."""
        try:
            yield
        except (ElectrostaticsError, DataError) as error:
            numbers = ", ".join(map(str, batch.geometry.dataset_index.tolist()))
            raise type(error)(f"{self._data.paths()[part]}: structures {numbers} ({part}): {error}") from error

    @cached_property
    def trained(self) -> list[torch.nn.Parameter]:
        """What the stage trains; to look for it in every step costs as much as the network."""
        return [parameter for parameter in self.parameters() if parameter.requires_grad]

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: int | float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Look at the gradients and clip them: one norm tells whether they are finite and whether they are too long.

        :raises NotFiniteError: if one of them is not finite
        """
        gradients = [parameter.grad for parameter in self.trained if parameter.grad is not None]
        # torch's own function sorts them by device first, which takes longer
        norm = float(torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))) if gradients else 0.0
        if self._batch is not None and not math.isfinite(norm):
            self.guard.stop_at_gradients(self.trained, self._batch, self._data, self.trainer.world_size > 1)
        if gradient_clip_algorithm == "value":
            self.clip_gradients(optimizer, gradient_clip_val, gradient_clip_algorithm)
        elif gradient_clip_val and norm > gradient_clip_val:
            torch._foreach_mul_(gradients, gradient_clip_val / (norm + CLIP_EPSILON))

    def on_train_start(self) -> None:
        self.kept.fill(self._data, self.device)

    def on_train_end(self) -> None:
        self.kept.forget()

    def on_train_epoch_start(self) -> None:
        trainer = self.trainer
        last_step = trainer.global_step + trainer.num_training_batches // trainer.accumulate_grad_batches
        is_last = trainer.current_epoch + 1 == trainer.max_epochs or 0 < trainer.max_steps <= last_step
        if is_last and trainer.check_val_every_n_epoch:
            trainer.check_val_every_n_epoch = 1  # the last weights are always validated

    def on_train_epoch_end(self) -> None:
        gathered = cast(torch.Tensor, self.all_gather(self.train_means.totals))
        sums, weights = gathered.reshape(-1, *gathered.shape[-2:]).sum(0)  # of all processes
        for name, value in zip(self.train_metrics, sums / weights, strict=True):
            if torch.isfinite(value):  # in all processes or in none: they wait for each other
                self.log(name, value, sync_dist=True)
        self.train_means = EpochMeans()

    def on_validation_epoch_end(self) -> None:
        """Before anything saves or compares a validation loss.

        :raises NotFiniteError: naming a structure of which something was not finite
        """
        self.guard.stop(self.trainer.world_size > 1)

    def progress(self) -> float:
        """Done fraction of the schedule, which may have begun in the stage before and go on in the next."""
        return min(1.0, (self._first_step + self.trainer.global_step) / max(1, self._total_steps - 1))

    @cached_property
    def _total_steps(self) -> int:
        """Steps of the whole schedule."""
        begin, end = self.span
        return round(int(self.trainer.estimated_stepping_batches) / (end - begin))

    @cached_property
    def _first_step(self) -> int:
        return round(self.span[0] * self._total_steps)

    def backward(self, loss: torch.Tensor, *args: Any, **kwargs: Any) -> None:
        """Gradients of the parameters alone; without this, those of the pair vectors are computed as well."""
        loss.backward(inputs=self.trained)

    def optimizer_zero_grad(self, epoch: int, batch_idx: int, optimizer: torch.optim.Optimizer) -> None:
        """As the optimiser does it, in a fraction of the time."""
        for parameter in self.trained:
            parameter.grad = None

    def optimizer_of(self) -> torch.optim.Optimizer:
        """A new optimiser of what the stage trains."""
        optimizer: torch.optim.Optimizer = self.make_optimizer(self.potential)
        if self.new_rows:
            named = dict(self.potential.named_parameters())
            masks = {named[name]: mask for name, mask in self.new_rows.items() if named[name].requires_grad}
            lengthen_steps(optimizer, masks, FASTER_NEW_ELEMENTS)
        return optimizer

    def configure_optimizers(self) -> Any:
        try:
            optimizer = self.optimizer_of()
        except (TypeError, ValueError) as error:  # keywords of a class that the user chose
            raise ConfigError(f"`optimizer`: {first_line(error)}") from error
        if self.previous is not None:
            carry_state(self.previous, optimizer)
        if self.make_scheduler is None:
            return optimizer
        try:
            accepted = inspect.signature(self.make_scheduler).parameters
            known = {"total_steps": self._total_steps, "first_step": self._first_step}
            scheduler = self.make_scheduler(optimizer, **{key: known[key] for key in known if key in accepted})
        except (TypeError, ValueError) as error:
            raise ConfigError(f"`scheduler`: {first_line(error)}") from error
        if is_plateau(scheduler):
            waits = self.monitored.startswith("validation") and self.trainer.check_val_every_n_epoch
            entry = {"scheduler": scheduler, "interval": "epoch", "monitor": self.monitored, "frequency": waits or 1}
        else:
            entry = {"scheduler": scheduler, "interval": "step"}
        return {"optimizer": optimizer, "lr_scheduler": entry}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint[CHECKPOINT_KEY] = {
            "settings": self.settings,
            "training": self.provenance,
            "configuration": self.configuration,
            "version": mhdnn.__version__,
            "stage": self.stage,
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        check_same_architecture(checkpoint, self.settings)


class PotentialModule(StageModule):
    """Trains a potential on energies, forces and stress; in the joint stage on charges, too.

    :param loss: loss of a batch
    :param offsets: reference energies of the sources, or None
    """

    train_metrics = ("train_loss", "train_energy_mae_mev_per_atom", "train_force_mae_ev_per_angstrom")

    def __init__(
        self,
        potential: Potential,
        settings: Mapping[str, Any],
        loss: Loss,
        *args: Any,
        offsets: SourceOffsets | None = None,
        **options: Any,
    ) -> None:
        super().__init__(potential, settings, *args, **options)
        self.loss = loss
        self.offsets = offsets
        self.errors = MetricCollection(
            {
                f"{label}_{name}": metric()
                for label in ("energy", "force", "stress")
                for name, metric in (("mae", MeanAbsoluteError), ("mse", MeanSquaredError))
            }
        )

    def on_one_level(self, batch: Batch, part: str = "train") -> Batch:
        """The batch with energies on the level of the main source."""
        if self.offsets is None:
            return batch
        geometry = batch.geometry
        source, composition = sources_in(self._data, geometry, part), composition_of(self.potential, geometry)
        return batch.with_labels(energy=batch.labels.energy - self.offsets.energies(composition, source))

    def optimizer_of(self) -> torch.optim.Optimizer:
        optimizer = super().optimizer_of()
        if self.offsets is not None:
            values = list(self.offsets.parameters())
            optimizer.add_param_group({"name": "offsets", "params": values, "lr": LEARNING_RATE, "weight_decay": 0.0})
        return optimizer

    @property
    def evaluated(self) -> Any:
        """What is compared with the labels: the potential."""
        return self.potential

    def find_loss(self, batch: Batch) -> torch.Tensor:
        batch = self.on_one_level(batch)
        return self.loss_of(predict_members(self.evaluated, batch.geometry, create_graph=True), batch)

    def loss_of(self, members: list[Prediction], batch: Batch) -> torch.Tensor:
        """Mean loss of the members of an ensemble, or the loss of a single network."""
        losses = [self.loss(member, batch, self.progress()) for member in members]
        return (losses[0] if len(losses) == 1 else torch.stack(losses).mean()) / self.loss_scale()

    def training_step(self, batch: Batch, batch_index: int) -> torch.Tensor:
        batch = self.on_one_level(batch)
        with self.naming_structures(batch):
            kept = self.kept.of(batch.geometry)
            if kept is None:
                members = predict_members(self.evaluated, batch.geometry, create_graph=True)
            else:
                members = [predict_kept(self.potential, batch.geometry, kept)]
        prediction, loss = mean_of(members), self.loss_of(members, batch)
        loss = self.checked(prediction._asdict(), loss, batch)
        with torch.no_grad():
            energy_error = (prediction.energy - batch.labels.energy) / batch.geometry.num_atoms_per_structure
            energy_error, force_error = energy_error.abs().nanmean(), prediction.forces - batch.labels.forces
            values = torch.stack([loss.double(), MEV_PER_EV * energy_error, force_error.abs().nanmean()])
        self.train_means.add(values, batch.geometry.num_structures)
        return loss

    def validation_step(self, batch: Batch, batch_index: int) -> None:
        batch = self.on_one_level(batch, "validation")
        with self.naming_structures(batch, "validation"):
            prediction = predict(self.evaluated, batch.geometry)
        loss = self.loss(prediction, batch) / self.loss_scale()  # with the final weights: epochs compare
        loss = self.checked(prediction._asdict(), loss, batch, "validation")
        size = batch.geometry.num_structures
        self.log("validation_loss", loss, on_epoch=True, batch_size=size, sync_dist=True, prog_bar=True)
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
        return self.potential.short_range.network.output_scale**2


def _labels(prediction: Prediction, batch: Batch) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """Predicted and reference values in the units of the metrics."""
    geometry, labels = batch.geometry, batch.labels
    size, stress = geometry.num_atoms_per_structure, geometry.stress(prediction.virial)
    return {
        "energy": (MEV_PER_EV * prediction.energy / size, MEV_PER_EV * labels.energy / size),
        "force": (prediction.forces, labels.forces),
        "stress": (GPA_PER_EV_PER_CUBIC_ANGSTROM * stress, GPA_PER_EV_PER_CUBIC_ANGSTROM * labels.stress),
    }
