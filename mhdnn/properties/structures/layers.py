"""Layered materials: graphene, dichalcogenides, layered oxides.

Sheets are periodic in x and y; along z they have vacuum on both sides, or are stacked into a crystal.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase import Atoms
from ase.build import graphene
from ase.spacegroup import crystal

from mhdnn.errors import ConfigError

GRAPHENE_LATTICE_CONSTANT = 2.461
"""Å; graphite at room temperature, Baskin and Meyer, Phys. Rev. 100, 544 (1955), https://doi.org/10.1103/PhysRev.100.544"""

DICHALCOGENIDES = {"MoS2": (3.1602, 12.294, 0.621), "WS2": (3.1532, 12.323, 0.6225)}
"""a and c in Å and the sulfur's z of the 2H crystals (P6₃/mmc, metal at 1/3 2/3 1/4, sulfur at 1/3 2/3 z).

MoS2: Bronsema, de Boer and Jellinek, Z. Anorg. Allg. Chem. 540, 15 (1986), https://doi.org/10.1002/zaac.19865400904.
WS2: Schutte, de Boer and Jellinek, J. Solid State Chem. 70, 207 (1987), https://doi.org/10.1016/0022-4596(87)90057-0.
"""

THIRDS = np.array([[0.0, 0.0], [1 / 3, 2 / 3], [2 / 3, 1 / 3]])
"""The positions A, B, C of close-packed layers, in the cell's vectors."""


def graphene_sheet(
    size: Sequence[int] = (1, 1), vacuum: float = 10.0, lattice_constant: float = GRAPHENE_LATTICE_CONSTANT
) -> Atoms:
    """Pristine graphene, two atoms a cell.

    :param size: cells along the two vectors
    :param vacuum: on each side, Å
    :param lattice_constant: Å
    """
    return graphene(a=lattice_constant, size=(*checked_size(size, 2), 1), vacuum=vacuum)


def dichalcogenide(
    formula: str = "MoS2",
    phase: str = "2H",
    layers: int = 1,
    size: Sequence[int] = (1, 1),
    vacuum: float = 10.0,
    bulk: bool = False,
) -> Atoms:
    """Layers of MoS2 or WS2.

    2H: prismatic metal, each layer turned by 180° over the one below (P6₃/mmc). 1T: octahedral metal, layers straight
    above each other. 1T is idealised: lattice constant, height of sulfur and distance of layers are those of 2H
    (measured 1T crystals are modulated and differ by some hundredths of an Å).

    :param formula: MoS2 or WS2
    :param phase: 2H or 1T
    :param layers: number of layers
    :param size: cells along the two vectors
    :param vacuum: on each side, Å
    :param bulk: periodic across the layers, without vacuum; 2H then needs an even number of layers
    :raises ConfigError: for another formula or phase, or an odd number of layers of bulk 2H
    """
    if formula not in DICHALCOGENIDES:
        raise ConfigError(f"`formula`: expected one of {', '.join(DICHALCOGENIDES)}, got {formula!r}")
    if phase not in ("2H", "1T"):
        raise ConfigError(f"`phase`: expected 2H or 1T, got {phase!r}")
    if layers < 1 or (bulk and phase == "2H" and layers % 2):
        raise ConfigError(f"`layers`: expected at least 1, and an even number for bulk 2H, got {layers}")
    a, c, sulfur = DICHALCOGENIDES[formula]
    height = (0.75 - sulfur) * c  # of sulfur over its metal: 1/4 - z of the sulfur at 2/3 1/3 z - 1/2
    metal = formula.removesuffix("S2")
    symbols: list[str] = []
    positions: list[list[float]] = []
    for layer in range(layers):
        # A metal and its sulfurs on the thirds; the turned layer exchanges them, so that metal stands on sulfur
        turned = phase == "2H" and layer % 2
        center, below = (2, 1) if turned else (1, 2)
        above = below if phase == "2H" else 0
        middle = layer * c / 2
        for symbol, third, z in ((metal, center, middle), ("S", below, middle - height), ("S", above, middle + height)):
            symbols.append(symbol)
            positions.append([*THIRDS[third], z])
    return hexagonal_sheet(symbols, np.array(positions), a, layers * c / 2, size, None if bulk else vacuum)


def lithium_cobalt_oxide(size: Sequence[int] = (1, 1, 1)) -> Atoms:
    """LiCoO2 (R-3m) in its hexagonal cell of three layers.

    Orman and Wiseman, Acta Cryst. C 40, 12 (1984), https://doi.org/10.1107/S0108270184002833.

    :param size: cells along the three vectors
    """
    atoms = crystal(
        ["Co", "Li", "O"],
        [(0, 0, 0), (0, 0, 0.5), (0, 0, 0.2605)],
        spacegroup=166,
        cellpar=[2.8166, 2.8166, 14.052, 90, 90, 120],
    )
    return plain(atoms).repeat(checked_size(size, 3))


def checked_size(size: Sequence[int], length: int) -> tuple[int, ...]:
    """The size as a tuple.

    :raises ConfigError: if it is not ``length`` positive numbers
    """
    if len(size) != length or min(size) < 1:
        raise ConfigError(f"`size`: expected {length} positive whole numbers, got {', '.join(map(str, size))}")
    return tuple(int(number) for number in size)


def plain(atoms: Atoms) -> Atoms:
    """The atoms without what a builder notes about its own work."""
    return Atoms(atoms.symbols, atoms.positions, cell=atoms.cell, pbc=atoms.pbc)


def hexagonal_sheet(
    symbols: list[str], positions: np.ndarray, a: float, c: float, size: Sequence[int], vacuum: float | None
) -> Atoms:
    """Atoms at positions whose x and y are in the cell's vectors, z in Å; vacuum None: periodic with height c."""
    cell = np.array([[a, 0, 0], [-a / 2, a * np.sqrt(3) / 2, 0], [0, 0, c]])
    cartesian = positions[:, :2] @ cell[:2] + positions[:, 2:] * [0, 0, 1]
    atoms = Atoms(symbols, cartesian, cell=cell, pbc=(True, True, vacuum is None))
    atoms = atoms.repeat((*checked_size(size, 2), 1))
    if vacuum is not None:
        atoms.center(vacuum=vacuum, axis=2)
    return atoms
