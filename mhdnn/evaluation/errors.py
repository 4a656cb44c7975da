"""Errors of predictions against their reference: overall, per family, per element, per structure."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase.data import chemical_symbols

from mhdnn.errors import NotFiniteError
from mhdnn.evaluation.calibration import calibration_of
from mhdnn.evaluation.predictions import Predictions
from mhdnn.files import write_text_atomically
from mhdnn.units import GPA_PER_EV_PER_CUBIC_ANGSTROM, MEV_PER_EV

Errors = dict[str, float | int]


@dataclass(frozen=True)
class Quantity:
    """One predicted quantity as errors report it.

    :param name: first word of its keys, ``energy`` in ``energy_mae_mev_per_atom``
    :param label: for tables and axes
    :param unit: for tables and axes
    :param unit_key: last words of its keys
    """

    name: str
    label: str
    unit: str
    unit_key: str

    def key(self, statistic: str) -> str:
        """Key of ``mae`` or ``rmse`` in the dictionary of errors."""
        return f"{self.name}_{statistic}_{self.unit_key}"


ENERGY = Quantity("energy", "Energy", "meV/atom", "mev_per_atom")
FORCE = Quantity("force", "Force", "eV/Å", "ev_per_angstrom")
STRESS = Quantity("stress", "Stress", "GPa", "gpa")
CHARGE = Quantity("charge", "Charge", "e", "e")
QUANTITIES = (ENERGY, FORCE, STRESS, CHARGE)


def values(predictions: Predictions, quantity: Quantity) -> tuple[np.ndarray, np.ndarray] | None:
    """Reference and prediction in the unit errors are reported in; None where the label is absent.

    Shapes: energy per atom (S, 1), force (N, 3), stress (S, 6), charge (N, 1). NaN marks missing rows.
    """
    stored = {ENERGY: "energy", FORCE: "forces", STRESS: "stress", CHARGE: "charges"}[quantity]
    reference = getattr(predictions, f"{stored}_reference")
    predicted = getattr(predictions, f"{stored}_predicted")
    if reference is None or predicted is None:
        return None
    scale = np.ones(1)
    if quantity is ENERGY:
        scale = MEV_PER_EV / predictions.num_atoms[:, None]
    elif quantity is STRESS:
        scale = np.array([GPA_PER_EV_PER_CUBIC_ANGSTROM])
    rows = len(reference)
    return reference.reshape(rows, -1) * scale, predicted.reshape(rows, -1) * scale


def residuals(predictions: Predictions, quantity: Quantity) -> np.ndarray | None:
    """Prediction minus reference, shapes and units of `values`; NaN where there is no reference.

    :raises NotFiniteError: if there is a reference and the prediction is no number: leaving it out would flatter a
        model that diverged
    """
    pair = values(predictions, quantity)
    if pair is None:
        return None
    reference, predicted = pair
    bad = np.flatnonzero((~np.isfinite(predicted) & ~np.isnan(reference)).any(1))
    if len(bad):
        raise NotFiniteError(
            f"`{quantity.name}`: {len(bad)} predictions are NaN or infinite (first: row {bad[0]}); use another model"
        )
    return predicted - reference


def _mean_errors(difference: np.ndarray | None, quantity: Quantity) -> Errors:
    """MAE and RMSE over the components that have a reference; empty if none has."""
    if difference is None:
        return {}
    present = difference[~np.isnan(difference)]
    if present.size == 0:
        return {}
    return {
        quantity.key("mae"): float(np.abs(present).mean()),
        quantity.key("rmse"): float(np.sqrt(np.square(present).mean())),
    }


def compute_errors(predictions: Predictions) -> Errors:
    """Mean absolute and root-mean-square errors of all labels that are there.

    Energy: per atom, one value per structure. Forces: over Cartesian components. Stress: over the
    six Voigt components. Charges: over atoms.

    :return: ``num_structures``, ``num_atoms`` and, for each label with at least one reference value,
        ``energy_mae_mev_per_atom``, ``force_mae_ev_per_angstrom``, ``stress_mae_gpa``, ``charge_mae_e``
        and the same with ``rmse``; with uncertainties also the keys of `mhdnn.evaluation.calibration.calibration_of`
    :raises NotFiniteError: if a prediction with a reference is no number
    """
    errors: Errors = {
        "num_structures": predictions.num_structures,
        "num_atoms": int(predictions.num_atoms.sum()),
    }
    for quantity in QUANTITIES:
        errors.update(_mean_errors(residuals(predictions, quantity), quantity))
    return {**errors, **calibration_of(predictions)}


def errors_by_family(predictions: Predictions) -> dict[str, Errors]:
    """`compute_errors` of each family of structures, families in alphabetical order."""
    families = np.array(predictions.families, dtype=object)
    return {name: compute_errors(predictions.select(families == name)) for name in sorted(set(families.tolist()))}


def errors_by_element(predictions: Predictions) -> dict[str, Errors]:
    """Force and charge errors of the atoms of each element, ordered by atomic number.

    :return: for each chemical symbol ``num_atoms`` and the keys of `compute_errors` for forces and charges
    """
    differences = {quantity: residuals(predictions, quantity) for quantity in (FORCE, CHARGE)}
    table: dict[str, Errors] = {}
    for number in np.unique(predictions.atomic_numbers):
        atoms = predictions.atomic_numbers == number
        errors: Errors = {"num_atoms": int(atoms.sum())}
        for quantity, difference in differences.items():
            errors.update(_mean_errors(None if difference is None else difference[atoms], quantity))
        table[chemical_symbols[number]] = errors
    return table


@dataclass(frozen=True)
class StructureError:
    """Error of one structure.

    :param index: position in the dataset
    :param group: where the structure comes from
    :param num_atoms: its number of atoms
    :param error: energy: prediction minus reference, meV/atom; forces: RMSE over components, eV/Å
    """

    index: int
    group: str
    num_atoms: int
    error: float


def structure_errors(predictions: Predictions, quantity: Quantity) -> np.ndarray | None:
    """One number per structure, shape (S,), NaN where there is no reference; None if the label is absent.

    :param quantity: `ENERGY` (signed, meV/atom) or `FORCE` (RMSE over components, eV/Å)
    """
    difference = residuals(predictions, quantity)
    if difference is None or quantity is ENERGY:
        return None if difference is None else difference[:, 0]
    size = predictions.num_structures
    present = ~np.isnan(difference)
    squares = np.where(present, np.square(difference), 0.0).sum(axis=1)
    total = np.bincount(predictions.structure_index, weights=squares, minlength=size)
    count = np.bincount(predictions.structure_index, weights=present.sum(axis=1), minlength=size)
    return np.sqrt(np.divide(total, count, out=np.full(size, np.nan), where=count > 0))


def worst_structures(predictions: Predictions, quantity: Quantity, count: int = 10) -> list[StructureError]:
    """The structures with the largest `structure_errors`, worst first."""
    found = structure_errors(predictions, quantity)
    if found is None:
        return []
    present = np.flatnonzero(~np.isnan(found))
    order = present[np.argsort(-np.abs(found[present]), kind="stable")][:count]
    index = predictions.dataset_index
    return [
        StructureError(
            index=int(s if index is None else index[s]),
            group=predictions.groups[s],
            num_atoms=int(predictions.num_atoms[s]),
            error=float(found[s]),
        )
        for s in order
    ]


def _map_numbers(value: object, convert: Callable[[object], object]) -> object:
    if isinstance(value, Mapping):
        return {str(key): _map_numbers(item, convert) for key, item in value.items()}
    return convert(value)


def write_errors(path: Path, errors: Mapping[str, object]) -> None:
    """Write errors as JSON, atomically: the file is never half written.

    JSON knows no infinity, so the error of a model that diverged is written as null.

    :param errors: as from `compute_errors`, or nested mappings of such
    """

    def finite_or_none(value: object) -> object:
        return None if isinstance(value, float) and not math.isfinite(value) else value

    text = json.dumps(_map_numbers(errors, finite_or_none), indent=2, ensure_ascii=False, allow_nan=False)
    write_text_atomically(path, text + "\n")
