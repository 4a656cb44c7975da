r"""Energy along a path of images, with a spline that knows the forces.

Between images the energy is the cubic through both energies with the slopes :math:`-\mathbf F \cdot d\mathbf r/ds`; the
path itself is a cubic spline of the positions over the distance s along it, in the space of all atoms.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from ase import Atoms
from ase.geometry import find_mic
from scipy.interpolate import CubicHermiteSpline, CubicSpline
from scipy.signal import find_peaks

from mhdnn.errors import DataError

NOTICEABLE = 0.01
"""eV; less deep minima between the ends are not called so."""


@dataclass(frozen=True)
class EnergyProfile:
    """A path with its energies.

    :param images: with energies, the first and the last are the ends
    """

    images: Sequence[Atoms]

    @cached_property
    def energies(self) -> np.ndarray:
        """Relative to the first image, shape (num_images,), eV."""
        energies = np.array([image.get_potential_energy() for image in self.images])
        return energies - energies[0]

    @cached_property
    def positions(self) -> np.ndarray:
        """Without jumps over the borders of the cell, shape (num_images, num_atoms, 3), Å."""
        found = [self.images[0].positions]
        for image in self.images[1:]:
            found.append(found[-1] + find_mic(image.positions - found[-1], image.cell, image.pbc)[0])
        return np.array(found)

    @cached_property
    def distances(self) -> np.ndarray:
        """From the first image along the path, of all atoms together, shape (num_images,), Å."""
        steps = np.linalg.norm(np.diff(self.positions, axis=0), axis=(1, 2))
        if (steps < 1e-6).any():
            raise DataError(
                "`images`: expected different structures along a path, got two equal ones beside each other"
            )
        return np.concatenate([[0.0], np.cumsum(steps)])

    @cached_property
    def moving_atom(self) -> int:
        """The atom that moves farthest from the first image to the last."""
        return int(np.linalg.norm(self.positions[-1] - self.positions[0], axis=1).argmax())

    @property
    def ion_path_length(self) -> float:
        """Way of the atom that moves farthest, Å."""
        return float(np.linalg.norm(np.diff(self.positions[:, self.moving_atom], axis=0), axis=1).sum())

    @cached_property
    def spline(self) -> CubicHermiteSpline | CubicSpline:
        """Energy over the distance, eV; without the slopes if there are no forces, or too few images for tangents."""
        s = self.distances
        if any("forces" not in getattr(image.calc, "results", {}) for image in self.images) or len(s) < 3:
            return CubicSpline(s, self.energies)
        flat = self.positions.reshape(len(s), -1)
        tangents = CubicSpline(s, flat)(s, 1)
        forces = np.array([image.get_forces(apply_constraint=False).ravel() for image in self.images])
        return CubicHermiteSpline(s, self.energies, -(forces * tangents).sum(axis=1))

    @cached_property
    def saddle(self) -> int:
        """Number of the highest image."""
        return int(self.energies.argmax())

    @property
    def barrier(self) -> float:
        """Of the spline, from the first image, eV."""
        return float(self._extrema()[1].max())

    @property
    def reaction_energy(self) -> float:
        """Energy of the last image less that of the first, eV."""
        return float(self.energies[-1])

    @property
    def reverse_barrier(self) -> float:
        """From the last image, eV."""
        return self.barrier - self.reaction_energy

    @property
    def intermediate_minima(self) -> np.ndarray:
        """Distances of the minima between the ends that are more than 0.01 eV below both sides, Å."""
        places, energies = self._extrema()
        return places[find_peaks(-energies, prominence=NOTICEABLE)[0]]

    def _extrema(self) -> tuple[np.ndarray, np.ndarray]:
        """Ends, maxima and minima of the spline: distances and energies."""
        roots = self.spline.derivative().roots(discontinuity=False, extrapolate=False)
        places = np.unique(np.concatenate([self.distances, roots[np.isfinite(roots)]]))
        return places, self.spline(places)
