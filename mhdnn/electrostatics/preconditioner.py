r"""Preconditioner for charge equilibration: the long waves, which a diagonal leaves out, on a coarse mesh.

Long waves of charge cost most energy and make up the large eigenvalues of A, the more the larger the
structure. With a diagonal D of local terms and the smooth part :math:`W G W^T` of A on a mesh,
Woodbury's formula gives

.. math:: (D + W G W^T)^{-1} = D^{-1} - D^{-1} W (G^{-1} + W^T D^{-1} W)^{-1} W^T D^{-1}
          \approx D^{-1} - D^{-1} W \frac{G}{1 + cG} W^T D^{-1},

where :math:`c = V\,(\sum_i D_i^{-1}\delta(\mathbf r - \mathbf r_i))` of a uniform density stands for
:math:`W^T D^{-1} W`. With the largest value of the density, smeared by :math:`2\eta`, what remains is positive
definite also where the density is not uniform (surfaces, clusters, pores). The number of iterations hardly
grows with the structure. For an open structure, too, G is the periodic Green's function, of the box in which images are
far: it has no negative values.
"""

from __future__ import annotations

import torch

from mhdnn.electrostatics.mesh import Mesh, MeshResolution, green_on_mesh, influence_on_mesh, mesh_shape

RESOLUTION = MeshResolution(3, 0.8)
COARSENING = 1.3
r""":math:`\eta` of the preconditioner in units of that of the Ewald sum."""


class MeshPreconditioner:
    r"""Approximate inverse of A + J; calling it multiplies a residual.

    :param positions: shape (num_atoms, 3), Å
    :param cell: of the mesh, shape (3, 3), Å
    :param smearing: :math:`\eta` of the Ewald sum, Å
    :param diagonal: D > 0, shape (num_atoms,), eV/e²
    """

    def __init__(
        self,
        positions: torch.Tensor,
        cell: torch.Tensor,
        smearing: float,
        diagonal: torch.Tensor,
    ) -> None:
        smearing = COARSENING * smearing
        shape = mesh_shape(cell, smearing, RESOLUTION)
        self.mesh = Mesh(positions, cell, shape, RESOLUTION.order)
        self.inverse = 1.0 / diagonal
        green = green_on_mesh(cell, shape, smearing)
        influence = influence_on_mesh(shape, RESOLUTION.order, green)
        self.kernel = influence * green / (1.0 + self._density(cell, smearing) * green)

    def _density(self, cell: torch.Tensor, smearing: float) -> float:
        """Largest smeared density of 1/D times the volume, e²/eV."""
        shape = self.mesh.shape
        bare = green_on_mesh(cell, shape, 0.0)
        bare[0, 0, 0] = 1.0
        smear = green_on_mesh(cell, shape, 2.0 * smearing) / bare
        smear[0, 0, 0] = 1.0
        density = self.mesh.convolve(self.mesh.spread(self.inverse, self.mesh.products), smear)
        return float(density.max())

    def __call__(self, residual: torch.Tensor) -> torch.Tensor:
        scaled = self.inverse * residual
        return scaled - self.inverse * self.mesh.product(scaled, self.kernel)
