r"""Elastic constants of crystals from the stress of strained cells with relaxed atoms.

A cell is deformed by :math:`F = \sqrt{1 + 2\eta}` with the Lagrangian strain :math:`\eta`, the atoms relax, and the
stress :math:`\sigma` gives the second Piola-Kirchhoff stress :math:`S = \det F\, F^{-1}\sigma F^{-T}`, the derivative
of the energy per volume of the cell at rest by :math:`\eta`. So :math:`C_{ij} = \partial S_i/\partial\eta_j` is the
second derivative of the energy, symmetric also where a stress remains. All :math:`C_{ij}` that symmetry allows are
fitted at once to polynomials in the strain.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import scipy.linalg
from ase import Atoms
from ase.calculators.calculator import Calculator, PropertyNotImplementedError
from ase.stress import full_3x3_to_voigt_6_stress, voigt_6_to_full_3x3_strain
from ase.stress import voigt_6_to_full_3x3_stress as full_stress

from mhdnn.errors import ConfigError, PropertyError
from mhdnn.properties.elastic_tensor import invariant_stiffnesses, is_stable, moduli, rotated
from mhdnn.properties.elasticity_figure import elasticity_figure
from mhdnn.properties.journal import Journal, identity
from mhdnn.properties.points import Points
from mhdnn.properties.progress import tracked
from mhdnn.properties.relaxation import relaxed
from mhdnn.properties.report import Report
from mhdnn.properties.symmetry import crystal_axes, crystal_system
from mhdnn.units import GPA_PER_EV_PER_CUBIC_ANGSTROM

INDEPENDENCE = 0.25
"""Smallest singular value of the strains' effect on the constants (1 for all six strains) that is accepted."""


@dataclass(frozen=True)
class StrainSettings:
    """Which strains are put on a structure, and how its atoms relax in them.

    :param largest_strain: of the cells, in both signs
    :param num_strains: cells for each direction, at equal distances, without the cell at rest; even
    :param degree: of the polynomials fitted; odd, below num_strains. The error is of the order of
        largest_strain**(degree + 1)
    :param max_force: at the end of relaxations, eV/Å
    :param symmetry_tolerance: distance within which atoms are equivalent, Å
    """

    largest_strain: float = 0.006
    num_strains: int = 4
    degree: int = 3
    max_force: float = 1e-4
    symmetry_tolerance: float = 1e-3

    def __post_init__(self) -> None:
        """Check.

        :raises ConfigError: if the strains don't suffice
        """
        if not 0.0 < self.largest_strain < 0.5:
            raise ConfigError(
                f"`largest_strain`: expected a number between 0 and 0.5, for example 0.006, got {self.largest_strain}"
            )
        if self.num_strains < 2 or self.num_strains % 2:
            raise ConfigError(f"`num_strains`: expected an even number, as many of either sign, got {self.num_strains}")
        if self.degree < 1 or self.degree % 2 == 0 or self.degree >= self.num_strains:
            raise ConfigError(
                f"`degree`: expected an odd number below `num_strains` ({self.num_strains}), got {self.degree}; an "
                "even one adds no accuracy, as strains come in both signs"
            )

    @property
    def amplitudes(self) -> list[float]:
        """Strains of one direction."""
        largest, number = self.largest_strain, self.num_strains
        return [float(x) for x in np.linspace(-largest, largest, number + 1) if abs(x) > 0.1 * largest / number]


DEFAULT_STRAINS = StrainSettings()


@dataclass
class StrainedStresses:
    """Stresses of strained cells.

    :param directions: Voigt index of the strain, shape (num_cells,)
    :param amplitudes: strain, doubled for shear, shape (num_cells,)
    :param stresses: second Piola-Kirchhoff, shape (num_cells, 6), eV/Å³
    :param errors: standard errors of the stresses, shape (num_cells, 6), eV/Å³; None if the scatter about the fit tells
    """

    directions: np.ndarray
    amplitudes: np.ndarray
    stresses: np.ndarray
    errors: np.ndarray | None = None


