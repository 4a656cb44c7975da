r"""Stress across an interface: per-atom virials in bins along the normal.

.. math:: \sigma(z) = \frac{1}{A\,\Delta z}\sum_{i \in bin} \bigl(W_i - m_i \mathbf v_i \otimes \mathbf v_i\bigr)

with each atom's share W in :math:`\partial E/\partial\varepsilon` (ASE's ``stresses`` times the volume) and, for
snapshots of molecular dynamics, the kinetic part. Tension is positive. The bins add up to the cell's stress times its
volume. A layer of atoms is a sheet without thickness: in bins thinner than the layers its stress rises as they become
thinner. What can be compared is in `mhdnn.properties.slab_stress`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, PropertyNotImplementedError
from scipy.special import ndtr

from mhdnn.errors import ConfigError, DataError
from mhdnn.properties.interfaces import area_of
from mhdnn.properties.progress import tracked
from mhdnn.properties.statistics import FEWEST_BLOCKS, standard_error
from mhdnn.structure import VOIGT
from mhdnn.units import GPA_PER_EV_PER_CUBIC_ANGSTROM

MARGIN = 1.0
"""Å from the outermost atoms to the ends of the bins."""
REACH = 6.0
"""Standard deviations up to which an atom that is smeared out counts."""


@dataclass(frozen=True)
class StressProfile:
    """Stress along the normal.

    :param edges: of the bins, shape (num_bins + 1,), Å
    :param stress: Voigt xx yy zz yz xz xy, mean over the snapshots, shape (num_bins, 6), GPa
    :param errors: standard errors of the means, shape (num_bins, 6), GPa; None for fewer than 16 snapshots
    :param average: of the whole cell, vacuum included, shape (6,), GPa
    """

    edges: np.ndarray
    stress: np.ndarray
    errors: np.ndarray | None
    average: np.ndarray

    @property
    def heights(self) -> np.ndarray:
        """Middles of the bins, shape (num_bins,), Å."""
        return 0.5 * (self.edges[1:] + self.edges[:-1])

    @property
    def width(self) -> float:
        """Of a bin, Å."""
        return float(self.edges[1] - self.edges[0])

    @property
    def per_length(self) -> np.ndarray:
        """Stress times the width: what each bin adds to the force per length, shape (num_bins, 6), N/m."""
        return 0.1 * self.width * self.stress

    @property
    def in_plane(self) -> np.ndarray:
        """(σ_xx + σ_yy)/2, shape (num_bins,), GPa."""
        return 0.5 * (self.stress[:, 0] + self.stress[:, 1])

    @property
    def normal(self) -> np.ndarray:
        """σ_zz, shape (num_bins,), GPa."""
        return self.stress[:, 2]

    @property
    def von_mises(self) -> np.ndarray:
        """Von Mises stress, shape (num_bins,), GPa."""
        xx, yy, zz, yz, xz, xy = self.stress.T
        normal = 0.5 * ((xx - yy) ** 2 + (yy - zz) ** 2 + (zz - xx) ** 2)
        return np.sqrt(normal + 3.0 * (yz**2 + xz**2 + xy**2))

    def largest(self, values: np.ndarray) -> tuple[float, float]:
        """The value of largest size and its height (Å).

        :param values: shape (num_bins,)
        """
        place = int(np.abs(values).argmax())
        return float(values[place]), float(self.heights[place])


def atomic_virials(atoms: Atoms, calculator: Calculator | None = None, kinetic: bool = False) -> np.ndarray:
    """Shares of the atoms in the derivative by strain, Voigt, shape (num_atoms, 6), eV.

    :param calculator: with ASE's property ``stresses`` (`MHDNNCalculator`, `LennardJones`); None takes the atoms' own
    :param kinetic: whether -m v v of the atoms' velocities is added
    :raises ConfigError: if the calculator has no ``stresses``
    :raises DataError: if the atoms have neither calculator nor, for the kinetic part, velocities
    """
    if calculator is not None:
        momenta, atoms = atoms.get_momenta(), atoms.copy()
        atoms.calc = calculator
    else:
        momenta = atoms.get_momenta()
    if atoms.calc is None:
        raise DataError("`calculator`: expected one with `stresses`, got none with the atoms either; name one")
    try:
        virials = np.array(atoms.get_stresses()) * atoms.get_volume()
    except PropertyNotImplementedError as error:
        raise ConfigError(
            f"`calculator`: expected one with ASE's property `stresses`, got {type(atoms.calc).__name__}; "
            "MHDNNCalculator has it for cells with three vectors"
        ) from error
    if not kinetic:
        return virials
    if not momenta.any():
        raise DataError(
            "`kinetic`: expected velocities with the atoms, got none; write the trajectory with momenta, or leave the "
            "kinetic part out"
        )
    parts = [momenta[:, a] * momenta[:, b] / atoms.get_masses() for a, b in VOIGT]
    return virials - np.stack(parts, 1)


def bin_weights(heights: np.ndarray, edges: np.ndarray, smearing: float, period: float | None) -> np.ndarray:
    """Part of each atom in each bin, shape (num_bins, num_atoms); the parts of an atom add up to one.

    :param heights: shape (num_atoms,), Å
    :param smearing: standard deviation of a Gaussian over which an atom is spread, Å; 0 for a point
    :param period: of the heights, Å; the edges then cover one period from 0
    """
    if period is not None:
        heights = heights % period
    if smearing == 0.0:
        place = np.clip(np.searchsorted(edges, heights, side="right") - 1, 0, len(edges) - 2)
        return np.eye(len(edges) - 1)[place].T
    images = 0 if period is None else int(np.ceil(REACH * smearing / period))
    below = np.zeros((len(edges), len(heights)))
    for image in range(-images, images + 1):
        below += ndtr((edges[:, None] - heights - image * (period or 0.0)) / smearing)
    weights = np.diff(below, axis=0)
    return weights / weights.sum(0)


def stress_profile(
    frames: Sequence[Atoms],
    calculator: Calculator | None = None,
    num_bins: int = 40,
    smearing: float = 0.0,
    kinetic: bool = False,
) -> StressProfile:
    """Stress profile of one structure, or its mean over snapshots.

    In bins thinner than the layers the stress of a layer appears as a peak: let a bin hold whole layers, or smear.

    :param frames: with z as normal and a cell of three vectors; a cell that is periodic along z is covered once,
        otherwise the bins reach from 1 Å below the lowest to 1 Å above the highest atom of all frames, and farther by
        what is smeared out
    :param calculator: as in `atomic_virials`
    :param num_bins: along the normal
    :param smearing: as in `bin_weights`, Å
    :param kinetic: as in `atomic_virials`
    :raises ConfigError: if there are no bins, or the smearing is negative
    :raises DataError: if there are no frames, or their heights along z differ although they are periodic there
    """
    if num_bins < 1 or smearing < 0:
        raise ConfigError(
            f"`num_bins`, `smearing`: expected at least one bin and no negative length, got {num_bins} and {smearing}"
        )
    if not len(frames):
        raise DataError("`frames`: expected at least one structure, got none")
    period = float(frames[0].cell[2, 2]) if frames[0].pbc[2] else None
    edges = _edges(frames, num_bins, smearing, period)
    profiles, averages = [], []
    for atoms in tracked(list(frames), "stress"):
        if period is not None and abs(atoms.cell[2, 2] - period) > 1e-6 * period:
            raise DataError(
                f"`frames`: expected one height of the cell, got {period:g} and {atoms.cell[2, 2]:g} Å; "
                "take a trajectory at constant volume"
            )
        virials = GPA_PER_EV_PER_CUBIC_ANGSTROM * atomic_virials(atoms, calculator, kinetic)
        weights = bin_weights(atoms.positions[:, 2], edges, smearing, period)
        profiles.append(weights @ virials / (area_of(atoms) * (edges[1] - edges[0])))
        averages.append(virials.sum(0) / atoms.get_volume())
    errors = standard_error(np.array(profiles)) if len(profiles) >= FEWEST_BLOCKS else None
    return StressProfile(edges, np.mean(profiles, 0), errors, np.mean(averages, 0))


def _edges(frames: Sequence[Atoms], num_bins: int, smearing: float, period: float | None) -> np.ndarray:
    """Equidistant edges of the bins, shape (num_bins + 1,), Å."""
    if period is not None:
        return np.linspace(0.0, period, num_bins + 1)
    lowest = min(float(atoms.positions[:, 2].min()) for atoms in frames)
    highest = max(float(atoms.positions[:, 2].max()) for atoms in frames)
    margin = MARGIN + REACH * smearing
    return np.linspace(lowest - margin, highest + margin, num_bins + 1)
