r"""Work of separation of an interface, and its map over the registry, as results."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase import Atoms

from mhdnn.errors import DataError
from mhdnn.units import JOULE_PER_SQUARE_METER_PER_EV_PER_SQUARE_ANGSTROM


@dataclass(frozen=True)
class Separation:
    r"""A work of separation and what it is made of.

    :param energy_1: of slab 1 alone, eV
    :param energy_2: of slab 2 alone, eV
    :param energy_12: together, eV
    :param area: Å²
    :param atoms: the interface, relaxed if it was
    """

    energy_1: float
    energy_2: float
    energy_12: float
    area: float
    atoms: Atoms

    @property
    def work(self) -> float:
        r""":math:`W_{sep}`, J/m²."""
        return work_of_separation(self.energy_1, self.energy_2, self.energy_12, self.area)


def work_of_separation(energy_1: float, energy_2: float, energy_12: float, area: float) -> float:
    """W_sep from calculated energies, J/m².

    :param energy_1: of slab 1 alone, eV
    :param energy_2: of slab 2 alone, eV
    :param energy_12: together, eV
    :param area: Å²
    :raises DataError: if the area is not positive
    """
    if not area > 0:
        raise DataError(f"`area`: expected a positive number in Å², got {area}")
    return (energy_1 + energy_2 - energy_12) / area * JOULE_PER_SQUARE_METER_PER_EV_PER_SQUARE_ANGSTROM


@dataclass(frozen=True)
class RegistryMap:
    r"""Work of separation over the shifts of slab 2.

    :param shifts: shape (num_1, num_2, 2), Å
    :param work: :math:`W_{sep}`, shape (num_1, num_2), J/m²; NaN where it failed
    :param gaps: shape (num_1, num_2), Å
    :param cell: periods, shape (2, 2), Å
    :param structures: with their energies, of all shifts in order that did not fail
    """

    shifts: np.ndarray
    work: np.ndarray
    gaps: np.ndarray
    cell: np.ndarray
    structures: list[Atoms]

    @property
    def best_shift(self) -> np.ndarray:
        """Shift of the largest work of separation, shape (2,), Å."""
        return self.shifts[np.unravel_index(np.nanargmax(self.work), self.work.shape)]

    @property
    def corrugation(self) -> float:
        """Largest minus smallest work of separation, J/m²."""
        return float(np.nanmax(self.work) - np.nanmin(self.work))
