"""`mhdnn train`: from a configuration to a trained model, its errors and its report."""

from __future__ import annotations

import json
import logging
import sys
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, cast

import hydra
import numpy as np
import pytorch_lightning as pl
import torch
from ase.data import atomic_numbers as atomic_number_of
from ase.data import chemical_symbols
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.callbacks import ProgressBar
from rich.console import Console
from rich.progress import Progress

from mhdnn.charge_potential import ChargePotential
from mhdnn.data.datamodule import StoreDataModule
from mhdnn.deploy.export import CHECKPOINT_KEY, potential_from_checkpoint, read_checkpoint
from mhdnn.deploy.model_file import load_model, metadata_of, save_model
from mhdnn.descriptors.input_nn import settings_from_input_nn
from mhdnn.errors import ConfigError, DataError, MHDNNError
from mhdnn.evaluation.errors import compute_errors, write_errors
from mhdnn.evaluation.predictions import Predictions
from mhdnn.evaluation.report import write_report
from mhdnn.evaluation.run import predict_structures
from mhdnn.evaluation.table import print_errors
from mhdnn.potential import Potential, build_potential
from mhdnn.structure import Batch
from mhdnn.training.charges import ChargeModule, choose_parameters, fit_charge_scaling, without_electrostatics
from mhdnn.training.initialization import fit_reference_energies, fit_scaling
from mhdnn.training.loss import Loss, Ramp
from mhdnn.training.module import (
    CHARGES,
    ENERGIES,
    JOINT,
    PotentialModule,
    StageModule,
    check_same_architecture,
)
from mhdnn.training.ridge import fit_linear_part

INTERRUPTED = 130  # exit status, as shells use it
console = Console()
# what Lightning tells at this level is not about the user's data or model
logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)


@hydra.main(version_base="1.3", config_path="pkg://mhdnn.configs", config_name="train")
def main(config: DictConfig) -> None:
    """Entry point under Hydra: overrides, sweeps and run folders are Hydra's."""
    folder = Path(HydraConfig.get().runtime.output_dir)
    try:
        train(config, folder)
    except MHDNNError as error:
        sys.exit(f"mhdnn train: {error}")
    except KeyboardInterrupt:
        checkpoint = folder / "checkpoints/interrupted.ckpt"
        left = f"{checkpoint} can be exported or resumed" if checkpoint.exists() else "training had not begun"
        console.print(f"interrupted; {left}", soft_wrap=True)
        sys.exit(INTERRUPTED)


def train(config: DictConfig, folder: Path) -> Path:
    """Train a potential; returns the path of the model file.

    :param config: composed from mhdnn.configs
    :param folder: where checkpoints, logs, model and report go
    :raises ConfigError: if a setting contradicts another
    :raises DataError: if the data can't be trained on
    :raises ModelError: if the run can't be resumed
    """
    if config.weights not in ("last", "best"):
        raise ConfigError(f"`weights`: expected last or best, got {config.weights!r}")
    pl.seed_everything(config.seed, workers=True, verbose=False)
    config = with_functions_of_input_nn(config)
    data = StoreDataModule(**config.data, cutoff=config.cutoff, seed=config.seed)
    settings = model_settings(config, data)
    check_test_elements(data, settings["atomic_numbers"])
    potential = build_potential(settings)
    first, stages = None, stages_of(config)
    if config.resume:
        checkpoint = read_checkpoint(config.resume)
        check_same_architecture(checkpoint, settings)
        first = checkpoint[CHECKPOINT_KEY].get("stage", ENERGIES)
        if first not in stages:
            raise ConfigError(
                f"`resume`: the checkpoint is of the stage {first}, this run has the stages {', '.join(stages)}; "
                "resume with the configuration of the first run"
            )
        stages = stages[stages.index(first) :]
    describe(potential, data)
    for stage in stages:
        resume = config.resume if stage == first else None
        if resume is None:
            initialize(potential, data, config, stage)
        module = build_module(potential, settings, data, config, stage)
        trainer = build_trainer(config, "validation" in data.indices, stage)
        fit(trainer, module, data, resume)
    return finish(config, folder, trainer, module, data)


