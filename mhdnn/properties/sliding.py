r"""Sliding of one slab over the other: work of separation along a path, traction, and the strength against sliding.

.. math:: \tau(l) = \frac{\partial W_{sep}}{\partial l}, \qquad \tau_{max} = \max_l |\tau(l)|

W is periodic along the path. It is interpolated by its Fourier series, which is exact once the points resolve its
shortest wave.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator

from mhdnn.errors import ConfigError, DataError
from mhdnn.evaluation.plots import new_figure, style_axes
from mhdnn.properties.energies import Energies
from mhdnn.properties.interfaces import area_of, gap_of, moved_slab, slabs_of
from mhdnn.properties.progress import tracked
from mhdnn.properties.report import Report
from mhdnn.properties.separation import (
    at_equilibrium_gap,
    labelled,
    registry_cell_of,
    work_of_separation,
)
from mhdnn.units import GPA_PER_JOULE_PER_SQUARE_METER_PER_ANGSTROM as GPA_PER_SLOPE

SMALLEST_NUMBER = 4
"""Points of a path."""
NEWTON_STEPS = 50


@dataclass(frozen=True)
class Sliding:
    r"""Work of separation along a period.

    :param path: equidistant distances from the start, the period not repeated, shape (num_points,), Å
    :param work: :math:`W_{sep}`, shape (num_points,), J/m²
    :param period: Å
    :param cosines: of the Fourier series, from the mean on, shape (num_waves + 1,), J/m²
    :param sines: shape (num_waves + 1,), J/m²
    :param largest_traction: :math:`\tau_{max}`, GPa
    :param largest_place: where it is, Å
    :param gaps: if the gap was relaxed, shape (num_points,), Å
    """

    path: np.ndarray
    work: np.ndarray
    period: float
    cosines: np.ndarray
    sines: np.ndarray
    largest_traction: float
    largest_place: float
    gaps: np.ndarray | None = None

    def interpolated(self, path: np.ndarray) -> np.ndarray:
        """W_sep anywhere, J/m²."""
        return fourier(path, self.period, self.cosines, self.sines, 0)

    def traction(self, path: np.ndarray) -> np.ndarray:
        r""":math:`\tau(l)`, GPa."""
        return GPA_PER_SLOPE * fourier(path, self.period, self.cosines, self.sines, 1)

    @property
    def corrugation(self) -> float:
        """Largest minus smallest work of separation of the points, J/m²."""
        return float(np.ptp(self.work))


def fourier(path: np.ndarray, period: float, cosines: np.ndarray, sines: np.ndarray, order: int) -> np.ndarray:
    """A derivative of a real Fourier series.

    :param order: 0 for the series itself
    """
    waves = 2.0 * np.pi * np.arange(len(cosines)) / period
    phases = np.multiply.outer(np.asarray(path, dtype=float), waves) + 0.5 * np.pi * order
    return (np.cos(phases) * waves**order) @ cosines + (np.sin(phases) * waves**order) @ sines


def analyse_sliding(
    path: Sequence[float] | np.ndarray,
    work: Sequence[float] | np.ndarray,
    period: float,
    gaps: Sequence[float] | np.ndarray | None = None,
) -> Sliding:
    """Traction of calculated points, from whatever program.

    :param path: distances along the path, equidistant over one period without its end, shape (num_points,), Å
    :param work: W_sep, shape (num_points,), J/m²; a constant in it doesn't matter to the traction
    :param period: Å
    :param gaps: kept with the result, shape (num_points,), Å
    :raises DataError: if there are fewer than four points, or they are not equidistant over the period
    """
    x, y = np.asarray(path, dtype=float), np.asarray(work, dtype=float)
    number = len(x)
    expected = period / max(number, 1) * np.arange(number)
    if number < SMALLEST_NUMBER or y.shape != x.shape or not np.allclose(x - x[0], expected, rtol=0, atol=1e-4):
        raise DataError(
            f"`path`: expected at least {SMALLEST_NUMBER} equidistant points over the period of {period:g} Å, without "
            f"its end, and as many energies; got {x.tolist()} with {len(y)} energies"
        )
    transform = np.fft.rfft(y) / number
    # every wave but the mean and the shortest one of an even number stands for itself and its conjugate
    factor = np.full(len(transform), 2.0)
    factor[0] = 1.0
    if number % 2 == 0:
        factor[-1] = 1.0
    shifted = factor * transform * np.exp(-2j * np.pi * np.arange(len(transform)) * x[0] / period)
    cosines, sines = shifted.real, -shifted.imag
    place = _largest_slope(period, cosines, sines)
    slope = float(fourier(np.array(place), period, cosines, sines, 1))
    kept = None if gaps is None else np.asarray(gaps, dtype=float)
    return Sliding(x, y, period, cosines, sines, abs(slope) * GPA_PER_SLOPE, place, kept)


def _largest_slope(period: float, cosines: np.ndarray, sines: np.ndarray) -> float:
    """Where the slope is largest in size: the best of a fine grid, refined by Newton's method."""
    grid = np.linspace(0.0, period, 64 * len(cosines), endpoint=False)
    place = float(grid[np.abs(fourier(grid, period, cosines, sines, 1)).argmax()])
    for _ in range(NEWTON_STEPS):
        second, third = (float(fourier(np.array(place), period, cosines, sines, order)) for order in (2, 3))
        if third == 0.0 or abs(step := second / third) > grid[1]:
            break
        place -= step
        if abs(step) < 1e-12 * period:
            break
    return place % period


