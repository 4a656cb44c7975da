r"""Molecular dynamics and relaxations with a model, ended where it is no longer trusted; what they meet are candidates.

The **grade** of a structure is the largest expected error of a force (`mhdnn.uncertainty`), eV/Å. Up to the limit the
model is trusted. A trajectory goes on above it and ends at a multiple of it, at a number that is none, or where atoms
are nearer than nuclei come; what it kept before is sound enough to be labelled.
"""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
from ase import Atoms, units
from ase.md.md import MolecularDynamics
from ase.md.verlet import VelocityVerlet
from ase.optimize import FIRE

from mhdnn.active.plan import Exploration
from mhdnn.active.recipes import nearest_of
from mhdnn.data.ase_bridge import bare
from mhdnn.deploy.calculator import MHDNNCalculator
from mhdnn.deploy.guard import ExtrapolationWarning
from mhdnn.errors import ConfigError, ModelError, NotFiniteError
from mhdnn.files import write_text_atomically
from mhdnn.properties.elasticity_md import Dynamics
from mhdnn.properties.velocities import thermal_momenta

GRADE, STEP = "grade", "step"
"""In the info of frames: eV/Å, and their number."""
LEAST_LIMIT = 0.02
"""eV/Å: where the training set is known better than this, nothing depends on more."""
DISPLACED = 0.1
"""Å: standard deviation by which a relaxation begins beside its structure, which may be a saddle point."""
RELAXED = 0.02
"""eV/Å: largest force where a relaxation ends."""
COMPLETE, UNCERTAIN, CLOSE, NOT_FINITE = "complete", "uncertain", "atoms too close", "not finite"
"""How a trajectory ends."""


@dataclass
class Trajectory:
    """A trajectory as far as it went.

    :param frames: that were kept, with `GRADE` and `STEP` in their info; none is beyond what may be labelled
    :param grades: of every step
    :param ended: `COMPLETE`, or why it ended before
    """

    frames: list[Atoms] = field(default_factory=list)
    grades: list[float] = field(default_factory=list)
    ended: str = COMPLETE

    def is_trusted(self, limit: float) -> bool:
        """Whether all of it was below the limit."""
        return self.ended == COMPLETE and max(self.grades) <= limit

    def summary(self, limit: float) -> dict[str, Any]:
        """For journals: how far it went, its largest grade, whether it is trusted."""
        above = [step for step, grade in enumerate(self.grades) if grade > limit]
        return {
            "ended": self.ended,
            "num_steps": max(len(self.grades) - 1, 0),
            "largest_grade": max(self.grades, default=None),
            "first_above": above[0] if above else None,
            "num_frames": len(self.frames),
            "is_trusted": self.is_trusted(limit),
        }

    def write(self, path: Path) -> None:
        """The frames as extended XYZ with their grades, all or nothing."""
        text = io.StringIO()
        if self.frames:
            ase.io.write(text, self.frames, format="extxyz")
        write_text_atomically(path, text.getvalue())


def read_frames(path: Path) -> list[Atoms]:
    """The frames that `Trajectory.write` wrote."""
    return list(ase.io.iread(path, format="extxyz")) if path.stat().st_size else []


def limit_of(settings: Exploration, model: Path) -> float:
    """The grade up to which a model is trusted, eV/Å: the plan's, or the largest of the training set, or `LEAST_LIMIT`.

    :raises ModelError: if the model has no expected errors
    """
    calculator = MHDNNCalculator(model)
    known = calculator.metadata.get("uncertainty")
    if not known:
        raise ModelError(
            f"{model}: expected a model with expected errors, got one without: the validation set is too small; label "
            "more structures in the first round (`sample.num`), or raise `validation`"
        )
    return max(LEAST_LIMIT, float(known["largest_error"])) if settings.limit == "auto" else float(settings.limit)


