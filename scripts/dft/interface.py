"""A tin/graphene interface point by point: gap curve, sliding, and the two slabs apart.

One or two α-Sn(111) bilayers in registry with 2×2 graphene, both rigid, at a lattice constant between the two
materials' own: relatives of the families ``tin_layer_on_graphene`` and ``tin_slab_on_graphene``, but flat,
unstrained in the plane and in a higher cell, so that nothing reaches across the vacuum.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase import Atoms
from dft.structures import LATTICE_GRAPHENE, Candidate, sheet, tin_layer

LATTICE = 2 * 0.98 * LATTICE_GRAPHENE  # Å; α-Sn(111) has 4.67, 2×2 graphene 4.92
K_POINTS = (4, 4, 1)
VACUUM = 13.0  # Å, at least, at the widest gap
GAPS = (2.4, 2.6, 2.8, 2.9, 3.0, 3.1, 3.2, 3.4, 3.55, 3.7, 4.0, 4.5, 5.2, 6.0)  # Å


@dataclass(frozen=True)
class Interface:
    """Tin on graphene.

    :param name: first part of its structures' groups
    :param bilayers: of α-Sn(111)
    :param sliding: distances at which the tin slides, Å, and into how many steps its period is divided
    """

    name: str
    bilayers: int
    sliding: tuple[tuple[float, int], ...]


INTERFACES = (Interface("layer", 1, ((2.9, 12), (3.4, 6))),)  # pressed together; near rest


def slabs(bilayers: int) -> tuple[Atoms, Atoms]:
    """Graphene and tin in the cell of the interface; the tin's lowest atom above the middle of a hexagon, gap 0."""
    tin = tin_layer(bilayers, LATTICE)
    graphene = sheet(2)
    height = np.ptp(tin.positions[:, 2]) + max(GAPS) + VACUUM
    cell = np.array([*(graphene.cell[:2] * LATTICE / np.linalg.norm(graphene.cell[0])), [0, 0, height]])
    graphene.set_cell([*cell[:2], graphene.cell[2]], scale_atoms=True)
    for part in (graphene, tin):
        part.set_cell(cell)
    tin.positions += graphene.positions[0] - bond(graphene)
    return graphene, tin


def bond(graphene: Atoms) -> np.ndarray:
    """From the first atom to its nearest neighbour, without an image between; three of these are a period, Å."""
    vectors = graphene.positions[1:] - graphene.positions[0]
    return vectors[np.linalg.norm(vectors, axis=1).argmin()]


def interface(bilayers: int, gap: float, registry: float) -> Atoms:
    """Tin over graphene.

    :param gap: between the sheet and the lowest plane of tin, Å
    :param registry: fraction of the period along the bonds: 0 hollow, 1/3 and 2/3 top, 1/2 bridge
    """
    graphene, tin = slabs(bilayers)
    tin.positions += 3 * registry * bond(graphene) + [0, 0, gap]
    return graphene + tin


def candidates() -> list[Candidate]:
    """All structures; ``atoms.info`` says what each is for."""
    result = []
    for kind in INTERFACES:
        graphene, tin = slabs(kind.bilayers)
        for role, atoms in (("graphene", graphene), ("tin", tin)):
            result.append(_candidate(kind, "apart", role, atoms, {}))
        for gap in GAPS:
            told = {"gap": gap, "registry": 0.0}
            result.append(_candidate(kind, "gap", f"{gap:.2f}", interface(kind.bilayers, gap, 0.0), told))
        for gap, num_steps in kind.sliding:
            for step in range(1, num_steps):  # the first is in the gap curve
                registry = step / num_steps
                atoms = interface(kind.bilayers, gap, registry)
                told = {"gap": gap, "registry": registry}
                result.append(_candidate(kind, "sliding", f"{gap:.2f}-{step:02d}", atoms, told))
    return result


def _candidate(kind: Interface, series: str, point: str, atoms: Atoms, told: dict[str, float]) -> Candidate:
    atoms.info = {"interface": kind.name, "series": series, "role": point if series == "apart" else "interface", **told}
    return Candidate(f"{kind.name}-{series}-{point}", f"{kind.name}/{series}", atoms, K_POINTS)
