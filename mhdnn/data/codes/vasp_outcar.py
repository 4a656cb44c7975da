"""OUTCAR of VASP 5 and 6: ab-initio steps of single points, relaxations and MD.

Steps of machine-learned force fields among them (``ML_LMLFF``) are left out. With ``NELM`` iterations a step counts
as not converged, because VASP 5 prints "EDIFF is reached" then, too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from mhdnn.data.ase_bridge import voigt_stress
from mhdnn.data.codes import bader
from mhdnn.data.codes.labels import (
    NUMBER,
    atomic_number,
    check_converged,
    chosen_charges,
    chosen_energy,
    no_steps,
    number,
    rows,
)
from mhdnn.data.reading import Frame, ReadOptions, default_group, lines_of
from mhdnn.data.schema import Record
from mhdnn.data.unit_names import energy_unit, force_unit, stress_unit
from mhdnn.errors import DataError
from mhdnn.structure import Structure, cell_volume

ITERATION = re.compile(r"^-+ Iteration\s+([\d*]+)\(\s*([\d*]+)\)")
LATTICE_NUMBER = re.compile(r"-?\d+\.\d{9}")
POSITION = re.compile(r"^\s*POSITION\s+TOTAL-FORCE \(([^)]+)\)(?!.*\(ML\))")
FREE = re.compile(r"^\s*free  energy   TOTEN\s*=\s*(\S+)\s+(eV)")
EXTRAPOLATED = re.compile(rf"^\s*energy  without entropy\s*=.*energy\(sigma->0\)\s*=\s*({NUMBER})")
VOLUME = re.compile(r"^\s*volume of cell :\s+(\d+\.\d+)")
SAME_VOLUME = 1e-3
"""Largest relative difference between the cell's volume and the printed one, which has two decimals."""
STRESS = re.compile(r"^\s*in (kB)\s(.*)$")
STRESS_NUMBER = re.compile(r"-?\d+\.\d{5}|-?\d+\.\d{2}(?!\d)")
UNCONVERGED = re.compile(r"EDIFF was not reached|hard stop encountered")
VECTORS, PLACES = "direct lattice vectors", "position of ions in cartesian coordinates"
GEOMETRY = re.compile(f"{VECTORS}|{PLACES}")
HEADER = re.compile(r"TITEL|POTCAR:|ZVAL|ions per type|\bNELM\b|NELECT|ISIF|\(ML\)|^[\s\d]+$")
SPLIT_STRESS = ((0, 0), (1, 1), (2, 2), (0, 1), (1, 2), (2, 0))
"""VASP's order: XX YY ZZ XY YZ ZX."""


@dataclass(frozen=True)
class Header:
    """What holds for all steps.

    :param numbers: atomic numbers, shape (num_atoms,)
    :param valence: electrons of each atom's pseudopotential, shape (num_atoms,)
    :param electrons: ``NELECT``
    :param most_iterations: ``NELM``
    :param stress_kind: ``ISIF``; at 1 only the trace of the stress is worked out
    :param cell: lines of the first cell
    :param positions: lines of the first positions, for calculations that print no forces
    """

    numbers: np.ndarray
    valence: np.ndarray | None
    electrons: float | None
    most_iterations: int | None
    stress_kind: int | None
    cell: tuple[str, ...] = ()
    positions: tuple[str, ...] = ()

    @property
    def total_charge(self) -> float | None:
        return total_charge(self.valence, self.electrons)


def total_charge(valence: np.ndarray | None, electrons: float | None) -> float | None:
    """Charge of the cell: what the pseudopotentials bring less the electrons, e."""
    if valence is None or electrons is None:
        return None
    return round(float(valence.sum()) - electrons, 4) + 0.0


def frames(path: Path, options: ReadOptions) -> Iterator[Frame]:
    """The ab-initio steps of an OUTCAR.

    :raises DataError: if the header is incomplete
    """
    lines = lines_of(path)
    kept, first = _header_lines(lines)
    if first is None:
        learned = any("(ML)" in line for line in kept)
        what = "ab-initio step (there are steps of a machine-learned force field)" if learned else "ionic step"
        yield no_steps(path, what)
        return
    header = _header(kept, str(path))
    density = bader.beside(path)
    number, previous = 0, None
    for segment in _segments(first, lines):
        if previous is not None:
            yield partial(_record, previous, header, path, number, options, density, False)
            number += 1
        previous = segment
    if previous is not None:
        yield partial(_record, previous, header, path, number, options, density, True)


@dataclass
class _Segment:
    """Lines of one ionic step; those behind its energies and forces, which come first in old versions, are dropped."""

    iterations: int = 0
    lines: list[str] = field(default_factory=list)
    has_energies: bool = False
    rules: int | None = None
    broken: str | None = None

    @property
    def complete(self) -> bool:
        return self.has_energies and (self.rules or 0) >= 2

    def add(self, line: str) -> None:
        """Keep the line, and note whether it ends the energies or the forces, which stand between two rules."""
        self.lines.append(line)
        if POSITION.match(line):
            self.rules = 0
        elif self.rules is not None and line.lstrip().startswith("---"):
            self.rules += 1
        elif EXTRAPOLATED.match(line):
            self.has_energies = self.has_energies or any(FREE.match(near) for near in self.lines[-6:])


