"""Isothermal elastic constants: mean stress, with its kinetic part, in molecular dynamics of strained cells."""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
from ase import Atoms, units
from ase.calculators.calculator import Calculator
from ase.md.langevin import Langevin

from mhdnn.errors import ConfigError
from mhdnn.properties.elastic_tensor import invariant_stiffnesses
from mhdnn.properties.elasticity import (
    ElasticConstants,
    StrainedStresses,
    constants_report,
    deformation_gradient,
    deformed,
    fit_what_is_left,
    necessary_directions,
    piola_kirchhoff,
    stress_with,
)
from mhdnn.properties.journal import Journal, identity
from mhdnn.properties.points import Points
from mhdnn.properties.progress import tracked
from mhdnn.properties.report import Report
from mhdnn.properties.statistics import FEWEST_BLOCKS, standard_error
from mhdnn.properties.velocities import thermal_momenta

SYMMETRY_TOLERANCE = 0.1
"""Distance within which atoms are equivalent, Å: those of a supercell in motion are near their sites."""


@dataclass(frozen=True)
class Dynamics:
    """Settings of the molecular dynamics of each cell.

    :param temperature: K
    :param num_steps: after the equilibration
    :param num_equilibration: steps before stresses are taken
    :param time_step: fs
    :param friction: of the Langevin thermostat, 1/fs
    :raises ConfigError: if a number is out of range
    """

    temperature: float
    num_steps: int = 20000
    num_equilibration: int = 2000
    time_step: float = 1.0
    friction: float = 0.01

    def __post_init__(self) -> None:
        limits = {
            "temperature": (self.temperature > 0, "a positive number, K"),
            "num_steps": (self.num_steps >= FEWEST_BLOCKS, f"at least {FEWEST_BLOCKS}"),
            "num_equilibration": (self.num_equilibration >= 0, "at least 0"),
            "time_step": (self.time_step > 0, "a positive number, fs"),
            "friction": (self.friction > 0, "a positive number, 1/fs"),
        }
        for name, (allowed, expected) in limits.items():
            if not allowed:
                raise ConfigError(f"`{name}`: expected {expected}, got {getattr(self, name)}")

    def integrator(self, atoms: Atoms, generator: np.random.Generator) -> Langevin:
        """Langevin dynamics of atoms with a calculator, whose momenta are as they are."""
        return Langevin(
            atoms,
            self.time_step * units.fs,
            temperature_K=self.temperature,
            friction=self.friction / units.fs,
            fixcm=False,
            rng=generator,
        )


def elastic_constants_md(
    atoms: Atoms,
    calculator: Calculator,
    dynamics: Dynamics,
    strain: float = 0.01,
    seed: int = 0,
    symmetry_tolerance: float = SYMMETRY_TOLERANCE,
    journal: str | Path | None = None,
    points: Points | None = None,
) -> ElasticConstants:
    r"""Isothermal elastic constants, at constant volume with a Langevin thermostat.

    Each strain that symmetry does not make superfluous is applied in both signs; the means of the second
    Piola-Kirchhoff stress, kinetic part included, are fitted as quadratic functions of it, weighted by their standard
    errors (`mhdnn.properties.statistics.standard_error`).

    :param atoms: a supercell with its mean cell at the temperature, atoms near their sites, without constraints
    :param strain: of the cells, in both signs
    :param seed: of velocities and thermostat
    :param symmetry_tolerance: distance within which atoms are equivalent, Å
    :param journal: JSON file to which mean stresses are written; an interrupted calculation continues from it
    :param points: keeps what failed; cells that fail are left out
    :raises ConfigError: if the structure is no crystal, the calculator has no stress, or the strain is out of range
    """
    _check(atoms, strain)
    basis = invariant_stiffnesses(atoms, symmetry_tolerance)
    kept = Journal(
        journal, {} if journal is None else {**identity(atoms, calculator), **asdict(dynamics), "seed": seed}
    )
    cells = [(0, 0.0), *itertools.product(necessary_directions(basis), (-strain, strain))]

    def stress_of(step: str, direction: int, amplitude: float) -> dict[str, np.ndarray]:
        deformation = deformation_gradient(direction, amplitude)
        strained = deformed(atoms, deformation)
        strained.calc = calculator
        # another stream of random numbers for each cell, the same whether or not others were done before
        generator = np.random.default_rng([seed, zlib.crc32(step.encode())])
        series = stress_series(strained, dynamics, generator)
        samples = np.array([piola_kirchhoff(stress, deformation) for stress in series])
        return {"mean": samples.mean(axis=0), "error": standard_error(samples)}

    points, found = points or Points(), {}
    for direction, amplitude in tracked(cells, "elasticity_md"):
        step = f"{direction} {amplitude:+.8f}"
        compute = partial(kept.get, step, partial(stress_of, step, direction, amplitude))
        result = points.get(f"strain {step}", compute)
        if result is not None:
            found[direction, amplitude] = result
    points.check(len(found), 2, "strains")
    return fit_what_is_left(basis, _strained_stresses(found), 2, points)


