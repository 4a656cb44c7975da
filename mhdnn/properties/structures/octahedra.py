r"""Oxides of ideal octahedra: shear phases of blocks (Nb–W–O, Ti–Nb–O) and bronzes with hexagonal tunnels (Mo–V–O).

A Wadsley–Roth phase has blocks of n × m corner-sharing octahedra, endless along the third axis, which share
edges with the blocks around them, displaced by half an octahedron (Roth and Wadsley, Acta Cryst. 19, 26, 32 and 38
(1965); Cava, Murphy and Zahurak, J. Electrochem. Soc. 130, 2345 (1983)).
With d, the length of a diagonal of an octahedron, as unit, the blocks stand on the lattice

.. math:: (n - \tfrac12, t, \tfrac12),\quad (s, m - \tfrac12, \tfrac12),\quad (0, 0, 1)

with s = 1, t = 0 where all edges are shared, which gives :math:`M_{nm}O_{3nm - n - m}`, and s = -1, t = 1 where a metal
sits in a tetrahedron between four blocks: :math:`M_{nm+1}O_{3nm - n - m + 4}`.

What is ideal: octahedra are regular before the lattice is stretched to the measured one. In the crystals metals of
shared edges repel each other, so that octahedra are distorted by some tenths of an Å: bond valence sums of the metals
are right in the mean (within 12 %), of single ones up to a third too large; relax before use. Metals are
spread over the octahedra at random, as there is disorder in the crystals, too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.build import make_supercell
from ase.geometry import cellpar_to_cell

from mhdnn.errors import ConfigError
from mhdnn.properties.structures.layers import checked_size

OXYGEN, OCTAHEDRAL, TETRAHEDRAL = 0, 1, 2
"""Tags of the atoms."""


@dataclass(frozen=True)
class ShearPhase:
    """A measured phase.

    :param block: octahedra along the two edges of a block
    :param tetrahedra: whether there are tetrahedra between blocks
    :param octahedral: metals of the octahedra and their shares
    :param tetrahedral: metal of the tetrahedra
    :param cell: a, b, c in Å and angles in degrees of the conventional cell
    """

    block: tuple[int, int]
    tetrahedra: bool
    octahedral: Mapping[str, int]
    tetrahedral: str
    cell: tuple[float, float, float, float, float, float]


SHEAR_PHASES = {
    "TiNb2O7": ShearPhase((3, 3), False, {"Ti": 1, "Nb": 2}, "", (20.44, 3.81, 11.93, 90, 120.17, 90)),
    "Nb12WO33": ShearPhase((3, 4), True, {"Nb": 12}, "W", (22.37, 3.825, 17.87, 90, 123.6, 90)),
    "Nb16W5O55": ShearPhase((4, 5), True, {"Nb": 16, "W": 4}, "W", (29.79, 3.82, 23.11, 90, 126.5, 90)),
    "Nb14W3O44": ShearPhase((4, 4), True, {"Nb": 14, "W": 2}, "W", (21.02, 21.02, 3.824, 90, 90, 90)),
}
"""TiNb2O7 (C2/m): Wadsley, Acta Cryst. 14, 660 (1961). Nb12WO33 and Nb16W5O55 (C2), Nb14W3O44 (I-4): Roth and
Wadsley, Acta Cryst. 19, 32 and 38 (1965)."""
CENTRALITY = "distance_from_block_center"
"""Array of the atoms: how far an octahedron of a shear phase is from the axis of its block, in octahedra. Of a planar
oxide: 0 for octahedra that link pentagonal columns, 1 for those of columns."""
ORDERS = ("random", "central")


def shear_phase(
    formula: str = "Nb14W3O44", seed: int = 0, size: Sequence[int] = (1, 1, 1), order: str = "random"
) -> Atoms:
    """TiNb2O7, Nb12WO33, Nb14W3O44 or Nb16W5O55: ideal coordinates in the measured conventional cell.

    :param formula: one of `SHEAR_PHASES`
    :param seed: of the metals' places
    :param order: ``random``, or ``central``: the last metal of the formula in the octahedra nearest to the blocks'
        axes, as calculations find for tungsten (Koçer et al., https://arxiv.org/abs/1906.04192)
    :param size: cells along the three vectors
    :raises ConfigError: for another formula
    """
    if formula not in SHEAR_PHASES:
        raise ConfigError(f"`formula`: expected one of {', '.join(SHEAR_PHASES)}, got {formula!r}")
    phase = SHEAR_PHASES[formula]
    atoms = conventional(shear_block(phase.block, phase.tetrahedra), phase.block, phase.tetrahedra)
    atoms.set_cell(cellpar_to_cell(phase.cell), scale_atoms=True)
    atoms = atoms.repeat(checked_size(size, 3))
    if phase.tetrahedra:
        atoms.symbols[atoms.get_tags() == TETRAHEDRAL] = phase.tetrahedral
    return with_metals(atoms, phase.octahedral, seed, order)


def shear_block(block: Sequence[int] = (3, 3), tetrahedra: bool = False, bond_length: float = 1.91) -> Atoms:
    """The primitive cell of a shear phase of regular octahedra, with niobium for all metals.

    Tags tell what an atom is: `OXYGEN`, `OCTAHEDRAL`, `TETRAHEDRAL`.

    :param block: octahedra along the two edges of a block, n and m
    :param tetrahedra: with a metal between four blocks
    :param bond_length: metal to oxygen in an octahedron, Å
    :raises ConfigError: if the block is too small
    """
    smallest = 3 if tetrahedra else 2
    if len(block) != 2 or min(block) < smallest:
        raise ConfigError(f"`block`: expected two numbers of at least {smallest}, got {', '.join(map(str, block))}")
    n, m = block
    # in quarters of the octahedron's diagonal all coordinates are whole numbers
    lattice = np.array([[4 * n - 2, 4, 2], [-4, 4 * m - 2, 2], [0, 0, 4]]) if tetrahedra else np.array(
        [[4 * n - 2, 0, 2], [4, 4 * m - 2, 2], [0, 0, 4]]
    )  # fmt: skip
    metals = np.array([[4 * i, 4 * j, 0] for i in range(n) for j in range(m)])
    corners = 2 * np.vstack([np.eye(3, dtype=int), -np.eye(3, dtype=int)])
    oxygens = _distinct((metals[:, None] + corners).reshape(-1, 3), lattice)
    extra = np.array([[4 * n - 1, 1, 1]]) if tetrahedra else np.zeros((0, 3), dtype=int)
    positions = np.vstack([metals, extra, oxygens]) * bond_length / 2
    tags = [OCTAHEDRAL] * (n * m) + [TETRAHEDRAL] * len(extra) + [OXYGEN] * len(oxygens)
    symbols = ["O" if tag == OXYGEN else "Nb" for tag in tags]
    atoms = Atoms(symbols, positions, cell=lattice * bond_length / 2, pbc=True, tags=tags)
    offsets = metals[:, :2] / 4.0 - [(n - 1) / 2.0, (m - 1) / 2.0]
    distances = np.linalg.norm(offsets, axis=1)
    atoms.set_array(CENTRALITY, np.append(distances, np.full(len(atoms) - len(metals), -1.0)))
    return atoms


def conventional(primitive: Atoms, block: Sequence[int], tetrahedra: bool) -> Atoms:
    """The centred cell of two blocks in which a shear phase is described.

    The blocks are endless along its third axis if it is tetragonal, along its second if it is monoclinic.
    """
    if tetrahedra and block[0] == block[1]:
        transformation = [[1, -1, 0], [1, 1, -1], [0, 0, 1]]
    else:
        transformation = [[2, 0, -1], [0, 0, -1], [-1, 1, 0]]
    atoms = make_supercell(primitive, transformation)
    atoms.wrap()
    return atoms


def with_metals(atoms: Atoms, shares: Mapping[str, int], seed: int = 0, order: str = "random") -> Atoms:
    """The atoms with metals spread over the octahedra.

    :param shares: of each metal, as whole numbers
    :param order: ``random``, or ``central`` for shear phases: the last metal nearest to the axes of the blocks, at
        random among octahedra that are as near
    :raises ConfigError: if the number of octahedra is not a multiple of their sum, or for an order that can't be
    """
    if order not in ORDERS:
        raise ConfigError(f"`order`: expected one of {', '.join(ORDERS)}, got {order!r}")
    if order == "central" and len(shares) == 1:
        raise ConfigError(
            f"`order`: central needs two metals in the octahedra, got {', '.join(shares)} alone; leave it out"
        )
    sites = np.flatnonzero(atoms.get_tags() == OCTAHEDRAL)
    total = sum(shares.values())
    if not shares or min(shares.values()) < 1 or len(sites) % total:
        raise ConfigError(
            f"`metals`: expected shares whose sum divides the {len(sites)} octahedra, got {dict(shares)}; "
            "choose another size"
        )
    symbols = [symbol for symbol, share in shares.items() for _ in range(share * len(sites) // total)]
    atoms = atoms.copy()
    generator = np.random.default_rng(seed)
    if order == "central":
        mixed = generator.permutation(sites)
        # farthest first: the symbols of the last metal come last
        sites = mixed[np.argsort(-np.round(atoms.get_array(CENTRALITY)[mixed], 6), kind="stable")]
        atoms.symbols[sites] = symbols
    else:
        atoms.symbols[sites] = generator.permutation(symbols)
    return atoms


def tunnel_bronze(
    metals: Mapping[str, int] | None = None,
    bond_length: float = 1.92,
    seed: int = 0,
    size: Sequence[int] = (1, 1, 1),
) -> Atoms:
    """An oxide MO3 with hexagonal and trigonal tunnels (hexagonal tungsten bronze, P6/mmm): three octahedra a cell.

    Regular octahedra share all corners; seen along the tunnels, the oxygens of a layer are the corners of the tiling
    3.4.6.4, octahedra its squares (Gérand et al., J. Solid State Chem. 29, 429 (1979)).
    Mo–V–O phases have such tunnels beside pentagonal ones whose seven-cornered polyhedra no regular octahedra make;
    those are not built here.

    :param metals: and their shares; None: two Mo for one V
    :param bond_length: metal to oxygen, Å
    :param seed: of the metals' places
    :param size: cells along the three vectors
    :raises ConfigError: if the shares do not fit the size
    """
    edge = np.sqrt(2) * bond_length
    x = 1 / (3 + np.sqrt(3))
    metal = [[0.5, 0, 0], [0, 0.5, 0], [0.5, 0.5, 0]]
    equatorial = [[x, 2 * x, 0], [-2 * x, -x, 0], [x, -x, 0], [-x, -2 * x, 0], [2 * x, x, 0], [-x, x, 0]]
    axial = [[a, b, 0.5] for a, b, _ in metal]
    a = edge * (1 + np.sqrt(3))
    atoms = Atoms(
        ["Mo"] * 3 + ["O"] * 9,
        cell=cellpar_to_cell([a, a, 2 * bond_length, 90, 90, 120]),
        scaled_positions=np.array(metal + equatorial + axial) % 1.0,
        pbc=True,
        tags=[OCTAHEDRAL] * 3 + [OXYGEN] * 9,
    )
    return with_metals(atoms.repeat(checked_size(size, 3)), metals or {"Mo": 2, "V": 1}, seed)


def _distinct(points: np.ndarray, lattice: np.ndarray) -> np.ndarray:
    """Points that no lattice vector connects; all are whole numbers."""
    fractional = points @ np.linalg.inv(lattice)
    _, first = np.unique(np.round(fractional - np.floor(fractional + 1e-9), 6), axis=0, return_index=True)
    return points[np.sort(first)]
