"""ML_AB of VASP: the ab-initio steps that a machine-learned force field was trained on.

https://www.vasp.at/wiki/index.php/ML_AB. Blocks between rows of ``=`` hold a title, a row of ``-`` and its values.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from mhdnn.data.codes.labels import FREE_ENERGY, atomic_number, chosen_energy, failing, no_steps, numbers, rows
from mhdnn.data.codes.vasp_outcar import tensor_stress
from mhdnn.data.reading import Frame, ReadOptions, default_group, lines_of
from mhdnn.data.schema import Record
from mhdnn.data.unit_names import energy_unit, force_unit, length_unit, stress_unit
from mhdnn.errors import DataError
from mhdnn.structure import Structure

CONFIGURATION = re.compile(r"^\s*Configuration num\.\s*(\d+)")
RULE = re.compile(r"^\s*([=*-])\1{9,}\s*$")
TITLES = {
    "kinds": r"^Atom types and atom numbers$",
    "cell": r"^Primitive lattice vectors \((.+)\)$",
    "positions": r"^Atomic positions \((.+)\)$",
    "energy": r"^Total energy \((.+)\)$",
    "forces": r"^Forces \((.+)\)$",
    "stress": r"^Stress \((.+)\)$",
}


def frames(path: Path, options: ReadOptions) -> Iterator[Frame]:
    """The configurations of an ML_AB or ML_ABN file."""
    block: list[str] | None = None
    count = 0
    try:
        for line in lines_of(path):
            if CONFIGURATION.match(line):
                if block is not None:
                    yield partial(_record, block, path, count, options)
                    count += 1
                block = []
            elif block is not None:
                block.append(line.strip())
    except DataError as error:
        yield failing(f"{path}: frame {count}: {error}")
        return
    if block is None:
        yield no_steps(path, "`Configuration num.`")
    else:
        yield partial(_record, block, path, count, options)


def _record(block: list[str], path: Path, frame: int, options: ReadOptions) -> Record:
    name = f"{path}: frame {frame}"
    parts = _parts(block)
    for key in ("kinds", "cell", "positions", "energy"):
        if key not in parts:
            title = TITLES[key].strip("^$").split(r" \(")[0]
            raise DataError(f"{name}: expected a block `{title}`, found none; the file is cut or made by hand")
    symbols: list[str] = []
    for line in parts["kinds"][1]:
        symbol, amount = (line.split() + [""])[:2]
        if not amount.isdigit() or int(amount) > len(block):
            raise DataError(f"{name}: expected an element and its number of atoms, found {line!r}")
        symbols += [symbol] * int(amount)
    atoms = len(symbols)
    unit, text = parts["energy"]
    energy = numbers(" ".join(text).split(), name)
    if energy.shape != (1,):
        raise DataError(f"{name}: expected one energy, found {' '.join(text)!r}; the file is cut")
    if options.keys.energy not in (None, FREE_ENERGY):
        chosen_energy(options, float(energy[0]), None, name)
    structure = Structure(
        atomic_numbers=np.array([atomic_number(symbol, name) for symbol in symbols], dtype=np.int64),
        positions=_vectors(parts["positions"], atoms, name) * length_unit(parts["positions"][0], name),
        cell=_vectors(parts["cell"], 3, name) * length_unit(parts["cell"][0], name),
        pbc=np.full(3, True),
        energy=float(energy[0]) * energy_unit(unit, name),
        forces=_forces(parts, atoms, name),
        stress=_stress(parts, name),
        group=default_group(path),
    )
    return Record(structure, energy_kind="free")


def _parts(block: list[str]) -> dict[str, tuple[str, list[str]]]:
    """Unit and values of each block, by the keys of `TITLES`."""
    parts: dict[str, tuple[str, list[str]]] = {}
    current: list[str] | None = None
    for line in block:
        found = {key: match for key, pattern in TITLES.items() if (match := re.match(pattern, line))}
        if found:
            key, match = found.popitem()
            current = []
            parts[key] = (_unit(match.group(1)) if match.groups() else "", current)
        elif re.match(r"^[=*]{10,}$", line):
            current = None
        elif current is not None and line and not RULE.match(line):
            current.append(line)
    return parts


def _unit(text: str) -> str:
    """``ang.`` and ``eV ang.^-1`` as others write them."""
    return re.sub(r"\s+(\S+)\^-1$", r"/\1", text.replace("ang.", "angstrom"))


def _vectors(part: tuple[str, list[str]], count: int, name: str) -> np.ndarray:
    return rows(part[1], count, slice(0, None), name, "vectors")


def _forces(parts: dict[str, tuple[str, list[str]]], atoms: int, name: str) -> np.ndarray | None:
    if "forces" not in parts:
        raise DataError(f"{name}: expected a block of forces, found none; the file is cut")
    return _vectors(parts["forces"], atoms, name) * force_unit(parts["forces"][0], name)


def _stress(parts: dict[str, tuple[str, list[str]]], name: str) -> np.ndarray | None:
    """Two lines of three numbers under ``XX YY ZZ`` and ``XY YZ ZX``; both may be empty."""
    if "stress" not in parts:
        raise DataError(f"{name}: expected a block of the stress, found none; the file is cut")
    unit, lines = parts["stress"]
    values = [word for line in lines if not line.startswith("X") for word in line.split()]
    if not values:
        return None
    if len(values) != 6:
        raise DataError(f"{name}: expected six components of the stress, found {len(values)}; the file is cut")
    return tensor_stress([float(value) for value in numbers(values, name)], stress_unit(unit, name), name)