def with_functions_of_input_nn(config: DictConfig) -> DictConfig:
    """The configuration with symmetry functions and cutoff of the file that it names, if it names one."""
    if "input_nn" not in config.descriptor:
        return config
    settings, cutoff = settings_from_input_nn(config.descriptor)
    console.print(f"cutoff: {cutoff:.4f} Å ({config.descriptor.input_nn})", soft_wrap=True)
    result = config.copy()
    OmegaConf.set_struct(result, False)
    result.descriptor, result.cutoff = settings, cutoff
    return result


def stages_of(config: DictConfig) -> list[str]:
    """Stages of the training, in their order."""
    if config.charges.kind == "none":
        return [ENERGIES]
    if config.charges.kind != "equilibration":
        raise ConfigError(f"`charges.kind`: expected none or equilibration, got {config.charges.kind!r}")
    return [CHARGES, ENERGIES, JOINT] if config.charges.joint_epochs > 0 else [CHARGES, ENERGIES]


def build_module(
    potential: Potential, settings: Mapping[str, Any], data: StoreDataModule, config: DictConfig, stage: str
) -> StageModule:
    """The Lightning module of a stage; freezes what the stage doesn't train."""
    arguments: dict[str, Any] = {
        "potential": potential,
        "settings": settings,
        "optimizer": hydra.utils.instantiate(config.optimizer),
        "scheduler": hydra.utils.instantiate(config.scheduler) if config.scheduler else None,
        "provenance": provenance(data),
        "monitored": "validation_loss" if "validation" in data.indices else "train_loss",
        "stage": stage,
    }
    if isinstance(potential, ChargePotential):
        choose_parameters(potential, stage)
    if stage == CHARGES:
        return ChargeModule(**arguments)
    loss = build_loss(config.loss, config.charges.joint_charge_weight if stage == JOINT else 0.0)
    return PotentialModule(loss=loss, **arguments)


def fit(trainer: pl.Trainer, module: StageModule, data: StoreDataModule, resume: str | None) -> None:
    """Run Lightning's loop; an interruption comes out as KeyboardInterrupt, not as Lightning's exit."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*LeafSpec.*")  # torch's word to Lightning
        warnings.filterwarnings("ignore", message="Grad strides do not match")  # of rows as columns; costs nothing
        warnings.filterwarnings("ignore", message="Total length of `list`")  # there is no validation set
        warnings.filterwarnings("ignore", message="Checkpoint directory .* exists")  # of the stage before
        try:
            trainer.fit(module, datamodule=data, ckpt_path=resume, weights_only=True)
        except SystemExit as error:
            if trainer.interrupted:
                raise KeyboardInterrupt from error
            raise


def model_settings(config: DictConfig, data: StoreDataModule) -> dict[str, Any]:
    """Plain settings from which `build_potential` makes the model again."""
    if config.elements == "auto":
        numbers = data.train_reader.elements()
    else:
        unknown = [symbol for symbol in config.elements if symbol not in atomic_number_of]
        if unknown:
            raise ConfigError(f"`elements`: expected chemical symbols or auto, got {unknown}")
        numbers = sorted(atomic_number_of[symbol] for symbol in config.elements)
    settings = {
        "atomic_numbers": [int(number) for number in numbers],
        "cutoff": float(config.cutoff),
        "dtype": config.dtype,
        "descriptor": OmegaConf.to_container(config.descriptor, resolve=True),
        "network": OmegaConf.to_container(config.network, resolve=True),
    }
    if data.dispersion_left_out:
        settings["dispersion_left_out"] = data.dispersion_left_out
    if config.charges.kind != "none":
        charges = cast(dict[str, Any], OmegaConf.to_container(config.charges, resolve=True))
        of_the_model = ("widths", "initial_hardness", "screening", "accuracy", "network")
        settings["charges"] = {key: charges[key] for key in of_the_model}
    return settings


def build_loss(settings: Mapping[str, Any], charge_weight: float = 0.0) -> Loss:
    """The loss that the group ``loss`` describes."""
    ramp = Ramp(float(settings["energy_weight"]["start"]), float(settings["energy_weight"]["end"]))
    return Loss(ramp, float(settings["force_weight"]), float(settings["stress_weight"]), charge_weight)


def initialize(potential: Potential, data: StoreDataModule, config: DictConfig, stage: str) -> None:
    """Fit what needs no gradient descent, before a stage begins."""
    options = config.initialization
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("scaling of symmetry functions", total=None)
        if stage == stages_of(config)[0]:
            fit_scaling(potential, data.sample(options.scaling_atoms))
        if isinstance(potential, ChargePotential) and stage == CHARGES:
            fit_charge_scaling(potential, data.sample(options.scaling_atoms))
        if stage == ENERGIES:
            set_reference_energies(potential, data, options.reference_energies)
            potential.network.output_scale.fill_(energy_scale(data))
            progress.update(task, description="ridge regression of the linear part")
            fit_linear(potential, data, config)


def fit_linear(potential: Potential, data: StoreDataModule, config: DictConfig) -> None:
    """The network's linear part, if it has one; with charges, of what electrostatics leave over."""
    if not potential.network.linear_skip:
        return
    batches: Iterable[Batch] = data.sample(config.initialization.ridge_atoms)
    if isinstance(potential, ChargePotential):
        batches = without_electrostatics(potential, batches)
    weights = (config.initialization.ridge_energy_weight, config.loss.force_weight, config.loss.stress_weight)
    fit_linear_part(potential, batches, *weights)


