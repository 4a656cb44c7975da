"""Run a potential over structures and gather what it predicts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from mhdnn.data.dataset import Item, collate
from mhdnn.deploy.guard import ExtrapolationGuard
from mhdnn.errors import DataError, NotFiniteError
from mhdnn.evaluation.predictions import Predictions
from mhdnn.finite import first_not_finite
from mhdnn.prediction import predict
from mhdnn.structure import Batch
from mhdnn.uncertainty.prediction import has_error_model

ATOMS_IN_A_BATCH = 1000


def predict_structures(
    potential: nn.Module, items: Iterable[Item], known_elements: Sequence[int], source: str
) -> Predictions:
    """Predictions for structures, beside their labels.

    :param potential: takes pair vectors, as `mhdnn.potential.Potential` or one loaded from a model file
    :param items: structures with their neighbour pairs
    :param known_elements: atomic numbers the potential was trained for
    :param source: name of the dataset, for messages
    :raises DataError: if a structure has an element that the potential doesn't know
    :raises NotFiniteError: if a prediction is NaN or infinite, naming the structure
    """
    parameters = list(potential.parameters())
    device = parameters[0].device if parameters else torch.device("cpu")
    groups: list[str] = []
    columns: dict[str, list[np.ndarray]] = {}
    for batch, batch_groups in _batches(items, set(known_elements), source):
        groups += batch_groups
        for name, values in _columns(potential, batch.to(device), source).items():
            columns.setdefault(name, []).append(values)
    if not groups:
        raise DataError(f"{source}: no structure to evaluate")
    arrays: dict[str, Any] = {name: np.concatenate(parts) for name, parts in columns.items()}
    for label in ("energy", "forces", "stress", "charges"):
        if not np.isfinite(arrays.get(f"{label}_reference", np.nan)).any():
            arrays.pop(f"{label}_reference", None)
    return Predictions(groups=groups, **arrays, **interval_quantiles(potential))


def interval_quantiles(potential: nn.Module) -> dict[str, Any]:
    """Half widths of 90 % intervals in units of the expected errors; empty without an error model."""
    if not has_error_model(potential):
        return {}
    model: Any = potential.uncertainty
    result = {"forces_quantile": float(model.force_quantile)}
    if model.knows_energies():
        result["energy_quantile"] = float(model.energy_quantile)
    return result


def _batches(items: Iterable[Item], known: set[int], source: str) -> Iterator[tuple[Batch, list[str]]]:
    waiting: list[Item] = []
    for item in items:
        number, structure, _ = item
        unknown = set(structure.atomic_numbers.tolist()) - known
        if unknown:
            raise DataError(
                f"{source}: structure {number} has atomic numbers {sorted(unknown)} that the model doesn't know; "
                f"it was trained for {sorted(known)}"
            )
        waiting.append(item)
        if sum(s.num_atoms for _, s, _ in waiting) >= ATOMS_IN_A_BATCH:
            yield collate(waiting), [s.group for _, s, _ in waiting]
            waiting = []
    if waiting:
        yield collate(waiting), [s.group for _, s, _ in waiting]


def _columns(potential: nn.Module, batch: Batch, source: str) -> dict[str, np.ndarray]:
    geometry, labels = batch.geometry, batch.labels
    guard = ExtrapolationGuard("off", potential.domain, source)
    prediction = predict(potential, geometry, uncertainty=True, guard=guard)
    found = first_not_finite(prediction._asdict(), geometry)
    if found is not None:
        raise NotFiniteError(
            f"{source}: structure {int(geometry.dataset_index[found[0]])}: its {found[1]} came out as NaN or infinite; "
            "look for atoms at the same place (`mhdnn data check`), or use another model"
        )
    columns = {
        "num_atoms": geometry.num_atoms_per_structure,
        "atomic_numbers": geometry.atomic_numbers,
        "dataset_index": geometry.dataset_index,
        "energy_reference": labels.energy,
        "energy_predicted": prediction.energy,
        "forces_reference": labels.forces,
        "forces_predicted": prediction.forces,
        "stress_reference": labels.stress,
        "stress_predicted": geometry.stress(prediction.virial),
    }
    if prediction.charges is not None:
        columns |= {"charges_reference": labels.charges, "charges_predicted": prediction.charges}
    if prediction.force_errors is not None:
        columns["forces_uncertainty"] = prediction.force_errors
    if prediction.energy_errors is not None:
        columns["energy_uncertainty"] = prediction.energy_errors
    return {name: tensor.cpu().numpy() for name, tensor in columns.items()}
