"""How neighbours of different elements enter a sum: a weight for every element and channel.

A symmetry function of channel c sums :math:`w_c(Z_j)` times its term. Resolved by element, the weights
are 0 and 1 and a channel is an element; with fewer channels than elements the length of the descriptor
no longer grows with the square of the number of elements.
"""

from collections.abc import Sequence

import torch
from torch import nn

from mhdnn.errors import ConfigError


class ElementChannels(nn.Module):
    """Table of weights, one row for each element of the model.

    :param table: shape (num_elements, num_channels)
    :param trainable: whether the weights are learned with the network
    """

    table: torch.Tensor

    def __init__(self, table: torch.Tensor, trainable: bool = False) -> None:
        super().__init__()
        self.num_channels = table.shape[1]
        if trainable:
            self.table = nn.Parameter(table)
        else:
            self.register_buffer("table", table)


def resolved(atomic_numbers: Sequence[int]) -> ElementChannels:
    """One channel for each element: radial functions per element, angular per unordered pair."""
    return ElementChannels(torch.eye(len(atomic_numbers)))


def weighted(atomic_numbers: Sequence[int]) -> ElementChannels:
    """One channel weighted by atomic number: wACSF (https://doi.org/10.1063/1.5019667)."""
    return ElementChannels(torch.tensor(atomic_numbers, dtype=torch.get_default_dtype()).unsqueeze(1))


def learned(atomic_numbers: Sequence[int], num_channels: int) -> ElementChannels:
    """A few channels whose weights are trained; starts from distinct, reproducible mixtures."""
    generator = torch.Generator().manual_seed(0)
    table = torch.randn(len(atomic_numbers), num_channels, generator=generator, dtype=torch.float64)
    square = min(len(atomic_numbers), num_channels)
    table = 0.3 * table
    table[:square, :square] += torch.eye(square, dtype=torch.float64)
    return ElementChannels(table.to(torch.get_default_dtype()), trainable=True)


def build_channels(kind: str, atomic_numbers: Sequence[int], num_channels: int) -> ElementChannels:
    """Element channels by name: resolved, weighted or learned.

    :raises ConfigError: for an unknown name or fewer than one channel
    """
    if kind == "resolved":
        return resolved(atomic_numbers)
    if kind == "weighted":
        return weighted(atomic_numbers)
    if kind == "learned":
        if num_channels < 1:
            raise ConfigError(f"`descriptor.num_channels`: expected at least 1, got {num_channels}")
        return learned(atomic_numbers, num_channels)
    raise ConfigError(f"`descriptor.channels`: expected resolved, weighted or learned, got {kind!r}")
