"""Output of Quantum ESPRESSO's pw.x, versions 5 to 7: single points, relaxations and MD, hybrids included.

The energy of a step is the last one that is marked as final: ``!`` of the self-consistent cycle (with ``iprint=1``
there is one in each iteration), ``!!`` where hybrids add the exact exchange. With smearing it is the free energy;
the energy extrapolated to zero width is not printed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np

from mhdnn.data.ase_bridge import voigt_stress
from mhdnn.data.codes.labels import (
    NUMBER,
    THREE,
    Lines,
    atomic_number,
    check_converged,
    chosen_energy,
    failing,
    no_steps,
    number,
    rows,
    table,
)
from mhdnn.data.reading import Frame, ReadOptions, default_group, lines_of
from mhdnn.data.schema import Record
from mhdnn.data.unit_names import energy_unit, force_unit, length_unit, stress_unit
from mhdnn.errors import DataError
from mhdnn.structure import Structure, cell_volume
from mhdnn.units import BOHR

START = re.compile(r"^\s*Program PWSCF")
LATTICE_PARAMETER = re.compile(rf"lattice parameter \(alat\)\s*=\s*({NUMBER})\s+(\S+)")
CELLDM = re.compile(rf"celldm\(1\)=\s*({NUMBER})")
ATOMS = re.compile(r"number of atoms/cell\s*=\s*(\d+)")
ELECTRONS = re.compile(rf"number of electrons\s*=\s*({NUMBER})")
SPECIES_TITLE = re.compile(r"^\s*atomic species\s+valence\s+mass")
SPECIES = re.compile(rf"^\s*(\S+)\s+({NUMBER})\s+{NUMBER}\s+([A-Za-z]+)\s*\(")
AXES_TITLE = re.compile(r"^\s*crystal axes: \(cart\. coord\. in units of alat\)")
AXIS = re.compile(rf"a\([123]\)\s*=\s*\(\s*{THREE}")
SITES_TITLE = re.compile(r"site n\.\s+atom\s+positions \(alat units\)")
SITE = re.compile(rf"^\s*\d+\s+(\S+)\s+tau\(\s*\d+\)\s*=\s*\(\s*{THREE}")
VOLUME = re.compile(rf"unit-cell volume\s*=\s*({NUMBER})\s+\(?a\.u\.")
CARD = re.compile(r"^(CELL_PARAMETERS|ATOMIC_POSITIONS)\s*[({]?\s*([A-Za-z_]*)\s*=?\s*([0-9.]*)")
FINAL_ENERGY = re.compile(r"^!!?\s+total energy\s*=\s*(\S+)\s+(\S+)")
ENERGY = re.compile(r"^\s+total energy\s*=\s*(\S+)\s+(\S+)")
ACCURACY = re.compile(rf"estimated scf accuracy\s*<\s*({NUMBER})\s+(\S+)")
THRESHOLD = re.compile(rf"^\s+(?:scf )?convergence threshold\s*=\s*({NUMBER})")
ENTROPY = re.compile(rf"smearing contrib\. \(-TS\)\s*=\s*({NUMBER})")
FORCES_TITLE = re.compile(r"Forces acting on atoms \((?:cartesian axes, )?(\S+?)\)")
FORCE = re.compile(r"^\s+atom\s+\d+\s+type\s+\d+\s+force\s*=\s*(.*)")
STRESS_TITLE = re.compile(r"total\s+stress\s+\((\S+?)\)\s+\((\S+?)\)")
BEGIN = re.compile(r"Self-consistent Calculation")
CYCLE = re.compile(r"Self-consistent Calculation|^\s+iteration #\s*1\s")
SAME_VOLUME = 2e-3
"""Largest relative difference between the cell's volume and the printed one."""
LABEL_TITLES = {"forces": "Forces acting", "stress": "total   stress"}
STOPPED = "convergence NOT achieved"
ROUNDED = 1.5
"""The threshold is printed with two digits, and a cycle ends once the accuracy is below it."""


@dataclass
class _Geometry:
    """Structure and lines of the file that are not yet understood.

    :param alat: lattice parameter, Å
    :param volume: as it is printed beside the cell, Å³
    :param count: number of atoms
    """

    alat: float = 0.0
    volume: float | None = None
    cell: np.ndarray | None = None
    symbols: list[str] = field(default_factory=list)
    positions: np.ndarray | None = None
    elements: dict[str, str] = field(default_factory=dict)
    valence: dict[str, float] = field(default_factory=dict)
    count: int | None = None
    electrons: float | None = None
    threshold: float | None = None
    isolated: bool = False


@dataclass
class _Step:
    """What was printed at one geometry."""

    geometry: _Geometry
    started: bool = False
    finished: bool = False
    has_forces: bool = False
    lines: list[str] = field(default_factory=list)


