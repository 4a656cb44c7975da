"""Nanoparticles in contact: a particle on a sheet, or two particles, facet to facet.

A facet is a set of nuclei in one plane of the convex hull. The particle is turned so that a facet faces down; a lower
particle faces up. What is their area of contact, `interfaces.contact_area` defines: the nuclei of the facet times the
lattice's area for each of them; of two facets the smaller one counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase import Atoms
from scipy.spatial import ConvexHull, QhullError

from mhdnn.errors import ConfigError, DataError
from mhdnn.neighbors import find_half_pairs
from mhdnn.properties.interfaces import contact_area, interface_views, particle_on_sheet, slabs_of
from mhdnn.properties.report import Report
from mhdnn.properties.structures.files import write_structure

SAME_PLANE = 0.3
"""Å by which nuclei of a facet may lie below its plane."""
BONDED = 3.5
"""Å between a particle and its periodic images below which it is none."""
PARALLEL = 0.98
"""Cosine between the normals of triangles of one facet."""


@dataclass(frozen=True)
class Facet:
    """A face of a particle.

    :param normal: outwards, shape (3,)
    :param atoms: numbers of its nuclei
    """

    normal: np.ndarray
    atoms: np.ndarray


def facets_of(particle: Atoms) -> list[Facet]:
    """The facets of a particle, those with the most nuclei first.

    :raises DataError: if its nuclei lie in a plane
    """
    try:
        hull = ConvexHull(particle.positions)
    except (QhullError, ValueError) as error:
        raise DataError(f"`particle`: expected atoms that enclose a volume, got {particle.symbols}") from error
    found: list[Facet] = []
    for normal in hull.equations[:, :3]:
        if any(normal @ facet.normal > PARALLEL for facet in found):
            continue
        heights = particle.positions @ normal
        found.append(Facet(normal, np.flatnonzero(heights > heights.max() - SAME_PLANE)))
    return sorted(found, key=lambda facet: (-len(facet.atoms), *np.round(-facet.normal, 6)))


def check_isolated(particle: Atoms, key: str) -> None:
    """Whether it is whole, and apart from its periodic images.

    :raises DataError: if not: a crystal, or a particle that is cut by the boundary of its cell
    """
    if not particle.pbc.any():
        return
    _, _, shifts = find_half_pairs(particle.positions, particle.cell[:], particle.pbc, BONDED)
    if shifts.any():
        raise DataError(
            f"`{key}`: expected a particle, got {particle.get_chemical_formula()} with atoms less than {BONDED:g} Å "
            "from its periodic images; a crystal is none, and one that is cut by its cell must be put together before"
        )


def with_direction_down(particle: Atoms, direction: np.ndarray) -> Atoms:
    """The particle without cell, turned so that a direction points to -z."""
    length = float(np.linalg.norm(direction))
    if not length > 0:
        raise ConfigError(f"`direction`: expected a vector that is not zero, got {np.asarray(direction).tolist()}")
    turned = Atoms(particle.numbers, particle.positions)
    turned.rotate(np.asarray(direction) / length, (0, 0, -1))
    return turned


def particle_pair(lower: Atoms, upper: Atoms, gap: float, vacuum: float) -> Atoms:
    """Two particles, as they are turned, over each other; labelled 1 and 2, in a box without periodicity.

    :param gap: distance of their nearest planes along z, Å
    :param vacuum: on each side, Å
    :raises ConfigError: if a length is not positive
    """
    for name, value in (("gap", gap), ("vacuum", vacuum)):
        if not value > 0:
            raise ConfigError(f"`{name}`: expected a positive length in Å, got {value}")
    below, above = (Atoms(part.numbers, part.positions) for part in (lower, upper))
    top = below.positions[below.positions[:, 2] > below.positions[:, 2].max() - 1.0]
    bottom = above.positions[above.positions[:, 2] < above.positions[:, 2].min() + 1.0]
    above.positions[:, :2] += top[:, :2].mean(0) - bottom[:, :2].mean(0)
    above.positions[:, 2] += below.positions[:, 2].max() + gap - above.positions[:, 2].min()
    atoms = below + above
    atoms.set_array("slab", np.repeat([1, 2], [len(below), len(above)]))
    atoms.center(vacuum=vacuum)
    return atoms


def area_of_contact(atoms: Atoms, depth: float = 1.0) -> float:
    """Of a particle (slab 2) on a sheet, or of two particles the smaller facet, Å².

    :param depth: as in `contact_area`
    :raises DataError: if a facet has too few nuclei
    """
    area = contact_area(atoms, depth)
    if atoms.pbc[:2].all():
        return area
    mirrored = atoms.copy()
    mirrored.positions[:, 2] *= -1.0
    mirrored.set_array("slab", 3 - atoms.arrays["slab"])
    return min(area, contact_area(mirrored, depth))


def particle_report(
    particle: Atoms,
    on: Atoms,
    facet: int = 0,
    direction: tuple[float, float, float] | None = None,
    facet_below: int = 0,
    turn: float = 0.0,
    gap: float = 2.5,
    spacing: float = 8.0,
    vacuum: float = 15.0,
    structure: Path = Path("contact.extxyz"),
) -> Report:
    """A nanoparticle on a sheet, or on another nanoparticle, facet to facet; area of contact.

    :param particle: that lies above
    :param on: a sheet periodic along x and y, or a particle
    :param facet: of the particle that faces down, 0 the one with the most atoms
    :param direction: of the particle (Cartesian) that points down, instead of a facet
    :param facet_below: of a lower particle that faces up
    :param turn: of the upper particle about z, degrees
    :param gap: distance of the nearest planes, Å
    :param spacing: distance between the particle and its images on a sheet, at least, Å
    :param vacuum: on a sheet half of it below and half above, around two particles on each side, Å
    :param structure: file that it is written to
    :raises ConfigError: for a facet that is not there, or lengths that are not positive
    :raises DataError: if a particle is bonded to its periodic images
    """
    check_isolated(particle, "particle")
    faces = facets_of(particle)
    down = np.asarray(direction) if direction is not None else _chosen(faces, facet, "facet").normal
    upper = with_direction_down(particle, down)
    upper.rotate(turn, "z")
    if on.pbc[:2].all():
        atoms = particle_on_sheet(on, upper, gap, spacing, vacuum)
    else:
        check_isolated(on, "on")
        up = _chosen(facets_of(on), facet_below, "facet_below").normal
        atoms = particle_pair(with_direction_down(on, -up), upper, gap, vacuum)
    area = area_of_contact(atoms)
    write_structure(atoms, structure, "structure")
    values = {
        "formula": atoms.get_chemical_formula(),
        "num_atoms": len(atoms),
        "contact_area_square_angstrom": area,
        "atoms_of_facet": int(
            (slabs_of(atoms)[1].positions[:, 2] < slabs_of(atoms)[1].positions[:, 2].min() + 1.0).sum()
        ),
        "gap_angstrom": gap,
        "structure": structure,
        "facets": [{"normal": one.normal, "num_atoms": len(one.atoms)} for one in faces],
    }
    return Report("particle", values, interface_views(atoms, atoms.get_chemical_formula())[0])


def _chosen(faces: list[Facet], number: int, key: str) -> Facet:
    if not 0 <= number < len(faces):
        raise ConfigError(f"`{key}`: expected a number from 0 to {len(faces) - 1}, got {number}")
    return faces[number]
