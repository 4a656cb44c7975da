"""One cell of the table: an interface with its ions, relaxed, and its properties; each kept as soon as it is known."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
from ase import Atoms
from ase.calculators.calculator import BaseCalculator, CalculatorError

from mhdnn.arguments import read_structure
from mhdnn.errors import MHDNNError
from mhdnn.files import write_text_atomically
from mhdnn.properties.calculators import description_of, resolve_calculator
from mhdnn.properties.commands import load
from mhdnn.properties.energies import Energies
from mhdnn.properties.frames import for_a_file, with_results
from mhdnn.properties.interfaces import gap_of
from mhdnn.properties.journal import Journal
from mhdnn.properties.relaxation import relaxed
from mhdnn.properties.screening.pairs import join, metal_of, num_ions, structure_of, with_ions
from mhdnn.properties.screening.plan import SERIES, FileStructure, Plan, Structure, structure_argument
from mhdnn.properties.separation import at_equilibrium_gap
from mhdnn.properties.volumes import atomic_volumes

FAILURES = (MHDNNError, CalculatorError, NotImplementedError, ArithmeticError, ValueError, LookupError, RuntimeError)
"""What a foreign calculator or an unsuitable pair fails with; it is told, and the others go on."""
STRUCTURE = "structure"
METAL = "metal"
GAP_OFFSETS = (-0.5, -0.3, -0.1, 0.1, 0.3, 0.6, 1.0, 1.6, 2.5, 4.0)
"""Gaps of a curve relative to that of the interface, if the plan gives none, Å."""
LONGEST_VECTOR = 6
"""Numbers of an array that become columns."""


@dataclass(frozen=True)
class Cell:
    """What a row of the table is about, or (without a material) the metal that ions come from."""

    calculator: str
    partner: str = ""
    material: str = ""
    ion: str = ""
    content: float = 0.0

    @property
    def name(self) -> str:
        """Of its folder."""
        if not self.material:
            return f"{METAL}-{self.ion}-{self.calculator}"
        ions = f"-{self.ion}-{self.content:g}" if self.content else ""
        return f"{self.partner}-{self.material}{ions}-{self.calculator}"


def cells_of(plan: Plan) -> list[Cell]:
    """All rows of the table; without ions there is one for all of these."""
    contents = [("", 0.0)] if 0 in plan.contents else []
    contents += [(ion, float(content)) for ion in plan.ions for content in plan.contents if content]
    return [
        Cell(calculator, partner, material, ion, content)
        for material in plan.materials
        for partner in plan.partners
        for ion, content in contents
        for calculator in plan.calculators
    ]


def metals_of(plan: Plan) -> list[Cell]:
    """The metals whose energies voltages need."""
    if SERIES not in plan.properties:
        return []
    return [Cell(calculator, ion=ion) for calculator in plan.calculators for ion in plan.ions]


@dataclass(frozen=True)
class Workshop:
    """Where and how a cell is computed; goes to other processes as it is.

    :param folder: a folder for each cell is in it
    :param described: what tells each calculator from others
    """

    plan: Plan
    folder: Path
    described: dict[str, Any]

    def place(self, cell: Cell) -> Path:
        """Folder of a cell."""
        return self.folder / cell.name

    def structure_file(self, cell: Cell) -> Path:
        """Structure of a cell, relaxed, with its results."""
        return self.place(cell) / ("metal.extxyz" if not cell.material else "interface.extxyz")

    def journal(self, cell: Cell) -> Journal:
        """What is known of a cell.

        :raises ConfigError: if it is of another plan
        """
        plan = self.plan
        settings: dict[str, Any] = {"calculator": self.described[cell.calculator]}
        if cell.material:
            settings |= {
                "partner": _told(plan.partners[cell.partner]),
                "material": _told(plan.materials[cell.material]),
                "interface": dataclasses.asdict(plan.interface),
            }
        elif cell.ion in plan.metals:
            settings["metal"] = _told(plan.metals[cell.ion])
        if cell.ion and cell.material:
            settings["insertion"] = dataclasses.asdict(plan.insertion) | {"ion": cell.ion, "content": cell.content}
        settings["relaxation"] = None if plan.relaxation is None else dataclasses.asdict(plan.relaxation)
        return Journal(self.place(cell) / "journal.json", settings)

    def steps(self, cell: Cell) -> dict[str, str]:
        """Names of what is computed, and of their entries in the journal, which hold their settings."""
        if not cell.material:
            return {METAL: METAL}
        entries = {
            name: f"{name} {json.dumps(options, sort_keys=True)}"
            for name, options in self.plan.properties.items()
            if name != SERIES or cell.ion
        }
        return {STRUCTURE: STRUCTURE} | entries

    def is_complete(self, cell: Cell) -> bool:
        """Whether nothing of a cell is left to do."""
        return set(self.steps(cell).values()) <= set(self.journal(cell).results)


def _told(one: Structure) -> dict[str, Any]:
    """What tells a structure of the plan from others; a file counts by its content, wherever it is."""
    told = dataclasses.asdict(one)
    if isinstance(one, FileStructure) and Path(one.file).is_file():
        told["file"] = hashlib.sha256(Path(one.file).read_bytes()).hexdigest()[:16]
    return told


def described_calculators(plan: Plan) -> dict[str, Any]:
    """What tells each calculator of a plan from others; each is made once.

    :raises ConfigError: if one is none
    """
    return {label: description_of(resolve_calculator(text), text) for label, text in plan.calculators.items()}


def compute(workshop: Workshop, cell: Cell) -> None:
    """Compute what is missing of a cell, and write what failed beside it."""
    place = workshop.place(cell)
    failures: list[dict[str, str]] = []
    calculator = resolve_calculator(workshop.plan.calculators[cell.calculator])
    journal = workshop.journal(cell)

    def attempt(name: str, entry: str, task: Callable[[], Any]) -> bool:
        try:
            journal.get(entry, task)
        except FAILURES as error:
            failures.append({"step": name, "kind": type(error).__name__, "reason": " ".join(str(error).split())})
            return False
        return True

    steps = workshop.steps(cell)
    first = STRUCTURE if cell.material else METAL
    making = partial(_structure if cell.material else _metal, workshop, cell, calculator)
    if attempt(first, steps.pop(first), making):
        for name, entry in steps.items():
            attempt(name, entry, partial(_property, workshop, cell, calculator, name))
    write_text_atomically(place / "failures.json", json.dumps(failures, indent=1) + "\n")


def _structure(workshop: Workshop, cell: Cell, calculator: BaseCalculator) -> dict[str, Any]:
    """Build the interface or take the one without ions, insert ions, relax, write it with its results."""
    plan = workshop.plan
    partner, material = structure_of(plan.partners[cell.partner]), structure_of(plan.materials[cell.material])
    atoms, values = join(partner, material, plan.interface)
    hosts = int((atoms.get_array("slab") == 2).sum())
    if cell.ion and 0 in plan.contents:
        atoms = read_written(workshop.structure_file(dataclasses.replace(cell, ion="", content=0.0)))
    if cell.ion:
        atoms = with_ions(atoms, cell.ion, cell.content, plan.insertion)
    if plan.relaxation is not None:
        if not cell.ion:  # sheets that are far apart hardly pull each other
            atoms = at_equilibrium_gap(atoms, Energies(calculator, atoms))
        atoms = relaxed(atoms, calculator, plan.relaxation.max_force, max_steps=plan.relaxation.max_steps)
    write_structure(workshop.structure_file(cell), with_results(atoms, calculator))
    upper = atoms.get_array("slab") == 2
    return values | {
        "num_atoms": len(atoms),
        "num_ions": num_ions(atoms),
        "ions_per_atom": num_ions(atoms) / hosts,
        "gap_angstrom": gap_of(atoms),
        "material_volume_cubic_angstrom": float(atomic_volumes(atoms)[upper].sum()),
    }


def _metal(workshop: Workshop, cell: Cell, calculator: BaseCalculator) -> dict[str, Any]:
    """Relax the metal with its cell, write it with its energy."""
    atoms = metal_of(cell.ion, workshop.plan.metals.get(cell.ion))
    if workshop.plan.relaxation is not None:
        atoms = relaxed(atoms, calculator, workshop.plan.relaxation.max_force, cell=bool(atoms.pbc.all()))
    atoms = with_results(atoms, calculator)
    write_structure(workshop.structure_file(cell), atoms)
    return {"energy_ev_per_atom": atoms.get_potential_energy() / len(atoms)}


def _property(workshop: Workshop, cell: Cell, calculator: BaseCalculator, name: str) -> dict[str, Any]:
    """Numbers of a property's report, as the command computes them from the written structure."""
    function, options = load(name), workshop.plan.properties[name] or {}
    atoms = read_written(workshop.structure_file(cell))
    if name == SERIES:
        empty = read_written(workshop.structure_file(dataclasses.replace(cell, ion="", content=0.0)))
        metal = read_written(workshop.structure_file(Cell(cell.calculator, ion=cell.ion)))
        report = function([empty, atoms], metal, None, ion=cell.ion, relax=False, **options)
        return numbers_of(report.values)
    argument = structure_argument(name)
    given: dict[str, Any] = {str(argument): atoms if argument == "atoms" else [atoms], "calculator": calculator}
    if "journal" in function.__annotations__:
        key = hashlib.sha256(json.dumps(options, sort_keys=True).encode()).hexdigest()[:8]
        given["journal"] = workshop.place(cell) / f"{name}-{key}.json"
    if name == "gap_curve" and "gaps" not in options:
        given["gaps"] = [gap_of(atoms) + offset for offset in GAP_OFFSETS]
    return numbers_of(function(**given, **options).values)


