"""Reading HDF5 sets of molecules: SPICE, ANI-1, ANI-1x, ANI-2x and others of the same layout.

Each group holds the elements and the positions of many conformations of one molecule, or of molecules with equally many
atoms, and an array for each label. Units are those of the arrays' attribute ``units`` (SPICE has it). Without it they
are what ``--units`` says; energies near -0.5 Σ Z^2.4 Hartree are those of all electrons in Hartree, and then the units
are ANI's: Hartree and Å.
SPICE: Eastman et al., Sci. Data 10, 11 (2023), https://doi.org/10.1038/s41597-022-01882-6.
ANI: Smith et al., Sci. Data 7, 134 (2020), https://doi.org/10.1038/s41597-020-0473-z.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from ase.data import atomic_numbers

from mhdnn.data.formats.hdf5 import datasets_of, read_array
from mhdnn.data.hdf5_heaps import open_hdf5
from mhdnn.data.label_names import QUANTITY_OF, charge_scheme_of, label_of, looks_like_label, plain
from mhdnn.data.reading import Frame, ReadOptions, default_group
from mhdnn.data.schema import Record
from mhdnn.data.unit_names import factor, system_factor
from mhdnn.errors import DataError
from mhdnn.structure import Structure

POSITIONS = ("conformations", "coordinates", "positions", "geometries")
ELEMENTS = ("atomic_numbers", "species", "elements", "symbols")
UNITS = ("ev-angstrom", "hartree-bohr", "hartree-angstrom")
LABELS = ("energy", "forces", "charges", "total_charge")
GRADIENT = "gradient"
ALL_ELECTRON_TOLERANCE = 0.1


@dataclass(frozen=True)
class Molecules:
    """One group of the file.

    :param numbers: atomic numbers, shape (num_atoms,) or (num_conformations, num_atoms)
    :param positions: Å, shape (num_conformations, num_atoms, 3)
    :param labels: in the package's units, with one row per conformation
    """

    name: str
    group: str
    numbers: np.ndarray
    positions: np.ndarray
    labels: dict[str, np.ndarray]
    unused: tuple[str, ...]
    charge_scheme: str | None


def arrays_of(names: list[str]) -> tuple[str, str] | None:
    """The names of positions and elements among the arrays of a group, or None."""
    positions = next((name for name in names if name.lower() in POSITIONS), None)
    elements = next((name for name in names if name.lower() in ELEMENTS), None)
    return (positions, elements) if positions and elements else None


def frames(path: Path, options: ReadOptions) -> Iterator[Frame]:
    """A function for each conformation of each molecule.

    :raises DataError: if there is none, shapes don't fit, units are unknown, or a label could be several arrays
    """
    with open_hdf5(path) as file:
        groups = {name: names for name, names in datasets_of(file).items() if arrays_of(names)}
        if not groups:
            raise DataError(
                f"{path}: expected groups with {' or '.join(POSITIONS)} and {' or '.join(ELEMENTS)}, found none; give "
                "`--format`"
            )
        for name, names in groups.items():
            molecules = _molecules(file, path, name, names, options)
            for frame in range(len(molecules.positions)):
                yield partial(_record, molecules, frame)


def _molecules(file: h5py.File, path: Path, name: str, names: list[str], options: ReadOptions) -> Molecules:
    where = f"{path}: {name or '/'}"
    found = arrays_of(names)
    assert found is not None
    read = {key: read_array(file, f"{name}/{key}", path) for key in found}
    positions, numbers = read[found[0]], _numbers(read[found[1]], where)
    count = len(positions) if positions.ndim else 0
    if positions.ndim != 3 or positions.shape[1:] != (numbers.shape[-1], 3) or numbers.shape[:-1] not in ((), (count,)):
        raise DataError(
            f"{where}: expected positions of shape (conformations, {numbers.shape[-1]} atoms, 3), found "
            f"{positions.shape} and elements of shape {numbers.shape}; correct the file"
        )
    chosen = _chosen(names, options, where)
    arrays = {label: _rows(read_array(file, f"{name}/{key}", path), label, positions.shape, f"{where}/{key}")
              for label, key in chosen.items()}  # fmt: skip
    system = options.units or _ani_units(arrays.get("energy"), numbers)

    def unit(key: str, quantity: str) -> float:
        return _unit(file[f"{name}/{key}"], quantity, system, f"{where}/{key}")

    scaled = {label: arrays[label] * unit(key, QUANTITY_OF[label]) for label, key in chosen.items()}
    if "forces" in chosen and GRADIENT in plain(chosen["forces"]):
        scaled["forces"] = -scaled["forces"]
    member = name.replace("/", " ") or default_group(path)
    return Molecules(
        where,
        f"{default_group(path)}/{member}",
        numbers,
        positions * unit(found[0], "length"),
        scaled,
        tuple(sorted(key for key in names if key not in chosen.values() and looks_like_label(key))),
        charge_scheme_of(chosen.get("charges", "")),
    )


def _chosen(names: list[str], options: ReadOptions, where: str) -> dict[str, str]:
    """The array of each label: the one that the user names, else the only one whose name stands for it."""
    chosen = {}
    for label in LABELS:
        key = getattr(options.keys, label)
        candidates = [name for name in names if (name == key if key else label in _labels(name))]
        if len(candidates) > 1:
            raise DataError(
                f"{where}: {' and '.join(f'`{name}`' for name in candidates[:6])} may all be the {label}; say which is "
                f"meant with `--{label.replace('_', '-')}-key {candidates[0]}`"
            )
        if candidates:
            chosen[label] = candidates[0]
    return chosen


def _labels(name: str) -> frozenset[str]:
    """As `label_of`; a level of theory may stand before a dot, and gradients are forces of the other sign."""
    own = name.rpartition(".")[2] if "." in name else name
    word = plain(own)
    if word in ("energies", "energieshe"):
        return frozenset({"energy"}) if word == "energies" else frozenset()
    if word.endswith(GRADIENT) or word.endswith(f"{GRADIENT}s"):
        return frozenset({"forces"}) if label_of(word.replace(GRADIENT, "force")) else frozenset()
    return label_of(own)


def _rows(array: np.ndarray, label: str, shape: tuple[int, ...], where: str) -> np.ndarray:
    expected = {"energy": shape[:1], "forces": shape, "charges": shape[:2], "total_charge": shape[:1]}[label]
    if label == "total_charge" and array.size == 1:
        array = np.broadcast_to(np.ravel(array), shape[:1])
    if array.size != int(np.prod(expected)) or array.dtype.kind not in "iuf":
        raise DataError(
            f"{where}: expected {label} of shape {expected}, found {array.dtype} of shape {array.shape}; correct it, "
            "or choose another array"
        )
    return array.reshape(expected).astype(float)


def _unit(dataset: Any, quantity: str, system: str | None, where: str) -> float:
    text = dataset.attrs.get("units", dataset.attrs.get("unit"))
    if text is not None:
        return factor(text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text), quantity, where)
    if quantity == "charges":
        return 1.0
    if system is None:
        raise DataError(f"{where}: has no attribute `units`; give `--units`, one of {', '.join(UNITS)}")
    return system_factor(system, quantity, where)


def _ani_units(energies: np.ndarray | None, numbers: np.ndarray) -> str | None:
    """ANI's units if the energies are those of all electrons in Hartree."""
    if energies is None:
        return None
    expected = -0.5 * np.sum(numbers.astype(float) ** 2.4, axis=-1)
    known = energies[np.isfinite(energies)]
    ratio = np.median(
        energies[np.isfinite(energies)] / np.broadcast_to(expected, energies.shape)[np.isfinite(energies)]
    )
    return "hartree-angstrom" if len(known) and abs(ratio - 1) < ALL_ELECTRON_TOLERANCE else None