def _header_lines(lines: Iterator[str]) -> tuple[list[str], str | None]:
    kept: list[str] = []
    inside = False
    for line in lines:
        if ITERATION.match(line):
            return kept, line
        inside = bool(GEOMETRY.search(line)) or (inside and bool(line.strip()))
        if inside or HEADER.search(line):
            kept.append(line)
    return kept, None


def _below(lines: list[str], title: str, count: int) -> tuple[str, ...]:
    """Lines below the last title of this kind."""
    starts = [i for i, line in enumerate(lines) if title in line]
    return tuple(lines[starts[-1] + 1 : starts[-1] + 1 + count]) if starts else ()


def _segments(first: str, lines: Iterable[str]) -> Iterator[_Segment]:
    segment, outer = _Segment(), ""
    for line in _until_broken(first, lines):
        if isinstance(line, DataError):
            segment.broken = str(line)
            break
        found = ITERATION.match(line)
        if found:
            new = found.group(1) != outer if found.group(1).isdigit() else found.group(2) == "1"
            if new and segment.iterations:
                yield segment
                segment = _Segment()
            outer = found.group(1)
            segment.iterations += 1
        elif not segment.complete:
            segment.add(line)
    yield segment


def _until_broken(first: str, lines: Iterable[str]) -> Iterator[str | DataError]:
    """The lines; the error in the place where a compressed file is broken."""
    yield first
    try:
        yield from lines
    except DataError as error:
        yield error


def _header(lines: list[str], name: str) -> Header:
    counts = _counts(lines)
    titles = _found(lines, r"TITEL\s*=\s*(.*)") or _found(lines, r"POTCAR:\s+(.*)")[: len(counts)]
    valences = _found(lines, r"POMASS.*ZVAL\s*=\s*(\S+)")
    if not valences:
        valences = re.findall(r"\d+\.\d\d", " ".join(_found(lines, r"^\s*ZVAL\s*=(.*)")))
    if len(titles) != len(counts) or not counts:
        raise DataError(
            f"{name}: expected as many `TITEL` lines as numbers of `ions per type`, found {len(titles)} and "
            f"{len(counts)}; the OUTCAR is cut, its head was removed, or it has more kinds of "
            "pseudopotentials than the ten that some versions print"
        )
    elements = [atomic_number(_symbol(title), name) for title in titles]
    valence = np.repeat([number(v, name) for v in valences], counts) if len(valences) == len(counts) else None
    return Header(
        np.repeat(elements, counts).astype(np.int64),
        valence,
        _last(lines, r"NELECT\s*=\s*(\S+)"),
        _integer(_last(lines, r"\bNELM\s*=\s*(\d+)")),
        _integer(_last(lines, r"ISIF\s*=\s*(\d+)")),
        _below(lines, VECTORS, 3),
        _below(lines, PLACES, sum(counts)),
    )


def _counts(lines: list[str]) -> list[int]:
    """Atoms of each kind, which may stand in several lines."""
    counts: list[int] = []
    for i, line in enumerate(lines):
        if "ions per type" in line:
            counts = [int(word) for word in re.findall(r"\b\d+\b", line)]
            for more in lines[i + 1 :]:
                if not re.fullmatch(r"[\s\d]+", more.rstrip("\n")) or not more.strip():
                    break
                counts += [int(word) for word in more.split()]
            break
    return counts


def _symbol(title: str) -> str:
    """The element of a pseudopotential's title: ``PAW_PBE Fe_pv 02Aug2007``."""
    words = title.split()
    symbol = re.split(r"[_.\d]", words[1] if len(words) > 1 else title)[0]
    return "Xe" if symbol == "X" else symbol


def _found(lines: list[str], pattern: str) -> list[str]:
    return [match.group(1) for line in lines if (match := re.search(pattern, line))]


def _last(lines: list[str], pattern: str) -> float | None:
    found = _found(lines, pattern)
    return float(found[-1]) if found else None


def _integer(value: float | None) -> int | None:
    return None if value is None else int(value)


