r"""The smooth part of the Coulomb kernel on a mesh, for structures of many atoms.

Charges are spread by B-splines, transformed, multiplied with the Green's function

- three periodic directions and slabs: :math:`(4\pi/V)\,e^{-\eta^2k^2/2}/k^2`, zero for k = 0;
- open: the transform of the kernel cut off along each axis, in a box so large that images don't see each other
  (`open_kernel`)

and the optimal influence factor, transformed back and collected with the same splines: the particle-particle
particle-mesh method of R. W. Hockney and J. W. Eastwood with B-splines instead of their assignment
functions. As :math:`A` is then a symmetric matrix and a smooth function of positions and cell, its derivatives
are exact derivatives of the energies it gives.

Error. It falls with the spacing h as :math:`(h/\eta)^p`; `RESOLUTIONS` holds order and spacing for
accuracies, measured against the Ewald sum.
"""

from __future__ import annotations

import math
import warnings
from typing import NamedTuple

import numpy as np
import torch
from scipy.sparse import csr_matrix

from mhdnn.electrostatics.ewald import greens_function
from mhdnn.electrostatics.splines import influence_factor, spline_products, spline_weights
from mhdnn.units import COULOMB_CONSTANT


class MeshResolution(NamedTuple):
    r"""Order of the splines and largest spacing in units of :math:`\eta`."""

    order: int
    spacing: float


RESOLUTIONS = (
    (1e-4, MeshResolution(5, 0.55)),
    (1e-5, MeshResolution(6, 0.50)),
    (1e-6, MeshResolution(7, 0.42)),
    (1e-8, MeshResolution(10, 0.40)),
    (1e-10, MeshResolution(12, 0.35)),
    (0.0, MeshResolution(12, 0.25)),
)
"""Coarsest mesh for accuracies down to the first number. At each of them the potential of random charges has
a relative error of a tenth to a third of that number, the forces one of about twice that number."""


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


def mesh_shape(cell: torch.Tensor, smearing: float, resolution: MeshResolution) -> tuple[int, int, int]:
    """Points along each cell vector."""
    least = 2 * resolution.order
    lengths = torch.linalg.vector_norm(cell.detach(), dim=1).tolist()
    x, y, z = (good_size(max(length / (resolution.spacing * smearing), least)) for length in lengths)
    return x, y, z


