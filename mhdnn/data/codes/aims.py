"""Main output of FHI-aims, versions of 2018 to 2025: single points, relaxations, MD, and runs driven through a socket.

Forces belong to the electronic free energy. MD prints the structure of a step behind its forces.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
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
    chosen_charges,
    chosen_energy,
    failing,
    no_steps,
    number,
    numbers,
    rows,
    table,
)
from mhdnn.data.reading import Frame, ReadOptions, default_group, lines_of
from mhdnn.data.schema import Record
from mhdnn.data.unit_names import energy_unit, force_unit, length_unit, stress_unit
from mhdnn.errors import DataError
from mhdnn.structure import Structure

INPUT = re.compile(r"^\s+Input geometry:")
NEXT = re.compile(r"^\s+Updated atomic structure:")
USED = re.compile(r"^\s*(?:Final a|A)tomic structure .*used in the preceding time step")
LOOP = re.compile(r"^\s+Begin self-consistency loop")
INPUT_VECTOR = re.compile(rf"^\s+\|\s+{THREE}\s*$")
INPUT_ATOM = re.compile(rf"^\s+\|\s+\d+: Species (\S+)\s+{THREE}\s*$")
UNITS = re.compile(r"x \[(\S+?)\]")
VECTOR = re.compile(rf"^\s+lattice_vector\s+{THREE}\s*$")
ATOM = re.compile(rf"^\s+atom\s+{THREE}\s+(\S+)\s*$")
COMPACT = re.compile(r"^\s+Energy and forces in a compact form")
FREE = re.compile(rf"^\s+\| Electronic free energy\s+:\s+({NUMBER})\s+(\w+)\s*$")
CORRECTED = re.compile(rf"^\s+\| Total energy corrected\s+:\s+({NUMBER})\s+(\w+)\b")
FORCES = re.compile(r"^\s+Total atomic forces .*\[(.+?)\]")
FORCE = re.compile(rf"^\s+\|\s+\d+\s+({NUMBER}\s+{NUMBER}\s+{NUMBER})\s*$")
STRESS = re.compile(r"\|\s+(?:Analytical stress tensor - Symmetrized|Numerical stress tensor)\s+\|")
STRESS_UNIT = re.compile(r"Cartesian components \[(.+?)\]")
STRESS_ROW = re.compile(rf"^\s+\|\s+[xyz]\s+({NUMBER}\s+{NUMBER}\s+{NUMBER})\s+\|")
HIRSHFELD = re.compile(rf"^\s+\|\s+Hirshfeld charge\s+:\s+({NUMBER})")
MULLIKEN = re.compile(r"Summary of the per-atom charge analysis")
MULLIKEN_ROW = re.compile(rf"^\s+\|\s+\d+\s+{NUMBER}\s+({NUMBER})")
CHARGE = re.compile(rf"^\s+Charge =\s+({NUMBER})")
CONVERGENCE = {
    "Self-consistency cycle converged": True,
    "Self-consistency cycle not yet converged": False,
    "SELF-CONSISTENCY CYCLE DID NOT CONVERGE": False,
}
"""The last of them in a loop decides."""


@dataclass
class _Geometry:
    """Cell (shape (3, 3), Å; None for molecules), symbols and positions (Å)."""

    cell: np.ndarray | None = None
    symbols: list[str] = field(default_factory=list)
    positions: np.ndarray | None = None


@dataclass
class _Step:
    """Lines of the last self-consistency loop at one geometry.

    :param geometry: None while MD hasn't printed it
    :param done: nothing more will be printed of it
    """

    geometry: _Geometry | None
    lines: list[str] = field(default_factory=list)
    started: bool = False
    done: bool = False


@dataclass
class _Head:
    """What holds for all steps."""

    charge: float | None = None
    constrained: bool = False


def frames(path: Path, options: ReadOptions) -> Iterator[Frame]:
    """The steps of an output."""
    head, count = _Head(), 0
    for step in _steps(path, head):
        name = f"{path}: frame {count}"
        if isinstance(step, DataError):
            yield failing(f"{name}: {step}")
            return
        yield partial(_record, step, head, path, name, options)
        count += 1
    if count == 0:
        yield no_steps(path, "`Begin self-consistency loop`")


def _steps(path: Path, head: _Head) -> Iterator[_Step | DataError]:
    lines = Lines(lines_of(path))
    step = _Step(None)
    try:
        for line in lines:
            if INPUT.match(line):
                step.geometry = _input_geometry(lines, str(path))
            elif USED.match(line):
                step.geometry, step.done = _geometry(lines, step.geometry, str(path)), True
            elif NEXT.match(line):
                if step.started:
                    yield step
                step = _Step(_geometry(lines, step.geometry, str(path)))
            elif LOOP.match(line):
                if step.done:
                    yield step
                    cell = None if step.geometry is None else step.geometry.cell
                    step = _Step(_Geometry(cell))
                step.lines, step.started = [], True  # again where the mixer was restarted
            elif step.started:
                step.lines.append(line)
            else:
                _read_head(line, head)
    except DataError as error:
        yield error
        return
    if step.started:
        yield step


def _read_head(line: str, head: _Head) -> None:
    if found := CHARGE.match(line):
        head.charge = float(found.group(1)) + 0.0
    elif line.split()[:1] == ["constrain_relaxation"] and ".false." not in line.lower():
        head.constrained = True


def _input_geometry(lines: Lines, name: str) -> _Geometry:
    geometry, scale = _Geometry(), 1.0
    for line in lines:
        if "Unit cell:" in line:
            vectors = [match.groups() for match in table(lines, INPUT_VECTOR, 1)]
            geometry.cell = np.array(vectors).astype(float)
        elif found := UNITS.search(line):
            scale = length_unit(found.group(1), name)
            atoms = [match.groups() for match in table(lines, INPUT_ATOM, 1)]
            geometry.symbols = [atom[0] for atom in atoms]
            geometry.positions = np.array([atom[1:] for atom in atoms]).astype(float).reshape(-1, 3) * scale
            break
    return geometry


def _geometry(lines: Lines, before: _Geometry | None, name: str) -> _Geometry:
    """The structure below a title; the cell of the one before where it is not repeated."""
    vectors, atoms, scale = [], [], 1.0
    for line in lines:
        if found := UNITS.search(line):
            scale = length_unit(found.group(1), name)
        elif found := VECTOR.match(line):
            vectors.append([float(value) * scale for value in found.groups()])
        elif found := ATOM.match(line):
            atoms.append(found.groups())
        elif line.strip() and line.split()[0] not in ("velocity", "constrain_relaxation") and atoms:
            lines.back()
            break
    cell = np.array(vectors) if vectors else None if before is None else before.cell
    positions = np.array([atom[:3] for atom in atoms]).astype(float).reshape(-1, 3) * scale
    return _Geometry(cell, [atom[3] for atom in atoms], positions)


def _record(step: _Step, head: _Head, path: Path, name: str, options: ReadOptions) -> Record:
    converged = _converged(step.lines)
    start = next((i for i, line in enumerate(step.lines) if COMPACT.match(line)), None)
    if converged is None or (start is None and converged):
        raise DataError(f"{name}: the file ends within this step; leave it out with `--skip-invalid`")
    check_converged(converged, options, name, "the self-consistency cycle ended without")
    if start is None:
        raise DataError(f"{name}: expected `Energy and forces in a compact form`, found none; use `--skip-invalid`")
    geometry = step.geometry
    if geometry is None or geometry.positions is None or not geometry.symbols:
        raise DataError(f"{name}: the file ends before the structure of this step; leave it out with `--skip-invalid`")
    energy, kind = chosen_energy(
        options, _energy(step.lines[start:], FREE, name), _energy(step.lines[start:], CORRECTED, name), name
    )
    atoms = len(geometry.symbols)
    charges, scheme, unused = chosen_charges(options, _charges(step.lines, atoms, name))
    forces = _forces(step.lines[start:], atoms, name)
    if head.constrained and forces is not None:
        forces, unused = None, (*unused, "forces (relaxation constraints were applied to them)")
    periodic = geometry.cell is not None
    if geometry.cell is not None and geometry.cell.shape != (3, 3):
        raise DataError(f"{name}: expected three lattice vectors, found {len(geometry.cell)}; the file was changed")
    structure = Structure(
        atomic_numbers=np.array([atomic_number(symbol, name) for symbol in geometry.symbols], dtype=np.int64),
        positions=geometry.positions,
        cell=np.zeros((3, 3)) if geometry.cell is None else geometry.cell,
        pbc=np.full(3, periodic),
        energy=energy,
        forces=forces,
        stress=_stress(step.lines, name) if periodic else None,
        charges=charges,
        total_charge=head.charge,
        group=default_group(path),
    )
    return Record(structure, energy_kind=kind, charge_scheme=scheme, unused=unused)


def _converged(lines: list[str]) -> bool | None:
    """None if the loop has no end."""
    found = [
        value for line in lines for event, value in CONVERGENCE.items() if event in line and "geometry" not in line
    ]
    return found[-1] if found else None


def _energy(lines: list[str], pattern: re.Pattern[str], name: str) -> float:
    found = next((match for line in lines if (match := pattern.match(line))), None)
    if found is None:
        raise DataError(
            f"{name}: expected the free energy and the corrected one, found one missing; the file was changed"
        )
    return number(found.group(1), name) * energy_unit(found.group(2), name)


def _forces(lines: list[str], atoms: int, name: str) -> np.ndarray | None:
    titles = [(i, found.group(1)) for i, line in enumerate(lines) if (found := FORCES.match(line))]
    if not titles:
        return None
    start, unit = titles[-1]
    printed = [match.group(1) for match in table(Lines(lines[start + 1 :]), FORCE, 1)]
    return rows(printed, atoms, slice(0, None), name, "forces") * force_unit(unit, name)


def _stress(lines: list[str], name: str) -> np.ndarray | None:
    starts = [i for i, line in enumerate(lines) if STRESS.search(line)]
    if not starts:
        return None
    block = lines[starts[-1] : starts[-1] + 10]
    unit = next((found.group(1) for line in block if (found := STRESS_UNIT.search(line))), "unnamed")
    printed = [found.group(1) for line in block if (found := STRESS_ROW.match(line))]
    return voigt_stress(rows(printed, 3, slice(0, None), name, "stress"), name) * stress_unit(unit, name)


def _charges(lines: list[str], atoms: int, name: str) -> dict[str, np.ndarray]:
    """Charges of the last analysis of each kind; Hirshfeld's are preferred."""
    hirshfeld = [found.group(1) for line in lines if (found := HIRSHFELD.match(line))]
    starts = [i for i, line in enumerate(lines) if MULLIKEN.search(line)]
    mulliken = [match.group(1) for match in table(Lines(lines[starts[-1] + 1 :]), MULLIKEN_ROW)] if starts else []
    printed = {"hirshfeld": hirshfeld[-atoms:], "mulliken": mulliken}
    for scheme, values in printed.items():
        if values and len(values) != atoms:
            raise DataError(f"{name}: expected {atoms} {scheme} charges, found {len(values)}; the file is cut")
    return {scheme: numbers(values, name) for scheme, values in printed.items() if values}
