"""What a model learned and forgot in a further training: errors before and after, on every file."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
from pathlib import Path

import numpy as np
from ase.data import chemical_symbols
from rich import box
from rich.console import Console
from rich.table import Table

from mhdnn.data.datamodule import StoreDataModule
from mhdnn.data.joined import names_of_sources, source_of
from mhdnn.evaluation.errors import Errors, compute_errors, write_errors
from mhdnn.evaluation.predictions import Predictions
from mhdnn.evaluation.run import predict_structures
from mhdnn.evaluation.table import format_number
from mhdnn.training.initial_model import InitialModel

COLUMNS = {
    "energy_mae_mev_per_atom": "energy, meV/atom",
    "force_mae_ev_per_angstrom": "forces, eV/Å",
    "stress_mae_gpa": "stress, GPa",
}


def by_file(data: StoreDataModule, predictions: Mapping[str, Predictions]) -> dict[str, Predictions]:
    """Predictions of each part by the files that its structures stand in; of a single file as they are."""
    result = {}
    for part, whole in predictions.items():
        reader = data.reader_of(part)
        names = names_of_sources(reader)
        source = source_of(reader, numbers_of(whole))
        for number, name in enumerate(names):
            if len(names) == 1:
                result[part] = whole
            elif (source == number).any():
                result[f"{part}, {name}"] = whole.select(source == number)
    return result


def numbers_of(predictions: Predictions) -> np.ndarray:
    """Numbers of the structures in their dataset."""
    assert predictions.dataset_index is not None
    return predictions.dataset_index


def errors_before(model: InitialModel, data: StoreDataModule, part: str) -> Predictions | None:
    """What the initial model says of the structures of a part whose elements it knows; None if there are none."""
    known = set(model.atomic_numbers)
    chosen = (item for item in data.dataset(part).in_order() if set(item[1].atomic_numbers.tolist()) <= known)
    first = next(chosen, None)
    if first is None:
        return None
    items = chain([first], chosen)
    return predict_structures(model.potential, items, model.atomic_numbers, str(data.paths()[part]))


def tell_forgotten(
    model: InitialModel, data: StoreDataModule, predictions: Mapping[str, Predictions], folder: Path
) -> dict[str, dict[str, Errors]]:
    """Print errors of the initial model beside those of the new one, and write them to ``forgotten.json``.

    Only structures of elements that the initial model knows can be compared; of the others stands the new error alone.

    :param predictions: of the new model, by parts
    :return: for each file errors ``before`` and ``after`` of the same structures, and ``all`` of all of the new model
    """
    old = {part: found for part in predictions if (found := errors_before(model, data, part)) is not None}
    before, after = by_file(data, old), by_file(data, predictions)
    result: dict[str, dict[str, Errors]] = {}
    for name, whole in after.items():
        result[name] = {"all": compute_errors(whole)}
        if name in before:
            same = np.isin(numbers_of(whole), numbers_of(before[name]))
            result[name] |= {"before": compute_errors(before[name]), "after": compute_errors(whole.select(same))}
    Console().print(table_of(result, model))
    write_errors(folder / "forgotten.json", result)
    return result


def table_of(result: Mapping[str, Mapping[str, Errors]], model: InitialModel) -> Table:
    """Mean absolute errors before → after."""
    known = ", ".join(chemical_symbols[number] for number in model.atomic_numbers)
    table = Table(title=f"Mean absolute errors, {model.path.name} → now", box=box.SIMPLE_HEAD, title_justify="left")
    table.add_column("structures")
    table.add_column("", justify="right")
    keys = [key for key in COLUMNS if any(key in errors["all"] for errors in result.values())]
    for key in keys:
        table.add_column(COLUMNS[key], justify="right")
    for name, errors in result.items():
        if "before" in errors:
            some = errors["after"]["num_structures"] < errors["all"]["num_structures"]
            cells = [change(errors["before"].get(key), errors["after"].get(key)) for key in keys]
            table.add_row(name + (f" (of {known})" if some else ""), str(errors["after"]["num_structures"]), *cells)
        if "before" not in errors or errors["after"]["num_structures"] < errors["all"]["num_structures"]:
            cells = [f"— → {format_number(errors['all'].get(key))}" for key in keys]
            table.add_row(f"{name} (all)", str(errors["all"]["num_structures"]), *cells)
    return table


def change(before: float | int | None, after: float | int | None) -> str:
    """Two errors and the change in per cent."""
    if not before or after is None:
        return f"{format_number(before)} → {format_number(after)}"
    return f"{format_number(before)} → {format_number(after)} ({100 * (after / before - 1):+.0f} %)"
