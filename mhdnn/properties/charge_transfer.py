r"""Charge that crosses an interface, and the electrostatic potential that it makes.

The charge of a slab is the sum of its atoms' charges; the potential is averaged over planes along the normal, and its
gradient across the gap d is

.. math:: \frac{U_1 - U_2}{d}

between the highest nuclei of slab 1 and the lowest of slab 2: positive where U falls on the way up, as the electric
field is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, PropertyNotImplementedError
from ase.data import covalent_radii
from scipy.interpolate import CubicSpline
from scipy.special import erf

from mhdnn.deploy.calculator import MHDNNCalculator
from mhdnn.errors import ConfigError, DataError
from mhdnn.properties.interfaces import area_of, check_labels, gap_of, slabs_of
from mhdnn.units import COULOMB_CONSTANT, SQUARE_ANGSTROM_PER_SQUARE_NANOMETER

PlaneAverage = Callable[[np.ndarray], np.ndarray]
"""From heights, shape (num_heights,) in Å, to the potential averaged over planes there, shape (num_heights,) in V."""

LARGEST_EXPONENT = 9.0
"""Waves up to this number over the width of the narrowest Gaussian are summed; what is left is exp(-40)."""
MARGIN = 4.0
"""Å that a profile reaches beyond the atoms."""
SMALL_PART = 1e-3
"""Of the gap: the step of the derivative at its middle."""


@dataclass(frozen=True)
class ChargeTransfer:
    """Charges of the two slabs.

    :param charges: of the atoms, shape (num_atoms,), e
    :param charge_1: sum over slab 1, e
    :param charge_2: sum over slab 2, e
    :param area: Å²
    """

    charges: np.ndarray
    charge_1: float
    charge_2: float
    area: float

    @property
    def transferred(self) -> float:
        """Charge that slab 2 took from slab 1, e: half the difference, so that a total charge doesn't count."""
        return 0.5 * (self.charge_2 - self.charge_1)

    @property
    def transferred_per_square_nanometer(self) -> float:
        """The same per area, e/nm²."""
        return self.transferred / self.area * SQUARE_ANGSTROM_PER_SQUARE_NANOMETER


@dataclass(frozen=True)
class PotentialProfile:
    """Potential averaged over planes.

    :param heights: shape (num_heights,), Å
    :param potential: shape (num_heights,), V
    :param potential_1: at the highest nuclei of slab 1, V
    :param potential_2: at the lowest nuclei of slab 2, V
    :param gap: Å
    :param middle_field: minus the slope in the middle of the gap, V/Å
    """

    heights: np.ndarray
    potential: np.ndarray
    potential_1: float
    potential_2: float
    gap: float
    middle_field: float

    @property
    def gradient(self) -> float:
        """(U_1 - U_2)/d, V/Å."""
        return (self.potential_1 - self.potential_2) / self.gap


def charges_of(atoms: Atoms, calculator: Calculator | None = None) -> np.ndarray:
    """Charges of a calculator, or those that come with the atoms, shape (num_atoms,), e.

    :param calculator: None takes the charges of the structure's own results, then its array ``initial_charges``
    :raises ConfigError: if the calculator has none
    :raises DataError: if none come with the atoms
    """
    if calculator is not None:
        copy = atoms.copy()
        copy.calc = calculator
        try:
            return np.array(copy.get_charges())
        except PropertyNotImplementedError as error:
            raise ConfigError(
                f"`calculator`: expected one with charges, got {type(calculator).__name__}; train a model with "
                "`charges=equilibration`, or take a structure file that holds charges"
            ) from error
    own = {} if atoms.calc is None else atoms.calc.results
    if "charges" in own:
        return np.array(own["charges"])
    if "initial_charges" not in atoms.arrays:
        raise DataError("`charges`: expected charges with the atoms, got none; name a `calculator` that has them")
    return np.array(atoms.get_initial_charges())


def charge_transfer(atoms: Atoms, charges: Sequence[float] | np.ndarray) -> ChargeTransfer:
    """Charges of the two slabs.

    :param atoms: labelled (`mhdnn.properties.interfaces`)
    :param charges: shape (num_atoms,), e; from `charges_of`, or of any scheme
    :raises DataError: if there is not a charge for each atom
    """
    values, labels = np.asarray(charges, dtype=float), check_labels(atoms)
    if values.shape != labels.shape:
        raise DataError(f"`charges`: expected one for each of {len(atoms)} atoms, got shape {values.shape}")
    return ChargeTransfer(values, float(values[labels == 1].sum()), float(values[labels == 2].sum()), area_of(atoms))


def charge_differences(atoms: Atoms, calculator: Calculator) -> np.ndarray:
    """Charges of the interface minus those of its slabs alone, shape (num_atoms,), e.

    :param calculator: gives the slabs alone no total charge
    """
    difference = charges_of(atoms, calculator)
    labels = check_labels(atoms)
    for label, part in enumerate(slabs_of(atoms), start=1):
        difference[labels == label] -= charges_of(part, calculator)
    return difference


