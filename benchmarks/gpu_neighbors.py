"""Neighbour pairs on the device for crystals in rectangular periodic boxes, which benchmarks/gpu.py needs."""

from __future__ import annotations

from typing import NamedTuple

import torch

CHUNK = 32768
"""Atoms whose candidates are looked at together."""


class DevicePairs(NamedTuple):
    """As in `mhdnn.neighbors.NeighborPairs`, with the vectors of the pairs."""

    center_index: torch.Tensor
    neighbor_index: torch.Tensor
    vectors: torch.Tensor


def pairs_on_device(positions: torch.Tensor, lengths: torch.Tensor, cutoff: float) -> DevicePairs:
    """All pairs closer than a cutoff, sorted by centre, from lists of the atoms in cells as wide as the cutoff.

    :param positions: shape (num_atoms, 3), Å
    :param lengths: of the box, shape (3,), Å, at least three cutoffs
    :raises ValueError: if the box is smaller
    """
    num_cells = torch.floor(lengths / cutoff).long()
    if bool((num_cells < 3).any()):
        raise ValueError(f"`lengths`: expected at least three cutoffs of {cutoff} Å, got {lengths.tolist()}")
    wrapped = positions - torch.floor(positions / lengths) * lengths
    cells = torch.minimum((wrapped / lengths * num_cells).long(), num_cells - 1)
    table = _atoms_of_cells(_flat(cells, num_cells), int(num_cells.prod()))
    steps = torch.cartesian_prod(*[torch.arange(-1, 2, device=positions.device)] * 3)
    parts = []
    for first in range(0, len(positions), CHUNK):
        around = (cells[first : first + CHUNK, None] + steps) % num_cells
        candidates = table[_flat(around, num_cells)].flatten(1)
        centers = torch.arange(first, first + len(candidates), device=positions.device)
        vectors = wrapped[candidates.clamp(min=0)] - wrapped[centers][:, None]
        vectors = vectors - torch.round(vectors / lengths) * lengths
        near = (vectors.square().sum(-1) < cutoff**2) & (candidates >= 0) & (candidates != centers[:, None])
        row, column = near.nonzero(as_tuple=True)
        parts.append(DevicePairs(centers[row], candidates[row, column], vectors[row, column]))
    return DevicePairs(*(torch.cat(tensors) for tensors in zip(*parts, strict=True)))


def _flat(cells: torch.Tensor, num_cells: torch.Tensor) -> torch.Tensor:
    return (cells[..., 0] * num_cells[1] + cells[..., 1]) * num_cells[2] + cells[..., 2]


def _atoms_of_cells(cell: torch.Tensor, num_cells: int) -> torch.Tensor:
    """The atoms of each cell, shape (num_cells, most in a cell), -1 where there are fewer."""
    order = torch.argsort(cell)
    counts = torch.bincount(cell, minlength=num_cells)
    place = torch.arange(len(cell), device=cell.device) - (counts.cumsum(0) - counts)[cell[order]]
    table = torch.full((num_cells, int(counts.max())), -1, device=cell.device)
    table[cell[order], place] = order
    return table