def set_reference_energies(potential: Potential, data: StoreDataModule, choice: Any) -> None:
    """Reference energies by least squares, or as given for every element."""
    reader = data.train_reader
    numbers = [
        number for number in range(len(potential.element_of_atomic_number))
        if potential.element_of_atomic_number[number] >= 0
    ]  # fmt: skip
    if choice == "fit":
        if "energy" not in reader.labels:
            return
        chosen = data.indices["train"]
        energies = fit_reference_energies(reader.composition(numbers)[chosen], reader.energies()[chosen])
    else:
        symbols = [chemical_symbols[number] for number in numbers]
        missing = [symbol for symbol in symbols if symbol not in choice]
        if missing:
            raise ConfigError(f"`initialization.reference_energies`: no energy is given for {missing}")
        energies = np.array([float(choice[symbol]) for symbol in symbols])
    potential.reference_energies.copy_(torch.as_tensor(energies, dtype=torch.float64))


def energy_scale(data: StoreDataModule) -> float:
    """Root mean square of the forces (eV/Å), or one where there are none."""
    squares, count = 0.0, 0
    for batch in data.sample(10_000):
        known = batch.forces[torch.isfinite(batch.forces)]
        squares += float((known**2).sum())
        count += len(known)
    return (squares / count) ** 0.5 if count and squares > 0 else 1.0


def provenance(data: StoreDataModule) -> dict[str, Any]:
    """Where the training data come from, for the model file."""
    return {
        "data": {part: path.name for part, path in data.paths().items()},
        "num_structures": {part: len(indices) for part, indices in data.indices.items()},
        "attributes": {name: str(value) for name, value in data.train_reader.attributes.items()},
    }


def build_trainer(config: DictConfig, has_validation: bool, stage: str) -> pl.Trainer:
    """The Lightning trainer with its loggers and callbacks; none that waits for a validation that never comes.

    Checkpoints of all stages but the last carry the stage in their names.
    """
    config = config.copy()
    chosen = [c for c in config.callbacks.values() if c is not None]
    if stage != stages_of(config)[-1]:
        for callback in chosen:
            if "filename" in callback:
                callback.filename = f"{stage}_{callback.filename}"
    if stage != ENERGIES:
        config.trainer.max_epochs = config.charges.max_epochs if stage == CHARGES else config.charges.joint_epochs
    if not has_validation:
        chosen = [c for c in chosen if not str(c.get("monitor", "")).startswith("validation")]
    callbacks = [hydra.utils.instantiate(c) for c in chosen]
    if not config.trainer.enable_progress_bar:
        callbacks = [callback for callback in callbacks if not isinstance(callback, ProgressBar)]
    loggers = [hydra.utils.instantiate(c) for c in config.logger.values() if c is not None]
    return hydra.utils.instantiate(config.trainer, callbacks=callbacks, logger=loggers)


