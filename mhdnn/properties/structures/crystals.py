"""Crystals of the elements and salts that anodes, cathodes and their interphases are made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ase import Atoms
from ase.spacegroup import crystal

from mhdnn.errors import ConfigError
from mhdnn.properties.structures.layers import checked_size, plain

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
    "alpha-Sn": Crystal(
        227, (6.4892, 6.4892, 6.4892, 90, 90, 90), ((0, 0, 0),), 3.0,
        facets={(1, 1, 1): 1.0, (1, 0, 0): 1.0},
    ),
    "Li": Crystal(
        229, (3.5093, 3.5093, 3.5093, 90, 90, 90), ((0, 0, 0),), 3.3,
        facets={(1, 1, 0): 1.0, (1, 0, 0): 1.0},
    ),
    "Se": Crystal(
        152, (4.3662, 4.3662, 4.9536, 90, 90, 120), ((0.2254, 0, 1 / 3),), 2.6,
        facets={(1, 0, 0): 1.0, (1, 0, 1): 1.0},
    ),
    "monoclinic-Se": Crystal(
        14, (9.31, 8.07, 12.85, 90, 93.13, 90),
        ((0.437, 0.685, 0.584), (0.246, 0.773, 0.477), (0.240, 0.602, 0.328), (0.050, 0.420, 0.352),
         (0.157, 0.169, 0.410), (0.142, 0.160, 0.590), (0.368, 0.246, 0.660), (0.334, 0.521, 0.710)), 2.6,
        facets={(1, 0, 0): 1.0, (0, 1, 0): 1.0, (0, 0, 1): 1.0}, molecule=8,
    ),
    "S": Crystal(
        70, (10.4646, 12.8660, 24.4860, 90, 90, 90),
        ((0.85585, 0.95268, 0.95140), (0.78402, 0.03022, 0.07618), (0.70723, 0.97690, 0.00406),
         (0.78595, 0.90761, 0.12947)), 2.3,
        setting=2, facets={(1, 1, 1): 1.0, (0, 0, 1): 1.0, (1, 1, 3): 1.0}, molecule=8,
    ),
}  # fmt: skip
"""Si, Ge, alpha-Sn (grey tin): diamond; Li at room temperature (Wyckoff, Crystal Structures, 1963). Sn: white tin,
Deshpande and Sirdeshmukh, Acta Cryst. 14, 355 (1961). Se: trigonal chains, Cherin and Unger, Inorg. Chem. 6, 1589
(1967), https://doi.org/10.1021/ic50054a037. monoclinic-Se: rings of eight of the β form, Marsh, Pauling and McCullough,
Acta Cryst. 6, 71 (1953), here in the setting P2₁/c (theirs is P2₁/a).
S: rings of eight, Rettig and Trotter, Acta Cryst. C 43, 2260 (1987), https://doi.org/10.1107/S0108270187088152, as
transcribed in AFLOW's prototype A_oF128_70_4h.
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
    """The conventional cell of one of `CRYSTALS`.

    :raises ConfigError: for another name
    """
    data = known_crystal(element)
    atoms = crystal(
        [element.split("-")[-1]] * len(data.sites),
        data.sites,
        spacegroup=data.space_group,
        setting=data.setting,
        cellpar=data.cell,
    )
    return plain(atoms)


@dataclass(frozen=True)
class Compound:
    """A crystal of several elements, or in layers.

    :param space_group: number
    :param cell: a, b, c in Å, angles in degrees
    :param sites: element and fractional coordinates of the asymmetric unit
    """

    space_group: int
    cell: tuple[float, ...]
    sites: tuple[tuple[str, tuple[float, float, float]], ...]


COMPOUNDS = {
    "LiF": Compound(225, (4.0173,) * 3 + (90,) * 3, (("Li", (0, 0, 0)), ("F", (0.5, 0.5, 0.5)))),
    "Li2O": Compound(225, (4.619,) * 3 + (90,) * 3, (("O", (0, 0, 0)), ("Li", (0.25, 0.25, 0.25)))),
    "Li2CO3": Compound(
        15,
        (8.359, 4.9767, 6.194, 90, 114.72, 90),
        (
            ("Li", (0.1965, 0.4485, 0.8342)),
            ("C", (0, 0.0657, 0.25)),
            ("O", (0, 0.3218, 0.25)),
            ("O", (0.1457, -0.0659, 0.3133)),
        ),
    ),
    "graphite": Compound(194, (2.461, 2.461, 6.708, 90, 90, 120), (("C", (0, 0, 0.25)), ("C", (1 / 3, 2 / 3, 0.25)))),
}
"""LiF, Li2O: Wyckoff, Crystal Structures (1963). Li2CO3: Effenberger and Zemann, Z. Kristallogr. 150, 133 (1979),
https://doi.org/10.1524/zkri.1979.150.1-4.133. Graphite: Baskin and Meyer, Phys. Rev. 100, 544 (1955),
https://doi.org/10.1103/PhysRev.100.544."""


def compound_crystal(name: str, size: Sequence[int] = (1, 1, 1)) -> Atoms:
    """The conventional cell of one of `COMPOUNDS`.

    :param size: cells along the three vectors
    :raises ConfigError: for another name
    """
    if name not in COMPOUNDS:
        raise ConfigError(f"`name`: expected one of {', '.join(COMPOUNDS)}, got {name!r}")
    data = COMPOUNDS[name]
    symbols = [symbol for symbol, _ in data.sites]
    places = [place for _, place in data.sites]
    return plain(crystal(symbols, places, spacegroup=data.space_group, cellpar=data.cell)).repeat(checked_size(size, 3))
