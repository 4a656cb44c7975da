r"""Bonding across an interface by the electron localisation function.

ELF (Becke and Edgecombe, J. Chem. Phys. 92, 5397 (1990), https://doi.org/10.1063/1.458517) is between 0 and 1, and 1/2
in a uniform electron gas. Between two nuclei it is near 1 where a pair of electrons is shared (covalent), near 1/2
where electrons are as free as in a metal, and small where the density of either side ends (ionic, van der Waals). The
limits 0.7 and 0.3 between these words are a rule of thumb; polar bonds have their maximum off the midpoint.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.data import covalent_radii

from mhdnn.errors import DataError
from mhdnn.neighbors import find_pairs
from mhdnn.properties.grids import Grid
from mhdnn.properties.interfaces import check_labels

LONGEST_BOND = 1.25
"""Of the sum of covalent radii."""
COVALENT, METALLIC = 0.7, 0.3
LINE = np.linspace(0.25, 0.75, 51)
"""Parts of a bond between which its largest value is looked for."""


@dataclass(frozen=True)
class Bond:
    """Two atoms that face each other across the interface.

    :param first: index in slab 1
    :param second: index in slab 2
    :param length: Å
    :param midpoint: ELF there
    :param largest: ELF between a quarter and three quarters of the way
    :param is_bond: whether it is within 1.25 times the covalent radii; otherwise it is the shortest contact
    """

    first: int
    second: int
    length: float
    midpoint: float
    largest: float
    is_bond: bool

    @property
    def character(self) -> str:
        """In a word."""
        if self.midpoint >= COVALENT:
            return "covalent"
        return "metallic or polar" if self.midpoint >= METALLIC else "ionic or van der Waals"


def interface_bonds(atoms: Atoms, elf: Grid) -> list[Bond]:
    """Bonds from slab 1 to slab 2, the shortest first; without bonds the shortest contact alone.

    :param atoms: labelled (`mhdnn.properties.interfaces`)
    :param elf: of the same structure
    :raises DataError: if the slabs are farther apart than atoms ever are, 10 Å
    """
    labels, radii = check_labels(atoms), covalent_radii[atoms.numbers]
    pairs = find_pairs(atoms.positions, atoms.cell[:], atoms.pbc, 10.0)
    across = (labels[pairs.center_index] == 1) & (labels[pairs.neighbor_index] == 2)
    first, second = pairs.center_index[across], pairs.neighbor_index[across]
    if not len(first):
        raise DataError("`atoms`: expected slabs within 10 Å of each other, got none; label them (`elements_2`)")
    vectors = pairs.vectors(atoms.positions)[across]
    lengths = np.linalg.norm(vectors, axis=1)
    order = np.argsort(lengths, kind="stable")
    bonded = lengths <= LONGEST_BOND * (radii[first] + radii[second])
    chosen = order[bonded[order]] if bonded.any() else order[:1]
    found = []
    for index in chosen:
        start, vector = atoms.positions[first[index]], vectors[index]
        line = elf.at(start + LINE[:, None] * vector)
        found.append(
            Bond(
                int(first[index]),
                int(second[index]),
                float(lengths[index]),
                float(line[len(LINE) // 2]),
                float(line.max()),
                bool(bonded[index]),
            )
        )
    return found
