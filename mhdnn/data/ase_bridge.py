"""ASE's `Atoms` to structures with labels, and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from mhdnn.data.label_search import Found, LabelSearch
from mhdnn.data.schema import Record
from mhdnn.errors import DataError
from mhdnn.structure import VOIGT, Structure, cell_volume

GROUP_KEYS = ("group", "config_type")
TOTAL_CHARGE = "total_charge"
"""Of atoms' info."""
WEIGHT_KEYS = ("weight", "config_weight")
"""Of atoms' info: the weight of the structure in the loss, and MACE's name of it."""

ASYMMETRY = 0.01
"""Largest accepted difference of opposite stress components, relative to the largest component."""
CONTRADICTION = (1e-3, 1e-5)
"""Largest accepted difference of a stress and a virial: relative to the largest component, and in eV/Å³ (rounding)."""


@dataclass(frozen=True)
class LabelKeys:
    """Where the labels stand in ASE objects; None looks under the usual names.

    Each is a key of the calculator's results, of ``atoms.info`` or of ``atoms.arrays``. The usual names are those of
    `mhdnn.data.label_names`. Where an energy and a free energy are there (a calculation with smearing), the free energy
    is taken, whose gradient the forces are; ``energy`` chooses the one extrapolated to zero width.
    """

    energy: str | None = None
    forces: str | None = None
    stress: str | None = None
    virial: str | None = None
    charges: str | None = None
    total_charge: str | None = None
    group: str | None = None


def record_from_atoms(atoms: Atoms, keys: LabelKeys | None = None, group: str = "", name: str = "structure") -> Record:
    """A structure with the labels found in the calculator's results, info and arrays, and what is known of them.

    Labels are taken as stored, without the changes that constraints make, and converted from the units that the atoms'
    info names (``energy-unit``, ``force-unit``, ...). A ``virial`` (eV) is used where no stress is given:
    stress = -virial / volume.

    :param group: used if the atoms don't name one
    :param name: what error messages call it
    :raises DataError: if a label has the wrong shape or an unknown unit, if two usual names hold different values, or
        if stress and virial contradict each other
    """
    keys = keys or LabelKeys()
    results = atoms.calc.results if atoms.calc is not None else {}
    search = LabelSearch({"results": results, "info": atoms.info, "arrays": atoms.arrays}, len(atoms), name)
    length = search.units.get("length", 1.0)
    cell = np.array(atoms.cell[:], dtype=float) * length
    energy, kind = search.energy(keys.energy)
    total_charge = search.label("total_charge", keys.total_charge, ())
    structure = Structure(
        atomic_numbers=atoms.numbers.astype(np.int64),
        positions=atoms.positions.astype(float) * length,
        cell=cell,
        pbc=np.array(atoms.pbc, dtype=bool),
        energy=energy,
        forces=search.label("forces", keys.forces, (len(atoms), 3)),
        stress=_stress(search, cell, keys, name),
        charges=search.charges(keys.charges),
        total_charge=None if total_charge is None else float(total_charge),
        group=_group(atoms, keys.group, group),
        weight=_weight(atoms, name),
    )
    return Record(structure, energy_kind=kind, unused=search.unused(), charge_scheme=search.charge_scheme)


def structure_from_atoms(
    atoms: Atoms, keys: LabelKeys | None = None, group: str = "", name: str = "structure"
) -> Structure:
    """The structure of `record_from_atoms`."""
    return record_from_atoms(atoms, keys, group, name).structure


def bare(atoms: Atoms) -> Atoms:
    """The atoms where they are, and their total charge: no labels, group or constraints, which are of other places."""
    search = LabelSearch({"results": {}, "info": atoms.info, "arrays": {}}, len(atoms), "structure")
    total_charge = search.label(TOTAL_CHARGE, None, ())
    info = {} if total_charge is None else {TOTAL_CHARGE: float(total_charge)}
    return Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=atoms.pbc, info=info)


