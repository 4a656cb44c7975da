"""Which places of a crystal are connected, and through which cells: what tunnels and percolating hops are found by."""

from __future__ import annotations

import numpy as np


class PeriodicForest:
    """Sets of places of a crystal that are connected, and the loops to their own images.

    :ivar loops: cells along the independent loops of each set, by its root
    """

    def __init__(self, number: int) -> None:
        self.parents = np.arange(number)
        self.offsets = np.zeros((number, 3), dtype=int)
        self.loops: dict[int, list[np.ndarray]] = {place: [] for place in range(number)}

    def root(self, place: int) -> tuple[int, np.ndarray]:
        """The place that stands for a set, and the cells from it to the given place."""
        offset = np.zeros(3, dtype=int)
        while self.parents[place] != place:
            offset = offset + self.offsets[place]
            place = self.parents[place]
        return int(place), offset

    def join(self, one: int, two: int, cells: np.ndarray) -> np.ndarray:
        """Connect two places across some cells; the cells along the loop that this closes, or zeros."""
        root_one, offset_one = self.root(one)
        root_two, offset_two = self.root(two)
        way = offset_one - offset_two - cells
        if root_one != root_two:
            self.parents[root_two] = root_one
            self.offsets[root_two] = way
            for loop in self.loops.pop(root_two):
                self._add_loop(root_one, loop)
            return np.zeros(3, dtype=int)
        self._add_loop(root_one, way)
        return way

    def _add_loop(self, root: int, loop: np.ndarray) -> None:
        known = self.loops[root]
        if np.linalg.matrix_rank([*known, loop]) > len(known):
            known.append(loop)
