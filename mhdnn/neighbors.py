r"""Neighbour pairs, found by vesin.

A pair is (centre i, neighbour j, cell shift S); its vector is
:math:`\mathbf r_{ij} = \mathbf r_j - \mathbf r_i + S\cdot\text{cell}`. Every pair stands in the
list twice (from i and from j), sorted by centre, and an atom may be its own neighbour through a
periodic image: cells smaller than the cutoff are nothing special.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from ase.data import covalent_radii
from vesin import NeighborList

from mhdnn.errors import DataError

LARGEST_EXTENT = 1e5
"""Å; along directions without periodicity nothing real reaches farther."""
LARGEST_COORDINATE = 1e7
"""Å; farther from the origin double precision no longer resolves 1e-9 Å."""
MOST_NEIGHBORS = 2e5
"""Expected for each atom; 30 times those of a dense crystal within 20 Å."""
MOST_CELLS = 1e8
"""Cells around each cell that are searched; some seconds."""


class NeighborPairs(NamedTuple):
    r"""Pairs within a cutoff.

    :param center_index: shape (num_pairs,), int64, ascending
    :param neighbor_index: shape (num_pairs,), int64
    :param cell_shifts: Cartesian lattice vectors :math:`S\cdot\text{cell}`, shape (num_pairs, 3), Å
    """

    center_index: np.ndarray
    neighbor_index: np.ndarray
    cell_shifts: np.ndarray

    def vectors(self, positions: np.ndarray) -> np.ndarray:
        """From centre to neighbour, shape (num_pairs, 3), Å.

        :param positions: of the atoms, shape (num_atoms, 3), Å
        """
        return positions[self.neighbor_index] - positions[self.center_index] + self.cell_shifts


def find_pairs(positions: np.ndarray, cell: np.ndarray, pbc: np.ndarray, cutoff: float) -> NeighborPairs:
    """All pairs of atoms closer than a cutoff.

    :param positions: shape (num_atoms, 3), Å
    :param cell: rows are cell vectors, shape (3, 3), Å; rows of non-periodic directions are not used
    :param pbc: periodic directions, shape (3,)
    :param cutoff: Å
    :raises DataError: if a periodic direction has no cell vector, or the periodic ones span no volume; if atoms
        are absurdly far away; if the cell is so small for the cutoff that the pairs would fill the memory
    """
    center, neighbor, shifts, box = _search(positions, cell, pbc, cutoff, full_list=True)
    return NeighborPairs(center, neighbor, _times(shifts, box))


def find_half_pairs(
    positions: np.ndarray, cell: np.ndarray, pbc: np.ndarray, cutoff: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Each pair of atoms and images once; arguments and errors are those of `find_pairs`.

    Of the two images S and -S of an atom itself, one is in the list.

    :return: first atoms, ascending, and second ones, shape (num_pairs,), int64, and the cell vectors between
        them, shape (num_pairs, 3), float64 whole numbers
    """
    return _search(positions, cell, pbc, cutoff, full_list=False)[:3]


