"""Molecular dynamics for diffusion: trajectories in segments, each a file, so that an interruption costs little."""

from __future__ import annotations

import zlib
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
from ase import Atoms
from ase.calculators.calculator import BaseCalculator

from mhdnn.errors import ConfigError, PropertyError
from mhdnn.properties.elasticity_md import Dynamics
from mhdnn.properties.journal import Journal, identity
from mhdnn.properties.progress import tracked
from mhdnn.properties.velocities import thermal_momenta

FRAMES_OF_A_SEGMENT = 100


@dataclass(frozen=True)
class Sampling:
    """What is kept of the dynamics.

    :param interval: steps between frames
    :param seed: of velocities and thermostat
    :raises ConfigError: if the interval is not positive
    """

    interval: int = 50
    seed: int = 0

    def __post_init__(self) -> None:
        if self.interval < 1:
            raise ConfigError(f"`interval`: expected a positive number of steps, got {self.interval}")


class Trajectories:
    """Trajectories of a structure at several temperatures, in the canonical ensemble (Langevin).

    With a journal each segment of 100 frames is a file beside it, ``JOURNAL_600K_0001.traj``, and an interrupted
    trajectory continues after the last one, with the result of one that was not interrupted.

    :param atoms: supercell
    :param dynamics: at each temperature; its own one is not used
    :param journal: JSON file; None keeps nothing
    :raises ConfigError: if the journal is of another calculation
    """

    def __init__(
        self, atoms: Atoms, calculator: BaseCalculator, dynamics: Dynamics, sampling: Sampling, journal: Path | None
    ) -> None:
        self.atoms, self.calculator, self.dynamics, self.sampling = atoms, calculator, dynamics, sampling
        settings = {key: value for key, value in asdict(dynamics).items() if key not in ("temperature", "num_steps")}
        kept = {} if journal is None else {**identity(atoms, calculator), **settings, **asdict(sampling)}
        self.path, self.journal = journal, Journal(journal, kept)

    def run(self, temperature: float) -> list[Atoms]:
        """The frames at a temperature (K), unwrapped; more steps than before continue what is in the journal.

        :raises ConfigError: if a file of the journal is missing
        :raises PropertyError: if an atom leaves all bounds
        """
        current = self.atoms.copy()
        current.set_momenta(thermal_momenta(current, temperature, self._generator(temperature, 0)))
        whole, rest = divmod(self.dynamics.num_steps // self.sampling.interval, FRAMES_OF_A_SEGMENT)
        sizes = [1, *[FRAMES_OF_A_SEGMENT] * whole, *([rest] if rest else [])]
        frames: list[Atoms] = []
        for number, size in enumerate(tracked(sizes, f"{temperature:g} K")):
            frames += self._segment(temperature, number, size, current)
            current = frames[-1]
        return frames

    def _segment(self, temperature: float, number: int, size: int, start: Atoms) -> list[Atoms]:
        """Frames of a segment; number 0 is the equilibration, of which the last frame is kept."""
        steps = self.sampling.interval if number else self.dynamics.num_equilibration

        def simulated() -> list[Atoms]:
            dynamics = replace(self.dynamics, temperature=temperature)
            generator = self._generator(temperature, number + 1)
            return _simulated(start, self.calculator, dynamics, [steps] * size, generator)

        if self.path is None:
            return simulated()
        file = self.path.with_name(f"{self.path.stem}_{temperature:g}K_{number:04d}.traj")

        def compute() -> dict[str, Any]:
            part = file.with_suffix(".part")
            part.parent.mkdir(parents=True, exist_ok=True)
            ase.io.write(part, simulated(), format="traj")
            part.replace(file)
            return {"file": file.name}

        self.journal.get(f"{temperature:g} K, segment {number}, {size} frames", compute)
        if not file.is_file():
            raise ConfigError(f"{file}: expected it for the journal `{self.path}`; put it back or remove the journal")
        return list(ase.io.iread(file))[:size]

    def _generator(self, temperature: float, number: int) -> np.random.Generator:
        """Another stream of random numbers for each segment, the same whether or not others were done before."""
        return np.random.default_rng([self.sampling.seed, zlib.crc32(f"{temperature:.6f}".encode()), number])


def _simulated(
    start: Atoms, calculator: BaseCalculator, dynamics: Dynamics, pieces: list[int], generator: np.random.Generator
) -> list[Atoms]:
    """Frames after so many steps each."""
    atoms = start.copy()
    atoms.calc = calculator
    integrator = dynamics.integrator(atoms, generator)
    frames = []
    for steps in pieces:
        integrator.run(steps)
        if not np.isfinite(atoms.positions).all():
            raise PropertyError(
                f"`time_step`: at {dynamics.temperature:g} K atoms left all bounds; take a shorter one or another model"
            )
        frames.append(atoms.copy())
    return frames