def atoms_from_structure(structure: Structure) -> Atoms:
    """ASE's atoms, with the labels in a `SinglePointCalculator` and group, total charge and weight in info."""
    atoms = Atoms(
        numbers=structure.atomic_numbers,
        positions=structure.positions,
        cell=structure.cell,
        pbc=structure.pbc,
    )
    if structure.group:
        atoms.info["group"] = structure.group
    if structure.total_charge is not None:
        atoms.info[TOTAL_CHARGE] = structure.total_charge
    if structure.weight is not None:
        atoms.info["weight"] = structure.weight
    names = ("energy", "forces", "stress", "charges")
    labels = {name: getattr(structure, name) for name in names if getattr(structure, name) is not None}
    if labels:
        atoms.calc = SinglePointCalculator(atoms, **labels)
    return atoms


def voigt_stress(stress: Any, name: str = "structure") -> np.ndarray:
    """Stress as xx yy zz yz xz xy, from 3x3, 9 or already 6 numbers.

    :raises DataError: if there are other than 6 or 9 numbers, or the tensor is not symmetric
    """
    values = np.asarray(stress, dtype=float)
    if values.shape == (6,):
        return values
    if values.size != 9:
        raise DataError(f"{name}: `stress` must have 6 or 9 components, found shape {values.shape}; correct the source")
    tensor = values.reshape(3, 3)
    if np.abs(tensor - tensor.T).max() > ASYMMETRY * max(np.abs(tensor).max(), 1e-3):
        raise DataError(
            f"{name}: `stress` must be symmetric, found {tensor.tolist()}; check the order of its components"
        )
    tensor = (tensor + tensor.T) / 2
    return np.array([tensor[pair] for pair in VOIGT])


def stress_from_virial(virial: Any, cell: np.ndarray, name: str = "structure") -> np.ndarray:
    """Stress (eV/Å³, tension positive) from the virial in eV: stress = -virial / volume.

    :param cell: shape (3, 3), Å
    :raises DataError: if the cell has no volume
    """
    volume = cell_volume(cell)
    if volume == 0:
        raise DataError(f"{name}: a virial needs a cell with a volume, found {cell.tolist()}; add the cell")
    return -voigt_stress(virial, name) / volume


def _stress(search: LabelSearch, cell: np.ndarray, keys: LabelKeys, name: str) -> np.ndarray | None:
    """From stresses and virials; they must agree."""
    stresses = [] if keys.virial else _tensors(search, "stress", keys.stress, name)
    virials = [] if keys.stress else _tensors(search, "virial", keys.virial, name)
    if not np.any(cell, axis=1).all():
        filled = [found.name for found in stresses + virials if np.any(found.value)]
        if filled:
            raise DataError(f"{name}: `{filled[0]}` needs a cell with a volume, found none; add the cell or drop it")
        search.used.update(found.name for found in stresses + virials)
        return None  # codes print zeros for molecules
    stress = search.agreed(stresses) if stresses else None
    if not virials:
        return stress
    from_virial = stress_from_virial(search.agreed(virials), cell, name)
    if stress is None:
        return from_virial
    relative, absolute = CONTRADICTION
    if np.abs(stress - from_virial).max() > relative * np.abs(stress).max() + absolute:
        raise DataError(
            f"{name}: `{stresses[0].name}` and `{virials[0].name}` contradict each other: the stress is {stress}, "
            f"-virial / volume is {from_virial} eV/Å³; check signs and units, and say which is meant with "
            "`--stress-key` or `--virial-key`"
        )
    return stress


def _tensors(search: LabelSearch, label: str, key: str | None, name: str) -> list[Found]:
    candidates = search.keyed(key, label, None) if key else search.candidates(label, None)
    return [Found(found.name, voigt_stress(found.value, name)) for found in candidates]


def _weight(atoms: Atoms, name: str) -> float | None:
    """:raises DataError: if two weights differ, or one is no number"""
    found = {key: atoms.info[key] for key in WEIGHT_KEYS if key in atoms.info}
    if not found:
        return None
    values = []
    for key, value in found.items():
        if not isinstance(value, (int, float, np.number)) or isinstance(value, bool):
            raise DataError(
                f"{name}: `{key}` must be a number, the weight of the structure, found {value!r}; correct it"
            )
        values.append(float(value))
    if len(set(values)) > 1:
        raise DataError(f"{name}: `weight` and `config_weight` hold different values, {values}; remove one of them")
    return values[0]


def _group(atoms: Atoms, key: str | None, default: str) -> str:
    for candidate in (key,) if key else GROUP_KEYS:
        if candidate in atoms.info:
            return str(atoms.info[candidate])
    return default
