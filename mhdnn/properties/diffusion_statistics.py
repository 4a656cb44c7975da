r"""Diffusion coefficients with error bars.

The mean square displacement over a time t, averaged over all ions and all time origins, grows as

.. math:: \langle \Delta r_\alpha \Delta r_\beta \rangle = 2 D_{\alpha\beta}\, t + \text{const}

once ions have forgotten their vibrations; D is half of the slope of a straight line (with a constant) in a window of
times. Values at different times, origins and ions are correlated, so that the scatter around the line says nothing
about its error. The trajectory is therefore cut into B blocks, each gives its own D, and

.. math:: D = \frac1B \sum_b D_b, \qquad s^2 = \frac{1}{B (B - 1)} \sum_b (D_b - D)^2

with Student's t for B - 1 degrees of freedom (Frenkel and Smit, Understanding Molecular Simulation, appendix D). The
B blocks are the independent samples: correlations between ions, which counting ions would miss, are in their scatter.
Blocks must be longer than what ions remember, which the window, half of a block at most, shows by being straight.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import constants, stats

from mhdnn.errors import ConfigError, DataError
from mhdnn.properties.ion_motion import IonMotion

MOST_LAGS = 20
FEWEST_LAGS = 3
CONFIDENCE = 0.95
CURVED = 0.1
"""Slopes of the halves of the window that differ by more than this part of D, and by three errors, are not one."""


@dataclass(frozen=True)
class Window:
    """How a trajectory is evaluated.

    :param num_blocks: into which it is cut
    :param fit_from: shortest time of the fit, ps; a tenth of a block if None
    :param fit_to: longest time, ps; half of a block if None
    :raises ConfigError: if there are fewer than three blocks
    """

    num_blocks: int = 10
    fit_from: float | None = None
    fit_to: float | None = None

    def __post_init__(self) -> None:
        if self.num_blocks < 3:
            raise ConfigError(f"`num_blocks`: expected at least 3, or there is no error, got {self.num_blocks}")


@dataclass(frozen=True)
class Estimate:
    """A mean over blocks.

    :param value: shape (...)
    :param error: standard error, shape (...)
    :param num_blocks: that it comes from
    """

    value: np.ndarray
    error: np.ndarray
    num_blocks: int

    @property
    def half_width(self) -> np.ndarray:
        """Of the interval in which the true value is with 95 % probability."""
        return float(stats.t.ppf(0.5 + 0.5 * CONFIDENCE, self.num_blocks - 1)) * self.error


@dataclass(frozen=True)
class Displacements:
    """Mean square displacements and the coefficients from them.

    :param times: shape (num_times,), ps
    :param means: over ions, origins and blocks, by directions, shape (num_times, 3), Å²
    :param window: times of the fit, ps
    :param tensor: of diffusion, shape (3, 3), Å²/ps
    :param coefficient: a third of its trace, Å²/ps
    :param collective: the same of the displacement of all ions together, per ion, Å²/ps
    :param curvature: slope of the second half of the window less that of the first, as parts of D
    """

    times: np.ndarray
    means: np.ndarray
    window: tuple[float, float]
    tensor: Estimate
    coefficient: Estimate
    collective: Estimate
    curvature: Estimate

    @property
    def is_curved(self) -> bool:
        """Whether the mean square displacement is no straight line in the window."""
        excess = abs(float(self.curvature.value))
        return excess > CURVED and excess > 3.0 * float(self.curvature.error)


def displacements(motion: IonMotion, window: Window) -> Displacements:
    """Mean square displacements of a trajectory and the diffusion coefficient.

    :raises ConfigError: if the window is not within half of a block
    :raises DataError: if the trajectory is too short
    """
    edges = np.linspace(0, len(motion.positions) - 1, window.num_blocks + 1).astype(int)
    size, unit = int(np.diff(edges).min()), motion.time_between_frames
    first, last = _lags(window, size, unit)
    lags = np.unique(np.linspace(first, last, min(MOST_LAGS, last - first + 1)).astype(int))
    early = np.unique(np.linspace(1, first, min(first, MOST_LAGS // 4)).astype(int)) if first > 1 else lags[:0]
    shown = np.union1d(early, lags)
    blocks = [motion.positions[a : b + 1] for a, b in zip(edges[:-1], edges[1:], strict=True)]
    products = np.array([[_products(block, lag) for lag in shown] for block in blocks])
    together = np.array([[_collective(block, lag) for lag in lags] for block in blocks])
    times, fitted = unit * lags, products[:, np.isin(shown, lags)]
    tensors = _slopes(times, fitted) / 2.0
    traces = np.trace(fitted, axis1=2, axis2=3) / 6.0
    middle = len(lags) // 2 + 1
    halves = _slopes(times[middle - 1 :], traces[:, middle - 1 :]) - _slopes(times[:middle], traces[:, :middle])
    coefficient = _estimate(np.trace(tensors, axis1=1, axis2=2) / 3.0)
    curvature = _estimate(halves / max(abs(float(coefficient.value)), 1e-300))
    return Displacements(
        unit * shown,
        np.diagonal(products.mean(axis=0), axis1=1, axis2=2),
        (float(times[0]), float(times[-1])),
        _estimate(tensors),
        coefficient,
        _estimate(_slopes(times, together) / 6.0),
        curvature,
    )


def _lags(window: Window, size: int, unit: float) -> tuple[int, int]:
    """First and last number of frames of the fit."""
    first = max(1, round(0.1 * size)) if window.fit_from is None else max(1, round(window.fit_from / unit))
    last = size // 2 if window.fit_to is None else round(window.fit_to / unit)
    if window.fit_to is not None and last > size // 2:
        raise ConfigError(
            f"`fit_to`: expected at most half of a block, {0.5 * size * unit:g} ps, got {window.fit_to:g}; take fewer "
            "blocks, a shorter window or a longer trajectory"
        )
    if last - first + 1 < FEWEST_LAGS:
        raise DataError(
            f"`fit_from`, `fit_to`: expected at least {FEWEST_LAGS} frames in the window, {first * unit:g} to "
            f"{last * unit:g} ps, got {max(0, last - first + 1)}; give more frames, fewer blocks or another window"
        )
    return first, last


def _products(positions: np.ndarray, lag: int) -> np.ndarray:
    """Mean over ions and origins of the products of displacements, shape (3, 3), Å²."""
    steps = positions[lag:] - positions[:-lag]
    flat = steps.reshape(-1, 3)
    return flat.T @ flat / len(flat)


def _collective(positions: np.ndarray, lag: int) -> float:
    """Mean over origins of the squared displacement of all ions together, per ion, Å²."""
    steps = (positions[lag:] - positions[:-lag]).sum(axis=1)
    return float((steps**2).sum(axis=1).mean()) / positions.shape[1]


def _slopes(times: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Least squares with a constant, along the second axis: shape (num_blocks, ...)."""
    centred = times - times.mean()
    return np.tensordot(values, centred, axes=([1], [0])) / (centred @ centred)