def numbers_of(values: dict[str, Any]) -> dict[str, float]:
    """Single numbers of a report, and short arrays as a number for each component (xx yy zz yz xz xy if six)."""
    result: dict[str, float] = {}
    for name, value in values.items():
        if isinstance(value, bool | str) or value is None:
            continue
        if isinstance(value, int | float | np.integer | np.floating):
            result[name] = float(value)
            continue
        array = np.asarray(value) if isinstance(value, list | tuple | np.ndarray) else np.zeros(0, dtype=object)
        if array.ndim == 1 and 0 < len(array) <= LONGEST_VECTOR and array.dtype.kind in "fi":
            parts = ("xx", "yy", "zz", "yz", "xz", "xy") if len(array) == LONGEST_VECTOR else range(1, len(array) + 1)
            result |= {f"{name}.{part}": float(number) for part, number in zip(parts, array, strict=True)}
    return result


def write_structure(path: Path, atoms: Atoms) -> None:
    """Write a structure with its results as extxyz, all or nothing."""
    text = io.StringIO()
    ase.io.write(text, for_a_file(atoms), format="extxyz")
    write_text_atomically(path, text.getvalue())


def read_written(path: Path) -> Atoms:
    """A structure that `write_structure` wrote.

    :raises MHDNNError: if there is none: its own computation failed
    """
    if not path.is_file():
        raise MHDNNError(f"{path}: expected the structure of another cell of the table, which failed; see its reason")
    return read_structure(str(path))