def _record(
    segment: _Segment,
    header: Header,
    path: Path,
    frame: int,
    options: ReadOptions,
    density: bader.Density | None,
    last: bool,
) -> Record:
    name = f"{path}: frame {frame}"
    lines = segment.lines
    start = next((i for i, line in enumerate(lines) if POSITION.match(line)), None)
    without_forces = start is None and frame == 0 and last and _ended_without_forces(segment)
    if not without_forces and (segment.broken or not segment.complete or start is None):
        raise DataError(_incomplete(segment, name, last))
    limit = header.most_iterations
    reached = limit is not None and segment.iterations >= limit
    unconverged = reached or any(UNCONVERGED.search(line) for line in lines)
    check_converged(not unconverged, options, name, f"{segment.iterations} iterations, `NELM` is {limit}")
    energy, kind = _energy(lines, options, name)
    cell, positions, forces = _geometry(lines, start, header, name)
    charges, scheme, unused = _charges(density, header, positions, cell, options, last)
    partial_stress = header.stress_kind == 1
    structure = Structure(
        atomic_numbers=header.numbers.copy(),
        positions=positions,
        cell=cell,
        pbc=np.full(3, True),
        energy=energy,
        forces=forces,
        stress=None if partial_stress else _stress(lines[:start], name),
        charges=charges,
        total_charge=header.total_charge,
        group=default_group(path),
    )
    unused += ("stress (its trace alone, ISIF = 1)",) if partial_stress else ()
    return Record(structure, energy_kind=kind, charge_scheme=scheme, unused=unused)


def _geometry(
    lines: list[str], start: int | None, header: Header, name: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Cell, positions and forces from the table at ``start``, or the first structure, without forces."""
    atoms = len(header.numbers)
    if start is None:
        positions = rows(header.positions, atoms, slice(0, 3), name, "positions")
        return _cell([VECTORS, *header.cell], name), positions, None
    table = _table(lines[start + 2 :])
    positions, forces = (
        rows(table, atoms, columns, name, "positions and forces") for columns in (slice(0, 3), slice(3, 6))
    )
    return _cell(lines[:start], name), positions, forces * _force_unit(lines[start], name)


def _ended_without_forces(segment: _Segment) -> bool:
    """Whether the run came to its end and printed energies alone, as hybrids and the like do when told so."""
    return segment.has_energies and any("General timing and accounting" in line for line in segment.lines)


def _table(lines: list[str]) -> list[str]:
    """The lines up to the rule below."""
    return lines[: next((i for i, line in enumerate(lines) if line.lstrip().startswith("---")), len(lines))]


def _incomplete(segment: _Segment, name: str, last: bool) -> str:
    if segment.broken or last:
        why = f" ({segment.broken})" if segment.broken else ""
        return f"{name}: the file ends within this step{why}; leave it out with `--skip-invalid`"
    return (
        f"{name}: expected positions, forces and energies of this step, found some missing; with NWRITE = 0 VASP "
        "prints them for the first and the last step only: read vasprun.xml instead"
    )


def _charges(
    density: bader.Density | None,
    header: Header,
    positions: np.ndarray,
    cell: np.ndarray,
    options: ReadOptions,
    last: bool,
) -> tuple[np.ndarray | None, str | None, tuple[str, ...]]:
    if density is None:
        return None, None, ()
    printed = bader.charges(density, header.valence, header.electrons, positions, cell, last)
    return chosen_charges(options, {} if printed is None else {"bader": printed})


def _energy(lines: list[str], options: ReadOptions, name: str) -> tuple[float | None, str | None]:
    free = [found for line in lines if (found := FREE.match(line))][-1]
    extrapolated = [found for line in lines if (found := EXTRAPOLATED.match(line))][-1]
    unit = energy_unit(free.group(2), name)
    return chosen_energy(options, number(free.group(1), name) * unit, number(extrapolated.group(1), name) * unit, name)


def _force_unit(title: str, name: str) -> float:
    found = POSITION.match(title)
    return force_unit(found.group(1) if found else title, name)


def _cell(lines: list[str], name: str) -> np.ndarray:
    starts = [i for i, line in enumerate(lines) if VECTORS in line]
    found = [LATTICE_NUMBER.findall(line)[:3] for line in lines[starts[-1] + 1 : starts[-1] + 4]] if starts else []
    if [len(row) for row in found] != [3, 3, 3]:
        raise DataError(f"{name}: expected three `direct lattice vectors`, found {found}; the file was changed by hand")
    cell = np.array(found).astype(float)
    printed = [float(match.group(1)) for line in lines[: starts[-1]] if (match := VOLUME.match(line))]
    volume = cell_volume(cell)
    if printed and abs(volume - printed[-1]) > SAME_VOLUME * (1 + volume):
        raise DataError(
            f"{name}: expected a cell of the printed {printed[-1]} Å³, found {volume:.2f} Å³; the file was changed"
        )
    return cell


def _stress(lines: list[str], name: str) -> np.ndarray | None:
    found = [match for line in lines if (match := STRESS.match(line))]
    if not found:
        return None
    values = STRESS_NUMBER.findall(found[-1].group(2))
    if len(values) != 6:
        raise DataError(f"{name}: expected six components of the stress, found {found[-1].group(2).strip()!r}")
    return tensor_stress([float(value) for value in values], stress_unit(found[-1].group(1), name), name)


def tensor_stress(values: list[float], unit: float, name: str) -> np.ndarray:
    """Stress in the package's order and sign from VASP's XX YY ZZ XY YZ ZX, compression positive."""
    tensor = np.zeros((3, 3))
    for (i, j), value in zip(SPLIT_STRESS, values, strict=True):
        tensor[i, j] = tensor[j, i] = value
    return -voigt_stress(tensor, name) * unit
