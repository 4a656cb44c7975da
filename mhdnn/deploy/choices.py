"""What the ASE calculator accepts: keywords, a device, a total charge, a dispersion correction, elements, points."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from ase.data import chemical_symbols

from mhdnn.dispersion import DispersionCorrection
from mhdnn.errors import ConfigError, ModelError, NotFiniteError

KEYWORDS_OF_ASE = ("atoms", "directory", "label")


def check_keywords(given: Iterable[str], own: Iterable[str]) -> None:
    """Refuse keywords that neither the calculator nor ASE's base class knows; ASE keeps them without a word.

    :param own: of the calculator
    :raises ConfigError: naming them and the known ones
    """
    unknown = [keyword for keyword in given if keyword not in KEYWORDS_OF_ASE]
    if unknown:
        known = ", ".join([*own, *KEYWORDS_OF_ASE])
        raise ConfigError(f"`{', '.join(unknown)}`: no keyword of MHDNNCalculator; expected {known}")


def chosen_device(name: str | torch.device) -> torch.device:
    """Where a model runs.

    :raises ConfigError: if torch knows no such device
    """
    try:
        return torch.device(name)
    except RuntimeError as error:
        raise ConfigError(f"`device`: expected cpu or cuda, got {name!r}") from error


def charge_number(value: Any) -> float:
    """A total charge as a number, e; it may be NaN.

    :raises ConfigError: if it is none
    """
    try:
        return float(np.asarray(value).item() if np.size(value) == 1 else value)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"`total_charge`: expected a number in e, got {value!r}; leave it out for neutral") from error


def check_elements(numbers: np.ndarray, metadata: Mapping[str, Any], what: str) -> None:
    """Refuse elements that a model was not trained for.

    :param numbers: atomic numbers
    :param what: has these elements, for the message
    :raises ModelError: naming them
    """
    unknown = set(np.unique(numbers).tolist()) - set(metadata["atomic_numbers"])
    if unknown:
        names = [chemical_symbols[n] if 0 <= n < len(chemical_symbols) else str(n) for n in unknown]
        raise ModelError(
            f"`{what}`: the model does not know {', '.join(sorted(names))}; it was trained for "
            f"{', '.join(metadata['elements'])}. Train on data that contain all elements"
        )


def checked_points(points: Any) -> np.ndarray:
    """Points in space, shape (num_points, 3), Å.

    :raises ConfigError: if they have another shape
    :raises NotFiniteError: if a coordinate is NaN or infinite
    """
    result = np.asarray(points, dtype=float)
    if result.ndim != 2 or result.shape[1] != 3:
        raise ConfigError(f"`points`: expected the shape (num_points, 3), got {result.shape}; give a list of points")
    bad = np.flatnonzero(~np.isfinite(result).all(axis=1))
    if len(bad):
        raise NotFiniteError(f"`points`: expected finite numbers in Å, got {result[bad[0]].tolist()} as point {bad[0]}")
    return result


def chosen_dispersion(metadata: Mapping[str, Any], choice: str) -> DispersionCorrection | None:
    """The correction that is to be added to a model.

    :param metadata: of the model file
    :param choice: model, none, or the name of a correction
    :raises ModelError: if the model leaves out a correction that can't be added here
    :raises ConfigError: if the name is none, or the correction would be counted twice
    """
    left_out = metadata.get("dispersion_left_out", "")
    if choice == "none" or (choice == "model" and not left_out):
        return None
    if choice != "model":
        included = metadata["training"].get("attributes", {}).get("dispersion")
        if included and not left_out:
            raise ConfigError(f"`dispersion`: the model was trained on labels with {included}; leave out {choice!r}")
        return DispersionCorrection.parse(choice)
    try:
        return DispersionCorrection.parse(left_out)
    except ConfigError as error:
        raise ModelError(
            f"`model`: was trained without the correction {left_out!r}, which can't be added here; open it with "
            '`dispersion="none"` and add the correction by ase.calculators.mixing.SumCalculator'
        ) from error
