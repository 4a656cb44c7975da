"""`mhdnn evaluate`: errors of a model file on a dataset."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track

from mhdnn.data.dataset import StructureDataset
from mhdnn.data.store import StoreReader
from mhdnn.deploy.model_file import load_model
from mhdnn.errors import ConfigError, DataError
from mhdnn.evaluation.errors import Errors, compute_errors, write_errors
from mhdnn.evaluation.report import write_report
from mhdnn.evaluation.run import predict_structures
from mhdnn.evaluation.table import print_errors
from mhdnn.files import refuse_to_overwrite


def evaluate(
    model: Path,
    data: Path,
    output: Path | None = None,
    report: Path | None = None,
    split: str | None = None,
    dispersion: str = "model",
    total_charge: float | None = None,
) -> Errors:
    """Errors of a model on a dataset: printed, and written as JSON and as a report if asked.

    :param model: path of the model file
    :param data: path of the dataset
    :param output: path of the JSON file
    :param report: folder of the report
    :param split: only the structures with this split (train, validation, test)
    :param dispersion: ``false`` compares with labels without the stored dispersion part, ``model`` does so if the
        model was trained without it
    :param total_charge: of structures that have none in the dataset, e; for models with charges
    :raises ConfigError: if an argument is out of range, or the output is read
    :raises DataError: if the dataset lacks the split or has an element the model doesn't know
    """
    if dispersion not in ("true", "false", "model"):
        raise ConfigError(f"`dispersion`: expected true, false or model, got {dispersion!r}")
    if output:
        refuse_to_overwrite([model, data], output)
    script, metadata = load_model(model)
    left_out = bool(metadata.get("dispersion_left_out")) if dispersion == "model" else dispersion == "false"
    reader = StoreReader(data, subtract_dispersion=left_out)
    dataset = StructureDataset(reader, _chosen(reader, split), metadata["cutoff"], 0, total_charge)
    items = track(dataset.in_order(), "evaluating", len(dataset), transient=True)
    predictions = predict_structures(script, items, metadata["atomic_numbers"], str(data))
    errors = compute_errors(predictions)
    name = split or data.stem
    print_errors({name: errors})
    if output:
        write_errors(output, errors)
    if report:
        summary = {"model": str(model), "data": str(data), "elements": ", ".join(metadata["elements"])}
        path = write_report(report, {name: predictions}, None, summary, f"{model.name} on {name}")
        Console().print(f"report: {path}", soft_wrap=True)
    return errors


def _chosen(reader: StoreReader, split: str | None) -> np.ndarray:
    if split is None:
        return np.arange(len(reader))
    if reader.split is None:
        raise DataError(f"{reader.path}: has no split; `mhdnn data split` writes one, or leave out split={split}")
    chosen = np.flatnonzero(reader.split == split)
    if len(chosen) == 0:
        raise DataError(
            f"{reader.path}: no structure has split {split!r}; it has {', '.join(sorted(set(reader.split)))}"
        )
    return chosen
