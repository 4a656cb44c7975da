"""Finding the labels among the names that ASE objects hold, in units that they name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mhdnn.data.label_names import (
    QUANTITY_OF,
    charge_scheme_of,
    is_kinetic,
    label_of,
    label_with_unit,
    looks_like_label,
    plain,
    quantity_with_unit_key,
)
from mhdnn.data.unit_names import factor, is_unit, system_factor
from mhdnn.errors import DataError

INITIAL_CHARGES = "initial_charges"
LARGEST_SMEARING_ENERGY = 0.5
"""eV/atom between the free and the extrapolated energy; more has another reason."""
NUMBER_WITH_UNIT = re.compile(r"([-+\d.eE]+)\s*([^\d\s].*)")

PLACES = {"forces": ("results", "arrays", "info"), "charges": ("results", "arrays", "info")}
GLOBAL_PLACES = ("results", "info")


@dataclass(frozen=True)
class Found:
    """A label's value in the package's unit, and the name under which it stands."""

    name: str
    value: np.ndarray


class LabelSearch:
    """The labels of one structure.

    :param places: ``results`` of a calculator, ``info`` and ``arrays`` of the atoms
    :param num_atoms: number of atoms
    :param name: what error messages call the structure
    :raises DataError: if units are named that are not understood
    """

    def __init__(self, places: Mapping[str, Mapping[str, Any]], num_atoms: int, name: str) -> None:
        self.places = places
        self.num_atoms = num_atoms
        self.name = name
        self.units = declared_units(places["info"], name)
        self.used: set[str] = set()
        self.chosen: set[str] = set()
        self.charge_scheme: str | None = None
        names = [key for place in GLOBAL_PLACES for key in places[place]]
        self.with_kinetic = any(is_kinetic(str(key)) for key in names)

    def energy(self, key: str | None) -> tuple[float | None, str | None]:
        """The energy, and its kind if that is known.

        Where both are there, the free energy, whose gradient the forces are, is taken and not the one
        extrapolated to zero smearing (ASE's ``free_energy`` and ``energy``).
        """
        free, usual = self.candidates("free_energy"), self.candidates("energy")
        extrapolated = self.candidates("extrapolated_energy")
        if key is not None:
            return self._chosen_energy(key, free)
        if free:
            value = self.agreed(free)
            self._check_smearing(value, usual + extrapolated)
            self.agreed([found for found in usual if not _equal(found.value, value)])
            self._use(usual + extrapolated)
            return float(value), "free"
        if usual:
            value = self.agreed(usual)
            same = [found for found in extrapolated if _equal(found.value, value)]
            self._use(same)
            return float(value), "extrapolated" if same else None
        return (float(self.agreed(extrapolated)), "extrapolated") if extrapolated else (None, None)

    def label(self, label: str, key: str | None, shape: tuple[int, ...] | None) -> np.ndarray | None:
        """The value under the chosen key, or under the usual names if they agree; None if there is none."""
        candidates = self.keyed(key, label, shape) if key else self.candidates(label, shape)
        return self.agreed(candidates) if candidates else None

    def charges(self, key: str | None) -> np.ndarray | None:
        """Atomic charges.

        ASE's initial charges only where they look like charges: whole numbers are oxidation states or a guess.
        """
        shape = (self.num_atoms,)
        candidates = self.keyed(key, "charges", shape) if key else self.candidates("charges", shape)
        found = self.agreed(candidates) if candidates else None
        schemes = [scheme for own in candidates if (scheme := charge_scheme_of(own.name))]
        self.charge_scheme = schemes[0] if schemes else None
        initial = self.places["arrays"].get(INITIAL_CHARGES)
        if found is not None or key is not None or initial is None:
            return found
        values = self._numbers(initial, INITIAL_CHARGES, shape)
        if np.all(values == np.round(values)):
            return None
        self.used.add(INITIAL_CHARGES)
        return values * self.units.get("charges", 1.0)

    def candidates(self, label: str, shape: tuple[int, ...] | None = ()) -> list[Found]:
        """The values under names that stand for a label."""
        found = []
        for place in PLACES.get(label, GLOBAL_PLACES):
            for key, value in self.places[place].items():
                labels, unit = label_with_unit(str(key))
                if value is None or label not in labels or self._is_other(label, str(key), value, place):
                    continue
                found.append(self._found(str(key), value, label, shape, unit))
        return found

    def keyed(self, key: str, label: str, shape: tuple[int, ...] | None) -> list[Found]:
        """The value under the name that the user chose."""
        self.chosen.add(label)
        for place in ("results", "info", "arrays"):
            value = self.places[place].get(key)
            if value is not None:
                return [self._found(key, value, label, shape, label_with_unit(key)[1])]
        return []

    def agreed(self, candidates: list[Found]) -> np.ndarray:
        """The value that all candidates hold.

        :raises DataError: if two differ
        """
        if not candidates:
            return np.array(np.nan)
        first, *others = candidates
        for other in others:
            if not _equal(first.value, other.value):
                raise DataError(
                    f"{self.name}: `{first.name}` and `{other.name}` hold different values; say which is meant, "
                    f"for example with `--{_option(first.name)}-key {other.name}`"
                )
        self._use(candidates)
        return first.value + 0.0  # a copy, without negative zero

    def unused(self) -> tuple[str, ...]:
        """Names that look like labels and were not used, but for those instead of which the user chose another."""
        names = {str(key) for place in self.places.values() for key, value in place.items() if _numeric(value)}
        initial = self.places["arrays"].get(INITIAL_CHARGES)
        left = {name for name in names - self.used if looks_like_label(name) and not label_of(name) & self.chosen}
        if (
            initial is not None
            and INITIAL_CHARGES not in self.used
            and "charges" not in self.chosen
            and np.any(initial)
        ):
            left.add(INITIAL_CHARGES)
        return tuple(sorted(left))

    def _chosen_energy(self, key: str, free: list[Found]) -> tuple[float | None, str | None]:
        found = self.keyed(key, "energy", ())
        self.chosen |= {"free_energy", "extrapolated_energy"}
        if not found:
            return None, None
        value = self.agreed(found)
        labels = label_of(key)
        if "free_energy" in labels or any(_equal(other.value, value) for other in free):
            return float(value), "free"
        return float(value), "extrapolated" if free or "extrapolated_energy" in labels else None

    def _check_smearing(self, free: np.ndarray, others: list[Found]) -> None:
        for other in others:
            if abs(float(other.value - free)) > LARGEST_SMEARING_ENERGY * self.num_atoms:
                raise DataError(
                    f"{self.name}: the free energy {float(free):.4f} eV and `{other.name}` {float(other.value):.4f} eV "
                    f"differ by more than smearing does ({LARGEST_SMEARING_ENERGY} eV/atom); say which is meant with "
                    "`--energy-key`"
                )

    def _is_other(self, label: str, key: str, value: Any, place: str) -> bool:
        """Whether a name that could be a label is something else by its shape or its company."""
        if label == "energy" and self.with_kinetic and "tot" in plain(key):
            return True  # total energies of molecular dynamics hold the kinetic energy
        size = np.size(value)
        if label == "charges" and place == "info":
            return np.ndim(value) == 0 or size != self.num_atoms
        return label == "total_charge" and size != 1

    def _found(self, key: str, value: Any, label: str, shape: tuple[int, ...] | None, unit: float | None) -> Found:
        quantity = QUANTITY_OF[label]
        if isinstance(value, str) and (match := NUMBER_WITH_UNIT.fullmatch(value.strip())):
            value, unit = match.group(1), factor(match.group(2), quantity, f"{self.name}: `{key}`")
        scale = self._scale(quantity, key) if unit is None else unit
        return Found(key, self._numbers(value, key, shape) * scale)

    def _scale(self, quantity: str, key: str) -> float:
        """:raises DataError: if the structure names a foreign unit of something else, but none of this quantity"""
        if quantity == "virial" and "virial" not in self.units:
            quantity = "energy"
        foreign = [other for other, value in self.units.items() if value != 1.0 and other not in ("charges", "stress")]
        if quantity not in self.units and quantity != "charges" and foreign:
            raise DataError(
                f"{self.name}: names the unit of {foreign[0]}, but not of `{key}`; add its unit "
                f"(`{'force' if quantity == 'forces' else quantity}-unit=...`)"
            )
        return self.units.get(quantity, 1.0)

    def _numbers(self, value: Any, key: str, shape: tuple[int, ...] | None) -> np.ndarray:
        try:
            if isinstance(value, bool):  # a key without value
                raise TypeError
            numbers = np.asarray(value, dtype=float)
        except (TypeError, ValueError) as error:
            raise DataError(
                f"{self.name}: `{key}` must be numbers, found {str(value)[:60]!r}; choose another key"
            ) from error
        if shape is not None and numbers.shape != shape:
            if numbers.size != int(np.prod(shape)):
                raise DataError(
                    f"{self.name}: `{key}` must have shape {shape}, found {numbers.shape}; choose another key"
                )
            numbers = numbers.reshape(shape)
        return numbers

    def _use(self, candidates: list[Found]) -> None:
        self.used.update(found.name for found in candidates)


def declared_units(info: Mapping[str, Any], name: str) -> dict[str, float]:
    """The factor of each quantity whose unit is named by keys such as ``energy-unit``, ``force_unit`` or ``units``.

    :raises DataError: if a unit is not understood
    """
    units: dict[str, float] = {}
    for key, value in info.items():
        quantity = quantity_with_unit_key(str(key)) if isinstance(value, str) else None
        if quantity:
            units[quantity] = factor(value, quantity, f"{name}: `{key}`")
        elif quantity == "":
            place = f"{name}: `{key}`"
            if is_unit(value, "length"):
                units.setdefault("length", factor(value, "length", place))
                continue
            for other in ("energy", "length", "forces", "stress", "virial"):
                units.setdefault(other, system_factor(value, other, place))
    return units


def _equal(first: np.ndarray, second: np.ndarray) -> bool:
    return first.shape == second.shape and np.allclose(first, second, equal_nan=True)


def _numeric(value: Any) -> bool:
    if isinstance(value, np.ndarray):
        return value.dtype.kind in "iuf"
    if isinstance(value, (list, tuple)):
        return bool(value) and all(_numeric(entry) for entry in value)
    return isinstance(value, (int, float, np.number)) and not isinstance(value, bool)


def _option(name: str) -> str:
    """The command-line option that chooses a label, from one of its names."""
    labels = label_with_unit(name)[0]
    for label, option in (("total_charge", "total-charge"), ("charges", "charges")):
        if label in labels:
            return option
    return next((label for label in ("forces", "stress", "virial") if label in labels), "energy")
