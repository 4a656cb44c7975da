r"""Sliding of one slab over the other: work of separation along a path, traction, and the strength against sliding.

.. math:: \tau(l) = \frac{\partial W_{sep}}{\partial l}, \qquad \tau_{max} = \max_l |\tau(l)|

W is periodic along the path, with the shortest period that a slab has along it. It is interpolated by its Fourier
series, which is exact once the points resolve its shortest wave: points are added until the largest traction stays.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import partial
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator

from mhdnn.errors import ConfigError, DataError
from mhdnn.properties.energies import Energies
from mhdnn.properties.interface_figures import sliding_figure
from mhdnn.properties.interfaces import gap_of, interface_area, moved_slab, plane_of, slabs_of
from mhdnn.properties.points import Points
from mhdnn.properties.progress import tracked
from mhdnn.properties.report import Curve, Report
from mhdnn.properties.separation import (
    at_rest,
    labelled,
    registry_cell_of,
    work_of_separation,
)
from mhdnn.properties.sliding_path import Sliding, fourier
from mhdnn.units import GPA_PER_JOULE_PER_SQUARE_METER_PER_ANGSTROM as GPA_PER_SLOPE

SMALLEST_NUMBER = 4
"""Points of a path."""
LARGEST_NUMBER = 96
MOST_PARTS = 24
"""Of a given period that are tried, whether they are one themselves."""
BETWEEN = Fraction(34, 55)
"""Of the period: a place that is far from all points, whatever their number, near the golden section."""
SAME_PLACE = 0.02
"""Å within which atoms of a slab lie on others after a shift by a period."""
NEWTON_STEPS = 50


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


def shortest_period(atoms: Atoms, vector: np.ndarray) -> np.ndarray:
    """The smallest whole part of a shift that maps one of the slabs on itself, or the shift, shape (2,), Å.

    :param atoms: labelled
    :param vector: shape (2,), Å
    """
    for parts in range(MOST_PARTS, 1, -1):
        shift = np.array([*(vector / parts), 0.0])
        if any(_maps_on_itself(slab, shift) for slab in slabs_of(atoms)):
            return vector / parts
    return vector


def _maps_on_itself(slab: Atoms, shift: np.ndarray) -> bool:
    cell = slab.cell.complete()
    for kind in np.unique(slab.numbers):
        positions = slab.positions[slab.numbers == kind]
        offsets = cell.scaled_positions((positions[:, None] + shift - positions[None]).reshape(-1, 3))
        offsets -= np.where(slab.pbc, np.round(offsets), 0.0)
        distances = np.linalg.norm(offsets @ cell[:], axis=1).reshape(len(positions), -1)
        if distances.min(axis=1).max() > SAME_PLACE:
            return False
    return True


def compute_sliding(
    atoms: Atoms,
    calculator: Calculator,
    vector: Sequence[float] | np.ndarray | None = None,
    num_points: int = 12,
    relax_gap: bool = False,
    area: float | None = None,
    journal: str | Path | None = None,
    tolerance: float | None = None,
    points: Points | None = None,
) -> Sliding:
    """Work of separation of rigid slabs while slab 2 slides by one period.

    :param atoms: labelled interface at the start of the path
    :param vector: a shift in the plane that changes nothing, shape (2,), Å; the first vector of the registry's cell if
        None (`registry_cell_of`), or the cell's own if that one is no period. The path is its smallest part that is a
        period of a slab (`shortest_period`)
    :param num_points: of the path, without its end, to begin with
    :param relax_gap: whether the gap is that of least energy at each point (no normal load), not the given one
    :param area: Å², the cell's if None
    :param journal: JSON file of energies, from which an interrupted path continues
    :param tolerance: relative change of the largest traction by twice as many points at which no more are added; None
        adds none
    :param points: keeps what failed; places that fail are interpolated by the waves that the others determine
    :raises ConfigError: if the energy at the vector's end is not that of its start, to 1e-5 eV per atom
    :raises PropertyError: if fewer than four points are left
    """
    energies = Energies(calculator, atoms, journal)
    shift = _checked_period(atoms, energies, vector)
    energy_1, energy_2 = (energies(part) for part in slabs_of(atoms))
    area = interface_area(atoms, area)
    points = points or Points()
    known: dict[Fraction, Atoms | None] = {}

    def frame(step: Fraction) -> Atoms | None:
        if step not in known:
            moved = moved_slab(atoms, [*(float(step) * shift), 0.0])
            known[step] = points.get(f"{step} of the period", partial(at_rest, moved, energies, relax_gap))
        return known[step]

    def work_at(step: Fraction) -> float:
        one = frame(step)
        return np.nan if one is None else work_of_separation(energy_1, energy_2, one.get_potential_energy(), area)

    def path(number: int) -> Sliding:
        steps = [Fraction(step, number) for step in range(number)]
        found = [work_at(step) for step in tracked(steps, "sliding")]
        frames = [frame(step) for step in steps]
        points.check(sum(one is not None for one in frames), SMALLEST_NUMBER, "num_points")
        return _analysed(frames, found, float(np.linalg.norm(shift)))

    return path(num_points) if tolerance is None else _converged(path, work_at, num_points, tolerance)


def _analysed(frames: Sequence[Atoms | None], work: Sequence[float], period: float) -> Sliding:
    """The path of equidistant points, those that failed interpolated."""
    gaps = [np.nan if one is None else gap_of(one) for one in frames]
    path = period / len(work) * np.arange(len(work))
    result = analyse_sliding(path, completed(np.array(work)), period, gaps)
    return replace(result, structures=[one for one in frames if one is not None])


def _checked_period(atoms: Atoms, energies: Energies, vector: Sequence[float] | np.ndarray | None) -> np.ndarray:
    """The shortest period along a vector, shape (2,), Å, at whose end the energy is that of the start."""
    given = [registry_cell_of(atoms)[0], plane_of(atoms)[0]] if vector is None else [np.asarray(vector, dtype=float)]
    start, change = energies(atoms), np.nan
    # slabs that relaxed together have lost the periods of each alone, or keep them only nearly
    for whole in given:
        for shift in (shortest_period(atoms, whole), whole):
            change = energies(moved_slab(atoms, [*shift, 0.0])) - start
            if abs(change) <= 1e-5 * len(atoms):
                return shift
    raise ConfigError(
        f"`vector`: expected a shift of slab 2 by which nothing changes, got {given[-1].tolist()} Å, which changes the "
        f"energy by {change:.3g} eV; take a lattice vector of a slab"
    )


def _converged(
    path: Callable[[int], Sliding], work_at: Callable[[Fraction], float], num_points: int, tolerance: float
) -> Sliding:
    """The path with as many points as the largest traction needs, at most 96.

    Twice as many don't notice short waves that look like long ones on both: a place between all points must fit, too.
    """
    number = num_points
    halved = number % 2 == 0 and number // 2 >= SMALLEST_NUMBER
    before, result = path(number // 2) if halved else None, path(number)
    while True:
        if before is not None:
            size = max(result.largest_traction, before.largest_traction)
            change = abs(result.largest_traction - before.largest_traction) / size if size > 0 else 0.0
            between = result.interpolated(np.array(float(BETWEEN) * result.period)) - work_at(BETWEEN)
            # a place that fails says nothing
            missed = (
                abs(float(between)) / result.corrugation if result.corrugation > 0 and np.isfinite(between) else 0.0
            )
            result = replace(result, change=max(change, missed))
        if (before is not None and result.change <= tolerance) or 2 * number > LARGEST_NUMBER:
            return result
        number *= 2
        before, result = result, path(number)


def completed(work: np.ndarray) -> np.ndarray:
    """Values on a period, those that are NaN interpolated by the longest waves that the others determine."""
    known = np.isfinite(work)
    if known.all():
        return work
    phases = 2.0 * np.pi * np.arange(len(work)) / len(work)
    waves = np.arange(1, (known.sum() - 1) // 2 + 1)
    design = np.hstack([np.ones((len(work), 1)), np.cos(np.outer(phases, waves)), np.sin(np.outer(phases, waves))])
    solution, _, _, _ = np.linalg.lstsq(design[known], work[known], rcond=None)
    return np.where(known, work, design @ solution)


def sliding_report(
    atoms: Atoms,
    calculator: Calculator,
    elements_2: list[str] | None = None,
    vector: list[float] | None = None,
    num_points: int = 12,
    relax_gap: bool = False,
    area: float | None = None,
    journal: Path | None = None,
    tolerance: float | None = 0.02,
) -> Report:
    """Sliding by one period: work of separation, traction and its maximum.

    :param elements_2: elements of the upper slab, if the file has no array `slab`
    :param vector: x,y of a period, Å; the first vector of the registry's cell if not given. The shortest part of it
        that is a period of a slab is taken
    :param num_points: along the period, to begin with
    :param relax_gap: whether each point has its own equilibrium gap
    :param area: Å², if not the cell's
    :param journal: JSON file of energies, from which an interrupted path continues
    :param tolerance: relative change of the largest traction at which no more points are added; none adds none
    """
    points, interface = Points(), labelled(atoms, elements_2)
    result = compute_sliding(interface, calculator, vector, num_points, relax_gap, area, journal, tolerance, points)
    values = {
        "largest_traction_gpa": result.largest_traction,
        "largest_traction_at_angstrom": result.largest_place,
        "change_of_largest_traction": result.change,
        "corrugation_j_per_m2": result.corrugation,
        "period_angstrom": result.period,
        "num_points": len(result.path),
        "path_angstrom": result.path,
        "work_of_separation_j_per_m2": result.work,
        "traction_gpa": result.traction(result.path),
        "gaps_angstrom": result.gaps,
    }
    warnings = list(points.failures)
    if tolerance is not None and not result.change <= tolerance:
        warnings.append(
            f"the largest traction still changes by {100 * result.change:.1f} % with {len(result.path)} points; it may "
            "have a jump, which rigid slabs at their own gap each can have"
        )
    fine = np.linspace(0.0, result.period, 200)
    curves = {
        "work": Curve(result.path, result.work, "path, Å", "work of separation, J/m²"),
        "traction": Curve(fine, result.traction(fine), "path, Å", "traction, GPa"),
    }
    return Report("sliding", values, sliding_figure(result), warnings, result.structures, curves)