def _check(atoms: Atoms, strain: float) -> None:
    if not 0.0 < strain < 0.5:
        raise ConfigError(f"`strain`: expected a number between 0 and 0.5, for example 0.01, got {strain}")
    if not (atoms.pbc.all() and atoms.cell.rank == 3):
        raise ConfigError(f"`atoms`: expected three periodic directions, got pbc {atoms.pbc.tolist()}")


def _strained_stresses(found: Mapping[tuple[int, float], dict[str, np.ndarray]]) -> StrainedStresses:
    """Means and errors of the stresses by direction and amplitude of the strain."""
    directions, strains = np.array(list(found)).T
    stresses, errors = (np.array([result[key] for result in found.values()]) for key in ("mean", "error"))
    return StrainedStresses(directions.astype(int), strains, stresses, errors)


def stress_series(atoms: Atoms, dynamics: Dynamics, generator: np.random.Generator) -> np.ndarray:
    """Stress, with its kinetic part, after every step of Langevin dynamics: shape (num_steps, 6), eV/Å³.

    :param atoms: with a calculator; they are moved
    """
    atoms.set_momenta(thermal_momenta(atoms, dynamics.temperature, generator), apply_constraint=False)
    integrator = dynamics.integrator(atoms, generator)
    integrator.run(dynamics.num_equilibration)
    stresses = []
    for _ in range(dynamics.num_steps):
        integrator.run(1)
        stresses.append(stress_with(atoms, kinetic=True))
    return np.array(stresses)


def elasticity_md_report(
    atoms: Atoms,
    calculator: Calculator,
    temperature: float = 300.0,
    num_steps: int = 20000,
    num_equilibration: int = 2000,
    time_step: float = 1.0,
    friction: float = 0.01,
    strain: float = 0.01,
    seed: int = 0,
    journal: Path | None = None,
) -> Report:
    """Elastic constants of a crystal at a temperature, from the mean stress in molecular dynamics.

    :param atoms: a supercell with its mean cell at the temperature
    :param calculator: with a stress
    :param temperature: K
    :param num_steps: of each strained cell
    :param num_equilibration: steps before stresses are taken
    :param time_step: fs
    :param friction: of the Langevin thermostat, 1/fs
    :param strain: of the cells, in both signs
    :param seed: of velocities and thermostat
    :param journal: JSON file from which an interrupted calculation continues
    """
    dynamics = Dynamics(temperature, num_steps, num_equilibration, time_step, friction)
    points = Points()
    constants = elastic_constants_md(atoms, calculator, dynamics, strain, seed, journal=journal, points=points)
    values = {"num_atoms": len(atoms), "temperature_k": temperature, "volume_cubic_angstrom": atoms.get_volume()}
    title = f"{atoms.get_chemical_formula()}: elastic constants at {temperature:g} K"
    report = constants_report("elasticity_md", values, constants, atoms, SYMMETRY_TOLERANCE, title)
    report.warnings += points.failures
    return report