def compute_sliding(
    atoms: Atoms,
    calculator: Calculator,
    vector: Sequence[float] | np.ndarray | None = None,
    num_points: int = 12,
    relax_gap: bool = False,
    area: float | None = None,
    journal: str | Path | None = None,
) -> Sliding:
    """Work of separation of rigid slabs while slab 2 slides by one period.

    :param atoms: labelled interface at the start of the path
    :param vector: the period: a shift in the plane that changes nothing, shape (2,), Å; the first vector of the
        registry's cell if None (`registry_cell_of`)
    :param num_points: of the path, without its end
    :param relax_gap: whether the gap is that of least energy at each point (no normal load), not the given one
    :param area: Å², the cell's if None
    :param journal: JSON file of energies, from which an interrupted path continues
    :raises ConfigError: if the energy at the vector's end is not that of its start, to 1e-5 eV per atom
    """
    shift = registry_cell_of(atoms)[0] if vector is None else np.asarray(vector, dtype=float)
    energies = Energies(calculator, atoms, journal)
    energy_1, energy_2 = (energies(part) for part in slabs_of(atoms))
    start, end = energies(atoms), energies(moved_slab(atoms, [*shift, 0.0]))
    if abs(end - start) > 1e-5 * len(atoms):
        raise ConfigError(
            f"`vector`: expected a shift of slab 2 by which nothing changes, got {shift.tolist()} Å, which changes the "
            f"energy by {end - start:.3g} eV; take a lattice vector of a slab"
        )
    area = area_of(atoms) if area is None else area
    work, gaps = [], []
    for step in tracked(range(num_points), "sliding"):
        moved = moved_slab(atoms, [*(step / num_points * shift), 0.0])
        if relax_gap:
            moved = at_equilibrium_gap(moved, energies)
        work.append(work_of_separation(energy_1, energy_2, energies(moved), area))
        gaps.append(gap_of(moved))
    period = float(np.linalg.norm(shift))
    return analyse_sliding(period / num_points * np.arange(num_points), work, period, gaps)


def sliding_report(
    atoms: Atoms,
    calculator: Calculator,
    elements_2: list[str] | None = None,
    vector: list[float] | None = None,
    num_points: int = 12,
    relax_gap: bool = False,
    area: float | None = None,
    journal: Path | None = None,
) -> Report:
    """Sliding by one period: work of separation, traction and its maximum.

    :param elements_2: elements of the upper slab, if the file has no array `slab`
    :param vector: x,y of the period, Å; the first vector of the registry's cell if not given
    :param num_points: along the period
    :param relax_gap: whether each point has its own equilibrium gap
    :param area: Å², if not the cell's
    :param journal: JSON file of energies, from which an interrupted path continues
    """
    result = compute_sliding(labelled(atoms, elements_2), calculator, vector, num_points, relax_gap, area, journal)
    fine = np.linspace(0.0, result.period, 400)
    figure = new_figure(5, 5)
    upper, lower = figure.subplots(2, 1, sharex=True)
    upper.plot(result.path, result.work, "o", color="C0")
    upper.plot(fine, result.interpolated(fine), color="C0")
    upper.set_ylabel("work of separation (J/m²)")
    lower.plot(fine, result.traction(fine), color="C1")
    lower.axvline(result.largest_place, color="0.7", linewidth=0.8)
    lower.set(xlabel="path (Å)", ylabel="traction (GPa)")
    for axes in (upper, lower):
        style_axes(axes)
    values = {
        "largest_traction_gpa": result.largest_traction,
        "largest_traction_at_angstrom": result.largest_place,
        "corrugation_j_per_m2": result.corrugation,
        "period_angstrom": result.period,
        "path_angstrom": result.path,
        "work_of_separation_j_per_m2": result.work,
        "traction_gpa": result.traction(result.path),
        "gaps_angstrom": result.gaps,
    }
    return Report("sliding", values, figure)
