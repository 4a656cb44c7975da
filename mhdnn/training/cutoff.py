"""The cutoff of symmetry functions, from how densely atoms stand in the data."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mhdnn.data.dataset import StructureDataset, StructureSource

NEIGHBORS = 48
"""Mean number within the cutoff: about four shells of a close-packed metal, five of a diamond lattice. Chosen by the
validation errors of the linear part alone at 4 to 7 Å, on six elements; single trainings gained on three of four."""
SHORTEST, LONGEST = 4.5, 7.0
OF_MOLECULES = 4.5
"""Å, of small molecules, whose atoms never have so many neighbours: for dipeptides 4.5, 5 and 7 Å gave 0.070, 0.077 and
0.122 eV/Å (one training each, benchmarks/accuracy.md)."""
STEP = 0.1
SAMPLED_ATOMS = 3000


def cutoff_from_data(source: StructureSource, indices: Sequence[int] | np.ndarray, seed: int = 0) -> float:
    """The distance within which atoms of the data have `NEIGHBORS` others in the mean, Å.

    Rounded up to a tenth, and between `SHORTEST` and `LONGEST`; `OF_MOLECULES` where not even the longest has so many.

    :param source: structures
    :param indices: which of them; some are looked at, chosen at random
    :raises DataError: naming the structure that has no neighbours that can be found
    """
    counts = np.zeros(round(LONGEST / STEP) + 1)
    num_atoms = 0
    dataset = StructureDataset(source, np.random.default_rng(seed).permutation(np.asarray(indices)), LONGEST, 0.0)
    for _, structure, pairs in (dataset[index] for index in range(len(dataset))):
        distances = np.linalg.norm(pairs.vectors(structure.positions), axis=1)
        # the bin of a distance is the first cutoff that contains it
        counts += np.bincount(np.ceil(distances / STEP - 1e-9).astype(int), minlength=len(counts))[: len(counts)]
        num_atoms += structure.num_atoms
        if num_atoms >= SAMPLED_ATOMS:
            break
    neighbors = np.cumsum(counts) / num_atoms
    enough = np.flatnonzero(neighbors >= NEIGHBORS)
    cutoff = STEP * int(enough[0]) if len(enough) else OF_MOLECULES
    return round(float(np.clip(cutoff, SHORTEST, LONGEST)), 1)
