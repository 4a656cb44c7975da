r"""Stress of an interface in numbers that depend on no bins: of each slab, of the whole, and across the gap.

Of each slab the sum of its atoms' virials per area, in N/m, and per its volume (`mhdnn.properties.volumes`), in GPa;

.. math:: \mathbf F_k = \frac{1}{A}\sum_{i \in k} \mathbf W_i, \qquad \sigma_k = \frac{1}{V_k}\sum_{i \in k} \mathbf W_i

of the whole the cell's stress times its height, which every calculator with a stress has; across the gap the traction
on slab 1, from the forces alone, which is what slab 2 as a whole is pulled down by: positive under tension,

.. math:: t_\alpha = -\frac{1}{A}\sum_{i \in 2} F_{i\alpha}, \qquad \alpha = x, y, z.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.calculators.calculator import PropertyNotImplementedError

from mhdnn.errors import ConfigError
from mhdnn.properties.interfaces import area_of, check_labels
from mhdnn.properties.statistics import FEWEST_BLOCKS, standard_error
from mhdnn.properties.volumes import atomic_volumes
from mhdnn.units import GPA_PER_EV_PER_CUBIC_ANGSTROM as GPA
from mhdnn.units import JOULE_PER_SQUARE_METER_PER_EV_PER_SQUARE_ANGSTROM as NEWTON_PER_METER

LEAST_VACUUM = 6.0
"""Å above slab 2 in a cell that is periodic along z, below which its next image may pull it, too."""


@dataclass(frozen=True)
class Means:
    """Means over snapshots.

    :param mean: any shape
    :param error: standard error, the same shape; None for fewer than 16 snapshots
    """

    mean: np.ndarray
    error: np.ndarray | None


def mean_of(samples: Sequence[np.ndarray]) -> Means:
    """Mean and standard error of a series of snapshots."""
    values = np.array(samples)
    return Means(values.mean(axis=0), standard_error(values) if len(values) >= FEWEST_BLOCKS else None)


def traction(atoms: Atoms) -> np.ndarray:
    """Traction across the gap, shape (3,), GPa: xz, yz and zz, positive under tension.

    Exact for slabs with vacuum on the other sides; constraints are left aside. In equilibrium it vanishes.

    :param atoms: labelled, with a calculator or the forces of a file
    :raises ConfigError: if there are no forces
    """
    upper = check_labels(atoms) == 2
    try:
        forces = atoms.get_forces(apply_constraint=False)
    except (PropertyNotImplementedError, RuntimeError) as error:
        raise ConfigError(
            "`calculator`: expected one with forces for the traction across the gap, or a file with them, got none"
        ) from error
    return -GPA * forces[upper].sum(axis=0) / area_of(atoms)


def whole_stress(atoms: Atoms) -> np.ndarray | None:
    """The cell's stress times its height, Voigt, shape (6,), N/m; None without a stress."""
    stress = stress_or_none(atoms)
    return None if stress is None else NEWTON_PER_METER * stress * atoms.get_volume() / area_of(atoms)


def stress_or_none(atoms: Atoms) -> np.ndarray | None:
    """The stress of the cell, Voigt, eV/Å³; None if calculator and file have none, or the cell no volume."""
    if atoms.calc is None or atoms.cell.rank < 3:
        return None
    try:
        return atoms.get_stress(apply_constraint=False)
    except PropertyNotImplementedError:
        return None


def slab_stresses(atoms: Atoms, virials: np.ndarray) -> dict[int, tuple[np.ndarray, float]]:
    """For each label the sum of virials per area, Voigt, N/m, and the slab's thickness, Å.

    The stress in GPa is the first over the second, times ten. Without labels all is slab 0.

    :param virials: shares of the atoms, shape (num_atoms, 6), eV
    """
    labels = check_labels(atoms) if atoms.has("slab") else np.zeros(len(atoms), dtype=int)
    area, volumes = area_of(atoms), atomic_volumes(atoms)
    return {
        int(label): (
            NEWTON_PER_METER * virials[labels == label].sum(axis=0) / area,
            float(volumes[labels == label].sum() / area),
        )
        for label in np.unique(labels)
    }


def in_gpa(per_area: np.ndarray, thickness: float) -> np.ndarray:
    """Stress of a slab, GPa.

    :param per_area: N/m
    :param thickness: Å
    """
    return 10.0 * per_area / thickness


def touches_next_image(atoms: Atoms) -> bool:
    """Whether a cell is periodic along z and has little vacuum above."""
    return bool(atoms.pbc[2] and atoms.cell[2, 2] - np.ptp(atoms.positions[:, 2]) < LEAST_VACUUM)