def _estimate(blocks: np.ndarray) -> Estimate:
    return Estimate(blocks.mean(axis=0), blocks.std(axis=0, ddof=1) / np.sqrt(len(blocks)), len(blocks))


def upper_bound(num_hops: int, length: float, num_ions: int, duration: float) -> float:
    r"""What D is below with 95 % probability if that few hops were seen, Å²/ps.

    Uncorrelated hops of one length l: :math:`D = \Gamma l^2/6` with the largest rate Γ of a Poisson process that gives
    no more hops than these with a probability of 5 %.

    :param length: of a hop, Å
    :param duration: ps
    """
    most = 0.5 * float(stats.chi2.ppf(CONFIDENCE, 2 * (num_hops + 1)))
    return most / (num_ions * duration) * length**2 / 6.0


@dataclass(frozen=True)
class Arrhenius:
    r""":math:`D = D_0\, e^{-E_a/k_B T}`.

    :param energy: :math:`E_a`, eV
    :param energy_error: standard error, eV; NaN if nothing is known about it
    :param prefactor: :math:`D_0`, in the unit of D
    :param covariance: of :math:`\ln D_0` and :math:`E_a`, shape (2, 2)
    """

    energy: float
    energy_error: float
    prefactor: float
    covariance: np.ndarray

    def at(self, temperature: float) -> tuple[float, float]:
        """D and the standard error of its logarithm at a temperature, K."""
        slope = np.array([1.0, -1.0 / (BOLTZMANN * temperature)])
        variance = float(slope @ self.covariance @ slope)
        return self.prefactor * float(np.exp(-self.energy / (BOLTZMANN * temperature))), float(np.sqrt(variance))


BOLTZMANN = constants.k / constants.e
"""eV/K"""


def fit_arrhenius(temperatures: np.ndarray, coefficients: np.ndarray, errors: np.ndarray) -> Arrhenius:
    """Weighted least squares of ln D over 1/T; errors are raised by the scatter if this is larger than they say.

    :param temperatures: at least two different ones, shape (num_temperatures,), K
    :param coefficients: D, positive
    :param errors: standard errors of D; zeros if they are not known, all or none
    :raises DataError: if there are fewer than two temperatures, or a coefficient is not positive
    """
    if len(set(np.asarray(temperatures).tolist())) < 2 or not (np.asarray(coefficients) > 0).all():
        raise DataError(
            f"`temperatures`: expected at least two with positive D, got {temperatures} K with {coefficients}"
        )
    known = (errors > 0).all()
    weights = coefficients / errors if known else np.ones(len(coefficients))
    design = np.stack([np.ones(len(temperatures)), -1.0 / (BOLTZMANN * temperatures)], axis=1)
    covariance = np.linalg.inv((design * weights[:, None] ** 2).T @ design)
    solution = np.linalg.lstsq(design * weights[:, None], weights * np.log(coefficients), rcond=None)[0]
    freedom = len(temperatures) - 2
    scatter = (
        float(((weights * (np.log(coefficients) - design @ solution)) ** 2).sum()) / freedom if freedom else np.nan
    )
    covariance = covariance * (np.fmax(scatter, 1.0) if known else scatter)
    return Arrhenius(float(solution[1]), float(np.sqrt(covariance[1, 1])), float(np.exp(solution[0])), covariance)


def nernst_einstein(coefficient: float, num_ions: int, volume: float, charge: float, temperature: float) -> float:
    r"""Conductivity :math:`\sigma = N q^2 D/(V k_B T)`, mS/cm.

    :param coefficient: D, Å²/ps: of tracers if each ion moves on its own (Haven ratio 1), or the collective one
    :param volume: Å³
    :param charge: of an ion, e
    :param temperature: K
    """
    density = num_ions / (volume * constants.angstrom**3)
    diffusion = coefficient * constants.angstrom**2 / constants.pico
    siemens_per_meter = density * (charge * constants.e) ** 2 * diffusion / (constants.k * temperature)
    return 10.0 * siemens_per_meter
