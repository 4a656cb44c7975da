"""ASE's `Atoms` to structures with labels, and back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from mhdnn.errors import DataError
from mhdnn.structure import VOIGT, Structure

ENERGY_KEYS = ("energy", "REF_energy", "ref_energy", "dft_energy", "DFT_energy")
FORCES_KEYS = ("forces", "force", "REF_forces", "ref_forces", "dft_forces", "DFT_forces")
STRESS_KEYS = ("stress", "stress_voigt", "REF_stress", "ref_stress", "dft_stress", "DFT_stress")
VIRIAL_KEYS = ("virial", "virials", "REF_virial", "REF_virials", "dft_virial", "DFT_virial")
CHARGES_KEYS = ("charges", "REF_charges", "dft_charges", "hirshfeld_charges", "bader_charges", "mbis_charges")
TOTAL_CHARGE_KEYS = ("total_charge", "charge", "REF_total_charge")
GROUP_KEYS = ("group", "config_type")

ASYMMETRY = 0.01
"""Largest accepted difference of opposite stress components, relative to the largest component."""


@dataclass(frozen=True)
class LabelKeys:
    """Where the labels stand in ASE objects; None looks under the usual names.

    Each is a key of the calculator's results, of ``atoms.info`` or of ``atoms.arrays``. ASE's
    ``energy`` of a calculation with smearing is extrapolated to zero width; forces belong to
    ``free_energy``, which is taken when asked for. (ASE has both for VASP; from GPAW's text output it
    takes the extrapolated energy only, so with wide smearing save a trajectory instead.)
    """

    energy: str | None = None
    forces: str | None = None
    stress: str | None = None
    virial: str | None = None
    charges: str | None = None
    total_charge: str | None = None
    group: str | None = None


def structure_from_atoms(
    atoms: Atoms, keys: LabelKeys | None = None, group: str = "", name: str = "structure"
) -> Structure:
    """A structure with the labels found in the calculator's results, info and arrays.

    Labels are taken as stored, without the changes that constraints make. A ``virial`` (eV) is used
    where no stress is given: stress = -virial / volume.

    :param group: used if the atoms don't name one
    :param name: what error messages call it
    :raises DataError: if a label has the wrong shape, or two usual names hold different values
    """
    keys = keys or LabelKeys()
    total_charge = _find(atoms, keys.total_charge, TOTAL_CHARGE_KEYS, (), name)
    return Structure(
        atomic_numbers=atoms.numbers.astype(np.int64),
        positions=atoms.positions.astype(float),
        cell=np.array(atoms.cell[:], dtype=float),
        pbc=np.array(atoms.pbc, dtype=bool),
        energy=_scalar(_find(atoms, keys.energy, ENERGY_KEYS, (), name)),
        forces=_find(atoms, keys.forces, FORCES_KEYS, (len(atoms), 3), name),
        stress=_stress(atoms, keys, name),
        charges=_find(atoms, keys.charges, CHARGES_KEYS, (len(atoms),), name),
        total_charge=_scalar(total_charge),
        group=_group(atoms, keys.group, group),
    )


def atoms_from_structure(structure: Structure) -> Atoms:
    """ASE's atoms, with the labels in a `SinglePointCalculator` and group and total charge in info."""
    atoms = Atoms(
        numbers=structure.atomic_numbers,
        positions=structure.positions,
        cell=structure.cell,
        pbc=structure.pbc,
    )
    if structure.group:
        atoms.info["group"] = structure.group
    if structure.total_charge is not None:
        atoms.info["total_charge"] = structure.total_charge
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
    volume = abs(np.linalg.det(cell))
    if volume == 0:
        raise DataError(f"{name}: a virial needs a cell with a volume, found {cell.tolist()}; add the cell")
    return -voigt_stress(virial, name) / volume


def _stress(atoms: Atoms, keys: LabelKeys, name: str) -> np.ndarray | None:
    stress = None if keys.virial else _find(atoms, keys.stress, STRESS_KEYS, None, name)
    if stress is None and not keys.stress:
        virial = _find(atoms, keys.virial, VIRIAL_KEYS, None, name)
        return None if virial is None else stress_from_virial(virial, atoms.cell[:], name)
    if stress is None or (atoms.cell.rank < 3 and not np.any(stress)):
        return None  # codes print zeros for molecules
    if atoms.cell.rank < 3:
        raise DataError(f"{name}: `stress` needs a cell with a volume, found none; add the cell or drop it")
    return voigt_stress(stress, name)


def _find(
    atoms: Atoms, key: str | None, usual: Iterable[str], shape: tuple[int, ...] | None, name: str
) -> np.ndarray | None:
    """The value under the chosen key, or under the usual ones if they agree."""
    found: dict[str, np.ndarray] = {}
    for candidate in (key,) if key else usual:
        for place in _places(atoms):
            if place.get(candidate) is not None:
                found[candidate] = _numbers(place[candidate], candidate, shape, name)
                break
    if not found:
        return None
    first, *others = found
    for other in others:
        same_shape = found[other].shape == found[first].shape
        if not (same_shape and np.allclose(found[other], found[first], equal_nan=True)):
            raise DataError(
                f"{name}: `{first}` and `{other}` hold different values; say which is meant, "
                f"for example with `--{_option(first)}-key {other}`"
            )
    return found[first] + 0.0  # a copy, without negative zero


def _places(atoms: Atoms) -> list[dict[str, Any]]:
    results = atoms.calc.results if atoms.calc is not None else {}
    return [results, atoms.info, atoms.arrays]


def _numbers(value: Any, key: str, shape: tuple[int, ...] | None, name: str) -> np.ndarray:
    try:
        numbers = np.asarray(value, dtype=float)
    except (TypeError, ValueError) as error:
        raise DataError(f"{name}: `{key}` must be numbers, found {value!r}; choose another key") from error
    if shape is not None and numbers.shape != shape:
        if numbers.size != int(np.prod(shape)):
            raise DataError(f"{name}: `{key}` must have shape {shape}, found {numbers.shape}; choose another key")
        numbers = numbers.reshape(shape)
    return numbers


def _scalar(value: np.ndarray | None) -> float | None:
    return None if value is None else float(value)


def _group(atoms: Atoms, key: str | None, default: str) -> str:
    for candidate in (key,) if key else GROUP_KEYS:
        if candidate in atoms.info:
            return str(atoms.info[candidate])
    return default


def _option(key: str) -> str:
    """The command-line option that chooses a label, from one of its usual names."""
    families = {
        "energy": ENERGY_KEYS,
        "forces": FORCES_KEYS,
        "stress": STRESS_KEYS,
        "virial": VIRIAL_KEYS,
        "charges": CHARGES_KEYS,
        "total-charge": TOTAL_CHARGE_KEYS,
    }
    return next((option for option, names in families.items() if key in names), "energy")