@dataclass
class ElasticConstants:
    """A fit of elastic constants.

    :param stiffness: C, shape (6, 6), eV/Å³
    :param basis: what symmetry allows, shape (num_constants, 6, 6)
    :param covariance: of the coefficients of the basis, shape (num_constants, num_constants), eV²/Å⁶
    :param residual_stress: of the cell at rest, shape (6,), eV/Å³
    :param data: what was fitted
    """

    stiffness: np.ndarray
    basis: np.ndarray
    covariance: np.ndarray
    residual_stress: np.ndarray
    data: StrainedStresses

    def along(self, axes: np.ndarray) -> ElasticConstants:
        """The same in other axes; the data stay as they are.

        :param axes: x, y and z as rows, shape (3, 3)
        """
        basis = np.array([rotated(one, axes) for one in self.basis])
        stress = full_3x3_to_voigt_6_stress(axes @ full_stress(self.residual_stress) @ axes.T)
        return ElasticConstants(rotated(self.stiffness, axes), basis, self.covariance, stress, self.data)

    @property
    def errors(self) -> np.ndarray:
        """Standard errors of C, shape (6, 6), eV/Å³."""
        return np.sqrt(np.einsum("aij,ab,bij->ij", self.basis, self.covariance, self.basis).clip(0.0))

    def moduli(self) -> tuple[dict[str, float], dict[str, float]]:
        """Moduli (`mhdnn.properties.elastic_tensor.moduli`) in eV/Å³, and their standard errors to first order."""
        values = moduli(self.stiffness)
        step = 1e-5 * float(np.linalg.norm(self.stiffness))
        slopes: dict[str, list[float]] = {key: [] for key in values}
        for change in step * self.basis:
            above, below = moduli(self.stiffness + change), moduli(self.stiffness - change)
            for key in values:
                slopes[key].append(float(above[key] - below[key]) / (2.0 * step))
        errors = {key: float(np.sqrt(np.maximum(s @ self.covariance @ s, 0.0))) for key, s in _arrays(slopes).items()}
        return values, errors


def elastic_constants(
    atoms: Atoms,
    calculator: Calculator,
    settings: StrainSettings = DEFAULT_STRAINS,
    journal: str | Path | None = None,
    points: Points | None = None,
) -> ElasticConstants:
    """All elastic constants of a crystal at rest, with relaxed atoms.

    Only strains that symmetry does not make superfluous are computed: two directions for a cubic crystal.

    :param atoms: a crystal whose cell and atoms are relaxed; constraints of atoms hold
    :param journal: JSON file to which stresses are written; an interrupted calculation continues from it
    :param points: keeps what failed; strained cells that fail are left out
    :raises ConfigError: if the structure is no crystal, or the calculator has no stress
    :raises PropertyError: if so many cells fail that the others don't determine the constants
    """
    if not (atoms.pbc.all() and atoms.cell.rank == 3):
        raise ConfigError(
            f"`atoms`: expected three periodic directions, got pbc {atoms.pbc.tolist()}; a layer has its own function, "
            "`layer_elastic_constants`"
        )
    basis = invariant_stiffnesses(atoms, settings.symmetry_tolerance)
    return strain_and_fit(atoms, calculator, basis, settings, journal, points)


def strain_and_fit(
    atoms: Atoms,
    calculator: Calculator,
    basis: np.ndarray,
    settings: StrainSettings,
    journal: str | Path | None,
    points: Points | None = None,
) -> ElasticConstants:
    """Elastic constants that symmetry allows, from as few strained cells as determine them.

    :param basis: what symmetry allows, shape (num_constants, 6, 6); for the others see `elastic_constants`
    """
    cells = [(0, 0.0), *itertools.product(necessary_directions(basis), settings.amplitudes)]
    kept = Journal(journal, {} if journal is None else {**identity(atoms, calculator), "max_force": settings.max_force})

    def stress_of(direction: int, amplitude: float) -> np.ndarray:
        deformation = deformation_gradient(direction, amplitude)
        strained = relaxed(deformed(atoms, deformation), calculator, settings.max_force)
        return piola_kirchhoff(stress_with(strained), deformation)

    points, used, stresses = points or Points(), [], []
    for direction, amplitude in tracked(cells, "elasticity"):
        step = f"{direction} {amplitude:+.8f}"
        compute = partial(kept.get, step, partial(stress_of, direction, amplitude))
        stress = points.get(f"strain {step}", compute)
        if stress is not None:
            used.append((direction, amplitude))
            stresses.append(stress)
    points.check(len(used), settings.degree + 1, "strains")
    directions, strains = np.array(used).T
    data = StrainedStresses(directions.astype(int), strains, np.array(stresses))
    return fit_what_is_left(basis, data, settings.degree, points)


