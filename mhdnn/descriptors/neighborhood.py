"""Pairs arranged as a table of neighbours for every centre, so that sums over neighbours are matrix products."""

from __future__ import annotations

from typing import NamedTuple

import torch


class Neighborhood(NamedTuple):
    """What a symmetry function needs of the neighbours; empty places are beyond the cutoff.

    :param distance: shape (num_atoms, max_neighbors), Å
    :param direction: unit vectors to the neighbours, shape (num_atoms, max_neighbors, 3)
    :param channel_weight: :math:`w_c(Z_j)`, shape (num_atoms, max_neighbors, num_channels)
    """

    distance: torch.Tensor
    direction: torch.Tensor
    channel_weight: torch.Tensor


def neighbor_table(first_pair: torch.Tensor, num_pairs: int) -> torch.Tensor:
    """Pair numbers of every centre, padded with ``num_pairs``; shape (num_atoms, max_neighbors).

    :param first_pair: where the pairs of each centre begin, and their number at the end, shape (num_atoms + 1,)
    """
    first, counts = first_pair[:-1], first_pair.diff()
    max_neighbors = int(counts.max()) if len(counts) else 0
    place = torch.arange(max_neighbors, device=first_pair.device)
    pair = first.unsqueeze(1) + place
    return torch.where(place < counts.unsqueeze(1), pair, num_pairs)


def neighborhood_of(
    pair_vectors: torch.Tensor,
    channel_table: torch.Tensor,
    first_pair: torch.Tensor,
    neighbor_element: torch.Tensor,
    cutoff: float,
) -> Neighborhood:
    """Neighbours of every centre from its pairs; the arguments are those of the operators."""
    table = neighbor_table(first_pair, len(pair_vectors))
    nowhere = pair_vectors.new_tensor([[2.0 * cutoff, 0.0, 0.0]])
    vectors = torch.cat([pair_vectors, nowhere])[table]
    element = torch.cat([neighbor_element, neighbor_element.new_zeros(1)])[table]
    distance = torch.sqrt((vectors * vectors).sum(-1))
    return Neighborhood(distance, vectors / distance.unsqueeze(-1), channel_table[element])
