r"""Displacements around a crack tip in an anisotropic crystal, and what energy its advance releases.

Stroh's formalism (T. C. T. Ting, Anisotropic Elasticity, Oxford 1996, chapter 11), in the axes x along the advance, y
across the crack, z along its front. With :math:`Q_{ik} = C_{i1k1}`, :math:`R_{ik} = C_{i1k2}`, :math:`T_{ik} =
C_{i2k2}` the three solutions with positive imaginary part of

.. math:: [Q + p (R + R^T) + p^2 T]\,a = 0, \qquad b = (R^T + p T)\,a

are the columns of A and B, and with :math:`k = (K_{II}, K_I, K_{III})`

.. math:: u(r, \theta) = \sqrt{2r/\pi}\;\mathrm{Re}\Bigl[A\,
          \mathrm{diag}\sqrt{\cos\theta + p_\alpha \sin\theta}\;B^{-1}\Bigr] k, \qquad
          G = \tfrac12\,k^T L^{-1} k, \quad L^{-1} = \mathrm{Re}(i A B^{-1}).

In the plane of a mirror it is the solution of Sih, Paris and Irwin (https://doi.org/10.1007/BF00186854). Griffith's
criterion G = 2γ gives the stress intensity at which surfaces are paid for by the elastic energy.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase.stress import voigt_6_to_full_3x3_stress

from mhdnn.errors import PropertyError
from mhdnn.properties.elastic_tensor import is_stable

SEPARATION = 1e-4
"""Distance of two roots p below which they count as one (isotropic crystals), where A and B are singular."""
SPLITTING = 1e-6
"""Relative change of the stiffness that separates such roots; the fields change by as little."""
MODE_I = 1
"""Place of K_I in k."""


@dataclass(frozen=True)
class CrackField:
    """The field of a crack for unit stress intensities.

    :param roots: p with positive imaginary part, shape (3,)
    :param displacement: A, shape (3, 3)
    :param traction: B, shape (3, 3), the unit of the stiffness
    """

    roots: np.ndarray
    displacement: np.ndarray
    traction: np.ndarray

    @staticmethod
    def of(stiffness: np.ndarray) -> CrackField:
        """The field in a crystal.

        :param stiffness: in the axes of the crack, Voigt, shape (6, 6), any unit
        :raises PropertyError: if the crystal is unstable
        """
        if not is_stable(stiffness):
            raise PropertyError(
                "`stiffness`: expected a stable crystal, got elastic constants with an eigenvalue of "
                f"{np.linalg.eigvalsh(stiffness)[0]:.4g}; relax the crystal, or look at `mhdnn properties elasticity`"
            )
        scale = np.abs(stiffness).max()
        field = _solve(stiffness / scale)
        gaps = np.abs(field.roots[:, None] - field.roots)[np.triu_indices(3, 1)]
        if gaps.min() < SEPARATION:
            different = 1.0 + SPLITTING * np.array([1.0, -2.0, 3.0, -4.0, 5.0, -6.0])
            field = _solve(stiffness / scale * np.sqrt(np.outer(different, different)))
        return CrackField(field.roots, field.displacement, scale * field.traction)

    def displacements(self, places: np.ndarray, intensities: np.ndarray) -> np.ndarray:
        """Displacements, shape (num_places, 3), Å.

        :param places: x and y from the tip, shape (num_places, 2), Å
        :param intensities: K_II, K_I, K_III, shape (3,), eV/Å^2.5 for a stiffness in eV/Å³
        """
        radii = np.hypot(places[:, 0], places[:, 1])
        angles = np.arctan2(places[:, 1], places[:, 0])
        roots = np.sqrt(np.cos(angles)[:, None] + self.roots * np.sin(angles)[:, None])
        weights = np.linalg.solve(self.traction, intensities.astype(complex))
        return np.sqrt(2.0 * radii / np.pi)[:, None] * np.real((roots * weights) @ self.displacement.T)

    def stresses(self, places: np.ndarray, intensities: np.ndarray) -> np.ndarray:
        r"""Stresses on planes across x and y, :math:`\sigma_{1i}` and :math:`\sigma_{2i}`, shape (num_places, 2, 3).

        From the stress function :math:`\phi = \sqrt{2/\pi}\,\mathrm{Re}[B\,\mathrm{diag}\sqrt{x + p y}\,B^{-1}]k`.
        """
        weights = np.linalg.solve(self.traction, intensities.astype(complex))
        z = places[:, :1] + self.roots * places[:, 1:2]
        slopes = 0.5 / np.sqrt(z) * weights * np.sqrt(2.0 / np.pi)
        across_y = np.real(slopes @ self.traction.T)
        across_x = -np.real((slopes * self.roots) @ self.traction.T)
        return np.stack([across_x, across_y], axis=1)

    @property
    def compliance(self) -> np.ndarray:
        """L⁻¹, shape (3, 3), one by the unit of the stiffness."""
        return np.real(1j * self.displacement @ np.linalg.inv(self.traction))

    def energy_release(self, intensity: float) -> float:
        """G of mode I, eV/Å² for K in eV/Å^2.5."""
        return float(0.5 * self.compliance[MODE_I, MODE_I] * intensity**2)

    def griffith(self, cleavage_energy: float) -> float:
        """K_I at which G is the energy of both surfaces, eV/Å^2.5.

        :param cleavage_energy: 2γ, eV/Å²
        :raises PropertyError: if the surfaces cost no energy
        """
        if not cleavage_energy > 0:
            raise PropertyError(
                f"`plane`: expected surfaces that cost energy, got {cleavage_energy:.4g} eV/Å²; the crystal falls apart"
            )
        return float(np.sqrt(2.0 * cleavage_energy / self.compliance[MODE_I, MODE_I]))


def _solve(stiffness: np.ndarray) -> CrackField:
    tensor = np.zeros((3, 3, 3, 3))
    units = voigt_6_to_full_3x3_stress(np.eye(6))  # shape (6, 3, 3)
    tensor = np.einsum("aij,ab,bkl->ijkl", units, stiffness, units)
    q, r, t = tensor[:, 0, :, 0], tensor[:, 0, :, 1], tensor[:, 1, :, 1]
    inverse = np.linalg.inv(t)
    upper = np.hstack([-inverse @ r.T, inverse])
    lower = np.hstack([r @ inverse @ r.T - q, -r @ inverse])
    roots, vectors = np.linalg.eig(np.vstack([upper, lower]))
    chosen = np.argsort(-roots.imag)[:3]
    return CrackField(roots[chosen], vectors[:3, chosen], vectors[3:, chosen])
