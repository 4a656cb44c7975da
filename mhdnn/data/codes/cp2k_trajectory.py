"""Files that CP2K writes beside the output of MD and relaxations: positions, forces, cells and stresses of each step.

``PROJECT-pos-1.xyz`` (Å) and ``PROJECT-frc-1.xyz`` (hartree/bohr) name no units; both are checked against what the
output prints with units. ``PROJECT-1.stress`` of MD holds the kinetic part, so it is no label.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from mhdnn.data.ase_bridge import voigt_stress
from mhdnn.data.codes.labels import NUMBER, atomic_number, numbers, rows
from mhdnn.data.reading import COMPRESSIONS, lines_of
from mhdnn.data.unit_names import length_unit, stress_unit
from mhdnn.errors import DataError
from mhdnn.units import BOHR, HARTREE

COMMENT = re.compile(rf"i\s*=\s*(\d+).*?E\s*=\s*({NUMBER})")
SAME_ENERGY = 2e-9
"""Largest difference between an energy of ten decimals and the same in the output, hartree."""
SAME_FORCE = 1e-5
"""Largest difference between forces in the output and in their file, eV/Å."""
SAME_PLACE = 1e-3
"""Largest difference between positions in the output and in their file, Å."""


@dataclass
class Snapshot:
    """One step of the files; None where there is no file, or no such step in it.

    :param energy: hartree
    :param positions: lines of element and x y z, Å
    :param forces: the same in hartree/bohr
    :param cell: shape (3, 3), Å
    :param stress: shape (6,), eV/Å³, tension positive, kinetic part included
    """

    step: int
    energy: float
    positions: list[str]
    forces: list[str] | None
    cell: np.ndarray | None
    has_cells: bool
    stress: np.ndarray | None

    def is_at(self, energy: float) -> bool:
        """Whether this is the potential energy (eV) of the step."""
        return abs(energy / HARTREE - self.energy) < SAME_ENERGY + 1e-12 * abs(self.energy)

    def atomic_numbers(self, printed: list[int], name: str) -> np.ndarray:
        """From the output, which has them whatever the kinds are called, or else the symbols."""
        if len(printed) == len(self.positions):
            return np.array(printed, dtype=np.int64)
        return np.array([atomic_number(line.split()[0], name) for line in self.positions], dtype=np.int64)

    def checked_positions(self, printed: list[list[float]], name: str) -> np.ndarray:
        """Positions in Å; those of step 0 are printed in the output, too."""
        positions = self._vectors(self.positions, "positions", name)
        if self.step == 0 and len(printed) == len(positions):
            shift = np.abs(positions - np.array(printed)).max()
            if shift > SAME_PLACE:
                raise DataError(
                    f"{name}: expected the positions of the output in Å, found them {shift:.3g} Å apart in the "
                    "trajectory; write it with UNIT angstrom"
                )
        return positions

    def checked_forces(self, printed: np.ndarray | None, name: str) -> np.ndarray | None:
        """Forces of the output, or of their file; both must agree.

        :raises DataError: if they don't, which is so for other units than hartree/bohr
        """
        if self.forces is None:
            return printed
        forces = self._vectors(self.forces, "forces", name) * HARTREE / BOHR
        if printed is not None and np.abs(forces - printed).max() > SAME_FORCE:
            raise DataError(
                f"{name}: expected the forces of the output in hartree/bohr, found others in `-frc-1.xyz`, up to "
                f"{np.abs(forces - printed).max():.3g} eV/Å apart; write it with UNIT hartree*bohr^-1, or remove it"
            )
        return forces

    def cell_or(self, printed: np.ndarray | None, varies: bool, name: str) -> np.ndarray | None:
        """The cell of the step, or the one of the output if it is fixed."""
        if self.cell is None and (varies or self.has_cells):
            raise DataError(
                f"{name}: the cell changes and step {self.step} is not in `-1.cell`; write it with &MOTION &PRINT &CELL"
            )
        return printed if self.cell is None else self.cell

    def stress_or(self, printed: np.ndarray | None, is_dynamics: bool) -> tuple[np.ndarray | None, tuple[str, ...]]:
        """The stress of the output or of the file, and what was not taken."""
        if printed is not None or self.stress is None:
            return printed, ()
        if is_dynamics:
            return None, ("stress in `-1.stress` (holds the kinetic part)",)
        return self.stress, ()

    def _vectors(self, lines: list[str], what: str, name: str) -> np.ndarray:
        return rows(lines, len(self.positions), slice(1, 4), name, what)


@dataclass(frozen=True)
class Trajectory:
    """The files of one run."""

    positions: Path
    forces: Path | None
    cells: Path | None
    stresses: Path | None

    def snapshots(self) -> Iterator[Snapshot | str]:
        """Each step of the positions; a message where they end too early."""
        cells = dict(_table(self.cells, _cell)) if self.cells else {}
        stresses = dict(_table(self.stresses, _stress)) if self.stresses else {}
        forces = _blocks(self.forces) if self.forces else iter(())
        force = next(forces, None)
        for block in _blocks(self.positions):
            if isinstance(block, str):
                yield block
                return
            step, energy, atoms = block
            while force is not None and not isinstance(force, str) and force[0] < step:
                force = next(forces, None)
            of_step = force[2] if isinstance(force, tuple) and force[:2] == (step, energy) else None
            if isinstance(force, str) and self.forces:
                yield force
                return
            yield Snapshot(step, energy, atoms, of_step, cells.get(step), bool(self.cells), stresses.get(step))


def find(output: Path, project: str | None) -> Trajectory | None:
    """The files beside an output; without a project's name the only ``*-pos-1.xyz`` there."""
    folder = output.parent
    if project is None:
        names = {_plain(path).name.removesuffix("-pos-1.xyz") for path in folder.glob("*-pos-1.xyz*")}
        project = names.pop() if len(names) == 1 and output.name.startswith(tuple(names)) else None
    if project is None:
        return None
    positions = _existing(folder, project, "-pos-1.xyz")
    if positions is None:
        return None
    return Trajectory(positions, *(_existing(folder, project, end) for end in ("-frc-1.xyz", "-1.cell", "-1.stress")))


