"""HDF5 schema 1: the arrays of a dataset file, their shapes and units, and what a valid structure is.

Flat ragged arrays: structure ``s`` owns the atoms ``offsets[s]`` to ``offsets[s + 1]`` of every
per-atom array, so a dataset larger than memory streams.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from mhdnn.dispersion import Dispersion
from mhdnn.errors import DataError
from mhdnn.structure import Structure

SCHEMA_VERSION = 1
SPLITS = ("train", "validation", "test")
ENERGY_KINDS = ("free", "extrapolated")
"""With smearing: the free energy, whose gradient the forces are, or the energy extrapolated to zero width."""
UNITS = json.dumps(
    {
        "length": "Angstrom",
        "energy": "eV",
        "forces": "eV/Angstrom",
        "stress": "eV/Angstrom^3, Voigt xx yy zz yz xz xy, tension positive",
        "charge": "e",
    }
)
RESERVED_ATTRIBUTES = ("schema_version", "units")
"""Root attributes that the writer sets itself."""

LARGEST_ATOMIC_NUMBER = 118
SMALLEST_CELL_VOLUME = 1e-4
"""Volume spanned by the unit vectors along the periodic directions; below this they are dependent."""


@dataclass(frozen=True)
class Field:
    """One array of the file.

    :param name: name in the file
    :param per_atom: one row per atom, otherwise one per structure
    :param row_shape: shape of one row
    :param dtype: numpy type in the file
    """

    name: str
    per_atom: bool
    row_shape: tuple[int, ...]
    dtype: str = "f8"


GEOMETRY_FIELDS = (
    Field("atomic_numbers", True, (), "u1"),
    Field("positions", True, (3,)),
    Field("cell", False, (3, 3)),
    Field("pbc", False, (3,), "?"),
)
LABEL_FIELDS = (
    Field("energy", False, ()),
    Field("forces", True, (3,)),
    Field("stress", False, (6,)),
    Field("charges", True, ()),
    Field("total_charge", False, ()),
)
WEIGHT = Field("weight", False, ())
"""In the loss; not negative, one where missing."""
DISPERSION_PREFIX = "dispersion_"
DISPERSION_FIELDS = tuple(
    Field(DISPERSION_PREFIX + field.name, field.per_atom, field.row_shape) for field in LABEL_FIELDS[:3]
)
NUMERIC_FIELDS = {field.name: field for field in (*GEOMETRY_FIELDS, *LABEL_FIELDS, WEIGHT, *DISPERSION_FIELDS)}


class Record(NamedTuple):
    """One structure as it was read, with what is known about it.

    :param dispersion: part of the labels from a dispersion correction
    :param split: one of `SPLITS`, where the source has it
    :param energy_kind: one of `ENERGY_KINDS`, where the source tells
    :param unused: names in the source that look like labels and were not taken
    :param charge_scheme: how the charges were worked out, e.g. ``bader``, where the source tells
    """

    structure: Structure
    dispersion: Dispersion | None = None
    split: str | None = None
    energy_kind: str | None = None
    unused: tuple[str, ...] = ()
    charge_scheme: str | None = None


def label_shape(name: str, num_atoms: int) -> tuple[int, ...]:
    """Shape of a label of one structure, e.g. ``(num_atoms, 3)`` for the forces."""
    field = NUMERIC_FIELDS[name]
    return (num_atoms, *field.row_shape) if field.per_atom else field.row_shape


def validate_structure(structure: Structure, name: str = "structure") -> None:
    """Check shapes, finite values, atomic numbers and the periodic cell.

    :param name: what error messages call it, e.g. the file and the frame
    :raises DataError: if anything is not as `mhdnn.structure.Structure` says
    """
    num_atoms = len(structure.atomic_numbers)
    if num_atoms == 0:
        raise DataError(f"{name}: expected at least one atom, found none; leave the structure out")
    _validate_array(structure.atomic_numbers, (num_atoms,), "atomic_numbers", name)
    _validate_numbers(structure.atomic_numbers, name)
    _validate_array(structure.positions, (num_atoms, 3), "positions", name)
    _validate_array(structure.cell, (3, 3), "cell", name)
    _validate_array(structure.pbc, (3,), "pbc", name)
    _validate_cell(np.asarray(structure.cell, dtype=float), np.asarray(structure.pbc, dtype=bool), name)
    for field in LABEL_FIELDS:
        value = getattr(structure, field.name)
        if value is not None:
            _validate_array(value, label_shape(field.name, num_atoms), field.name, name)
    if structure.weight is not None and not 0 <= structure.weight < np.inf:
        raise DataError(f"{name}: `weight` must be a finite number, at least 0, found {structure.weight}; correct it")
    if not isinstance(structure.group, str) or "\0" in structure.group:
        raise DataError(f"{name}: `group` must be a text without NUL, found {structure.group!r}; rename it")


def validate_dispersion(dispersion: Dispersion, num_atoms: int, name: str) -> None:
    """Check shapes and finite values of a dispersion part.

    :raises DataError: if a part has another shape than its label, or is not finite
    """
    for field in LABEL_FIELDS[:3]:
        value = getattr(dispersion, field.name)
        if value is not None:
            _validate_array(value, label_shape(field.name, num_atoms), DISPERSION_PREFIX + field.name, name)


def _validate_array(value: object, shape: tuple[int, ...], array: str, name: str) -> None:
    array_value = np.asarray(value)
    if array_value.shape != shape:
        found = array_value.shape
        raise DataError(f"{name}: `{array}` must have shape {shape}, found {found}; correct the source")
    if array_value.dtype.kind not in "biuf":
        raise DataError(f"{name}: `{array}` must be numbers, found {array_value.dtype}; correct the source")
    if not np.isfinite(array_value).all():
        raise DataError(
            f"{name}: `{array}` must be finite, found NaN or infinity; "
            "remove the structure, or the label (a missing label is None)"
        )


def _validate_numbers(numbers: np.ndarray, name: str) -> None:
    wrong = [z for z in np.asarray(numbers).tolist() if z != int(z) or not 1 <= z <= LARGEST_ATOMIC_NUMBER]
    if wrong:
        raise DataError(
            f"{name}: `atomic_numbers` must be whole numbers from 1 to {LARGEST_ATOMIC_NUMBER}, "
            f"found {wrong[0]}; correct the element"
        )


def _validate_cell(cell: np.ndarray, pbc: np.ndarray, name: str) -> None:
    vectors = cell[pbc]
    lengths = np.linalg.norm(vectors, axis=1)
    if (lengths == 0).any():
        axis = "abc"[int(np.flatnonzero(pbc)[int(np.argmin(lengths))])]
        raise DataError(
            f"{name}: `cell` vector {axis} has zero length but the structure is periodic along it; "
            "give the vector, or set pbc to false in that direction"
        )
    unit = vectors / lengths[:, None]
    if len(unit) > 1 and np.sqrt(max(np.linalg.det(unit @ unit.T), 0.0)) < SMALLEST_CELL_VOLUME:
        raise DataError(
            f"{name}: `cell` vectors of the periodic directions are linearly dependent, "
            f"found {vectors.tolist()}; correct the cell"
        )