def green_on_mesh(cell: torch.Tensor, shape: tuple[int, int, int], smearing: float) -> torch.Tensor:
    r"""Periodic Green's function at the wave vectors of the half-complex transform, with gradient, eV/e².

    :param cell: shape (3, 3), Å
    :param smearing: :math:`\eta`, Å
    """
    numbers = [np.fft.fftfreq(size, 1.0 / size) for size in shape]
    numbers[2] = np.abs(numbers[2][: shape[2] // 2 + 1])
    x, y, z = (torch.from_numpy(values).to(cell) for values in numbers)
    metric = (2.0 * math.pi) ** 2 * torch.linalg.inv(cell @ cell.T)
    plane = (metric[0, 0] * x * x)[:, None] + metric[1, 1] * y * y + 2.0 * metric[0, 1] * x[:, None] * y
    slope = 2.0 * (metric[0, 2] * x[:, None] + metric[1, 2] * y)
    squared = plane[:, :, None] + slope[:, :, None] * z + metric[2, 2] * z * z
    origin = torch.zeros_like(squared)
    origin[0, 0, 0] = 1.0
    volume = torch.linalg.det(cell).abs()
    return COULOMB_CONSTANT * greens_function(squared + origin, volume, smearing) * (1.0 - origin)


def influence_on_mesh(shape: tuple[int, int, int], order: int, like: torch.Tensor) -> torch.Tensor:
    """Product of the influence factors of three axes, shape of the half-complex transform."""
    factors = [influence_factor(size, order) for size in shape]
    x, y, z = (torch.from_numpy(values).to(like) for values in factors)
    return (x[:, None] * y)[:, :, None] * z[: shape[2] // 2 + 1]


class Mesh:
    """Spline interpolation between one structure's atoms and the points of a mesh.

    :param positions: shape (num_atoms, 3), Å
    :param cell: shape (3, 3), Å
    :param shape: points along each cell vector
    :param order: of the splines
    :ivar products: weight of each atom's points, with gradient, shape (num_atoms, order**3)
    """

    def __init__(self, positions: torch.Tensor, cell: torch.Tensor, shape: tuple[int, int, int], order: int) -> None:
        self.shape = shape
        coordinates = positions @ torch.linalg.inv(cell) * cell.new_tensor(shape)
        weights, points = spline_weights(coordinates, shape, order)
        self.products = spline_products(weights)
        self.points = points.reshape(-1)
        self._rows: torch.Tensor | None = None
        self._columns: torch.Tensor | None = None

    @property
    def rows(self) -> torch.Tensor:
        """The weights as a sparse matrix (num_atoms, num_points), without gradient."""
        if self._rows is None:
            num_atoms, count = self.products.shape
            starts = torch.arange(0, num_atoms * count + 1, count, dtype=torch.int32, device=self.points.device)
            values = self.products.detach().reshape(-1)
            self._rows = sparse_rows(starts, self.points, values, (num_atoms, math.prod(self.shape)))
        return self._rows

    @property
    def columns(self) -> torch.Tensor:
        """The transpose of `rows`, (num_points, num_atoms), in compressed rows itself."""
        if self._columns is None:
            self._columns = transposed(self.rows)
        return self._columns

    def spread(self, charges: torch.Tensor, products: torch.Tensor) -> torch.Tensor:
        """Charges on the mesh points, shape (num_points,)."""
        mesh = charges.new_zeros(math.prod(self.shape))
        return mesh.index_add(0, self.points, (products * charges[:, None]).reshape(-1))

    def convolve(self, mesh: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
        """The mesh transformed, multiplied and transformed back; both shape (num_points,)."""
        transformed = torch.fft.rfftn(mesh.reshape(self.shape)) * kernel
        return torch.fft.irfftn(transformed, s=self.shape, norm="forward").reshape(-1)

    def potential(self, charges: torch.Tensor, products: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
        """Smooth part of A q, differentiable, shape (num_atoms,), eV/e.

        :param kernel: Green's function times influence factors
        """
        mesh = self.convolve(self.spread(charges, products), kernel)
        return (mesh.index_select(0, self.points).reshape(products.shape) * products).sum(1)

    def product(self, charges: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
        """The same without gradient."""
        return self.rows @ self.convolve(self.columns @ charges, kernel)


def sparse_rows(
    starts: torch.Tensor, columns: torch.Tensor, values: torch.Tensor, shape: tuple[int, int]
) -> torch.Tensor:
    """Sparse matrix in compressed rows; 32-bit indices are the ones that MKL takes as they are."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta", category=UserWarning)
        return torch.sparse_csr_tensor(
            starts.to(torch.int32), columns.to(torch.int32), values, shape, check_invariants=False
        )


def transposed(matrix: torch.Tensor) -> torch.Tensor:
    """The transpose of a sparse matrix, both in compressed rows: a product with it then needs no scattered sums."""
    if matrix.device.type == "cpu":  # scipy counts where torch sorts, and takes a tenth of the time
        parts = (matrix.values().numpy(), matrix.col_indices().numpy(), matrix.crow_indices().numpy())
        flipped = csr_matrix(parts, shape=tuple(matrix.shape)).tocsc()
        starts, columns, values = map(torch.from_numpy, (flipped.indptr, flipped.indices, flipped.data))
    else:
        flipped = matrix.to_sparse_csc()
        starts, columns, values = flipped.ccol_indices(), flipped.row_indices(), flipped.values()
    return sparse_rows(starts, columns, values, (matrix.shape[1], matrix.shape[0]))
