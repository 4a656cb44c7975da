r"""What a stress-strain curve says: ideal strength, strain there, energy taken up, modulus, and which bonds broke.

The strength is the largest Cauchy (true) stress, of the cubic spline through the computed points. The nominal stress is
that of the first Piola-Kirchhoff tensor :math:`P = J \sigma F^{-T}`, force by area at rest, whose integral over the
deformation gradient is the energy:

.. math:: E - E_0 = V_0 \int P : dF

which the report compares with the difference of the energies.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.interpolate import CubicSpline

from mhdnn.errors import DataError
from mhdnn.properties.fracture.loading import CRYSTAL, GRIPS, LAYER
from mhdnn.properties.fracture.pulling import Pull
from mhdnn.properties.volumes import thickness
from mhdnn.units import GPA_PER_EV_PER_CUBIC_ANGSTROM as GPA
from mhdnn.units import JOULE_PER_SQUARE_METER_PER_EV_PER_SQUARE_ANGSTROM as NEWTON_PER_METER

FEWEST_POINTS = 4
FINE = 50
"""Points between two strains of splines that are integrated."""
FIRST_BROKEN = 20
"""Bonds that the report lists."""


@dataclass(frozen=True)
class Strength:
    """The largest stress of a curve.

    :param stress: largest, the unit of the stresses
    :param strain: where it is
    :param modulus: slope at the smallest strain, of the cubic polynomial through the first four points
    :param is_reached: whether the stress falls again beyond it
    """

    stress: float
    strain: float
    modulus: float
    is_reached: bool


def strength_of(strains: np.ndarray, stresses: np.ndarray) -> Strength:
    """The largest stress, by a cubic spline; of calculated points from whatever program.

    :param strains: ascending, at least four, shape (num_points,)
    :param stresses: shape (num_points,)
    :raises DataError: if there are too few, or they don't ascend
    """
    x, y = np.asarray(strains, dtype=float), np.asarray(stresses, dtype=float)
    if len(x) < FEWEST_POINTS or np.diff(x).min() <= 0:
        raise DataError(f"`strains`: expected at least {FEWEST_POINTS} that ascend, got {x.tolist()}")
    top = int(y.argmax())
    modulus = float(np.polyder(np.poly1d(np.polyfit(x[:4] - x[0], y[:4], 3)))(0.0))
    if top in (0, len(x) - 1):
        return Strength(float(y[top]), float(x[top]), modulus, False)
    # beyond failure the stress may jump: a spline of what lies around the maximum does not see that
    near = slice(max(0, top - 3), top + 2)
    spline = CubicSpline(x[near], y[near])
    inside = [place for place in spline.derivative().roots(extrapolate=False) if x[top - 1] <= place <= x[top + 1]]
    candidates = np.array([x[top], *inside])
    best = float(candidates[np.argmax(spline(candidates))])
    return Strength(float(spline(best)), best, modulus, True)


def work_of(pull: Pull) -> np.ndarray:
    """Work done up to each step by the integral of the stress, shape (num_steps,), eV.

    :raises DataError: with fewer than two steps
    """
    gradients = gradients_of(pull)
    nominal = nominal_stresses(pull, gradients)
    if len(gradients) < 2:
        raise DataError(f"`strains`: expected at least two for an integral, got {len(gradients)}")
    places = np.arange(len(gradients), dtype=float)
    stress, path = CubicSpline(places, nominal), CubicSpline(places, gradients)
    fine = np.linspace(0.0, places[-1], FINE * (len(places) - 1) + 1)
    power = (stress(fine) * path(fine, 1)).sum(axis=(1, 2))
    done = np.concatenate([[0.0], np.cumsum(0.5 * (power[1:] + power[:-1]) * np.diff(fine))])
    return done[::FINE] * _reference(pull)


def gradients_of(pull: Pull) -> np.ndarray:
    """Deformation gradient of each step from the structure at rest, shape (num_steps, 3, 3)."""
    loading = pull.loading
    if loading.kind == GRIPS:
        return np.array([loading.deformation(strain) for strain in pull.strains])
    return np.array([np.linalg.solve(loading.atoms.cell[:], atoms.cell[:]).T for atoms in pull.structures])


def nominal_stresses(pull: Pull, gradients: np.ndarray) -> np.ndarray:
    """First Piola-Kirchhoff stresses, shape (num_steps, 3, 3), the unit of the stresses; of grips their traction."""
    if pull.loading.kind == GRIPS:
        areas = np.array([pull.loading.area_of(atoms) for atoms in pull.structures])
        return pull.stresses * (areas / areas[0])[:, None, None]
    # a layer's stress is by length: the gradient does not stretch its normal
    return np.array([np.linalg.det(f) * s @ np.linalg.inv(f).T for f, s in zip(gradients, pull.stresses, strict=True)])


def values_of(pull: Pull) -> dict[str, Any]:
    """Everything about a pull that a report of it says, with units in the keys."""
    loading, kind = pull.loading, pull.loading.kind
    unit, factor = ("n_per_m", NEWTON_PER_METER) if kind == LAYER else ("gpa", GPA)
    found = strength_of(pull.strains, factor * pull.stress)
    row, column = loading.component
    nominal = nominal_stresses(pull, gradients_of(pull))[:, row, column]
    largest_nominal = strength_of(pull.strains, factor * nominal)
    taken = pull.energies - pull.energies[0]
    at_strength = float(CubicSpline(pull.strains, taken)(found.strain))
    values: dict[str, Any] = {
        "formula": loading.atoms.get_chemical_formula(),
        "kind": kind,
        "axes": loading.axes,
        f"strength_{unit}": found.stress,
        "strain_at_strength": found.strain,
        "strength_reached": found.is_reached,
        f"nominal_strength_{unit}": largest_nominal.stress,
        f"initial_modulus_{unit}": found.modulus,
        **_energies(pull, at_strength, float(taken[-1])),
        **_sizes(pull, found),
        "strains": pull.strains,
        f"stresses_{unit}": factor * pull.stress,
        f"stress_tensors_{unit}": factor * pull.stresses,
        "energies_ev": pull.energies,
        "work_of_stress_ev": work_of(pull),
    }
    return values | broken_bonds(pull)


def broken_bonds(pull: Pull) -> dict[str, Any]:
    """When bonds break, how many, between which elements, and where: fractions of the height along the load."""
    broken, structures = pull.broken, pull.structures
    first = np.flatnonzero(broken.any(axis=1))
    lost = broken.sum(axis=1)
    rest = pull.bonds.coordination(np.zeros(len(pull.bonds.first), dtype=bool), len(structures[0]))
    least = [int((rest - pull.bonds.coordination(row, len(structures[0]))).max()) for row in broken]
    values: dict[str, Any] = {
        "num_bonds": len(pull.bonds.first),
        "num_broken_bonds": lost,
        "most_neighbors_lost": least,
        "mean_coordination": 2.0 * (len(pull.bonds.first) - lost) / len(structures[0]),
        "first_broken_strain": float(pull.strains[first[0]]) if len(first) else None,
        "first_broken_bonds": [],
    }
    if len(first):
        atoms, symbols = pull.loading.atoms, structures[0].get_chemical_symbols()
        centers = pull.bonds.centers(atoms) @ pull.loading.axes
        for place in np.flatnonzero(broken[first[0]])[:FIRST_BROKEN]:
            one, two = int(pull.bonds.first[place]), int(pull.bonds.second[place])
            values["first_broken_bonds"].append(
                {
                    "atoms": [one, two],
                    "elements": [symbols[one], symbols[two]],
                    "center_angstrom": centers[place],
                    "length_at_rest_angstrom": float(pull.bonds.lengths[place]),
                }
            )
    return values


def _energies(pull: Pull, at_strength: float, at_end: float) -> dict[str, float]:
    """Energy taken up until the largest stress and until the end, by volume or area at rest."""
    if pull.loading.kind == CRYSTAL:
        unit, factor = "gj_per_m3", GPA / pull.loading.atoms.get_volume()
    else:
        unit, factor = "j_per_m2", NEWTON_PER_METER / pull.loading.area_of(pull.loading.atoms)
    name = "energy" if pull.loading.kind != CRYSTAL else "energy_density"
    return {f"{name}_to_strength_{unit}": factor * at_strength, f"{name}_to_end_{unit}": factor * at_end}


def _sizes(pull: Pull, found: Strength) -> dict[str, float]:
    loading = pull.loading
    if loading.kind == LAYER:
        height = _thickness(pull)
        return {"thickness_angstrom": height, "strength_by_thickness_gpa": 10.0 * found.stress / height}
    if loading.kind == GRIPS:
        length = loading.length_of(loading.atoms)
        return {"length_between_grips_angstrom": length, "opening_at_strength_angstrom": found.strain * length}
    return {}


def _thickness(pull: Pull) -> float:
    """Of a layer (`mhdnn.properties.volumes`), Å: its normal is z."""
    atoms = pull.loading.atoms.copy()
    in_plane = np.argsort(np.abs(atoms.cell[:, 2]))  # the first two vectors lie in the plane
    atoms.set_cell(atoms.cell[:][in_plane])
    atoms.pbc = atoms.pbc[in_plane]
    return thickness(atoms)


def _reference(pull: Pull) -> float:
    """What a stress times a strain is multiplied by to be an energy, Å³, of a layer Å²."""
    loading = pull.loading
    if loading.kind == GRIPS:
        return loading.area_of(loading.atoms) * loading.length_of(loading.atoms)
    return loading.atoms.get_volume() / (loading.height if loading.kind == LAYER else 1.0)
