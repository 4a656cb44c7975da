"""Charging and discharging of an electrode: ions are inserted, driven by a small force, relaxed; and again.

The three steps of Sharma and Datta's charging: (1) ions are inserted near the surface of the host, whatever its shape
(`surface_shell`), or into free volume, at random or with grand-canonical acceptance (`insertion`), (2) a small constant
force on the inserted ions, towards the inside of the host from where each is, drives them into it during some steps of
molecular dynamics or minimisation (`driving`), (3) everything relaxes. Discharging pulls the ions that are nearest to
the surface outwards and removes them, or removes ions grand-canonically after that. What a step leaves (atoms, numbers,
state of the random numbers) is in a journal, so that an interrupted run continues, with the same result as one that was
not interrupted.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
from ase import Atoms
from ase.calculators.calculator import BaseCalculator
from ase.calculators.singlepoint import SinglePointCalculator
from ase.data import atomic_numbers
from ase.io.jsonio import decode, encode

from mhdnn.errors import ConfigError, PropertyError
from mhdnn.properties.charging_records import record_of
from mhdnn.properties.driving import drive, settle
from mhdnn.properties.frames import with_results
from mhdnn.properties.insertion import (
    ORDER,
    GrandCanonical,
    host_atoms,
    inserted_ions,
    insertion_order,
    insertion_region,
    random_insertion,
    with_labels,
    without_atom,
)
from mhdnn.properties.journal import Journal, identity
from mhdnn.properties.progress import tracked
from mhdnn.properties.surface_shell import SurfaceShell, inward

CHARGING, DISCHARGING, FINISHED = "charging", "discharging", "finished"


@dataclass(frozen=True)
class ChargingSettings:
    """What is inserted, where, how it is driven, and how it relaxes.

    :param reference_energy: of an atom of the ion's metal with the same calculator, eV; the zero of voltage
    :param ion: symbol
    :param num_ions: when the electrode is full
    :param ions_per_step: inserted or removed in a step (random)
    :param method: random (free places; out again the one nearest to the surface, in volume the last one) or
        grand_canonical
    :param where: surface (a shell around the host; of a slab its upper side) or volume (the whole cell)
    :param nearest: smallest distance of a place in the shell from the host's nuclei, Å
    :param farthest: largest distance from the nearest one, Å
    :param min_distance: from a new ion to all atoms, Å
    :param chemical_potential: relative to the reference energy, eV: minus the applied voltage (grand-canonical)
    :param discharge_potential: the same while discharging, eV
    :param moves: trial insertions and removals in a step (grand-canonical)
    :param max_steps: of charging, and again of discharging
    :param force: on every inserted ion, eV/Å
    :param direction: of the force, the opposite way while discharging; inwards from where each ion is if none
    :param drive_steps: with the force
    :param rate: ions in a picosecond of driven dynamics; decides the number of steps instead of ``drive_steps``
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
    direction: tuple[float, float, float] | None = None
    drive_steps: int = 50
    rate: float | None = None
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
        if self.direction is not None and (len(self.direction) != 3 or not np.linalg.norm(self.direction) > 0):
            raise ConfigError(f"`direction`: expected three numbers, not all zero, got {self.direction}")
        if self.rate is not None and (self.rate <= 0 or self.minimise):
            raise ConfigError(
                f"`rate`: expected a positive number of ions per ps of dynamics, got {self.rate}"
                f"{' with `minimise`, which has no time' if self.minimise else ''}"
            )

    @property
    def num_drive_steps(self) -> int:
        """Steps with the force, of each step of charging."""
        if self.rate is None:
            return self.drive_steps
        return max(1, round(1000.0 * self.ions_per_step / (self.rate * self.time_step)))

    @property
    def drive_time(self) -> float:
        """Of each step of charging, ps; zero for minimisation."""
        return 0.0 if self.minimise else 1e-3 * self.num_drive_steps * self.time_step

    def forces(self, atoms: Atoms, ions: np.ndarray) -> np.ndarray:
        """Forces that drive ions while charging, shape (num_ions, 3), eV/Å."""
        if self.direction is None:
            return self.force * inward(atoms, host_atoms(atoms), ions)
        one = np.asarray(self.direction) / np.linalg.norm(self.direction)
        return np.tile(self.force * one, (len(ions), 1))


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
    records, frames = [state["record"]], [_frame_of(state)]
    for step in tracked(range(1, _most_steps(settings) + 1), "charging"):
        if state["phase"] == FINISHED:
            break
        state = kept.get(str(step), _next_step(run, state))
        records.append(state["record"])
        frames.append(_frame_of(state))
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
        record: dict[str, Any] = {"step": 0, "phase": CHARGING, "is_relaxed": is_relaxed, "time_ps": 0.0}
        record |= record_of(atoms, self.settings)
        return self._state(atoms, record, record["energy_ev"], CHARGING, 0, generator)

    def advance(self, state: dict[str, Any]) -> dict[str, Any]:
        """Insert or remove, drive, relax, record."""
        settings, phase = self.settings, state["phase"]
        generator = np.random.default_rng()
        generator.bit_generator.state = state["generator"]
        atoms = _atoms_of(state)
        atoms.calc = self.calculator
        if phase == CHARGING:
            atoms = self._exchanged(atoms, phase, generator, [])
            self._drive(atoms, inserted_ions(atoms), 1.0, generator)
        else:
            leaving = self._nearest_to_surface(atoms)
            self._drive(atoms, leaving, -1.0, generator)
            atoms = self._exchanged(atoms, phase, generator, leaving)
        is_relaxed = settle(atoms, settings.max_force, settings.relax_steps, settings.relax_cell)
        before = state["record"]
        record = {"step": before["step"] + 1, "phase": phase, "is_relaxed": is_relaxed}
        record["time_ps"] = before["time_ps"] + settings.drive_time
        atoms = with_labels(atoms)
        record |= record_of(atoms, settings, state["host_energy"], before)
        if not math.isfinite(record["energy_ev"]):
            raise PropertyError(
                f"`calculator`: expected a finite energy of {atoms.get_chemical_formula()}, got {record['energy_ev']}; "
                "the structure has left what the model knows. Choose a smaller force or a larger `min_distance`"
            )
        return self._state(atoms, record, state["host_energy"], phase, state["steps_of_phase"] + 1, generator)

    def _drive(self, atoms: Atoms, ions: np.ndarray, sign: float, generator: np.random.Generator) -> None:
        """Move under the force on some ions, inwards or, with the sign -1, outwards; in place."""
        settings = self.settings
        if not len(ions) or not settings.num_drive_steps or not settings.force:
            return
        drive(
            atoms, ions, sign * settings.forces(atoms, ions), settings.num_drive_steps,
            0.0 if settings.minimise else settings.temperature, settings.time_step, settings.friction, generator,
        )  # fmt: skip

    def _nearest_to_surface(self, atoms: Atoms) -> np.ndarray:
        """Indices of the ions that leave next; of a host without surface the last that were inserted."""
        settings, ions = self.settings, inserted_ions(atoms)
        region = insertion_region(atoms, settings.where, settings.nearest, settings.farthest)
        if isinstance(region, SurfaceShell) and len(ions):
            ions = ions[np.argsort(-region.distances(atoms, ions), kind="stable")]
        return ions[::-1][: settings.ions_per_step]

    def _exchanged(
        self, atoms: Atoms, phase: str, generator: np.random.Generator, leaving: Sequence[int] | np.ndarray
    ) -> Atoms:
        """With ions inserted, or those that leave removed; grand-canonically whatever is accepted."""
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
            for index in sorted(leaving, reverse=True):
                atoms = without_atom(atoms, index)
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
            "results": with_results(atoms, self.calculator).calc.results,
            "generator": generator.bit_generator.state,
        }


def _atoms_of(state: dict[str, Any]) -> Atoms:
    return decode(state["atoms"])


def _frame_of(state: dict[str, Any]) -> Atoms:
    """The atoms with energy, forces and stress as results, for the trajectory."""
    atoms = _atoms_of(state)
    atoms.set_array(ORDER, insertion_order(atoms))  # of the host alone, too: one kind of frame
    results = {name: np.array(value) if isinstance(value, list) else value for name, value in state["results"].items()}
    atoms.calc = SinglePointCalculator(atoms, **results)
    return atoms


def _write_trajectory(frames: list[Atoms], records: list[dict[str, Any]], path: Path) -> None:
    for atoms, record in zip(frames, records, strict=True):
        atoms.info = {key: record[key] for key in ("step", "phase", "num_ions", "time_ps")}
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".part-{path.name}")
    ase.io.write(aside, frames, format="extxyz")
    aside.replace(path)
