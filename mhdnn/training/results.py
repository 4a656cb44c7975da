"""What a training leaves: model file, table of errors, report."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from omegaconf import DictConfig
from rich.console import Console

from mhdnn.data.datamodule import StoreDataModule
from mhdnn.deploy.export import potential_from_checkpoint, read_checkpoint
from mhdnn.deploy.model_file import load_model, metadata_of, save_model
from mhdnn.errors import ConfigError
from mhdnn.evaluation.errors import compute_errors, write_errors
from mhdnn.evaluation.predictions import Predictions
from mhdnn.evaluation.report import write_report
from mhdnn.evaluation.run import predict_structures
from mhdnn.evaluation.table import print_errors
from mhdnn.potential import Potential
from mhdnn.training.assembly import provenance
from mhdnn.training.domain import complete_domain
from mhdnn.training.final_fit import MOST_ATOMS, fit_linear_part_again
from mhdnn.training.forgotten import by_file, tell_forgotten
from mhdnn.training.initial_model import InitialModel
from mhdnn.training.loss import build_loss
from mhdnn.training.module import PotentialModule, StageModule
from mhdnn.training.offsets import SourceOffsets, fit_to_residuals, told
from mhdnn.training.ridge import refit_energies
from mhdnn.training.stages import Stage
from mhdnn.training.uncertainty import fit_uncertainty

console = Console()


def finish(
    config: DictConfig,
    folder: Path,
    trainer: pl.Trainer,
    module: StageModule,
    stage: Stage,
    data: StoreDataModule,
    initial: InitialModel | None = None,
) -> Path:
    """Model file, table of errors, report.

    :param stage: the last one
    :param initial: the model that the training started from
    """
    model_path = folder / "model.pt"
    if not trainer.is_global_zero:
        return model_path
    potential = choose_weights(config.weights, trainer, module)
    training = provenance(data, initial.path if initial else None)
    if isinstance(module, PotentialModule) and module.offsets is not None:
        training["offsets"] = settle_offsets(potential, module.offsets, data)
    if config.final_fit:
        loss = build_loss(config.loss)
        fit_linear_part_again(potential, data, loss)
        if initial is not None and loss.energy_weight.end > 0:  # energies are what is forgotten first
            refit_energies(potential, data.thinned(MOST_ATOMS)())
    complete_domain(potential, data, charges_changed=stage.trains_charges)
    fit_uncertainty(potential, data)
    save_model(potential, model_path, metadata_of(potential, module.settings, training))
    script, metadata = load_model(model_path)
    predictions: dict[str, Predictions] = {}
    for part in ("validation", "test"):
        if part in data.indices:
            items, source = data.dataset(part).in_order(), str(data.paths()[part])
            predictions[part] = predict_structures(script, items, metadata["atomic_numbers"], source)
    errors = {part: compute_errors(p) for part, p in predictions.items()}
    if errors:
        files = by_file(data, predictions)
        several = {name: compute_errors(p) for name, p in files.items() if name not in errors}
        print_errors(errors | several)
        write_errors(folder / "errors.json", errors)
    if initial is not None and predictions:
        tell_forgotten(initial, data, predictions, folder)
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


def settle_offsets(potential: Potential, offsets: SourceOffsets, data: StoreDataModule) -> dict[str, dict[str, float]]:
    """Fit the offsets to the potential, print them, and give all energies on the level of the main source from now on.

    :return: by files and elements, eV
    """
    fit_to_residuals(potential, data, [], offsets.to("cpu"))
    found = told(offsets, data)
    for name, energies in found.items():
        text = ", ".join(f"{symbol} {energy:+.4f}" for symbol, energy in energies.items())
        console.print(f"offsets of {name}: {text} eV", soft_wrap=True)
    data.subtract_offsets(offsets.table().detach().numpy(), offsets.atomic_numbers)
    return found


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
