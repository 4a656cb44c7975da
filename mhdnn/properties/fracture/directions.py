"""Directions in a crystal, and structures turned so that a direction is an axis."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase import Atoms

from mhdnn.errors import ConfigError

FRAMES = ("cartesian", "direction", "plane")
"""What the three numbers of a direction are: components, indices [uvw] or indices (hkl)."""
PERPENDICULAR = 1e-6


def unit_vector(
    atoms: Atoms, indices: Sequence[float], frame: str = "cartesian", name: str = "direction"
) -> np.ndarray:
    """A direction as a unit vector, shape (3,).

    :param indices: Cartesian components; Miller indices [uvw] of a direction in units of the cell vectors, or (hkl) of
        a plane of the cell, whose normal is meant
    :param frame: which of them, of `FRAMES`
    :param name: of the setting, for the error
    :raises ConfigError: if the frame is unknown or the direction has no length
    """
    numbers = np.asarray(indices, dtype=float)
    if frame not in FRAMES:
        raise ConfigError(f"`frame`: expected one of {', '.join(FRAMES)}, got {frame!r}")
    if frame != "cartesian" and atoms.cell.rank < 3:
        raise ConfigError(f"`frame`: expected three cell vectors for Miller indices, got {atoms.cell[:].tolist()}")
    if frame == "direction":
        numbers = numbers @ atoms.cell[:]
    elif frame == "plane":
        numbers = numbers @ atoms.cell.reciprocal()[:]
    length = float(np.linalg.norm(numbers))
    if not length > 0:
        raise ConfigError(f"`{name}`: expected three numbers that are not all zero, got {list(indices)}")
    return numbers / length


def axes_with(third: np.ndarray, first: np.ndarray | None = None) -> np.ndarray:
    """Right-handed axes x, y, z as rows, with z along the one and x as nearly as can be along the other, shape (3, 3).

    :param third: unit vector
    :param first: unit vector; the Cartesian axis that is most perpendicular if None
    :raises ConfigError: if they are parallel
    """
    if first is None:
        first = np.eye(3)[int(np.argmin(np.abs(third) - 1e-9 * np.arange(3)[::-1]))]
    across = first - (first @ third) * third
    length = float(np.linalg.norm(across))
    if length < PERPENDICULAR:
        raise ConfigError(f"`shear_direction`: expected one that is not along `direction`, got {first.tolist()}")
    across /= length
    return np.stack([across, np.cross(third, across), third])


def turned(atoms: Atoms, axes: np.ndarray) -> Atoms:
    """A copy in other axes: cell and positions rotated.

    :param axes: x, y and z as rows, orthogonal and right-handed, shape (3, 3)
    """
    result = atoms.copy()
    result.set_cell(atoms.cell[:] @ axes.T)
    result.set_positions(atoms.positions @ axes.T, apply_constraint=False)
    return result