def _numbers(values: np.ndarray, where: str) -> np.ndarray:
    """Atomic numbers, also from symbols."""
    if values.ndim not in (1, 2) or values.size == 0:
        raise DataError(f"{where}: expected the elements of one molecule or of each, found shape {values.shape}")
    if values.dtype.kind in "iu":
        return values.astype(np.int64)
    texts = [
        text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text) for text in values.ravel().tolist()
    ]
    unknown = [text for text in texts if text not in atomic_numbers]
    if unknown:
        raise DataError(f"{where}: expected elements, found {unknown[0][:20]!r}; correct it")
    return np.array([atomic_numbers[text] for text in texts]).reshape(values.shape)


def _record(molecules: Molecules, frame: int) -> Record:
    labels: dict[str, Any] = {}
    for label, rows in molecules.labels.items():
        if np.isnan(rows[frame]).all():
            continue  # not every level of theory was computed for every conformation
        labels[label] = float(rows[frame]) if rows.ndim == 1 else rows[frame]
    numbers = molecules.numbers if molecules.numbers.ndim == 1 else molecules.numbers[frame]
    structure = Structure(
        atomic_numbers=numbers,
        positions=molecules.positions[frame].astype(float),
        cell=np.zeros((3, 3)),
        pbc=np.zeros(3, dtype=bool),
        group=molecules.group,
        **labels,
    )
    return Record(structure, unused=molecules.unused, charge_scheme=molecules.charge_scheme)
