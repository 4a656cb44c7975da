r"""Energy of an interface against the gap between rigid slabs: equilibrium, strength, universal binding curve.

The interaction energy per area is :math:`\gamma(d) = (E_{12}(d) - E_1 - E_2)/A = -W_{sep}(d)`; its slope is the
traction that pulls the slabs together.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator
from scipy.interpolate import CubicSpline
from scipy.optimize import curve_fit

from mhdnn.errors import DataError
from mhdnn.properties.energies import Energies
from mhdnn.properties.interface_figures import gap_curve_figure
from mhdnn.properties.interface_works import work_of_separation
from mhdnn.properties.interfaces import interface_area, slabs_of, with_gap
from mhdnn.properties.points import Points
from mhdnn.properties.progress import tracked
from mhdnn.properties.report import Curve, Report
from mhdnn.properties.separation import labelled
from mhdnn.properties.universal_curve import GapCurve, UniversalCurve, universal_energy
from mhdnn.units import GPA_PER_JOULE_PER_SQUARE_METER_PER_ANGSTROM as GPA_PER_SLOPE

SMALLEST_NUMBER = 6
"""Points that a curve and its fit need."""
LARGEST_CUBIC = 4.0 / 9.0
"""Beyond it the universal curve has a second minimum: its slope is W x (1 - 3 c x + c x²) e^(-x)."""
GOOD_FIT = 0.05
"""Largest rms error of the universal curve, in parts of W, without a warning."""
DEFAULT_GAPS = (2.0, 2.2, 2.4, 2.6, 2.8, 3.0, 3.2, 3.4, 3.6, 3.8, 4.0, 4.3, 4.6, 5.0, 5.5, 6.0, 7.0)
"""Å"""


def analyse_gap_curve(gaps: Sequence[float] | np.ndarray, energies: Sequence[float] | np.ndarray) -> GapCurve:
    r"""Equilibrium, strength and fit of calculated points, from whatever program.

    :param gaps: shape (num_gaps,), at least six, Å
    :param energies: interaction energies :math:`\gamma` (minus the work of separation), shape (num_gaps,), J/m²
    :raises DataError: if there are too few points, or the lowest one is the first, the last, or not bound
    """
    order = np.argsort(gaps)
    x, y = np.asarray(gaps, dtype=float)[order], np.asarray(energies, dtype=float)[order]
    if len(x) < SMALLEST_NUMBER or np.diff(x).min() <= 0:
        raise DataError(f"`gaps`: expected at least {SMALLEST_NUMBER} different gaps, got {x.tolist()}")
    lowest = int(y.argmin())
    if lowest in (0, len(x) - 1) or y[lowest] >= 0:
        raise DataError(
            f"`gaps`: expected a bound minimum inside of {x[0]:g} to {x[-1]:g} Å, got the lowest energy "
            f"{y[lowest]:.4g} J/m² at {x[lowest]:g} Å; widen the range, or look whether the slabs bind at all"
        )
    spline = CubicSpline(x, y)
    stationary = spline.derivative().roots(extrapolate=False)
    equilibrium = float(stationary[np.argmin(spline(stationary))])
    candidates = [equilibrium, x[-1], *spline.derivative(2).roots(extrapolate=False)]
    beyond = np.array([place for place in candidates if place >= equilibrium])
    strength_gap = float(beyond[np.argmax(spline(beyond, 1))])
    return GapCurve(
        x,
        y,
        equilibrium,
        -float(spline(equilibrium)),
        float(spline(equilibrium, 2)) * GPA_PER_SLOPE,
        float(spline(strength_gap, 1)) * GPA_PER_SLOPE,
        strength_gap,
        fit_universal_curve(x, y, equilibrium, -float(spline(equilibrium)), float(spline(equilibrium, 2))),
    )


def fit_universal_curve(
    gaps: np.ndarray, energies: np.ndarray, gap: float, work: float, curvature: float
) -> UniversalCurve:
    r"""Least squares over the points with :math:`\gamma < 0`.

    :param gap: where the fit starts: equilibrium gap, Å
    :param work: J/m²
    :param curvature: :math:`\gamma''`, J/m²/Å²
    :raises DataError: if fewer than five points are bound, or the fit fails
    """
    bound = energies < 0
    length = float(np.sqrt(work / curvature)) if curvature > 0 else 0.2 * gap
    start = (work, gap, length, 0.05)
    lower, upper = (0.0, gaps[0], 0.05 * length, 0.0), (10.0 * work, gaps[-1], 20.0 * length, LARGEST_CUBIC)
    if bound.sum() <= len(start):
        raise DataError(
            f"`gaps`: expected at least {len(start) + 1} gaps at which the slabs are bound, got {bound.sum()}; "
            "add gaps around the equilibrium"
        )
    try:
        parameters, _ = curve_fit(
            universal_energy, gaps[bound], energies[bound], start, bounds=(lower, upper), max_nfev=20000
        )
    except RuntimeError as error:
        raise DataError(f"`energies`: the universal binding curve can't be fitted ({error}); look at them") from error
    found = [float(value) for value in parameters]
    residual = universal_energy(gaps[bound], *parameters) - energies[bound]
    scatter = float(np.var(energies[bound]))
    rms = float(np.sqrt(np.mean(residual**2)))
    return UniversalCurve(found[0], found[1], found[2], found[3], rms, 1.0 - rms**2 / scatter)


def compute_gap_curve(
    atoms: Atoms,
    calculator: Calculator,
    gaps: Sequence[float] | np.ndarray,
    area: float | None = None,
    journal: str | Path | None = None,
    points: Points | None = None,
) -> GapCurve:
    """Gap curve of rigid slabs; gaps whose calculation fails are left out.

    :param atoms: labelled interface, whatever its gap
    :param gaps: Å
    :param area: Å², the cell's if None
    :param journal: JSON file of energies, from which an interrupted curve continues
    :param points: keeps what failed
    :raises DataError: as `analyse_gap_curve`, and if the cell has no room for a gap
    :raises PropertyError: if too few gaps are left
    """
    points = points or Points()
    energies = Energies(calculator, atoms, journal)
    energy_1, energy_2 = (energies(part) for part in slabs_of(atoms))
    area = interface_area(atoms, area)
    found = []
    for gap in tracked([float(gap) for gap in gaps], "gap curve"):
        moved = with_gap(atoms, gap)
        energy = points.get(f"gap {gap:g} Å", partial(energies, moved))
        if energy is not None:
            found.append((gap, -work_of_separation(energy_1, energy_2, energy, area)))
    points.check(len(found), SMALLEST_NUMBER, "gaps")
    known, interaction = np.array(found).T
    return analyse_gap_curve(known, interaction)


def gap_curve_report(
    atoms: Atoms,
    calculator: Calculator,
    elements_2: list[str] | None = None,
    gaps: list[float] | None = None,
    area: float | None = None,
    journal: Path | None = None,
) -> Report:
    """Energy against the gap: equilibrium gap, strength, universal binding curve.

    :param elements_2: elements of the upper slab, if the file has no array `slab`
    :param gaps: Å; 17 from 2 to 7 if not given
    :param area: Å², if not the cell's
    :param journal: JSON file of energies, from which an interrupted curve continues
    """
    points = Points()
    interface = labelled(atoms, elements_2)
    curve = compute_gap_curve(interface, calculator, gaps or DEFAULT_GAPS, area, journal, points)
    fit = curve.fit
    values = {
        "equilibrium_gap_angstrom": curve.equilibrium_gap,
        "work_of_separation_j_per_m2": curve.work,
        "stiffness_gpa_per_angstrom": curve.stiffness,
        "strength_gpa": curve.strength,
        "strength_gap_angstrom": curve.strength_gap,
        "fit_work_of_separation_j_per_m2": fit.work,
        "fit_equilibrium_gap_angstrom": fit.gap,
        "fit_length_angstrom": fit.length,
        "fit_cubic_coefficient": fit.cubic,
        "fit_rms_error_j_per_m2": fit.rms_error,
        "fit_quality": fit.quality,
        "gaps_angstrom": curve.gaps,
        "energies_j_per_m2": curve.energies,
    }
    warnings = list(points.failures)
    if fit.rms_error > GOOD_FIT * curve.work:
        warnings.append(
            f"the universal curve misses the points by {100 * fit.rms_error / curve.work:.0f} % of W (rms): take gap, "
            "work and strength, which come from the spline, not the fit"
        )
    at_rest = with_gap(interface, curve.equilibrium_gap)
    fine = np.linspace(curve.gaps[0], curve.gaps[-1], 200)
    curves = {
        "energy": Curve(curve.gaps, curve.energies, "gap, Å", "interaction energy, J/m²"),
        "traction": Curve(fine, curve.traction(fine), "gap, Å", "traction, GPa"),
    }
    return Report("gap_curve", values, gap_curve_figure(curve), warnings, [at_rest], curves)
