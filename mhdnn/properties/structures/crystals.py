"""Crystals of the elements that anodes and cathodes are made of."""

from __future__ import annotations

from dataclasses import dataclass, field

from ase import Atoms
from ase.spacegroup import crystal

from mhdnn.errors import ConfigError
from mhdnn.properties.structures.layers import plain

Facets = dict[tuple[int, int, int], float]


@dataclass(frozen=True)
class Crystal:
    """A crystal of one element.

    :param space_group: number
    :param cell: a, b, c in Å, angles in degrees
    :param sites: fractional coordinates of the asymmetric unit
    :param setting: of the space group (2: origin at the inversion centre)
    :param bond: length below which atoms are bonded, Å
    :param facets: indices and relative distances of the faces of a particle
    :param molecule: atoms of a molecule that must stay whole
    """

    space_group: int
    cell: tuple[float, ...]
    sites: tuple[tuple[float, float, float], ...]
    bond: float
    setting: int = 1
    facets: Facets = field(default_factory=dict)
    molecule: int = 1


CRYSTALS = {
    "Si": Crystal(
        227, (5.4310, 5.4310, 5.4310, 90, 90, 90), ((0, 0, 0),), 2.6,
        facets={(1, 1, 1): 1.23, (1, 0, 0): 1.36, (3, 1, 1): 1.38, (1, 1, 0): 1.43},
    ),
    "Ge": Crystal(
        227, (5.6575, 5.6575, 5.6575, 90, 90, 90), ((0, 0, 0),), 2.7,
        facets={(1, 1, 1): 1.0, (1, 0, 0): 1.0},
    ),
    "Sn": Crystal(
        141, (5.8318, 5.8318, 3.1819, 90, 90, 90), ((0, 0, 0),), 3.3,
        facets={(1, 0, 0): 1.0, (1, 0, 1): 1.0},
    ),
    "Se": Crystal(
        152, (4.3662, 4.3662, 4.9536, 90, 90, 120), ((0.2254, 0, 1 / 3),), 2.6,
        facets={(1, 0, 0): 1.0, (1, 0, 1): 1.0},
    ),
    "S": Crystal(
        70, (10.4646, 12.8660, 24.4860, 90, 90, 90),
        ((0.8554, 0.9526, 0.9516), (0.7844, 0.0301, 0.0763), (0.7069, 0.9795, 0.0040), (0.7862, 0.9073, 0.1290)), 2.3,
        setting=2, facets={(1, 1, 1): 1.0, (0, 0, 1): 1.0, (1, 1, 3): 1.0}, molecule=8,
    ),
}  # fmt: skip
"""Si, Ge: diamond (Wyckoff, Crystal Structures, 1963). Sn: white tin, Deshpande and Sirdeshmukh, Acta Cryst. 14, 355
(1961). Se: trigonal chains, Cherin and Unger, Inorg. Chem. 6, 1589 (1967), https://doi.org/10.1021/ic50054a037.
S: rings of eight, Rettig and Trotter, Acta Cryst. C 43, 2260 (1987), https://doi.org/10.1107/S0108270187088152.
The distances of silicon's faces are its surface energies in J/m², Eaglesham et al., Phys. Rev. Lett. 70, 1643 (1993),
https://doi.org/10.1103/PhysRevLett.70.1643; for the others low-index faces stand at equal distances."""


def known_crystal(element: str) -> Crystal:
    """The data of a crystal.

    :raises ConfigError: for another element
    """
    if element not in CRYSTALS:
        raise ConfigError(f"`element`: expected one of {', '.join(CRYSTALS)}, got {element!r}")
    return CRYSTALS[element]


def element_crystal(element: str) -> Atoms:
    """The conventional cell of Si, Ge, Sn, Se or S.

    :raises ConfigError: for another element
    """
    data = known_crystal(element)
    atoms = crystal(
        [element] * len(data.sites), data.sites, spacegroup=data.space_group, setting=data.setting, cellpar=data.cell
    )
    return plain(atoms)