def fit_what_is_left(basis: np.ndarray, data: StrainedStresses, degree: int, points: Points) -> ElasticConstants:
    """`fit_stiffness` after some cells may have failed.

    :raises PropertyError: if the others don't determine the constants, with the first failure
    """
    try:
        return fit_stiffness(basis, data, degree)
    except ConfigError as error:
        if points.failures:
            raise PropertyError(f"{error}; {points.failures[0]}") from error
        raise


def fit_stiffness(basis: np.ndarray, data: StrainedStresses, degree: int = 1) -> ElasticConstants:
    r"""Least squares of :math:`S = S_0 + C\eta + \sum_{n \ge 2} a_n \eta^n`, with own :math:`a_n` for each direction.

    :param basis: what symmetry allows for C, shape (num_constants, 6, 6)
    :param data: at least ``degree`` strains for each of the directions that `necessary_directions` names
    :raises ConfigError: if the data don't determine the constants
    """
    design = _design(basis, data, degree)
    weights = np.ones(data.stresses.size) if data.errors is None else 1.0 / np.maximum(data.errors, 1e-12).ravel()
    if np.linalg.matrix_rank(design) < design.shape[1]:
        raise ConfigError(
            f"`data`: expected strains that determine {len(basis)} constants with polynomials of degree {degree}, got "
            f"{len(data.amplitudes)} stresses that don't; add strains or directions"
        )
    inverse = np.linalg.pinv(design * weights[:, None])
    solution = inverse @ (data.stresses.ravel() * weights)
    covariance = inverse @ inverse.T
    if data.errors is None:
        residuals = data.stresses.ravel() - design @ solution
        freedom = len(residuals) - design.shape[1]
        covariance *= residuals @ residuals / freedom if freedom > 0 else np.nan
    number = len(basis)
    stiffness = np.einsum("a,aij->ij", solution[:number], basis)
    return ElasticConstants(stiffness, basis, covariance[:number, :number], solution[number : number + 6], data)


def necessary_directions(basis: np.ndarray) -> tuple[int, ...]:
    """The fewest strains (Voigt indices) whose stresses determine all constants well.

    :param basis: shape (num_constants, 6, 6), orthonormal
    """
    best: tuple[float, tuple[int, ...]] = (0.0, ())
    for size in range(1, 7):
        for chosen in itertools.combinations(range(6), size):
            effect = basis[:, :, chosen].reshape(len(basis), -1)
            if effect.shape[1] >= len(basis):
                smallest = np.linalg.svd(effect, compute_uv=False)[-1]
                best = max(best, (float(smallest) - 1e-9 * sum(chosen), chosen))
        if best[0] > INDEPENDENCE:
            break
    return best[1]


def deformation_gradient(direction: int, amplitude: float) -> np.ndarray:
    """The symmetric F of a Lagrangian strain in one Voigt direction (doubled for shear), shape (3, 3)."""
    strain = np.zeros(6)
    strain[direction] = amplitude
    # ASE's matrix is 1 + strain
    return np.real(scipy.linalg.sqrtm(2.0 * voigt_6_to_full_3x3_strain(strain) - np.eye(3)))


def deformed(atoms: Atoms, deformation: np.ndarray) -> Atoms:
    """A copy whose cell and atoms are deformed; constraints of atoms are kept."""
    result = atoms.copy()
    result.set_cell(atoms.cell[:] @ deformation.T)
    result.set_positions(atoms.positions @ deformation.T, apply_constraint=False)
    return result


def piola_kirchhoff(stress: np.ndarray, deformation: np.ndarray) -> np.ndarray:
    """The second Piola-Kirchhoff stress of a Cauchy stress, both Voigt, shape (6,)."""
    inverse = np.linalg.inv(deformation)
    return np.linalg.det(deformation) * full_3x3_to_voigt_6_stress(inverse @ full_stress(stress) @ inverse.T)


def stress_with(atoms: Atoms, kinetic: bool = False) -> np.ndarray:
    """The stress of atoms with a calculator, Voigt, eV/Å³; with the momenta's part on demand.

    :raises ConfigError: if the calculator has no stress
    """
    try:
        return atoms.get_stress(include_ideal_gas=kinetic, apply_constraint=False)
    except PropertyNotImplementedError as error:
        raise ConfigError(
            f"`calculator`: expected one with a stress, got {type(atoms.calc).__name__}, which has none"
        ) from error


