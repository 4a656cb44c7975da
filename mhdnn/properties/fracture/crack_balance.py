r"""The stress intensity at which the advance of a crack costs nothing, from the energies of its atoms alone.

The rim is held as for a tip in the middle. With the tip one period p of the lattice ahead of it, and with the tip as
far behind it, the crystal has two states that are the same but for an area 2pL of new surface (L the length of the
front), so that

.. math:: c(K) = \frac{E(p) - E(-p)}{2 p L} = 2\gamma - \tfrac12 (L^{-1})_{22} K^2 + O\bigl((p/R)^2\bigr).

What is of first order in p over the radius R cancels: the tip ahead feels as much less of K as the tip behind feels
more. c is linear in K²; where it is zero, a crack gains nothing by advancing or healing. This is Griffith's criterion
of the crack itself, in which neither elastic constants nor energies of surfaces were put, and lies between the stress
intensities at which the lattice lets go of the crack (Thomson, Hsieh and Rana, https://doi.org/10.1063/1.1660699).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mhdnn.errors import PropertyError

INTENSITIES = (0.95, 1.05)
"""Parts of Griffith's K at which the cost is computed."""


@dataclass(frozen=True)
class Balance:
    """Costs of an advance.

    :param intensities: K, in parts of Griffith's, shape (num_intensities,)
    :param costs: c(K), shape (num_intensities,), eV/Å²
    :raises PropertyError: if the cost does not fall with the load, or there is none without
    """

    intensities: np.ndarray
    costs: np.ndarray

    def __post_init__(self) -> None:
        slope, cost = self._line()
        if not slope < 0 < cost:
            raise PropertyError(
                f"`radius`: expected an advance whose cost is positive without load and falls with it, got {cost:.4g} "
                f"eV/Å² and a slope of {slope:.4g}; choose a larger radius"
            )

    @property
    def surface_energy(self) -> float:
        """2γ: the cost without load, eV/Å²."""
        return self._line()[1]

    @property
    def intensity(self) -> float:
        """K at which the advance costs nothing, in parts of Griffith's."""
        slope, cost = self._line()
        return float(np.sqrt(-cost / slope))

    def _line(self) -> tuple[float, float]:
        slope, cost = np.polyfit(self.intensities**2, self.costs, 1)
        return float(slope), float(cost)