def frames(path: Path, options: ReadOptions) -> Iterator[Frame]:
    """The ionic steps of an output, several runs one behind the other included."""
    count = 0
    labels: set[str] = set()
    for step in _steps(path):
        name = f"{path}: frame {count}"
        if isinstance(step, DataError):
            yield failing(f"{name}: {step}")
            return
        found = {label for label, title in LABEL_TITLES.items() if any(title in line for line in step.lines)}
        yield partial(_record, step, sorted(labels - found), path, name, options)
        labels = set() if step.finished else labels | found
        count += 1
    if count == 0:
        yield no_steps(path, "self-consistent calculation")


def _steps(path: Path) -> Iterator[_Step | DataError]:
    """Each geometry at which a self-consistent cycle began."""
    lines = Lines(lines_of(path))
    geometry = _Geometry()
    step = _Step(geometry)
    try:
        for line in lines:
            if _begins_geometry(line):
                if step.started:
                    step.finished = bool(START.match(line))
                    yield step
                    step = _Step(geometry)
                geometry = _Geometry() if START.match(line) else replace(geometry)
                _read_geometry(line, lines, geometry, str(path))
                step.geometry = geometry
            elif not step.started and not CYCLE.search(line):
                _read_constants(line, lines, geometry)
            else:
                if step.has_forces and BEGIN.search(line):  # the next positions were lost
                    yield step
                    geometry = replace(geometry, positions=None)
                    step = _Step(geometry)
                step.started = step.started or bool(CYCLE.search(line))
                step.lines.append(line)
                step.finished = step.finished or "JOB DONE" in line
                step.has_forces = step.has_forces or bool(FORCES_TITLE.search(line))
    except DataError as error:
        yield error
        return
    if step.started:
        yield step


def _begins_geometry(line: str) -> bool:
    if START.match(line) or AXES_TITLE.match(line):
        return True
    return bool(CARD.match(line) or SITES_TITLE.search(line) or "new unit-cell volume" in line)


def _read_geometry(line: str, lines: Lines, geometry: _Geometry, name: str) -> None:
    """Cell or positions from the block that begins with the line."""
    if AXES_TITLE.match(line):
        found = [AXIS.search(next(lines, "")) for _ in range(3)]
        if not all(found):
            raise DataError(f"{name}: expected three `crystal axes`, found fewer; the file is cut")
        geometry.cell = np.array([match.groups() for match in found if match]).astype(float) * geometry.alat
    elif SITES_TITLE.search(line):
        _read_sites(lines, geometry)
    elif found_volume := VOLUME.search(line):
        geometry.volume = float(found_volume.group(1)) * BOHR**3
    elif card := CARD.match(line):
        _read_card(card, lines, geometry, name)


def _read_sites(lines: Lines, geometry: _Geometry) -> None:
    sites = [match.groups() for match in table(lines, SITE, 1)]
    geometry.symbols = [site[0] for site in sites]
    geometry.positions = np.array([site[1:] for site in sites]).astype(float).reshape(-1, 3) * geometry.alat


def _read_card(card: re.Match[str], lines: Lines, geometry: _Geometry, name: str) -> None:
    kind, unit, value = card.groups()
    if unit == "alat" and value:
        geometry.alat = float(value) * BOHR
    is_cell = kind == "CELL_PARAMETERS"
    count = 3 if is_cell else len(geometry.symbols)
    found = [next(lines, "").split() for _ in range(count)]
    if not is_cell:
        geometry.symbols = [words[0] if words else "" for words in found]
        found = [words[1:4] for words in found]
        if geometry.symbols and next(lines, "").split()[:1] == geometry.symbols[-1:]:
            raise DataError(f"{name}: expected {count} lines of {kind}, found more; the file was changed")
        lines.back()
    values = rows([" ".join(words) for words in found], count, slice(0, 3), name, kind)
    if unit == "crystal" and not is_cell:
        if geometry.cell is None:
            raise DataError(f"{name}: expected the cell before crystal coordinates, found none")
        values = values @ geometry.cell
    else:
        values = values * (geometry.alat if unit in ("alat", "") else length_unit(unit, name))
    if is_cell:
        geometry.cell = values
    else:
        geometry.positions = values


def _read_constants(line: str, lines: Lines, geometry: _Geometry) -> None:
    if found := LATTICE_PARAMETER.search(line):
        geometry.alat = float(found.group(1)) * length_unit(found.group(2), "lattice parameter")
    elif found := CELLDM.search(line):
        precise = float(found.group(1)) * BOHR  # more digits of the same
        if abs(precise - geometry.alat) < 1e-3:
            geometry.alat = precise
    elif found := VOLUME.search(line):
        geometry.volume = float(found.group(1)) * BOHR**3
    elif found := ATOMS.search(line):
        geometry.count = int(found.group(1))
    elif found := ELECTRONS.search(line):
        geometry.electrons = float(found.group(1))
    elif found := THRESHOLD.match(line):
        geometry.threshold = float(found.group(1))
    elif SPECIES_TITLE.match(line):
        for match in table(lines, SPECIES, 1):
            label, valence, element = match.groups()
            geometry.elements[label], geometry.valence[label] = element, float(valence)
    elif "Martyna-Tuckerman method" in line:
        geometry.isolated = True


