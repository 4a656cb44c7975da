"""Pairs arranged as a table of neighbours for every centre, so that sums over neighbours are matrix products."""

from typing import NamedTuple

import torch
from torch import nn


class Neighborhood(NamedTuple):
    """What every symmetry function needs of the neighbours; empty places have zero cutoff value.

    :param distance: shape (num_atoms, max_neighbors), Å
    :param direction: unit vectors to the neighbours, shape (num_atoms, max_neighbors, 3)
    :param cutoff_value: :math:`f_c(r_{ij})`, shape (num_atoms, max_neighbors)
    :param channel_weight: :math:`w_c(Z_j)`, shape (num_atoms, max_neighbors, num_channels)
    """

    distance: torch.Tensor
    direction: torch.Tensor
    cutoff_value: torch.Tensor
    channel_weight: torch.Tensor


class FunctionGroup(nn.Module):
    """Symmetry functions of one kind: maps a `Neighborhood` to shape (num_atoms, num_functions)."""

    num_functions: int

    @torch.jit.ignore
    def names(self, channels: list[str]) -> list[str]:
        """Readable name of every function, for channels with these names."""
        return [f"{type(self).__name__} {index}" for index in range(self.num_functions)]


def neighbor_table(center_index: torch.Tensor, num_atoms: int) -> torch.Tensor:
    """Pair numbers of every centre, padded with ``num_pairs``; shape (num_atoms, max_neighbors).

    :param center_index: ascending, shape (num_pairs,)
    """
    num_pairs = center_index.shape[0]
    counts = torch.bincount(center_index, minlength=num_atoms)
    first = torch.cumsum(counts, 0) - counts
    pair = torch.arange(num_pairs, device=center_index.device)
    place = pair - first.index_select(0, center_index)
    max_neighbors = int(counts.max().item()) if num_atoms > 0 else 0
    table = torch.full((num_atoms, max_neighbors), num_pairs, dtype=torch.long, device=center_index.device)
    table[center_index, place] = pair
    return table


def gather_pairs(values: torch.Tensor, table: torch.Tensor, padding: torch.Tensor) -> torch.Tensor:
    """Rows of a pair array at the places of the table, ``padding`` where there is none.

    :param values: shape (num_pairs, width)
    :param padding: shape (width,)
    :return: shape (num_atoms, max_neighbors, width)
    """
    padded = torch.cat([values, padding.unsqueeze(0)])
    return padded.index_select(0, table.reshape(-1)).reshape(table.shape[0], table.shape[1], values.shape[1])
