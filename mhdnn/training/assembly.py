"""From settings to what is trained: model, Lightning module, trainer."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import hydra
import pytorch_lightning as pl
import torch
from ase.data import atomic_numbers as atomic_number_of
from hydra.errors import InstantiationException
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.callbacks import ProgressBar

from mhdnn.data.datamodule import FITTED, StoreDataModule
from mhdnn.errors import ConfigError, MHDNNError
from mhdnn.potential import Potential
from mhdnn.training.callbacks import NoProfiler
from mhdnn.training.checkpoints import SealedCheckpoints
from mhdnn.training.initial_model import InitialModel
from mhdnn.training.loss import MeanWeight
from mhdnn.training.module import StageModule
from mhdnn.training.offsets import SourceOffsets, atomic_numbers_of
from mhdnn.training.settings import check_settings
from mhdnn.training.stages import Stage
from mhdnn.training.steps import PlainSteps
from mhdnn.training.transplant import Elements, rows_of_new_elements

LONGEST_INTERVAL, FEWEST_VALIDATIONS = 5, 20
"""Of validations: in epochs, and in a training."""


def model_settings(config: DictConfig, data: StoreDataModule) -> dict[str, Any]:
    """Plain settings from which `build_potential` makes the model again."""
    if config.elements == "auto":
        numbers = data.train_reader.elements()
    else:
        numbers = sorted(atomic_number_of[symbol] for symbol in config.elements)
    settings: dict[str, Any] = {
        "atomic_numbers": [int(number) for number in numbers],
        "cutoff": float(config.cutoff),
        "dtype": config.dtype,
        "descriptor": OmegaConf.to_container(config.descriptor, resolve=True),
        "network": OmegaConf.to_container(config.network, resolve=True),
    }
    if config.ensemble.size > 1:
        settings["network"]["num_members"] = int(config.ensemble.size)
    if data.dispersion_left_out:
        settings["dispersion_left_out"] = data.dispersion_left_out
    if config.repulsion.kind != "none":
        settings["repulsion"] = {"inner": config.repulsion.inner, "outer": config.repulsion.outer}
    if config.charges.kind != "none":
        charges = cast(dict[str, Any], OmegaConf.to_container(config.charges, resolve=True))
        of_the_model = ("widths", "initial_hardness", "screening", "accuracy", "network")
        settings["charges"] = {key: charges[key] for key in of_the_model}
    return settings


def build_module(
    potential: Potential,
    settings: Mapping[str, Any],
    data: StoreDataModule,
    config: DictConfig,
    stage: Stage,
    previous: torch.optim.Optimizer | None = None,
    offsets: SourceOffsets | None = None,
    initial: InitialModel | None = None,
) -> StageModule:
    """The Lightning module of a stage; freezes what the stage doesn't train.

    :param previous: optimiser of the stage before
    :param offsets: reference energies of the sources
    :param initial: the model that the training starts from
    """
    options: dict[str, Any] = {
        "potential": potential,
        "settings": settings,
        "optimizer": made(config.optimizer, "optimizer"),
        "scheduler": made(config.scheduler, "scheduler") if config.get("scheduler") else None,
        "provenance": provenance(data, initial.path if initial else None),
        "new_rows": new_rows(initial, potential) if initial else None,
        "monitored": "validation_loss" if "validation" in data.indices else "train_loss",
        "stage": stage.name,
        "configuration": check_settings(config),
        "span": stage.span,
        "previous": previous if stage.continues else None,
        "mean_weight": MeanWeight(*data.mean_weight),
    }
    stage.choose_parameters(potential)
    return stage.module(options, loss_settings(config, data), offsets)


def loss_settings(config: DictConfig, data: StoreDataModule) -> dict[str, Any]:
    """Those of the loss; without stress where no structure has any, as looking for it takes time in every step."""
    settings = cast(dict[str, Any], OmegaConf.to_container(config.loss, resolve=True))
    has_stress = any("stress" in data.reader_of(part).labels for part in FITTED)
    return settings if has_stress else {**settings, "stress_weight": 0.0}


def new_rows(initial: InitialModel, potential: Potential) -> dict[str, torch.Tensor]:
    """What in a potential's parameters is of elements that the initial model lacks."""
    return rows_of_new_elements(
        initial.potential, potential, Elements(initial.atomic_numbers, atomic_numbers_of(potential))
    )


def made(node: DictConfig, name: str, **arguments: Any) -> Any:
    """What Hydra makes of a node with a ``_target_``.

    :param name: key of the node, for messages
    :raises ConfigError: with what the target said
    """
    try:
        return hydra.utils.instantiate(node, **arguments)
    except MHDNNError:
        raise
    except Exception as error:  # of a foreign class, about the keywords that the user gave it
        cause = error.__cause__ if isinstance(error, InstantiationException) and error.__cause__ else error
        text = str(cause).strip().splitlines() or [type(cause).__name__]
        raise ConfigError(f"`{name}`: {text[0]}") from error


def provenance(data: StoreDataModule, initial: Path | None = None) -> dict[str, Any]:
    """Where the training data come from, and the model that it started from, for the model file."""
    return {
        **({"init": initial.name} if initial else {}),
        "data": data.names(),
        "num_structures": {part: len(indices) for part, indices in data.indices.items()},
        "digests": data.digests(),
        "attributes": {name: str(value) for name, value in data.train_reader.attributes.items()},
    }


def validation_interval(config: DictConfig) -> int | None:
    """Epochs from one validation to the next, where the setting is ``auto``; the last epoch is always validated.

    Every epoch where the validation decides when to stop, or when to take smaller steps.
    """
    chosen = config.trainer.check_val_every_n_epoch
    if chosen != "auto":
        return cast("int | None", chosen)
    waiting = [config.get("scheduler"), *config.callbacks.values()]
    if any(part is not None and "patience" in part for part in waiting):
        return 1
    return max(1, min(LONGEST_INTERVAL, config.trainer.max_epochs // FEWEST_VALIDATIONS))


def build_trainer(config: DictConfig, has_validation: bool, stage: Stage) -> pl.Trainer:
    """The Lightning trainer with its loggers and callbacks; none that waits for a validation that never comes.

    Checkpoints of all stages but the last carry the stage in their names.
    """
    config = config.copy()
    chosen = {str(name): c for name, c in config.callbacks.items() if c is not None}
    if not stage.is_last:
        for callback in chosen.values():
            if "filename" in callback:
                callback.filename = f"{stage.name}_{callback.filename}"
    config.trainer.max_epochs = stage.max_epochs
    config.trainer.check_val_every_n_epoch = validation_interval(config)
    if not has_validation:
        chosen = {n: c for n, c in chosen.items() if not str(c.get("monitor", "")).startswith("validation")}
    callbacks = [made(c, f"callbacks.{name}") for name, c in chosen.items()]
    if not config.trainer.enable_progress_bar:
        callbacks = [callback for callback in callbacks if not isinstance(callback, ProgressBar)]
    loggers = [made(c, f"logger.{name}") for name, c in config.logger.items() if c is not None]
    options: dict[str, Any] = {"callbacks": callbacks, "logger": loggers, "plugins": [SealedCheckpoints()]}
    if config.trainer.get("profiler") is None:
        options["profiler"] = NoProfiler()
    trainer: pl.Trainer = made(config.trainer, "trainer", **options)
    before = trainer.fit_loop.epoch_loop
    trainer.fit_loop.epoch_loop = PlainSteps(trainer, before.min_steps, before.max_steps)
    return trainer