def explore(
    start: Atoms, model: Path, settings: Exploration, temperature: float, limit: float, generator: np.random.Generator
) -> Trajectory:
    """One trajectory from a structure, with momenta of the temperature; constraints of the atoms hold.

    :param temperature: K; 0: a relaxation
    :param limit: grade up to which the model is trusted, eV/Å
    """
    atoms, result = start.copy(), Trajectory()
    atoms.info = bare(start).info
    atoms.calc = MHDNNCalculator(model)
    moved = _moved(atoms, settings, temperature, generator)
    before: Atoms | None = None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExtrapolationWarning)  # the grade says it
        for step in range(settings.steps + 1):
            grade = _grade_after(moved, atoms, 0 if step == 0 else 1)
            frame = _frame(atoms, grade, step)
            result.ended = _end(atoms, grade, step, settings, limit)
            if np.isfinite(grade):
                result.grades.append(grade)
            if result.ended != COMPLETE:
                break
            was_trusted = before is None or before.info[GRADE] <= limit
            if step % settings.interval == 0 or (was_trusted and grade > limit):
                result.frames.append(frame)
            before = frame
            if temperature == 0 and np.linalg.norm(atoms.get_forces(), axis=1).max() < RELAXED:
                break
    if before is not None and (not result.frames or result.frames[-1] is not before):
        result.frames.append(before)
    result.frames = [frame for frame in result.frames if nearest_of(frame, settings.nearest) >= settings.nearest]
    return result


class Relaxation:
    """Steps of FIRE, taken as those of dynamics."""

    def __init__(self, atoms: Atoms) -> None:
        self._optimizer = FIRE(atoms, logfile=None)

    def run(self, num_steps: int) -> None:
        """Go on."""
        if num_steps > 0:
            self._optimizer.run(fmax=RELAXED, steps=num_steps)


def _moved(
    atoms: Atoms, settings: Exploration, temperature: float, generator: np.random.Generator
) -> MolecularDynamics | Relaxation:
    """What moves the atoms."""
    if temperature == 0:
        atoms.set_positions(atoms.positions + DISPLACED * generator.normal(size=atoms.positions.shape))
        return Relaxation(atoms)
    atoms.set_momenta(thermal_momenta(atoms, temperature, generator))
    if settings.ensemble == "nve":
        return VelocityVerlet(atoms, settings.time_step * units.fs)
    dynamics = Dynamics(temperature, time_step=settings.time_step, friction=settings.friction)
    return dynamics.integrator(atoms, generator)


def _grade_after(moved: MolecularDynamics | Relaxation, atoms: Atoms, num_steps: int) -> float:
    """Grade after so many steps; infinite where the model has no number."""
    try:
        moved.run(num_steps)
        atoms.get_forces()
    except NotFiniteError:
        return np.inf
    assert atoms.calc is not None
    return float(atoms.calc.results["uncertainty"])


def _frame(atoms: Atoms, grade: float, step: int) -> Atoms:
    frame = atoms.copy()
    frame.set_constraint()
    frame.arrays.pop("momenta", None)
    frame.info |= {GRADE: grade, STEP: step}
    return frame


def _end(atoms: Atoms, grade: float, step: int, settings: Exploration, limit: float) -> str:
    """Why the trajectory ends after this step, or `COMPLETE`."""
    if not np.isfinite(grade) or not np.isfinite(atoms.positions).all():
        return NOT_FINITE
    if grade > settings.beyond * limit:
        return UNCERTAIN
    if step % settings.interval == 0 and nearest_of(atoms, settings.nearest) < settings.nearest:
        return CLOSE
    return COMPLETE


def check_start(structures: list[Atoms], nearest: float) -> None:
    """Refuse structures that no trajectory could begin with.

    :raises ConfigError: naming the first
    """
    for number, atoms in enumerate(structures):
        distance = nearest_of(atoms, nearest)
        if distance < nearest:
            raise ConfigError(
                f"`structures`: expected atoms {nearest:g} sums of covalent radii apart or more, got {distance:.3f} in "
                f"number {number}, {atoms.get_chemical_formula()}; relax it, or lower `exploration.nearest`"
            )
