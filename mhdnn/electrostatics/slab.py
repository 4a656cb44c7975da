r"""Two periodic directions: a cell extended by vacuum, and the term that takes its images away.

The sum over a slab and its images at multiples of L along the normal differs from that of the slab alone by
a quadratic function of the heights z and by terms that fall off exponentially with the vacuum,

.. math:: E_{slab} = E_{3D} - \frac{2\pi k_e}{V}\Bigl[\tfrac12\sum_{ij} q_i q_j (z_i - z_j)^2
          + \frac{Q^2 L^2}{12}\Bigr] + O(e^{-h (L - T)}),

with the thickness T of the slab and the shortest reciprocal vector h of its plane: I.-C. Yeh and
M. L. Berkowitz, J. Chem. Phys. 111, 3155 (1999), https://doi.org/10.1063/1.479595, and for charged slabs
V. Ballenegger, A. Arnold and J. J. Cerdà, J. Chem. Phys. 131, 094107 (2009),
https://doi.org/10.1063/1.3216473. The result belongs to charges in vacuum without a background, whose
potential averaged over the plane is :math:`-2\pi|z|q/S` (smeared by the Gaussians).

L is a whole number of Å and carries no gradient: the result doesn't depend on it.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import torch

from mhdnn.electrostatics.background import Cell
from mhdnn.neighbors import complete_cell


def shortest_reciprocal(first: np.ndarray, second: np.ndarray) -> float:
    """Length of the shortest reciprocal vector of a plane lattice, 1/Å (Gauss's reduction).

    :param first: a cell vector, shape (3,), Å
    :param second: the other one
    """
    a, b = first, second
    if a @ a > b @ b:
        a, b = b, a
    while True:
        b = b - np.rint((a @ b) / (a @ a)) * a
        if b @ b >= a @ a * (1.0 - 1e-12):
            break
        a, b = b, a
    area = float(np.linalg.norm(np.cross(a, b)))
    return 2.0 * math.pi * float(np.linalg.norm(a)) / area


def vacuum_needed(shortest: float, largest_width: float, accuracy: float) -> float:
    r"""Distance between a slab and its images at which what remains is below the accuracy, Å.

    A charge's potential varies in the plane as :math:`e^{-hz + \gamma^2h^2/2}` beyond
    :math:`z = \gamma^2 h` and falls off like the Gaussian before.

    :param shortest: shortest reciprocal vector h, 1/Å
    :param largest_width: largest :math:`\gamma`, Å
    """
    logarithm = math.log(10.0 / accuracy)
    reach = math.sqrt(2.0 * logarithm)
    if reach < largest_width * shortest:
        return reach * largest_width
    return logarithm / shortest + 0.5 * largest_width**2 * shortest


def extended_cell(
    positions: torch.Tensor, cell: torch.Tensor, pbc: torch.Tensor, largest_width: float, accuracy: float
) -> Cell:
    """The cell with its non-periodic vector replaced by a normal one that leaves enough vacuum.

    :param positions: shape (num_atoms, 3), Å
    :param cell: shape (3, 3), Å; the row of the non-periodic direction is not used
    :param pbc: shape (3,), bool, two of them True
    :raises DataError: if the periodic vectors are zero or parallel
    """
    complete_cell(cell.detach().cpu().numpy(), pbc.cpu().numpy())
    open_axis = int(torch.nonzero(~pbc)[0])
    first, second = cell[(open_axis + 1) % 3], cell[(open_axis + 2) % 3]
    normal = torch.linalg.cross(first, second)
    normal = normal / torch.linalg.vector_norm(normal)
    heights = positions @ normal
    lowest, highest = heights.detach().aminmax()
    shortest = shortest_reciprocal(first.detach().cpu().numpy(), second.detach().cpu().numpy())
    vacuum = vacuum_needed(shortest, largest_width, accuracy)
    length = math.ceil(float(highest - lowest) + vacuum)
    rows = [cell[axis] if axis != open_axis else length * normal for axis in range(3)]
    return Cell(torch.stack(rows), heights - 0.5 * (lowest + highest), normal, float(length), vacuum)


def periodic_cell(
    positions: torch.Tensor, cell: torch.Tensor, pbc: torch.Tensor, largest_width: float, accuracy: float
) -> Cell:
    """The cell to sum over: the structure's own, or of a slab the extended one."""
    if bool(pbc.all()):
        complete_cell(cell.detach().cpu().numpy(), np.ones(3, dtype=bool))
        return Cell(cell)
    return extended_cell(positions, cell, pbc, largest_width, accuracy)


def lengthened(cell: Cell, length: float) -> Cell:
    """A slab's cell with another length along the normal, Å."""
    if cell.normal is None:
        raise ValueError("only the cell of a slab has a normal")
    along = cell.vectors @ cell.normal  # zero but for the vector along the normal
    vectors = cell.vectors + torch.outer(along * (length / cell.length - 1.0), cell.normal)
    return replace(cell, vectors=vectors, length=length)