def _search(
    positions: np.ndarray, cell: np.ndarray, pbc: np.ndarray, cutoff: float, full_list: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Centres, neighbours, shifts in whole numbers of cell vectors, and the complete cell."""
    pbc = np.broadcast_to(np.asarray(pbc, dtype=bool), (3,))
    positions, cell = np.asarray(positions, dtype=np.float64), np.asarray(cell, dtype=np.float64)
    _check_numbers(positions, cell, cutoff)
    box = complete_cell(cell, pbc)
    if len(positions) == 0:
        return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros((0, 3)), box
    inside, cells = _wrapped(positions, box, pbc)
    reach = _reach(inside, box, pbc, cutoff)
    finder = NeighborList(cutoff=reach, full_list=full_list, sorted=True)
    center, neighbor, shifts = finder.compute(points=inside, box=box, periodic=pbc, quantities="ijS")
    center, neighbor = center.astype(np.int64), neighbor.astype(np.int64)
    return center, neighbor, shifts.astype(np.float64) + cells[center] - cells[neighbor], box


def _check_numbers(positions: np.ndarray, cell: np.ndarray, cutoff: float) -> None:
    """Finite, and of a size that double precision resolves."""
    for name, values in (("positions", positions), ("cell", cell)):
        if not np.isfinite(values).all():
            raise DataError(f"`{name}`: expected finite numbers, found NaN or infinity; correct the structure")
    if not 0 < cutoff < np.inf:
        raise DataError(f"`cutoff`: expected a finite length above 0 Å, got {cutoff}; correct it")
    if len(positions) and np.abs(positions).max() > LARGEST_COORDINATE:
        raise _far_away(positions, LARGEST_COORDINATE, "from the origin")


def _wrapped(positions: np.ndarray, box: np.ndarray, pbc: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Positions moved into the cell along periodic directions, and by how many cell vectors, shape (num_atoms, 3)."""
    cells = np.where(pbc, np.floor(_times(positions, np.linalg.inv(box))), 0.0)
    return np.ascontiguousarray(positions - _times(cells, box)), cells


def _times(rows: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Rows of three numbers times a matrix."""
    # not by BLAS, whose threads wait for each other in loops: with a busy core it takes a hundred times as long
    return rows[:, :1] * matrix[0] + rows[:, 1:2] * matrix[1] + rows[:, 2:] * matrix[2]


def _reach(positions: np.ndarray, box: np.ndarray, pbc: np.ndarray, cutoff: float) -> float:
    """The cutoff, or the size of a molecule that is smaller.

    :raises DataError: if the search would take hours or its pairs more memory than there is
    """
    along_normals = positions @ np.linalg.inv(box)[:, ~pbc]
    extents = np.ptp(along_normals, axis=0)
    if (extents > LARGEST_EXTENT).any():
        raise _far_away(positions - np.median(positions, axis=0), LARGEST_EXTENT, "from the middle")
    if not pbc.any():
        return min(float(cutoff), float(np.linalg.norm(extents)) + 1.0)
    heights = 1.0 / np.linalg.norm(np.linalg.inv(box), axis=0)
    heights[~pbc] = np.maximum(extents, 1.0)
    periodic = box[pbc]
    span = float(np.sqrt(np.linalg.det(periodic @ periodic.T)))  # length, area or volume
    images = (2.0 * cutoff, np.pi * cutoff**2, 4.0 / 3.0 * np.pi * cutoff**3)[len(periodic) - 1] / span
    if len(positions) * images > MOST_NEIGHBORS or np.prod(2.0 * np.ceil(cutoff / heights) + 1.0) > MOST_CELLS:
        raise DataError(
            f"`cell`: {len(positions)} atoms in {box[pbc].tolist()} have some {len(positions) * images:.0f} neighbours "
            f"each within {cutoff:g} Å, expected at most {MOST_NEIGHBORS:.0f}; correct the cell, or the cutoff"
        )
    return float(cutoff)


def _far_away(distances: np.ndarray, limit: float, whence: str) -> DataError:
    atom = int(np.abs(distances).max(axis=1).argmax())
    return DataError(
        f"`positions`: atom {atom} is {np.linalg.norm(distances[atom]):.3g} Å {whence}, "
        f"expected at most {limit:.0e} Å; correct the structure or remove it"
    )


def complete_cell(cell: np.ndarray, pbc: np.ndarray) -> np.ndarray:
    """The cell with every non-periodic vector replaced by a unit normal to the others.

    :raises DataError: if the periodic cell vectors are zero or linearly dependent
    """
    periodic = cell[pbc]
    lengths = np.linalg.norm(periodic, axis=1)
    singular_values = np.linalg.svd(periodic, compute_uv=False) if len(periodic) else np.ones(1)
    if np.any(lengths < 1e-8) or singular_values.min() < 1e-6 * singular_values.max():
        raise DataError(
            f"`cell`: periodic directions pbc={pbc.tolist()} need linearly independent cell vectors, "
            f"got {cell.tolist()}; give the cell or set pbc to False where the structure is not periodic"
        )
    _, _, basis = np.linalg.svd(periodic) if len(periodic) else (None, None, np.eye(3))
    result = cell.copy()
    result[~pbc] = basis[len(periodic) :]
    return result


def squared_lengths(vectors: torch.Tensor) -> torch.Tensor:
    """Squares of the lengths of vectors, shape (num_vectors,); a sum over three columns takes many times longer."""
    return vectors.square() @ torch.ones(3, dtype=vectors.dtype, device=vectors.device)


def nearest_ratio(
    atomic_numbers: np.ndarray, positions: np.ndarray, cell: np.ndarray, pbc: np.ndarray, limit: float
) -> float:
    """Smallest distance of two atoms or images over the sum of their covalent radii, or ``limit`` if all are larger."""
    radii = covalent_radii[atomic_numbers]
    pairs = find_pairs(positions, cell, pbc, float(2 * radii.max() * limit))
    distances = np.linalg.norm(pairs.vectors(positions), axis=1)
    sums = radii[pairs.center_index] + radii[pairs.neighbor_index]
    return float((distances / sums).min(initial=limit))
