"""Charging and discharging of an electrode: ions are inserted, driven by a small force, relaxed; and again.

The three steps of Sharma and Datta's charging: (1) ions are inserted over a surface or into free volume, at random or
with grand-canonical acceptance (`insertion`), (2) a small constant force on the inserted ions drives them into the host
during some steps of molecular dynamics or minimisation (`driving`), (3) everything relaxes. Discharging removes ions,
the last one first or grand-canonically, and drives the others the opposite way. What a step leaves (atoms, numbers,
state of the random numbers) is in a journal, so that an interrupted run continues, with the same result as one that was
not interrupted.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
from ase import Atoms
from ase.calculators.calculator import BaseCalculator
from ase.data import atomic_numbers
from ase.io.jsonio import decode, encode

from mhdnn.errors import ConfigError, PropertyError
from mhdnn.properties.charging_records import record_of
from mhdnn.properties.driving import drive, settle
from mhdnn.properties.insertion import (
    ORDER,
    GrandCanonical,
    inserted_ions,
    insertion_region,
    random_insertion,
    without_atom,
)
from mhdnn.properties.journal import Journal, identity
from mhdnn.properties.progress import tracked

CHARGING, DISCHARGING, FINISHED = "charging", "discharging", "finished"


@dataclass(frozen=True)
class ChargingSettings:
    """What is inserted, where, how it is driven, and how it relaxes.

    :param reference_energy: of an atom of the ion's metal with the same calculator, eV; the zero of voltage
    :param ion: symbol
    :param num_ions: when the electrode is full
    :param ions_per_step: inserted or removed in a step (random)
    :param method: random (free places, reverse order) or grand_canonical
    :param where: surface (a layer over the host's highest atom) or volume (the whole cell)
    :param nearest: lower end of that layer over the highest atom, Å
    :param farthest: its upper end, Å
    :param min_distance: from a new ion to all atoms, Å
    :param chemical_potential: relative to the reference energy, eV: minus the applied voltage (grand-canonical)
    :param discharge_potential: the same while discharging, eV
    :param moves: trial insertions and removals in a step (grand-canonical)
    :param max_steps: of charging, and again of discharging
    :param force: on every inserted ion, eV/Å
    :param direction: of the force; the opposite way while discharging
    :param drive_steps: with the force
    :param temperature: of dynamics and grand-canonical moves, K
    :param minimise: drive by minimisation instead of dynamics
    :param time_step: fs
    :param friction: of the thermostat, 1/fs
    :param relax_steps: at most, after driving
    :param max_force: at which relaxation ends, eV/Å
    :param relax_cell: whether the cell relaxes, too
    :param discharge: whether discharging follows
    :param electrons: charge number z of the ion
    :param distortion_center: element whose polyhedra are measured
    :param seed: of everything random
    """

    reference_energy: float
    ion: str = "Li"
    num_ions: int = 8
    ions_per_step: int = 1
    method: str = "random"
    where: str = "surface"
    nearest: float = 1.5
    farthest: float = 3.0
    min_distance: float = 1.8
    chemical_potential: float = 0.0
    discharge_potential: float = -5.0
    moves: int = 50
    max_steps: int = 100
    force: float = 0.1
    direction: tuple[float, float, float] = (0.0, 0.0, -1.0)
    drive_steps: int = 50
    temperature: float = 300.0
    minimise: bool = False
    time_step: float = 1.0
    friction: float = 0.02
    relax_steps: int = 200
    max_force: float = 0.05
    relax_cell: bool = False
    discharge: bool = False
    electrons: int = 1
    distortion_center: str | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        """Check.

        :raises ConfigError: for values that make no sense
        """
        if self.method not in ("random", "grand_canonical"):
            raise ConfigError(f"`method`: expected random or grand_canonical, got {self.method!r}")
        if self.ion not in atomic_numbers:
            raise ConfigError(f"`ion`: expected the symbol of an element, got {self.ion!r}")
        least = {
            "electrons": 1,
            "num_ions": 1,
            "ions_per_step": 1,
            "moves": 1,
            "max_steps": 1,
            "drive_steps": 0,
            "relax_steps": 0,
        }
        for name, limit in least.items():
            if getattr(self, name) < limit:
                raise ConfigError(f"`{name}`: expected at least {limit}, got {getattr(self, name)}")
        for name in ("min_distance", "temperature", "time_step", "friction", "max_force"):
            if getattr(self, name) <= 0:
                raise ConfigError(f"`{name}`: expected a positive number, got {getattr(self, name)}")
        if len(self.direction) != 3 or not np.linalg.norm(self.direction) > 0:
            raise ConfigError(f"`direction`: expected three numbers, not all zero, got {self.direction}")

    @property
    def force_vector(self) -> np.ndarray:
        """Force while charging, shape (3,), eV/Å."""
        return self.force * np.asarray(self.direction) / np.linalg.norm(self.direction)


def charge(
    host: Atoms,
    calculator: BaseCalculator,
    settings: ChargingSettings,
    journal: str | Path | None = None,
    trajectory: str | Path | None = None,
) -> list[dict[str, Any]]:
    """Charge an electrode, and discharge it if the settings say so.

    :param host: constraints (`FixAtoms`) hold; atoms of the ion's element that it has are not counted
    :param calculator: any of ASE; charges and stress are recorded if it has them
    :param journal: JSON file in which each step is kept; an interrupted run continues from it
    :param trajectory: extended XYZ file of the relaxed states
    :return: a record of each state, the relaxed host first (`charging_records.record_of`)
    :raises ConfigError: if the host has no cell, or the journal is of another run
    :raises PropertyError: if there is no free place, or the energy is not finite any more
    """
    kept = Journal(journal, {} if journal is None else {**identity(host, calculator), **asdict(settings)})
    run = _Run(calculator, settings)
    state = kept.get("0", lambda: run.start(host))
    records, frames = [state["record"]], [_atoms_of(state)]
    for step in tracked(range(1, _most_steps(settings) + 1), "charging"):
        if state["phase"] == FINISHED:
            break
        state = kept.get(str(step), _next_step(run, state))
        records.append(state["record"])
        frames.append(_atoms_of(state))
    if trajectory is not None:
        _write_trajectory(frames, records, Path(trajectory))
    return records


def _next_step(run: _Run, state: dict[str, Any]) -> Callable[[], dict[str, Any]]:
    return lambda: run.advance(state)


def _most_steps(settings: ChargingSettings) -> int:
    """Steps of a run if none ends early."""
    steps = settings.max_steps
    if settings.method == "random":
        steps = min(steps, math.ceil(settings.num_ions / settings.ions_per_step))
    return steps * (2 if settings.discharge else 1)


class _Run:
    """Steps of charging and discharging, from one state to the next."""

    def __init__(self, calculator: BaseCalculator, settings: ChargingSettings) -> None:
        self.calculator = calculator
        self.settings = settings

    def start(self, host: Atoms) -> dict[str, Any]:
        """The relaxed host."""
        atoms = host.copy()
        atoms.set_array(ORDER, None)  # ions of a run before are part of the host now
        insertion_region(atoms, self.settings.where, self.settings.nearest, self.settings.farthest)
        atoms.calc = self.calculator
        is_relaxed = settle(atoms, self.settings.max_force, self.settings.relax_steps, self.settings.relax_cell)
        generator = np.random.default_rng(self.settings.seed)
        record: dict[str, Any] = {"step": 0, "phase": CHARGING, "is_relaxed": is_relaxed} | record_of(
            atoms, self.settings
        )
        return self._state(atoms, record, record["energy_ev"], CHARGING, 0, generator)

    def advance(self, state: dict[str, Any]) -> dict[str, Any]:
        """Insert or remove, drive, relax, record."""
        settings, phase = self.settings, state["phase"]
        generator = np.random.default_rng()
        generator.bit_generator.state = state["generator"]
        atoms = _atoms_of(state)
        atoms.calc = self.calculator
        atoms = self._exchanged(atoms, phase, generator)
        ions = inserted_ions(atoms)
        if len(ions) and settings.drive_steps and settings.force:
            sign = 1.0 if phase == CHARGING else -1.0
            temperature = 0.0 if settings.minimise else settings.temperature
            drive(
                atoms, ions, sign * settings.force_vector, settings.drive_steps, temperature,
                settings.time_step, settings.friction, generator,
            )  # fmt: skip
        is_relaxed = settle(atoms, settings.max_force, settings.relax_steps, settings.relax_cell)
        before = state["record"]
        record = {"step": before["step"] + 1, "phase": phase, "is_relaxed": is_relaxed}
        record |= record_of(atoms, settings, state["host_energy"], before)
        if not math.isfinite(record["energy_ev"]):
            raise PropertyError(
                f"`calculator`: expected a finite energy of {atoms.get_chemical_formula()}, got {record['energy_ev']}; "
                "the structure has left what the model knows. Choose a smaller force or a larger `min_distance`"
            )
        return self._state(atoms, record, state["host_energy"], phase, state["steps_of_phase"] + 1, generator)

    def _exchanged(self, atoms: Atoms, phase: str, generator: np.random.Generator) -> Atoms:
        """With ions inserted or removed."""
        settings = self.settings
        region = insertion_region(atoms, settings.where, settings.nearest, settings.farthest)
        if settings.method == "grand_canonical":
            relative = settings.chemical_potential if phase == CHARGING else settings.discharge_potential
            potential = settings.reference_energy + relative
            moves = GrandCanonical(
                settings.ion, region, settings.min_distance, potential, settings.temperature, settings.num_ions
            )
            return moves.run(atoms, settings.moves, generator)
        calculator = atoms.calc
        num_ions = len(inserted_ions(atoms))
        if phase == CHARGING:
            for _ in range(min(settings.ions_per_step, settings.num_ions - num_ions)):
                atoms = random_insertion(atoms, settings.ion, region, settings.min_distance, generator)
        else:
            for _ in range(min(settings.ions_per_step, num_ions)):
                atoms = without_atom(atoms, inserted_ions(atoms)[-1])
        atoms.calc = calculator
        return atoms

    def _state(
        self,
        atoms: Atoms,
        record: dict[str, Any],
        host_energy: float,
        phase: str,
        steps_of_phase: int,
        generator: np.random.Generator,
    ) -> dict[str, Any]:
        """Everything that the next step needs, as JSON has it."""
        settings = self.settings
        done = steps_of_phase >= settings.max_steps
        if phase == CHARGING and (done or record["num_ions"] >= settings.num_ions):
            phase, steps_of_phase = (DISCHARGING if settings.discharge else FINISHED), 0
        elif phase == DISCHARGING and (done or record["num_ions"] == 0):
            phase = FINISHED
        return {
            "record": record,
            "phase": phase,
            "steps_of_phase": steps_of_phase,
            "host_energy": host_energy,
            "atoms": encode(atoms.copy()),
            "generator": generator.bit_generator.state,
        }


def _atoms_of(state: dict[str, Any]) -> Atoms:
    return decode(state["atoms"])


def _write_trajectory(frames: list[Atoms], records: list[dict[str, Any]], path: Path) -> None:
    for atoms, record in zip(frames, records, strict=True):
        atoms.info = {key: record[key] for key in ("step", "phase", "num_ions", "energy_ev")}
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".part-{path.name}")
    ase.io.write(aside, frames, format="extxyz")
    aside.replace(path)
