"""Diffusion coefficients, activation energy and conductivity of ions from molecular dynamics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator

from mhdnn.errors import ConfigError
from mhdnn.properties.diffusion_figure import diffusion_figure
from mhdnn.properties.diffusion_md import Sampling, Trajectories
from mhdnn.properties.diffusion_statistics import (
    Arrhenius,
    Displacements,
    Estimate,
    Window,
    displacements,
    fit_arrhenius,
    nernst_einstein,
    upper_bound,
)
from mhdnn.properties.elasticity_md import Dynamics
from mhdnn.properties.ion_motion import IonMotion, ion_motion
from mhdnn.properties.points import Points
from mhdnn.properties.report import Curve, Report
from mhdnn.units import SQUARE_CENTIMETER_PER_SECOND_PER_SQUARE_ANGSTROM_PER_PICOSECOND as CM2_PER_S

NAME = "diffusion"
COLLECTIVE_ERROR = 0.5
"""A collective coefficient with a larger relative error says nothing about the Haven ratio."""


@dataclass(frozen=True)
class Diffusion:
    """Diffusion at one temperature.

    :param temperature: K
    :param motion: of the ions
    :param found: mean square displacements and coefficients
    :param num_hops: that were seen
    :param enough: whether these are enough for a coefficient
    :param bound: what D is below with 95 % probability if they are not, Å²/ps
    """

    temperature: float
    motion: IonMotion
    found: Displacements
    num_hops: int
    enough: bool
    bound: float

    @property
    def num_ions(self) -> int:
        """That were followed."""
        return self.motion.positions.shape[1]


@dataclass(frozen=True)
class Evaluation:
    """How trajectories are evaluated.

    :param ion: symbol
    :param window: blocks and times of the fit
    :param hop_length: longer displacements are hops, Å
    :param min_hops: fewer give no coefficient
    :param unwrapped: whether positions are without jumps
    """

    ion: str
    window: Window
    hop_length: float = 2.0
    min_hops: int = 20
    unwrapped: bool = False

    def __post_init__(self) -> None:
        if not self.hop_length > 0 or self.min_hops < 0:
            raise ConfigError(
                "`hop_length`, `min_hops`: expected a length above 0 Å and a number that is not negative, got "
                f"{self.hop_length} and {self.min_hops}"
            )


def diffusion_of(
    frames: Sequence[Atoms], temperature: float, time_between_frames: float, evaluation: Evaluation
) -> Diffusion:
    """Diffusion from one trajectory.

    :param temperature: K
    :param time_between_frames: ps
    :raises ConfigError: as `ion_motion` and `displacements`
    :raises DataError: as `ion_motion` and `displacements`
    """
    motion = ion_motion(frames, evaluation.ion, time_between_frames, evaluation.unwrapped)
    found = displacements(motion, evaluation.window)
    num_hops = motion.num_hops(evaluation.hop_length)
    bound = upper_bound(num_hops, evaluation.hop_length, motion.positions.shape[1], motion.duration)
    enough = num_hops >= evaluation.min_hops and bool(found.coefficient.value > 0)
    return Diffusion(temperature, motion, found, num_hops, enough, bound)


def diffusion_report(
    temperatures: list[float],
    ion: str = "Li",
    trajectories: list[list[Atoms]] | None = None,
    time_between_frames: float | None = None,
    atoms: Atoms | None = None,
    calculator: Calculator | None = None,
    charge: float = 1.0,
    num_blocks: int = 10,
    fit_from: float | None = None,
    fit_to: float | None = None,
    hop_length: float = 2.0,
    min_hops: int = 20,
    unwrapped: bool = False,
    extrapolate_to: float = 300.0,
    num_steps: int = 100000,
    num_equilibration: int = 5000,
    time_step: float = 1.0,
    friction: float = 0.005,
    interval: int = 50,
    seed: int = 0,
    journal: Path | None = Path("diffusion_journal.json"),
) -> Report:
    """Diffusion coefficients, activation energy and conductivity from trajectories, or by running them.

    With a calculator the `atoms` are simulated at each temperature; without one `trajectories` are evaluated.

    :param temperatures: of the trajectories, in their order, K
    :param ion: symbol of what diffuses; the drift of all other atoms is removed
    :param trajectories: one file for each temperature
    :param time_between_frames: of the trajectories, ps
    :param atoms: supercell for the dynamics
    :param calculator: for the dynamics
    :param charge: of an ion, e, for the conductivity
    :param num_blocks: into which a trajectory is cut for error bars
    :param fit_from: shortest time of the fit, ps; a tenth of a block if not given
    :param fit_to: longest time of the fit, ps; half of a block if not given
    :param hop_length: displacements beyond it are counted as hops, Å
    :param min_hops: fewer give an upper bound instead of a coefficient
    :param unwrapped: whether positions in the files are without jumps over boundaries
    :param extrapolate_to: temperature for which the Arrhenius line is evaluated, K
    :param num_steps: of the dynamics at each temperature
    :param num_equilibration: steps before
    :param time_step: fs
    :param friction: of the Langevin thermostat, 1/fs
    :param interval: steps between frames
    :param seed: of velocities and thermostat
    :param journal: JSON file beside which segments of trajectories are kept, and from which the command continues
    """
    evaluation = Evaluation(ion, Window(num_blocks, fit_from, fit_to), hop_length, min_hops, unwrapped)
    points = Points()
    if calculator is None:
        results = _from_files(temperatures, trajectories, time_between_frames, evaluation)
    else:
        plans = [Dynamics(t, num_steps, num_equilibration, time_step, friction) for t in temperatures]
        results = _from_dynamics(plans, atoms, calculator, Sampling(interval, seed), journal, evaluation, points)
    return _report(results, points, evaluation, charge, extrapolate_to)


def _from_files(
    temperatures: list[float],
    trajectories: list[list[Atoms]] | None,
    time_between_frames: float | None,
    evaluation: Evaluation,
) -> list[Diffusion]:
    if trajectories is None or time_between_frames is None or len(trajectories) != len(temperatures):
        raise ConfigError(
            "`trajectories`: expected one file for each of the `temperatures` and `time_between_frames`, or `atoms` "
            f"and a `calculator`, got {len(trajectories or [])} files for {len(temperatures)} temperatures"
        )
    if not all(temperature > 0 for temperature in temperatures):
        raise ConfigError(f"`temperatures`: expected positive numbers, K, got {temperatures}")
    return [
        diffusion_of(frames, temperature, time_between_frames, evaluation)
        for temperature, frames in zip(temperatures, trajectories, strict=True)
    ]


def _from_dynamics(
    plans: list[Dynamics],
    atoms: Atoms | None,
    calculator: Calculator,
    sampling: Sampling,
    journal: Path | None,
    evaluation: Evaluation,
    points: Points,
) -> list[Diffusion]:
    if atoms is None or not plans:
        raise ConfigError("`atoms`: expected a supercell to simulate with the calculator, got none")
    if evaluation.ion not in atoms.get_chemical_symbols():
        raise ConfigError(f"`ion`: expected an element of {atoms.symbols}, got {evaluation.ion!r}")
    runs = Trajectories(atoms, calculator, plans[0], sampling, journal)
    results = []
    for plan in plans:
        frames = points.get(f"{plan.temperature:g} K", partial(runs.run, plan.temperature))
        if frames is not None:
            step = 1e-3 * sampling.interval * plan.time_step
            results.append(diffusion_of(frames, plan.temperature, step, replace(evaluation, unwrapped=True)))
    points.check(len(results), 1, "temperatures")
    return results


def _report(
    results: list[Diffusion], points: Points, evaluation: Evaluation, charge: float, extrapolate_to: float
) -> Report:
    line, known = None, [result for result in results if result.enough]
    if len({result.temperature for result in known}) > 1:
        coefficients = np.array([float(result.found.coefficient.value) for result in known])
        errors = np.array([float(result.found.coefficient.error) for result in known])
        line = fit_arrhenius(np.array([result.temperature for result in known]), coefficients, errors)
    numbers = [_numbers(result) for result in results]
    records = [_record(result, charge) for result in results]
    values: dict[str, Any] = {
        "ion": evaluation.ion,
        "num_ions": results[0].num_ions,
        "temperatures_k": [result.temperature for result in results],
        "diffusion_coefficients_cm2_per_s": [value for value, _ in numbers],
        "diffusion_coefficients_error_cm2_per_s": [error for _, error in numbers],
        "num_hops": [result.num_hops for result in results],
        "conductivities_ms_per_cm": [record["conductivity_ms_per_cm"] for record in records],
        **_arrhenius_values(line, results, charge, extrapolate_to),
        "assumed_haven_ratio": 1.0,
        "records": records,
    }
    figure = diffusion_figure(results, line)
    return Report(NAME, values, figure, points.failures + _warnings(results, evaluation), [], _curves(results))


def _numbers(result: Diffusion) -> tuple[float, float]:
    """D and its standard error, cm²/s; NaN if there were too few hops."""
    if not result.enough:
        return np.nan, np.nan
    coefficient = result.found.coefficient
    return CM2_PER_S * float(coefficient.value), CM2_PER_S * float(coefficient.error)


def _record(result: Diffusion, charge: float) -> dict[str, Any]:
    """Everything at one temperature."""
    found, (value, error) = result.found, _numbers(result)
    blank = 1.0 if result.enough else np.nan
    ionic = partial(
        nernst_einstein, num_ions=result.num_ions, volume=result.motion.volume, charge=charge,
        temperature=result.temperature,
    )  # fmt: skip
    collective = result.enough and _is_known(found.collective)
    return {
        "temperature_k": result.temperature,
        "duration_ps": result.motion.duration,
        "num_hops": result.num_hops,
        "host_drift_angstrom": result.motion.drift,
        "fit_window_ps": found.window,
        "num_blocks": found.coefficient.num_blocks,
        "coefficient_cm2_per_s": value,
        "coefficient_error_cm2_per_s": error,
        "coefficient_95_percent_cm2_per_s": blank * CM2_PER_S * float(found.coefficient.half_width),
        "upper_bound_cm2_per_s": np.nan if result.enough else CM2_PER_S * result.bound,
        "coefficients_xyz_cm2_per_s": blank * CM2_PER_S * np.diagonal(found.tensor.value),
        "coefficients_xyz_error_cm2_per_s": blank * CM2_PER_S * np.diagonal(found.tensor.error),
        "tensor_cm2_per_s": blank * CM2_PER_S * found.tensor.value,
        "conductivity_ms_per_cm": blank * ionic(float(found.coefficient.value)),
        "conductivity_error_ms_per_cm": blank * ionic(float(found.coefficient.error)),
        "collective_conductivity_ms_per_cm": ionic(float(found.collective.value)) if collective else np.nan,
        "collective_conductivity_error_ms_per_cm": ionic(float(found.collective.error)) if collective else np.nan,
        "haven_ratio": float(found.coefficient.value / found.collective.value) if collective else np.nan,
        "times_ps": found.times,
        "mean_square_displacements_square_angstrom": found.means,
    }


def _is_known(estimate: Estimate) -> bool:
    return bool(estimate.value > 0 and estimate.error < COLLECTIVE_ERROR * estimate.value)


def _arrhenius_values(
    line: Arrhenius | None, results: list[Diffusion], charge: float, extrapolate_to: float
) -> dict[str, Any]:
    if line is None:
        return {}
    value, relative = line.at(extrapolate_to)
    volume = float(np.mean([result.motion.volume for result in results]))
    conductivity = nernst_einstein(value, results[0].num_ions, volume, charge, extrapolate_to)
    return {
        "activation_energy_ev": line.energy,
        "activation_energy_error_ev": line.energy_error,
        "prefactor_cm2_per_s": CM2_PER_S * line.prefactor,
        "extrapolated_to_k": extrapolate_to,
        "extrapolated_coefficient_cm2_per_s": CM2_PER_S * value,
        "extrapolated_coefficient_relative_error": relative,
        "extrapolated_conductivity_ms_per_cm": conductivity,
    }


def _warnings(results: list[Diffusion], evaluation: Evaluation) -> list[str]:
    """What the reader of the coefficients should know."""
    warnings = []
    for result in results:
        name = f"{result.temperature:g} K:"
        if not result.enough:
            warnings.append(
                f"{name} {result.num_hops} hops farther than {evaluation.hop_length:g} Å in "
                f"{result.motion.duration:g} ps are fewer than {evaluation.min_hops} and give no coefficient; it is "
                f"below {CM2_PER_S * result.bound:.2g} cm²/s (95 %, uncorrelated hops). Run longer or hotter"
            )
        elif result.found.is_curved:
            warnings.append(
                f"{name} the mean square displacement is not straight from {result.found.window[0]:g} to "
                f"{result.found.window[1]:g} ps (slope changes by {100 * float(result.found.curvature.value):.0f} %): "
                "ions are not diffusive yet; run longer and choose a later window"
            )
    if not any(_is_known(result.found.collective) for result in results if result.enough):
        warnings.append(
            "the displacement of all ions together is too uncertain for the Haven ratio; conductivities are those of "
            "ions that move independently (Haven ratio 1)"
        )
    return warnings


def _curves(results: list[Diffusion]) -> dict[str, Curve]:
    """Mean square displacements, and D over inverse temperature, for several calculators."""
    curves = {
        f"msd_{result.temperature:g}K": Curve(
            result.found.times, result.found.means.sum(axis=1), "time, ps", f"MSD at {result.temperature:g} K, Å²"
        )
        for result in results
    }
    known = [result for result in results if result.enough]
    if len(known) > 1:
        inverse = np.array([1000.0 / result.temperature for result in known])
        logarithms = np.log10([CM2_PER_S * float(result.found.coefficient.value) for result in known])
        curves["arrhenius"] = Curve(inverse, logarithms, "1000 K / T", "log₁₀ of D in cm²/s")
    return curves
