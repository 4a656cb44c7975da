"""Bond valence sums of oxides: whether an atom has the bonds that its charge asks for."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers

from mhdnn.errors import ConfigError
from mhdnn.neighbors import find_pairs

SOFTNESS = 0.37
"""Å"""
LENGTHS = {
    "Li": 1.466, "Na": 1.803, "K": 2.132, "Mg": 1.693, "Ca": 1.967, "Zn": 1.704, "C": 1.390, "Ti": 1.815, "V": 1.803,
    "Nb": 1.911, "Mo": 1.907, "W": 1.917,
}  # fmt: skip
"""Of a bond of valence one with oxygen, Å; metals in their highest oxidation state. Brown and Altermatt, Acta Cryst. B
41, 244 (1985), https://doi.org/10.1107/S0108768185002063."""
REACH = 4.0
"""Å; a bond as long as this counts less than a hundredth."""


def bond_valence_sums(atoms: Atoms) -> np.ndarray:
    r"""Sum of :math:`\exp((R_0 - r)/b)` over the bonds of each atom between cation and oxygen, shape (num_atoms,).

    :raises ConfigError: for an element without a parameter
    """
    unknown = sorted(set(atoms.get_chemical_symbols()) - {"O", *LENGTHS})
    if unknown:
        raise ConfigError(f"`atoms`: expected oxides of {', '.join(LENGTHS)} for bond valences, got {unknown[0]}")
    first, second, shifts = find_pairs(atoms.positions, atoms.cell[:], atoms.pbc, REACH)
    lengths = np.zeros(120)
    lengths[[atomic_numbers[name] for name in LENGTHS]] = list(LENGTHS.values())
    numbers = atoms.numbers
    bonded = (numbers[first] == 8) != (numbers[second] == 8)
    first, second, shifts = first[bonded], second[bonded], shifts[bonded]
    distances = np.linalg.norm(atoms.positions[second] - atoms.positions[first] + shifts, axis=1)
    valences = np.exp((lengths[numbers[first]] + lengths[numbers[second]] - distances) / SOFTNESS)
    return np.bincount(first, valences, len(atoms))