def describe(potential: Potential, data: StoreDataModule) -> None:
    """What is about to be trained, in a few lines."""
    parameters = sum(p.numel() for p in potential.parameters() if p.requires_grad)
    parts = ", ".join(f"{len(indices)} {part}" for part, indices in data.indices.items())
    console.print(f"structures: {parts}")
    console.print(f"model: {potential.descriptor.num_functions} symmetry functions, {parameters} parameters")


def finish(config: DictConfig, folder: Path, trainer: pl.Trainer, module: StageModule, data: StoreDataModule) -> Path:
    """Model file, table of errors, report."""
    model_path = folder / "model.pt"
    if not trainer.is_global_zero:
        return model_path
    potential = choose_weights(config.weights, trainer, module)
    save_model(potential, model_path, metadata_of(potential, module.settings, provenance(data)))
    script, metadata = load_model(model_path)
    predictions: dict[str, Predictions] = {}
    for part in ("validation", "test"):
        if part in data.indices:
            dataset = data.dataset(part)
            items = (dataset[index] for index in range(len(dataset)))
            source = str(data.paths()[part])
            predictions[part] = predict_structures(script, items, metadata["atomic_numbers"], source)
    errors = {part: compute_errors(p) for part, p in predictions.items()}
    if errors:
        print_errors(errors)
        write_errors(folder / "errors.json", errors)
    if config.report and predictions:
        summary = model_summary(metadata, trainer)
        report = write_report(folder / "report", predictions, metrics_file(trainer), summary, config.name)
        console.print(f"report: {report}", soft_wrap=True)
    console.print(f"model:  {model_path}", soft_wrap=True)
    return model_path


def choose_weights(choice: str, trainer: pl.Trainer, module: StageModule) -> Potential:
    """The potential with the last (averaged) weights or those of the lowest validation loss."""
    if choice == "last":
        return module.potential.to("cpu")
    best = getattr(trainer.checkpoint_callback, "best_model_path", "")
    if not best:
        raise ConfigError("`weights=best` needs a validation set and the checkpoint callback")
    return potential_from_checkpoint(read_checkpoint(best))[0]


def metrics_file(trainer: pl.Trainer) -> Path | None:
    """metrics.csv of the CSV logger, if there is one."""
    for logger in trainer.loggers:
        if isinstance(logger, pl.loggers.CSVLogger):
            logger.save()
            path = Path(logger.log_dir) / "metrics.csv"
            return path if path.exists() else None
    return None


def model_summary(metadata: Mapping[str, Any], trainer: pl.Trainer) -> dict[str, str]:
    """The model in a few words, for the report."""
    network = metadata["settings"]["network"]
    return {
        "elements": ", ".join(metadata["elements"]),
        "cutoff": f"{metadata['cutoff']} Å",
        "symmetry functions": str(len(metadata["functions"])),
        "network": f"{network['kind']}, {network['species_feature']}, {network['hidden']}",
        "precision": metadata["dtype"],
        "epochs": str(trainer.current_epoch),
        "training data": json.dumps(metadata["training"].get("data", {})),
        "mhdnn": metadata["mhdnn_version"],
    }


def check_test_elements(data: StoreDataModule, numbers: list[int]) -> None:
    """Refuse validation and test sets with elements the training set lacks, before training.

    :raises DataError: naming the store and the elements
    """
    for part, reader in data.readers.items():
        unknown = [chemical_symbols[n] for n in reader.elements() if n not in numbers]
        if unknown:
            raise DataError(
                f"{reader.path}: {part} has {', '.join(unknown)}, which the model is not trained for; "
                "add structures with these elements to the training set"
            )


if __name__ == "__main__":
    main()
