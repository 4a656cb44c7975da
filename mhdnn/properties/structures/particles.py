"""Nanoparticles of Si, Ge, Sn, Se, S and Li: balls and polyhedra cut from their crystals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from ase import Atoms
from ase.spacegroup import Spacegroup
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import ConvexHull, HalfspaceIntersection

from mhdnn.errors import ConfigError
from mhdnn.neighbors import find_pairs
from mhdnn.properties.structures.crystals import Crystal, element_crystal, known_crystal

HYDROGEN_BONDS = {"Si": 1.48, "Ge": 1.53}
"""Lengths of bonds with hydrogen in SiH4 and GeH4, Å (CRC Handbook of Chemistry and Physics)."""


class Gauge(NamedTuple):
    """A shape: the convex body in which max over n of n · r is at most its size.

    :param normals: shape (faces, 3), divided by the face's relative distance; None: a ball
    :param volume: at size 1, Å³
    :param reach: largest distance from the centre at size 1, Å
    """

    normals: np.ndarray | None
    volume: float
    reach: float

    @property
    def size_per_length(self) -> float:
        """How much larger the body must be for all faces to lie at least 1 Å farther out."""
        return 1.0 if self.normals is None else float(np.linalg.norm(self.normals, axis=1).max())

    def __call__(self, positions: np.ndarray) -> np.ndarray:
        """Size of the body on whose surface each position lies."""
        if self.normals is None:
            return np.linalg.norm(positions, axis=1)
        return (positions @ self.normals.T).max(axis=1)


def nanoparticle(
    element: str,
    num_atoms: int | None = None,
    diameter: float | None = None,
    shape: str = "sphere",
    facets: Mapping[tuple[int, int, int], float] | None = None,
    orientation: Sequence[int] = (0, 0, 1),
    passivated: bool = False,
    vacuum: float = 8.0,
) -> Atoms:
    """A particle cut from the crystal around an atom (sulfur: around a ring of eight, rings stay whole).

    With ``diameter`` a sphere holds every atom within half of it; a polyhedron has the volume of that sphere and only
    whole layers. With ``num_atoms`` it has the innermost so many, and its outermost layer may be incomplete. Atoms
    that would have no bond are left out. The polyhedron is Wulff's (1901): faces at distances
    proportional to their surface energies.

    :param element: one of `CRYSTALS`
    :param num_atoms: how many, without hydrogen; or
    :param diameter: Å
    :param shape: sphere or faceted
    :param facets: Miller indices of one face of each family and its relative distance; None: those of `CRYSTALS`
    :param orientation: Miller indices of the plane that is turned upwards
    :param passivated: a hydrogen on every bond that was cut, for Si and Ge
    :param vacuum: around it, Å
    :raises ConfigError: for anything else
    """
    data = known_crystal(element)
    if (num_atoms is None) == (diameter is None):
        raise ConfigError("`num_atoms`, `diameter`: expected one of the two")
    if shape not in ("sphere", "faceted"):
        raise ConfigError(f"`shape`: expected sphere or faceted, got {shape!r}")
    if passivated and element not in HYDROGEN_BONDS:
        raise ConfigError(f"`passivated`: expected an element with directed bonds (Si, Ge), got {element}")
    if num_atoms is not None and (num_atoms < 2 or num_atoms % data.molecule):
        raise ConfigError(f"`num_atoms`: expected a multiple of {data.molecule} above 1, got {num_atoms}")
    if diameter is not None and diameter <= 0:
        raise ConfigError(f"`diameter`: expected a positive length, got {diameter} Å")
    unit_cell = element_crystal(element)
    normals = _normals(data, unit_cell, facets) if shape == "faceted" else None
    gauge = _gauge(normals)
    supply = _around_center(unit_cell, gauge, data, num_atoms, diameter)
    inside = _chosen(supply, gauge, data, num_atoms, diameter)
    particle = supply[inside]
    if passivated:
        particle += _hydrogens(supply, inside, data.bond, HYDROGEN_BONDS[element])
    particle.rotate(_normal(unit_cell, orientation), "z")
    particle.center(vacuum=vacuum)
    return particle


def _normals(data: Crystal, unit_cell: Atoms, facets: Mapping[tuple[int, int, int], float] | None) -> np.ndarray:
    """Normals of all faces of the families, divided by their distances."""
    group = Spacegroup(data.space_group, data.setting)
    rows = []
    for indices, distance in (facets or data.facets).items():
        if distance <= 0:
            raise ConfigError(f"`facets`: expected positive distances, got {distance} for {indices}")
        family = group.equivalent_reflections([indices])
        for member in np.unique(np.vstack([family, -family]), axis=0):
            rows.append(_normal(unit_cell, member) / distance)
    return np.array(rows)


def _normal(unit_cell: Atoms, indices: Sequence[int]) -> np.ndarray:
    if len(indices) != 3 or not np.any(indices):
        raise ConfigError(f"`orientation`, `facets`: expected three Miller indices, got {tuple(indices)}")
    normal = np.asarray(indices) @ unit_cell.cell.reciprocal()[:]
    return normal / np.linalg.norm(normal)


def _gauge(normals: np.ndarray | None) -> Gauge:
    if normals is None:
        return Gauge(None, 4 * np.pi / 3, 1.0)
    try:
        corners = HalfspaceIntersection(np.column_stack([normals, -np.ones(len(normals))]), np.zeros(3)).intersections
    except ValueError as error:
        raise ConfigError("`facets`: expected faces that enclose a volume; add a family") from error
    if not np.isfinite(corners).all():
        raise ConfigError("`facets`: expected faces that enclose a volume; add a family")
    return Gauge(normals, float(ConvexHull(corners).volume), float(np.linalg.norm(corners, axis=1).max()))


def _around_center(
    unit_cell: Atoms, gauge: Gauge, data: Crystal, num_atoms: int | None, diameter: float | None
) -> Atoms:
    """A piece of crystal with the particle well inside, an atom (a molecule) at the origin."""
    volume = (
        np.pi / 6 * diameter**3 if diameter is not None else (num_atoms or 0) * unit_cell.get_volume() / len(unit_cell)
    )
    limit = (volume / gauge.volume) ** (1 / 3)
    margin = 6.0 * data.bond if data.molecule > 1 else 3.0 * data.bond
    size = limit + margin * gauge.size_per_length
    radius = gauge.reach * size
    heights = 1 / np.linalg.norm(unit_cell.cell.reciprocal()[:], axis=1)
    repeats = 2 * np.ceil(radius / heights).astype(int) + 1
    supply = unit_cell.repeat(repeats)
    supply.pbc = False
    middle = supply.cell[:].sum(axis=0) / 2
    centers = _molecule_centers(supply, data)
    supply.positions -= centers[np.argmin(np.linalg.norm(centers - middle, axis=1))]
    supply.cell[:] = 0.0
    return supply[gauge(supply.positions) < size]


def _bonds(atoms: Atoms, length: float) -> tuple[np.ndarray, np.ndarray]:
    """Both atoms of each bond, in both directions."""
    pairs = find_pairs(atoms.positions, np.zeros((3, 3)), np.zeros(3, dtype=bool), length)
    return pairs[0], pairs[1]


def _molecule_centers(atoms: Atoms, data: Crystal) -> np.ndarray:
    """For each atom the centre of its molecule: itself, or the mean of the ring; infinity for parts of rings."""
    if data.molecule == 1:
        return atoms.positions.copy()
    first, second = _bonds(atoms, data.bond)
    graph = coo_matrix((np.ones(len(first)), (first, second)), shape=(len(atoms),) * 2)
    count, label = connected_components(graph, directed=False)
    size = np.bincount(label, minlength=count)
    centers = np.stack([np.bincount(label, atoms.positions[:, axis], count) for axis in range(3)], 1) / size[:, None]
    centers[size != data.molecule] = np.inf
    return centers[label]


def _chosen(supply: Atoms, gauge: Gauge, data: Crystal, num_atoms: int | None, diameter: float | None) -> np.ndarray:
    """Indices of the particle's atoms, from the inside outwards."""
    centers = _molecule_centers(supply, data)
    # rounded, so that atoms of one shell are equal and the order of the crystal decides
    size = np.where(np.isfinite(centers).all(axis=1), np.round(gauge(np.nan_to_num(centers, posinf=0.0)), 6), np.inf)
    if num_atoms is None:
        limit = (np.pi / 6 * (diameter or 0.0) ** 3 / gauge.volume) ** (1 / 3)
        allowed = size <= limit + 1e-6
        num_atoms = int(allowed.sum())
    else:
        allowed = np.isfinite(size)
    first, second = _bonds(supply, data.bond)
    while True:
        order = np.lexsort((np.arange(len(supply)), size))
        chosen = order[allowed[order]][:num_atoms]
        mask = np.zeros(len(supply), dtype=bool)
        mask[chosen] = True
        bonds = np.bincount(first, mask[second], len(supply))
        alone = mask & (bonds == 0)
        if not alone.any():
            return chosen
        if len(chosen) <= alone.sum():
            raise ConfigError("`diameter`: expected one that holds bonded atoms; choose it larger")
        allowed &= ~alone


def _hydrogens(supply: Atoms, inside: np.ndarray, bond: float, length: float) -> Atoms:
    """Hydrogen on each bond between an atom inside and one outside."""
    first, second = _bonds(supply, bond)
    vectors = supply.positions[second] - supply.positions[first]
    mask = np.zeros(len(supply), dtype=bool)
    mask[inside] = True
    cut = mask[first] & ~mask[second]
    directions = vectors[cut] / np.linalg.norm(vectors[cut], axis=1, keepdims=True)
    return Atoms(f"H{cut.sum()}", supply.positions[first[cut]] + length * directions) if cut.any() else Atoms()