def _check_geometry(geometry: _Geometry, cell: np.ndarray, name: str) -> None:
    """:raises DataError: if the structure has not the printed number of atoms and volume"""
    if geometry.count is not None and len(geometry.symbols) != geometry.count:
        raise DataError(
            f"{name}: expected positions of {geometry.count} atoms, found {len(geometry.symbols)}; the file is cut"
        )
    volume = cell_volume(cell)
    if geometry.volume is not None and abs(volume - geometry.volume) > SAME_VOLUME * geometry.volume:
        raise DataError(
            f"{name}: expected a cell of the printed volume {geometry.volume:.4f} Å³, found {volume:.4f} Å³; a part "
            "of the file is missing or was changed"
        )


def _record(step: _Step, missing: list[str], path: Path, name: str, options: ReadOptions) -> Record:
    geometry = step.geometry
    if geometry.cell is None or geometry.positions is None or not len(geometry.symbols):
        raise DataError(
            f"{name}: expected crystal axes and positions of atoms, found none; the head of the file is missing"
        )
    _check_geometry(geometry, geometry.cell, name)
    energy = _energy(step, options, name)
    value, kind = chosen_energy(options, energy, energy if not _entropy(step.lines) else None, name)
    labels = [geometry.elements.get(symbol, symbol) for symbol in geometry.symbols]
    forces = _forces(step.lines, len(labels), name)
    if missing and not any(STOPPED in line for line in step.lines):
        raise DataError(f"{name}: the file ends before the {' and '.join(missing)} of this step; use `--skip-invalid`")
    structure = Structure(
        atomic_numbers=np.array([atomic_number(label, name) for label in labels], dtype=np.int64),
        positions=geometry.positions,
        cell=geometry.cell,
        pbc=np.full(3, not geometry.isolated),
        energy=value,
        forces=forces,
        stress=_stress(step.lines, name),
        total_charge=_total_charge(geometry),
        group=default_group(path),
    )
    return Record(structure, energy_kind=kind)


def _energy(step: _Step, options: ReadOptions, name: str) -> float:
    lines = step.lines
    stopped = any(STOPPED in line for line in lines)
    final = [found for line in lines if (found := FINAL_ENERGY.match(line))]
    if not final and not stopped:
        raise DataError(f"{name}: the file ends within the electronic iterations; leave it out with `--skip-invalid`")
    accuracy = [found for line in lines if (found := ACCURACY.search(line))]
    hybrid = any(line.startswith("!!") for line in lines) or any("EXX" in line for line in lines)
    limit = step.geometry.threshold
    loose = bool(accuracy) and limit is not None and float(accuracy[-1].group(1)) > ROUNDED * limit and not hybrid
    why = f"accuracy {accuracy[-1].group(1) if accuracy else 'unknown'} Ry, threshold {limit} Ry"
    check_converged(not stopped and not loose, options, name, why)
    kept = final or [found for line in lines if (found := ENERGY.match(line))]
    if not kept:
        raise DataError(f"{name}: expected a total energy, found none; leave the frame out with `--skip-invalid`")
    return number(kept[-1].group(1), name) * energy_unit(kept[-1].group(2), name)


def _entropy(lines: list[str]) -> bool:
    return any((found := ENTROPY.search(line)) and float(found.group(1)) != 0 for line in lines)


def _forces(lines: list[str], num_atoms: int, name: str) -> np.ndarray | None:
    """The last table; those of single contributions have other titles and come behind it."""
    starts = [i for i, line in enumerate(lines) if FORCES_TITLE.search(line)]
    if not starts:
        return None
    title = FORCES_TITLE.search(lines[starts[-1]])
    printed = [match.group(1) for match in table(Lines(lines[starts[-1] + 1 :]), FORCE)]
    unit = force_unit(title.group(1), name) if title else 1.0
    return rows(printed, num_atoms, slice(0, None), name, "forces") * unit


def _stress(lines: list[str], name: str) -> np.ndarray | None:
    starts = [i for i, line in enumerate(lines) if STRESS_TITLE.search(line)]
    if not starts:
        return None
    title = STRESS_TITLE.search(lines[starts[-1]])
    tensor = rows(lines[starts[-1] + 1 : starts[-1] + 4], 3, slice(0, 3), name, "stress")
    unit = stress_unit(title.group(1), name) if title else 1.0
    return -voigt_stress(tensor, name) * unit  # pressure positive


def _total_charge(geometry: _Geometry) -> float | None:
    if geometry.electrons is None or not all(symbol in geometry.valence for symbol in geometry.symbols):
        return None
    valence = sum(geometry.valence[symbol] for symbol in geometry.symbols)
    charge = round(valence - geometry.electrons, 2) + 0.0
    return charge if abs(charge) <= valence else None  # the file contradicts itself