def elasticity_report(
    atoms: Atoms,
    calculator: Calculator,
    relax_cell: bool = True,
    settings: StrainSettings = DEFAULT_STRAINS,
    journal: Path | None = None,
) -> Report:
    """Elastic constants, moduli, stability and anisotropy of a crystal (0 K, relaxed atoms), in its crystal axes.

    :param atoms: a crystal
    :param calculator: with a stress
    :param relax_cell: whether cell and atoms are relaxed first
    :param settings: which strains, and how the atoms relax
    :param journal: JSON file from which an interrupted calculation continues
    """
    at_rest = relaxed(atoms, calculator, settings.max_force, cell=True) if relax_cell else atoms
    points = Points()
    constants = elastic_constants(at_rest, calculator, settings, journal, points)
    values = {"num_atoms": len(atoms), "volume_cubic_angstrom": at_rest.get_volume(), "cell_angstrom": at_rest.cell[:]}
    title = f"{atoms.get_chemical_formula()}: elastic constants"
    report = constants_report("elasticity", values, constants, at_rest, settings.symmetry_tolerance, title)
    report.warnings += points.failures
    return report


def constants_report(
    name: str,
    values: dict[str, object],
    constants: ElasticConstants,
    atoms: Atoms,
    symmetry_tolerance: float,
    title: str,
) -> Report:
    """A report of elastic constants in the crystal axes (`mhdnn.properties.symmetry.crystal_axes`) and as given.

    :param name: of the report
    :param values: that it has beside
    :param constants: in the frame of the atoms
    :param symmetry_tolerance: Å
    """
    axes = crystal_axes(atoms, symmetry_tolerance)
    turned = constants.along(axes)
    gpa = GPA_PER_EV_PER_CUBIC_ANGSTROM
    frame = {
        "crystal_system": crystal_system(atoms, symmetry_tolerance),
        "crystal_axes": axes,
        "elastic_constants_as_given_gpa": gpa * constants.stiffness,
        "elastic_constants_error_as_given_gpa": gpa * constants.errors,
        "residual_stress_as_given_gpa": gpa * constants.residual_stress,
    }
    return Report(
        name, values | values_in_gpa(turned) | frame, elasticity_figure(turned, constants, title), [], [atoms]
    )


def values_in_gpa(constants: ElasticConstants) -> dict[str, object]:
    """Everything that follows from elastic constants, for a report: GPa, with standard errors beside."""
    gpa = GPA_PER_EV_PER_CUBIC_ANGSTROM
    values: dict[str, object] = {
        "elastic_constants_gpa": gpa * constants.stiffness,
        "elastic_constants_error_gpa": gpa * constants.errors,
        "num_independent_constants": len(constants.basis),
        "residual_stress_gpa": gpa * constants.residual_stress,
        "born_stable": is_stable(constants.stiffness),
        "smallest_eigenvalue_gpa": gpa * np.linalg.eigvalsh(constants.stiffness)[0],
    }
    quantities, errors = constants.moduli()
    for key, value in quantities.items():
        unit, factor = ("_gpa", gpa) if "modulus" in key else ("", 1.0)
        values[key + unit] = factor * value
        values[f"{key}_error{unit}"] = factor * errors[key]
    return values


def _design(basis: np.ndarray, data: StrainedStresses, degree: int) -> np.ndarray:
    """Derivatives of the stresses by the coefficients of basis, stress at rest, and higher powers of each direction."""
    higher = [(direction, power) for direction in np.unique(data.directions) for power in range(2, degree + 1)]
    number = len(basis)
    design = np.zeros((len(data.amplitudes), 6, number + 6 + 6 * len(higher)))
    for row, (direction, amplitude) in enumerate(zip(data.directions, data.amplitudes, strict=True)):
        design[row, :, :number] = amplitude * basis[:, :, direction].T
        design[row, :, number : number + 6] = np.eye(6)
        for place, (of_direction, power) in enumerate(higher):
            if of_direction == direction:
                first = number + 6 + 6 * place
                # scaled, so that the columns of all powers are of one size
                scale = np.abs(data.amplitudes).max() ** (power - 1)
                design[row, :, first : first + 6] = np.eye(6) * amplitude**power / scale
    return design.reshape(-1, design.shape[-1])


def _arrays(lists: dict[str, list[float]]) -> dict[str, np.ndarray]:
    return {key: np.array(values) for key, values in lists.items()}
