"""Seeded structures that teach what holds tin and graphene together: each of them alone, and both at many gaps.

A single α-Sn(111) bilayer, a sheet under the strains that the bilayer puts on it, and the bilayer over the sheet at
random registry. Lattice constants lie around that of the points in ``interface``, whose structures are not among these.
"""

from __future__ import annotations

import numpy as np
from ase import Atoms
from dft.structures import (
    FAMILIES,
    LATTICE_GRAPHENE,
    WARM,
    Builder,
    Candidate,
    Family,
    Regime,
    flat,
    groups_of,
    rattled,
    sheet,
    strained,
    tin_layer,
)

LATTICES = (4.6, 4.95)  # Å; α-Sn(111) has 4.67, 2×2 graphene 4.92
BUCKLING = (0.85, 1.05)  # factors on the height of a bilayer whose bonds are 2.95 Å long
HEIGHT = 18.0  # Å, cell length normal to the sheet: 10 Å of vacuum at the widest gap
WIDE_GAPS = (2.4, 6.5)  # Å, from the sheet to the lower plane of tin
REST_GAPS = (3.0, 4.6)  # Å, where the two attract each other


def bilayer(lattice: float, rng: np.random.Generator) -> Atoms:
    """One α-Sn(111) bilayer, more or less buckled."""
    atoms = tin_layer(1, lattice)
    atoms.positions[:, 2] *= rng.uniform(*BUCKLING)
    atoms.set_cell([*atoms.cell[:2], [0, 0, HEIGHT]])
    return atoms


def wide_sheet(lattice: float) -> Atoms:
    """2×2 graphene with the lattice constant of the bilayer."""
    atoms = sheet(2)
    atoms.set_cell([*(atoms.cell[:2] * lattice / (2 * LATTICE_GRAPHENE)), atoms.cell[2]], scale_atoms=True)
    atoms.set_cell([*atoms.cell[:2], [0, 0, HEIGHT]])
    return atoms


def bilayer_on_sheet(gaps: tuple[float, float], strain: float, widths: tuple[float, float]) -> Builder:
    """Builder: a bilayer over a sheet, gaps drawn one from each part of a range, whose parts widen outwards."""

    def build(rng: np.random.Generator, count: int, regime: Regime) -> list[Atoms]:
        lattice = rng.uniform(*LATTICES)
        base, tin = wide_sheet(lattice), bilayer(lattice, rng)
        edges = np.geomspace(*gaps, count + 1)
        result = []
        for gap in rng.uniform(edges[:-1], edges[1:]):
            layer = tin.copy()
            # both lattices are hexagonal; the sheet's second vector stands at 120°, the layer's at 60°
            layer.positions += [*(rng.uniform(size=2) @ base.cell[:2, :2]), base.positions[0, 2] + gap]
            atoms = strained(base + layer, rng, strain * regime.strain, planar=True)
            result.append(rattled(atoms, rng, rng.uniform(*widths), regime))
        return result

    return build


# fmt: off
ADHESION_FAMILIES = [
    Family("tin_bilayer", (4, 4, 1), 0, 5, 3,
        flat(lambda rng: bilayer(rng.uniform(*LATTICES), rng), 0.02, (0.02, 0.12))),
    Family("tin_bilayer_on_graphene", (4, 4, 1), 0, 6, 3, bilayer_on_sheet(WIDE_GAPS, 0.02, (0.02, 0.12))),
    Family("graphene_strained", (4, 4, 1), 0, 2, 2,
        flat(lambda rng: wide_sheet(rng.uniform(*LATTICES)), 0.02, (0.02, 0.12))),
]
REST_FAMILIES = [
    Family("tin_bilayer_near_rest", (4, 4, 1), 0, 6, 4, bilayer_on_sheet(REST_GAPS, 0.01, (0.01, 0.06))),
]
# fmt: on


def candidates(seed: int) -> list[Candidate]:
    """Bilayers, sheets, and one over the other; groups in random order so that any beginning is balanced."""
    return _shuffled(ADHESION_FAMILIES, len(FAMILIES), seed)


def candidates_near_rest(seed: int) -> list[Candidate]:
    """The two together where they attract each other; groups in random order."""
    return _shuffled(REST_FAMILIES, len(FAMILIES) + len(ADHESION_FAMILIES), seed)


def _shuffled(families: list[Family], first_index: int, seed: int) -> list[Candidate]:
    groups = list(groups_of(families, first_index, seed, WARM))
    np.random.default_rng(seed).shuffle(groups)
    return [candidate for group in groups for candidate in group]
