"""Which structures an epoch trains on, and in which order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from torch.utils.data import Sampler


class FractionSampler(Sampler[int]):
    """A fraction of each source, drawn anew in each epoch, in random order.

    A fraction above one repeats: of 2.5, each structure comes twice, and half of them a third time. What is drawn
    depends on the seed and the epoch alone, so that a resumed training sees the same structures.

    :param source: of each structure of the dataset, shape (num_structures,)
    :param fractions: of each source, positive
    :param seed: of the draw
    :param num_replicas: processes that share an epoch
    :param rank: of this process
    """

    def __init__(
        self, source: np.ndarray, fractions: Sequence[float], seed: int, num_replicas: int = 1, rank: int = 0
    ) -> None:
        self.members = [np.flatnonzero(source == number) for number in range(len(fractions))]
        self.counts = [
            max(1, round(fraction * len(own))) if len(own) else 0
            for own, fraction in zip(self.members, fractions, strict=True)
        ]
        self.seed, self.num_replicas, self.rank = seed, num_replicas, rank
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Lightning tells it."""
        self.epoch = epoch

    def __len__(self) -> int:
        return -(-sum(self.counts) // self.num_replicas)

    def __iter__(self) -> Iterator[int]:
        rng = np.random.default_rng([self.seed, self.epoch])
        drawn = []
        for own, count in zip(self.members, self.counts, strict=True):
            whole, rest = divmod(count, max(1, len(own)))
            drawn += [np.tile(own, whole), rng.permutation(own)[:rest]]
        order = rng.permutation(np.concatenate(drawn))
        order = np.resize(order, len(self) * self.num_replicas)  # all processes have as many
        return iter(order[self.rank :: self.num_replicas].tolist())
