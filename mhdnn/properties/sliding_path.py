r"""Work of separation along a period of sliding, as a Fourier series."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from ase import Atoms

from mhdnn.units import GPA_PER_JOULE_PER_SQUARE_METER_PER_ANGSTROM as GPA_PER_SLOPE


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
    :param structures: of the points, with their energies
    :param change: of the largest traction by the last points that were added, relative, or of W between them in parts
        of the corrugation, whichever is larger; NaN if none were added
    """

    path: np.ndarray
    work: np.ndarray
    period: float
    cosines: np.ndarray
    sines: np.ndarray
    largest_traction: float
    largest_place: float
    gaps: np.ndarray | None = None
    structures: list[Atoms] = field(default_factory=list)
    change: float = np.nan

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