def average_of_charges(
    atoms: Atoms, charges: Sequence[float] | np.ndarray, widths: Sequence[float] | np.ndarray | None = None
) -> PlaneAverage:
    r"""Plane average of the potential of Gaussian charges.

    With the area A and heights z above each charge, of a slab in vacuum (not periodic along z)

    .. math:: U(z) = -\frac{2\pi k_e}{A}\sum_i q_i \Bigl[z\,\mathrm{erf}\frac{z}{\sqrt2 s_i}
              + s_i\sqrt{\tfrac2\pi}\,e^{-z^2/2s_i^2}\Bigr],

    and if z has the period L, with the average of the cell as zero,

    .. math:: U(z) = \frac{8\pi k_e}{AL}\sum_i q_i\sum_{n \ge 1}\frac{e^{-s_i^2g^2/2}}{g^2}\cos gz,
              \qquad g = \frac{2\pi n}{L}.

    :param charges: shape (num_atoms,), e
    :param widths: s, shape (num_atoms,), Å; covalent radii if None
    :raises DataError: if the plane of x and y is not periodic, or a width is not positive
    """
    spread = covalent_radii[atoms.numbers] if widths is None else np.asarray(widths, dtype=float)
    if not atoms.pbc[:2].all():
        raise DataError(f"`pbc`: expected a plane that is periodic along x and y, got {atoms.pbc.tolist()}")
    if not (spread > 0).all():
        raise DataError(f"`widths`: expected positive numbers in Å, got {spread.tolist()}")
    values, z, area = np.asarray(charges, dtype=float), atoms.positions[:, 2].copy(), area_of(atoms)

    def of_slab(heights: np.ndarray) -> np.ndarray:
        above = np.asarray(heights, dtype=float)[:, None] - z
        rounded = spread * np.sqrt(2.0 / np.pi) * np.exp(-0.5 * (above / spread) ** 2)
        return (
            -2.0 * np.pi * COULOMB_CONSTANT / area * (above * erf(above / (np.sqrt(2.0) * spread)) + rounded) @ values
        )

    if not atoms.pbc[2]:
        return of_slab
    period = float(atoms.cell[2, 2])
    waves = 2.0 * np.pi / period * np.arange(1, int(LARGEST_EXPONENT * period / (2.0 * np.pi * spread.min())) + 2)
    amplitudes = np.exp(-0.5 * np.multiply.outer(waves, spread) ** 2) / waves[:, None] ** 2
    structure = (amplitudes * np.exp(-1j * np.multiply.outer(waves, z))) @ values
    factor = 8.0 * np.pi * COULOMB_CONSTANT / (area * period)
    return lambda heights: factor * (np.exp(1j * np.multiply.outer(heights, waves)) @ structure).real


def average_of_grid(atoms: Atoms, potential: np.ndarray) -> PlaneAverage:
    """Plane average of a potential on a grid that fills the cell, such as a DFT program writes.

    :param potential: at the fractions i/n of the cell vectors, shape (n_1, n_2, n_3), V. GPAW's
        ``get_electrostatic_potential`` is that of an electron, in eV: minus this one
    :raises DataError: if it has another number of dimensions, or z is not periodic
    """
    values = np.asarray(potential, dtype=float)
    if values.ndim != 3 or not atoms.pbc.all():
        raise DataError(
            f"`potential`: expected a grid with three dimensions in a cell periodic along x, y and z, got shape "
            f"{values.shape} and pbc {atoms.pbc.tolist()}"
        )
    means = values.mean((0, 1))
    period = float(atoms.cell[2, 2])
    spline = CubicSpline(period / len(means) * np.arange(len(means) + 1), [*means, means[0]], bc_type="periodic")
    return lambda heights: spline(np.asarray(heights, dtype=float) % period)


def widths_of(atoms: Atoms, calculator: Calculator | None) -> np.ndarray:
    """Widths of the Gaussian charges: the model's, or covalent radii, shape (num_atoms,), Å."""
    if isinstance(calculator, MHDNNCalculator):
        return calculator.charge_widths(atoms.numbers)
    return covalent_radii[atoms.numbers]


def potential_profile(atoms: Atoms, average: PlaneAverage, num_heights: int = 200) -> PotentialProfile:
    """Potential along the normal of an interface and its gradient across the gap.

    :param atoms: labelled; an interface in vacuum should not be periodic along z: the images' field comes on top
    :param average: from `average_of_charges` or `average_of_grid`
    :param num_heights: of the profile, from 4 Å below to 4 Å above the atoms; a cell that is periodic along z is
        covered once
    :raises DataError: if slab 2 is not above slab 1
    """
    labels, z = check_labels(atoms), atoms.positions[:, 2]
    gap, bottom, top = gap_of(atoms), z[labels == 1].max(), z[labels == 2].min()
    if not gap > 0:
        raise DataError(f"`atoms`: expected slab 2 above slab 1, got a gap of {gap:.3g} Å; exchange the labels")
    lowest, highest = (0.0, float(atoms.cell[2, 2])) if atoms.pbc[2] else (z.min() - MARGIN, z.max() + MARGIN)
    heights = np.linspace(lowest, highest, num_heights)
    middle, step = 0.5 * (bottom + top), SMALL_PART * gap
    below, above, potential_1, potential_2 = average(np.array([middle - step, middle + step, bottom, top]))
    return PotentialProfile(
        heights,
        average(heights),
        float(potential_1),
        float(potential_2),
        gap,
        float((below - above) / (2.0 * step)),
    )