def _plain(path: Path) -> Path:
    return path.with_suffix("") if path.suffix in COMPRESSIONS else path


def _existing(folder: Path, project: str, end: str) -> Path | None:
    """The file of a project, or the only one with a name of its own behind that of the project."""
    for middle in ("", "*"):
        names = [f"{project}{middle}{end}{suffix}" for suffix in ("", *COMPRESSIONS)]
        found = sorted(path for name in names for path in folder.glob(name))
        if found and (len(found) == 1 or not middle):
            return found[0]
    return None


def _blocks(path: Path) -> Iterator[tuple[int, float, list[str]] | str]:
    """Step, energy and lines of atoms of each frame of an xyz file."""
    try:
        lines = lines_of(path)
        for line in lines:
            if not line.strip():
                continue
            comment = COMMENT.search(next(lines, ""))
            if not line.strip().isdecimal() or comment is None:
                yield f"{path}: expected a number of atoms and `i = ..., E = ...`, found {line.strip()[:60]!r}; cut?"
                return
            atoms = list(islice(lines, int(line)))
            if len(atoms) != int(line):
                yield f"{path}: expected {int(line)} atoms in step {comment.group(1)}, found {len(atoms)}; cut?"
                return
            yield int(comment.group(1)), float(comment.group(2)), atoms
    except DataError as error:
        yield str(error)


def _table(path: Path, convert: Callable[[np.ndarray, str, str], np.ndarray]) -> Iterator[tuple[int, np.ndarray]]:
    """Rows of a file whose title names columns with units."""
    unit = ""
    for line in lines_of(path):
        if line.lstrip().startswith("#"):
            units = re.findall(r"\[(.*?)\]", line)
            unit = units[1] if len(units) > 1 else ""
            continue
        words = line.split()
        if len(words) < 11 or not words[0].isdecimal():
            continue
        values = numbers(words[2:11], str(path)).reshape(3, 3)
        yield int(words[0]), convert(values, unit, str(path))


def _cell(values: np.ndarray, unit: str, name: str) -> np.ndarray:
    return values * length_unit(unit, name)


def _stress(values: np.ndarray, unit: str, name: str) -> np.ndarray:
    return -voigt_stress(values, name) * stress_unit(unit, name)
