"""Text output of GPAW, versions of 2019 to 2026.

The forces belong to the free energy; GPAW's own ``get_potential_energy`` is the energy extrapolated to zero width. Both
are printed relative to the atoms of the reference, as ASE gives them. ASE's van der Waals correction is added.
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
from mhdnn.structure import Structure

UNITS = re.compile(r"^units:\s+(\S+) and (\S+)", re.IGNORECASE)
HEAD_CHARGE = re.compile(rf"^\s*total charge:\s+({NUMBER})", re.IGNORECASE)
CHARGE = re.compile(rf"^  Charge:\s+({NUMBER})")
POSITIONS = re.compile(r"^(?:positions:|atoms  #)", re.IGNORECASE)
POSITION = re.compile(rf"^\s*\d+\s+([A-Z][a-z]?)\S*\s+{THREE}")
AXIS = re.compile(rf"^\s*(?:\d\.? ?axis:\s+)?(yes|no)\s+{THREE}", re.IGNORECASE)
FREE = re.compile(rf"^\s*free energy:\s+({NUMBER})", re.IGNORECASE)
EXTRAPOLATED = re.compile(rf"^\s*(?:extrapolated|zero kelvin):\s+({NUMBER})", re.IGNORECASE)
FORCES = re.compile(r"^forces(?: in (\S+):|  # (\S+))", re.IGNORECASE)
FORCE = re.compile(rf"^\s*(?:\d+\s+[A-Z]\S*\s+)?({NUMBER}\s+{NUMBER}\s+{NUMBER})\s*(?:#.*)?$")
STRESS = re.compile(r"^stress tensor(?::|  # (\S+))", re.IGNORECASE)
STRESS_ROW = re.compile(rf"^\s*({NUMBER}\s+{NUMBER}\s+{NUMBER})\s*$")
CONVERGED = re.compile(r"^\s*converged (?:after|in) \d+ (?:iterations|steps)", re.IGNORECASE)
UNCONVERGED = re.compile(r"did not converge", re.IGNORECASE)
ITERATION = re.compile(r"^\s*iter:\s*(\d+)", re.IGNORECASE)
MOST_ITERATIONS = re.compile(r"^\s*maximum number of (?:scf \[iter\]ations|iterations): (\d+)", re.IGNORECASE)
CORRECTION = re.compile(rf"^vdw correction:\s+({NUMBER})", re.IGNORECASE)
LONGEST_TITLE = 3


@dataclass
class _Head:
    """What holds for all steps."""

    length: str = "Angstrom"
    energy: str = "eV"
    charge: float | None = None
    most_iterations: int | None = None


@dataclass
class _Step:
    """Lines from one print of the positions to the next, without the bars of tables.

    :param axes: lines of the cell, here or where it was last printed
    :param charges: the same of the charge
    """

    head: _Head
    lines: list[str] = field(default_factory=list)
    axes: list[str] = field(default_factory=list)
    charges: list[str] = field(default_factory=list)


def frames(path: Path, options: ReadOptions) -> Iterator[Frame]:
    """The steps of an output, those for which GPAW only printed the positions left out."""
    count = 0
    axes: list[str] = []
    charges: list[str] = []
    for step in _steps(path):
        name = f"{path}: frame {count}"
        if isinstance(step, DataError):
            yield failing(f"{name}: {step}")
            return
        axes = [line for line in step.lines if AXIS.match(line)] or axes
        charges = [line for line in step.lines if CHARGE.match(line)] or charges
        step.axes, step.charges = axes, charges
        if any(ITERATION.match(line) or FREE.match(line) for line in step.lines):
            yield partial(_record, step, path, name, options)
            count += 1
    if count == 0:
        yield no_steps(path, "self-consistent calculation behind the positions")


def _steps(path: Path) -> Iterator[_Step | DataError]:
    head = _Head()
    step: _Step | None = None
    try:
        for printed in lines_of(path):
            line = printed.replace("|", " ")
            if POSITIONS.match(line):
                if step is not None:
                    yield step
                step = _Step(head)
            head = _read_head(line, head)
            if step is not None:
                step.lines.append(line)
    except DataError as error:
        yield error
        return
    if step is not None:
        yield step


def _read_head(line: str, head: _Head) -> _Head:
    if found := UNITS.match(line):
        return replace(head, length=found.group(1), energy=found.group(2))
    if found := HEAD_CHARGE.match(line):
        return replace(head, charge=float(found.group(1)) + 0.0)
    if found := MOST_ITERATIONS.match(line):
        return replace(head, most_iterations=int(found.group(1)))
    return head


def _check_iterations(step: _Step, options: ReadOptions, name: str) -> None:
    """:raises UnconvergedError: if the iterations did not converge
    :raises DataError: if they have no end
    """
    iterations = [int(found.group(1)) for line in step.lines if (found := ITERATION.match(line))]
    if not iterations or any(CONVERGED.match(line) for line in step.lines):
        return
    limits = [int(found.group(1)) for line in step.lines if (found := MOST_ITERATIONS.match(line))]
    limit = limits[-1] if limits else step.head.most_iterations
    reached = limit is not None and iterations[-1] >= limit
    if reached or any(UNCONVERGED.search(line) for line in step.lines):
        check_converged(False, options, name, f"{iterations[-1]} iterations without")
    else:
        raise DataError(f"{name}: the file ends within the iterations of this step; leave it out with `--skip-invalid`")


def _record(step: _Step, path: Path, name: str, options: ReadOptions) -> Record:
    lines, head = step.lines, step.head
    _check_iterations(step, options, name)
    correction = _energy(lines, CORRECTION, head, name)
    energies = [_energy(lines, pattern, head, name) for pattern in (FREE, EXTRAPOLATED)]
    if energies[0] is None or energies[1] is None:
        raise DataError(f"{name}: expected free and extrapolated energies, found none; use `--skip-invalid`")
    shift = correction or 0.0
    energy, kind = chosen_energy(options, energies[0] + shift, energies[1] + shift, name)
    scale = length_unit(head.length, name)
    atoms = [match.groups() for match in table(Lines(lines[1:]), POSITION, LONGEST_TITLE)]
    axes = [match.groups() for line in step.axes if (match := AXIS.match(line))]
    if len(axes) != 3 or not atoms:
        raise DataError(f"{name}: expected positions and three axes of the cell, found {len(atoms)} and {len(axes)}")
    pbc = np.array([axis[0].lower() == "yes" for axis in axes])
    stress = _stress(lines, name) if pbc.all() else None
    unused = ("stress (without the van der Waals correction)",) if stress is not None and correction is not None else ()
    charges = [float(found.group(1)) + 0.0 for line in step.charges if (found := CHARGE.match(line))]
    structure = Structure(
        atomic_numbers=np.array([atomic_number(atom[0], name) for atom in atoms], dtype=np.int64),
        positions=np.array([atom[1:] for atom in atoms]).astype(float) * scale,
        cell=np.array([axis[1:] for axis in axes]).astype(float) * scale,
        pbc=pbc,
        energy=energy,
        forces=_forces(lines, len(atoms), name),
        stress=None if unused else stress,
        total_charge=charges[0] if charges else head.charge,
        group=default_group(path),
    )
    return Record(structure, energy_kind=kind, unused=unused)


def _energy(lines: list[str], pattern: re.Pattern[str], head: _Head, name: str) -> float | None:
    found = [match.group(1) for line in lines if (match := pattern.match(line))]
    return number(found[-1], name) * energy_unit(head.energy, name) if found else None


def _forces(lines: list[str], atoms: int, name: str) -> np.ndarray | None:
    """The last table: a van der Waals correction is followed by the corrected forces."""
    titles = [(i, found.group(1) or found.group(2)) for i, line in enumerate(lines) if (found := FORCES.match(line))]
    if not titles:
        return None
    start, unit = titles[-1]
    printed = [match.group(1) for match in table(Lines(lines[start + 1 :]), FORCE, LONGEST_TITLE)]
    return rows(printed, atoms, slice(0, None), name, "forces") * force_unit(unit, name)


def _stress(lines: list[str], name: str) -> np.ndarray | None:
    """Tension positive, eV/Å³ as ASE has it; older versions don't print the unit."""
    titles = [(i, found.group(1)) for i, line in enumerate(lines) if (found := STRESS.match(line))]
    if not titles:
        return None
    start, unit = titles[-1]
    printed = [match.group(1) for match in table(Lines(lines[start + 1 :]), STRESS_ROW, LONGEST_TITLE)]
    tensor = rows(printed, 3, slice(0, None), name, "stress")
    return voigt_stress(tensor, name) * stress_unit(unit or "eV/Ang^3", name)
