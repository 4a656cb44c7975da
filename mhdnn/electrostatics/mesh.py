r"""The smooth part of the Coulomb kernel on a mesh, for structures of many atoms.

Charges are spread by B-splines, transformed, multiplied with the Green's function

- three periodic directions and slabs: :math:`(4\pi/V)\,e^{-\eta^2k^2/2}/k^2`, zero for k = 0;
- open: :math:`(4\pi/V)\,e^{-\eta^2k^2/2}(1 - \cos kR)/k^2`, the transform of the kernel cut off at R, in a
  box so large that images don't see each other (F. Vico, L. Greengard and M. Ferrando, J. Comput. Phys. 323,
  191 (2016), https://doi.org/10.1016/j.jcp.2016.07.028)

and the optimal influence factor, transformed back and collected with the same splines: the particle-particle
particle-mesh method of R. W. Hockney and J. W. Eastwood with B-splines instead of their assignment
functions. As :math:`A` is then a symmetric matrix and a smooth function of positions and cell, its derivatives
are exact derivatives of the energies it gives.

Error. It falls with the spacing h as :math:`(h/\eta)^p`; `MeshResolution` holds order and spacing for
accuracies, measured against the Ewald sum.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch

from mhdnn.electrostatics.ewald import greens_function
from mhdnn.electrostatics.splines import influence_factor, spline_products, spline_weights
from mhdnn.units import COULOMB_CONSTANT


class MeshResolution(NamedTuple):
    r"""Order of the splines and largest spacing in units of :math:`\eta`."""

    order: int
    spacing: float


RESOLUTIONS = (
    (1e-4, MeshResolution(5, 0.60)),
    (1e-5, MeshResolution(6, 0.55)),
    (1e-6, MeshResolution(7, 0.50)),
    (1e-8, MeshResolution(8, 0.40)),
    (1e-10, MeshResolution(10, 0.33)),
    (0.0, MeshResolution(12, 0.30)),
)
"""Coarsest mesh for accuracies down to the first number."""


def choose_resolution(accuracy: float) -> MeshResolution:
    """Order and spacing for an accuracy."""
    return next(resolution for lowest, resolution in RESOLUTIONS if accuracy >= lowest)


def good_size(least: float) -> int:
    """The smallest even number with the factors 2, 3 and 5 only that is not below a number."""
    size = max(2, 2 * math.ceil(least / 2.0))
    while True:
        rest = size
        for factor in (2, 3, 5):
            while rest % factor == 0:
                rest //= factor
        if rest == 1:
            return size
        size += 2


class Mesh:
    r"""Mesh of one structure.

    :param positions: shape (num_atoms, 3), Å
    :param cell: shape (3, 3), Å
    :param smearing: :math:`\eta`, Å
    :param resolution: order and spacing
    :param truncation: R of an open structure, Å; None with periodic directions
    :ivar weights: spline weights along each axis, with gradient, shape (num_atoms, 3, order)
    :ivar green: Green's function with gradient, shape of the half-complex transform, eV/e²
    """

    def __init__(
        self,
        positions: torch.Tensor,
        cell: torch.Tensor,
        smearing: float,
        resolution: MeshResolution,
        truncation: float | None = None,
    ) -> None:
        lengths = torch.linalg.vector_norm(cell.detach(), dim=1).tolist()
        least = 2 * resolution.order
        sizes = [good_size(max(length / (resolution.spacing * smearing), least)) for length in lengths]
        self.shape = (sizes[0], sizes[1], sizes[2])
        coordinates = positions @ torch.linalg.inv(cell) * cell.new_tensor(sizes)
        self.weights, self.points = spline_weights(coordinates, self.shape, resolution.order)
        self.green = COULOMB_CONSTANT * self._green(cell, smearing, resolution.order, truncation)
        self._products: torch.Tensor | None = None

    def _green(self, cell: torch.Tensor, smearing: float, order: int, truncation: float | None) -> torch.Tensor:
        """Green's function times influence factors, 1/Å."""
        numbers = [np.fft.fftfreq(size, 1.0 / size) for size in self.shape]
        factors = [influence_factor(size, order) for size in self.shape]
        half = self.shape[2] // 2 + 1
        numbers[2] = np.abs(numbers[2][:half])
        factors[2] = factors[2][:half]
        x, y, z = (torch.from_numpy(values).to(cell) for values in numbers)
        metric = (2.0 * math.pi) ** 2 * torch.linalg.inv(cell @ cell.T)
        squared = (metric[0, 0] * x * x)[:, None, None] + (metric[1, 1] * y * y)[:, None] + metric[2, 2] * z * z
        squared = squared + 2.0 * (
            metric[0, 1] * (x[:, None] * y)[:, :, None]
            + metric[0, 2] * (x[:, None] * z)[:, None, :]
            + metric[1, 2] * (y[:, None] * z)
        )
        origin = torch.zeros_like(squared)
        origin[0, 0, 0] = 1.0
        volume = torch.linalg.det(cell).abs()
        green = greens_function(squared + origin, volume, smearing) * (1.0 - origin)
        if truncation is not None:
            cut = 1.0 - torch.cos(truncation * torch.sqrt(squared + origin))
            green = green * cut + origin * (2.0 * math.pi * truncation**2 / volume)
        a, b, c = (torch.from_numpy(values).to(cell) for values in factors)
        return green * (a[:, None, None] * b[:, None] * c)

    def potential(self, charges: torch.Tensor, weights: torch.Tensor, green: torch.Tensor) -> torch.Tensor:
        """Smooth part of A q, differentiable, shape (num_atoms,), eV/e."""
        products = spline_products(weights)
        mesh = charges.new_zeros(math.prod(self.shape))
        mesh = mesh.index_add(0, self.points.reshape(-1), (products * charges[:, None]).reshape(-1))
        mesh = self._convolve(mesh, green)
        return (mesh.index_select(0, self.points.reshape(-1)).reshape(products.shape) * products).sum(1)

    def product(self, charges: torch.Tensor) -> torch.Tensor:
        """The same without gradient; what doesn't change with the charges is kept."""
        if self._products is None:
            self._products = spline_products(self.weights.detach())
        mesh = charges.new_zeros(math.prod(self.shape))
        mesh.index_add_(0, self.points.reshape(-1), (self._products * charges[:, None]).reshape(-1))
        mesh = self._convolve(mesh, self.green.detach())
        return (mesh.index_select(0, self.points.reshape(-1)).reshape(self._products.shape) * self._products).sum(1)

    def _convolve(self, mesh: torch.Tensor, green: torch.Tensor) -> torch.Tensor:
        transformed = torch.fft.rfftn(mesh.reshape(self.shape)) * green
        return torch.fft.irfftn(transformed, s=self.shape, norm="forward").reshape(-1)
