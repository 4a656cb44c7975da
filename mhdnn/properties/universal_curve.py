r"""A gap curve as a result, and the universal binding-energy relation that is fitted to it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import CubicSpline

from mhdnn.units import GPA_PER_JOULE_PER_SQUARE_METER_PER_ANGSTROM as GPA_PER_SLOPE


@dataclass(frozen=True)
class UniversalCurve:
    r"""Fit of the universal binding-energy relation to the bound part of a gap curve.

    .. math:: \gamma(d) = -W\,(1 + x + c x^3)\,e^{-x}, \qquad x = (d - d_0)/l

    J. H. Rose, J. R. Smith, F. Guinea and J. Ferrante, Phys. Rev. B 29, 2963 (1984),
    https://doi.org/10.1103/PhysRevB.29.2963, where c = 0.05 for metals; here it is fitted between 0 and 4/9, within
    which the curve has one minimum and rises from there to zero. It decays exponentially: dispersion, which decays by a
    power, is described badly, as ``quality`` says.

    :param work: W, J/m²
    :param gap: :math:`d_0`, Å
    :param length: l, Å
    :param cubic: c
    :param rms_error: of the fitted points, J/m²
    :param quality: R², the part of the scatter of the fitted points that the curve describes
    """

    work: float
    gap: float
    length: float
    cubic: float
    rms_error: float
    quality: float

    def energy(self, gaps: np.ndarray) -> np.ndarray:
        r""":math:`\gamma(d)`, J/m²."""
        return universal_energy(gaps, self.work, self.gap, self.length, self.cubic)


@dataclass(frozen=True)
class GapCurve:
    r"""A gap curve and what a cubic spline through its points says.

    :param gaps: ascending, shape (num_gaps,), Å
    :param energies: :math:`\gamma(d)`, shape (num_gaps,), J/m²
    :param equilibrium_gap: Å
    :param work: :math:`W_{sep}` at the equilibrium gap, J/m²
    :param stiffness: :math:`\gamma''` there, GPa/Å
    :param strength: largest traction :math:`\gamma'` beyond it, GPa
    :param strength_gap: where it is, Å
    :param fit: universal curve
    """

    gaps: np.ndarray
    energies: np.ndarray
    equilibrium_gap: float
    work: float
    stiffness: float
    strength: float
    strength_gap: float
    fit: UniversalCurve

    def traction(self, gaps: np.ndarray) -> np.ndarray:
        """Slope of the spline, GPa."""
        return GPA_PER_SLOPE * CubicSpline(self.gaps, self.energies)(gaps, 1)

    def energy(self, gaps: np.ndarray) -> np.ndarray:
        """The spline, J/m²."""
        return CubicSpline(self.gaps, self.energies)(gaps)


def universal_energy(gaps: np.ndarray, work: float, gap: float, length: float, cubic: float) -> np.ndarray:
    """The formula of `UniversalCurve`, J/m²."""
    x = (gaps - gap) / length
    return -work * (1.0 + x + cubic * x**3) * np.exp(-x)
