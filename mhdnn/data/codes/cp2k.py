"""Output of CP2K, versions 6 to 2026: single points, and MD and relaxations with their ``-pos-1.xyz`` beside them.

Every energy, force and stress is in the unit that the file names. CP2K prints the cell to a thousandth of an Å; each
vector is scaled to its length, which has more digits. The energy includes -TS of smeared electrons, so it is the free
energy; that extrapolated to zero width is worked out as F + TS/2, as CP2K does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np

from mhdnn.data.ase_bridge import voigt_stress
from mhdnn.data.codes import cp2k_trajectory
from mhdnn.data.codes.labels import (
    NUMBER,
    THREE,
    Lines,
    check_converged,
    chosen_charges,
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
from mhdnn.units import HARTREE

ENERGY = re.compile(rf"ENERGY\| Total FORCE_EVAL \( \w+ \) (free energy|energy)\s*[\[(](.*?)[\])]:?\s+({NUMBER})")
RUN_TYPE = re.compile(r"^ GLOBAL\| Run type\s+(\S+)")
PROJECT = re.compile(r"^ GLOBAL\| Project name\s+(\S+)")
ENSEMBLE = re.compile(r"^ MD(?:_PAR)?\| Ensemble [Tt]ype\s+(\S+)")
VECTOR = re.compile(rf"^ CELL\| Vector ([abc]) \[(\w+)\]:\s+{THREE}\s+\|[abc]\|\s*=\s*({NUMBER})")
LENGTHS = re.compile(rf"^ (?:MD(?:_INI)?\| Cell lengths|(?:INITIAL )?CELL LNTHS) ?\[(\w+)\]\s*=?\s+{THREE}")
PERIODICITY = re.compile(r"^ (?:CELL|POISSON)\| Periodicity\s+(\w+)")
CHARGE = re.compile(r"^ DFT\| Charge\s+([-+]?\d+)")
COORDINATES = re.compile(r"ATOMIC COORDINATES IN (\w+)", re.IGNORECASE)
COORDINATE = re.compile(rf"^\s+\d+\s+\d+\s+[A-Z][a-z]?\s+(\d+)\s+{THREE}")
FORCES = re.compile(r"^ (?:ATOMIC FORCES in|FORCES\| Atomic forces) \[(.*?)\]")
FORCE = re.compile(rf"^ (?:FORCES\|\s+\d+|\s*\d+\s+\d+\s+[A-Z]\w*)\s+({NUMBER}\s+{NUMBER}\s+{NUMBER})")
STRESS = re.compile(r"^ (?:STRESS\| \w+ stress tensor|(?:\w+ )?STRESS TENSOR) \[(.*?)\]")
STRESS_ROW = re.compile(rf"^\s*(?:STRESS\|)?\s+[xyzXYZ]\s+({NUMBER}\s+{NUMBER}\s+{NUMBER})\s*$")
ENTROPY = re.compile(rf"^\s+(?:Electronic entropic energy|Smearing free energy correction):\s+({NUMBER})")
MULLIKEN, HIRSHFELD = re.compile(r"Mulliken Population Analysis"), re.compile(r"^\s+Hirshfeld Charges")
POPULATION = re.compile(r"^\s+\d+\s+[A-Z]\w*\s+\d+\s+(.*)$")
CONVERGED = {
    "SCF run converged": True,
    "outer SCF loop converged": True,
    "SCF run NOT converged": False,
    "outer SCF loop FAILED": False,
    "Leaving inner SCF loop": False,
}
"""The last of them before an energy decides."""
SINGLE_POINTS = ("ENERGY", "ENERGY_FORCE", "WFN_OPT", "WAVEFUNCTION_OPTIMIZATION")


@dataclass
class Head:
    """What was last printed of the system."""

    run_type: str | None = None
    project: str | None = None
    ensemble: str = ""
    cell: dict[str, list[float]] = field(default_factory=dict)
    periodicity: str = "XYZ"
    charge: float | None = None
    numbers: list[int] = field(default_factory=list)
    positions: list[list[float]] = field(default_factory=list)

    def cell_vectors(self) -> np.ndarray | None:
        """Shape (3, 3), Å."""
        if sorted(self.cell) != ["a", "b", "c"]:
            return None
        vectors = np.array([self.cell[axis] for axis in "abc"])
        lengths = np.linalg.norm(vectors[:, :3], axis=1)
        return vectors[:, :3] * (vectors[:, 3] / np.where(lengths > 0, lengths, 1.0))[:, None]


@dataclass
class Step:
    """Labels around one energy, not yet in the package's units.

    :param lengths: of the cell vectors in this step of MD, Å
    """

    head: Head
    energies: dict[str, tuple[str, str]] = field(default_factory=dict)
    converged: bool = True
    entropy: float = 0.0
    charges: dict[str, list[str]] = field(default_factory=dict)
    lengths: list[float] | None = None
    forces: tuple[str, list[str]] | None = None
    stress: tuple[str, list[str]] | None = None
    broken: str = ""

    def energy(self, kind: str, name: str) -> float:
        """The ``energy`` or ``free energy`` in eV."""
        unit, value = self.energies.get(kind, self.energies["energy"])
        return number(value, name) * energy_unit(unit, name)


def frames(path: Path, options: ReadOptions) -> Iterator[Frame]:
    """The single points of an output, or the steps of its trajectory."""
    steps = list(_steps(path))
    complete = [step for step in steps if step.energies]
    if not complete:
        yield no_steps(path, "line `ENERGY| Total FORCE_EVAL`")
        return
    head = complete[0].head
    trajectory = None if head.run_type in SINGLE_POINTS else cp2k_trajectory.find(path, head.project)
    if trajectory is not None:
        yield from _trajectory(path, trajectory, complete, options)
    else:
        yield from _single_points(path, complete, options)
    if steps[-1].broken or not steps[-1].energies:
        why = steps[-1].broken or "it has no energy"
        yield failing(f"{path}: frame {len(complete)}: the file ends within this step ({why}); use `--skip-invalid`")


def _single_points(path: Path, steps: list[Step], options: ReadOptions) -> Iterator[Frame]:
    for number_, step in enumerate(steps):
        name = f"{path}: frame {number_}"
        moved = number_ > 0 and step.head.positions is steps[number_ - 1].head.positions
        if moved:
            project = step.head.project or "PROJECT"
            yield failing(
                f"{name}: this is a step of a trajectory whose positions stand elsewhere; put "
                f"`{project}-pos-1.xyz` beside the output"
            )
            return
        yield partial(_record, step, None, path, name, options)


def _trajectory(
    path: Path, trajectory: cp2k_trajectory.Trajectory, steps: list[Step], options: ReadOptions
) -> Iterator[Frame]:
    """Each structure of the trajectory with the step of the output that has its energy."""
    places = list(_places(trajectory, steps, str(path)))
    taken = sum(isinstance(place, tuple) for place in places)
    left = (f"{len(steps) - taken} steps without positions",) if taken < len(steps) else ()
    for count, place in enumerate(places):
        name = f"{path}: frame {count}"
        if isinstance(place, str):
            yield failing(f"{name}: {place}")
        else:
            unused = left if count == len(places) - 1 else ()
            yield partial(_record, *place, path, name, options, unused)


def _places(
    trajectory: cp2k_trajectory.Trajectory, steps: list[Step], name: str
) -> Iterator[tuple[Step, cp2k_trajectory.Snapshot | None] | str]:
    after = 0
    for snapshot in trajectory.snapshots():
        if isinstance(snapshot, str):
            yield snapshot
            return
        found = next((i for i in range(after, len(steps)) if snapshot.is_at(steps[i].energy("energy", name))), None)
        if found is None:
            yield (
                f"expected a step of the output with the energy {snapshot.energy} Ha of step {snapshot.step} in "
                f"{trajectory.positions}, found none; the files belong to different runs or the output is cut"
            )
            continue
        if after == 0 and found == 1 and steps[0].head.positions:
            yield steps[0], None  # where a relaxation began
        yield steps[found], snapshot
        after = found + 1


def _steps(path: Path) -> Iterator[Step]:
    """One step for each energy; the last one may have none, if iterations follow that were cut."""
    lines = Lines(lines_of(path))
    head = Head()
    step = Step(head)
    coming: Step | None = None
    try:
        for line in lines:
            head = _read_head(line, lines, head)
            if found := ENERGY.search(line):
                if coming is not None:
                    yield from [step] if step.energies else []
                    step, coming = coming, None
                elif found.group(1) in step.energies:
                    yield step
                    step = Step(head)
                step.head = head
                step.energies[found.group(1)] = (found.group(2), found.group(3))
            elif _read_after(line, lines, step):
                continue
            elif (belongs := _before_energy(line)) and step.energies:
                coming = coming or Step(head)
                _read_before(belongs, line, lines, coming)
            elif belongs:
                _read_before(belongs, line, lines, step)
    except DataError as error:
        (coming or step).broken = str(error)
    if step.energies or step.broken:
        yield step
    if coming is not None:
        yield coming


def _before_energy(line: str) -> str | None:
    """What is printed ahead of the energy that it belongs to."""
    if MULLIKEN.search(line):
        return "mulliken"
    if HIRSHFELD.match(line):
        return "hirshfeld"
    if ENTROPY.match(line):
        return "entropy"
    return next((event for event in CONVERGED if event in line), None)


def _read_after(line: str, lines: Lines, step: Step) -> bool:
    """Reads what is printed behind the energy that it belongs to."""
    if found := FORCES.match(line):
        step.forces = (found.group(1), _rows(lines, FORCE))
    elif found := STRESS.match(line):
        step.stress = (found.group(1), _rows(lines, STRESS_ROW)[:3])
    elif found := LENGTHS.match(line):
        scale = length_unit(found.group(1), "cell lengths")
        step.lengths = [float(value) * scale for value in found.groups()[1:]]
    else:
        return False
    return True


def _read_before(kind: str, line: str, lines: Lines, step: Step) -> None:
    if kind in CONVERGED:
        step.converged = CONVERGED[kind]
    elif kind == "entropy":
        found = ENTROPY.match(line)
        step.entropy = float(found.group(1)) * HARTREE if found else 0.0
    else:
        step.charges[kind] = _rows(lines, POPULATION)


def _rows(lines: Lines, row: re.Pattern[str]) -> list[str]:
    return [match.group(1) for match in table(lines, row)]


def _read_head(line: str, lines: Lines, head: Head) -> Head:
    if found := VECTOR.match(line):
        axis, unit, *values = found.groups()
        scale = length_unit(unit, "CELL|")
        return replace(head, cell={**head.cell, axis: [float(value) * scale for value in values]})
    if found := COORDINATES.search(line):
        scale = length_unit(found.group(1), "ATOMIC COORDINATES")
        atoms = [match.groups() for match in table(lines, COORDINATE)]
        positions = [[float(value) * scale for value in atom[1:]] for atom in atoms]
        return replace(head, numbers=[int(atom[0]) for atom in atoms], positions=positions)
    if found := PERIODICITY.match(line):
        return replace(head, periodicity=found.group(1).upper())
    if found := CHARGE.match(line):
        return replace(head, charge=float(found.group(1)))
    if found := RUN_TYPE.match(line):
        return replace(head, run_type=found.group(1).upper())
    if found := PROJECT.match(line):
        return replace(head, project=found.group(1))
    if found := ENSEMBLE.match(line):
        return replace(head, ensemble=found.group(1).upper())
    return head


def _record(
    step: Step,
    snapshot: cp2k_trajectory.Snapshot | None,
    path: Path,
    name: str,
    options: ReadOptions,
    left: tuple[str, ...] = (),
) -> Record:
    head = step.head
    check_converged(step.converged, options, name, "SCF run NOT converged")
    free = step.energy("free energy", name)
    energy, kind = chosen_energy(options, free, free - step.entropy / 2, name)
    numbers, positions, cell = _geometry(step, snapshot, name)
    atoms = len(numbers)
    charges, scheme, unused = chosen_charges(options, _charges(step, atoms, name))
    forces = _forces(step, atoms, name)
    stress = _stress(step, name)
    if snapshot is not None:
        forces = snapshot.checked_forces(forces, name)
        stress, others = snapshot.stress_or(stress, head.ensemble != "")
        unused += others
    structure = Structure(
        atomic_numbers=numbers,
        positions=positions,
        cell=cell,
        pbc=np.array([axis in head.periodicity for axis in "XYZ"]),
        energy=energy,
        forces=forces,
        stress=stress,
        charges=charges,
        total_charge=head.charge,
        group=default_group(path),
    )
    return Record(structure, energy_kind=kind, charge_scheme=scheme, unused=unused + left)


def _geometry(
    step: Step, snapshot: cp2k_trajectory.Snapshot | None, name: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    head, cell = step.head, step.head.cell_vectors()
    if snapshot is not None:
        varies = head.ensemble.startswith("NP")
        if varies and head.ensemble.endswith("_I") and step.lengths and cell is not None:  # it keeps its shape
            cell = cell * (np.array(step.lengths) / np.linalg.norm(cell, axis=1))[:, None]
            varies = False
        cell = snapshot.cell_or(cell, varies, name)
    if cell is None or (snapshot is None and not head.positions):
        raise DataError(
            f"{name}: expected atomic coordinates and three `CELL| Vector` lines, found {len(head.positions)} atoms "
            f"and {len(head.cell)} vectors; use print level MEDIUM in CP2K"
        )
    if snapshot is None:
        return np.array(head.numbers, dtype=np.int64), np.array(head.positions), cell
    return snapshot.atomic_numbers(head.numbers, name), snapshot.checked_positions(head.positions, name), cell


def _charges(step: Step, atoms: int, name: str) -> dict[str, np.ndarray]:
    """Net charges; Hirshfeld's are preferred, since Mulliken's depend on the basis."""
    found = {}
    for scheme in ("hirshfeld", "mulliken"):
        printed = [row.split() for row in step.charges.get(scheme, [])]
        if not printed:
            continue
        spins = len(printed[0]) == 4 and scheme == "mulliken"  # alpha, beta, net charge, spin moment
        if len(printed) != atoms:
            raise DataError(
                f"{name}: expected {scheme} charges of {atoms} atoms, found {len(printed)}; the file is cut"
            )
        found[scheme] = np.array([number(row[2 if spins else -1], name) for row in printed])
    return found


def _forces(step: Step, atoms: int, name: str) -> np.ndarray | None:
    if step.forces is None:
        return None
    unit, printed = step.forces
    return rows(printed, atoms, slice(0, None), name, "forces") * force_unit(unit, name)


def _stress(step: Step, name: str) -> np.ndarray | None:
    if step.stress is None:
        return None
    unit, printed = step.stress
    tensor = rows(printed, 3, slice(0, None), name, "stress")
    return -voigt_stress(tensor, name) * stress_unit(unit, name)  # compression positive
