r"""Tunnels and cavities of a crystal, measured to the centres of its atoms.

Definition. The largest sphere that touches no atom's centre sits on a vertex of the Voronoi network of the atoms. A
sphere moves through the crystal along edges of this network, and an edge is as wide as its distance from its three
atoms where that is least. The tunnel is the path from a vertex to its image in another cell whose narrowest place is
the widest (the largest free sphere of zeolite science: Willems et al.,
https://doi.org/10.1016/j.micromeso.2011.08.020). What an ion has left is this radius less that of the atoms around.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase import Atoms
from scipy.spatial import Voronoi, cKDTree

from mhdnn.errors import ConfigError, PropertyError
from mhdnn.properties.periodic_forest import PeriodicForest

REACH = 12.0
"""Images of atoms reach so far beyond the cell, Å: larger than the radius of any cavity of a solid."""
SAME_VERTEX = 1e-4


@dataclass
class Tunnel:
    """The widest way through a crystal.

    :param radius: from its axis to the nearest atom at the narrowest place, Å
    :param direction: numbers of cells along the three vectors from a place in it to the next image, shape (3,)
    :param cavity_radius: of the largest sphere anywhere in the crystal, Å
    """

    radius: float
    direction: np.ndarray
    cavity_radius: float


def widest_tunnel(atoms: Atoms) -> Tunnel:
    """The widest tunnel through a crystal.

    :param atoms: the framework alone, without ions that move in it
    :raises ConfigError: if it has fewer than three periodic directions
    :raises PropertyError: if cavities are too large to be those of a solid
    """
    network, places, cells = _voronoi(atoms)
    edges, radii = _edges(network, places, cells)
    cavity_radius = _largest_sphere(network, cells)
    if cavity_radius > REACH:
        raise PropertyError(
            f"`atoms`: expected a crystal, got a cavity with a radius of {cavity_radius:.1f} Å; leave out the vacuum"
        )
    forest = PeriodicForest(places.max() + 1)
    for number in np.argsort(-radii, kind="stable"):
        one, two = edges[number]
        way = forest.join(places[one], places[two], cells[two] - cells[one])
        if way.any():
            return Tunnel(float(radii[number]), _pointing_up(way), cavity_radius)
    raise AssertionError("the network of a crystal has a way to its image")


@dataclass
class TunnelSet:
    """A way through a crystal that does not cross others above a radius.

    :param radius: at its narrowest place, Å
    :param direction: cells to the next image, shape (3,)
    :param places: cavities and windows in it, in the cell, shape (num_places, 3), Å
    :param radii: of spheres there, shape (num_places,), Å
    """

    radius: float
    direction: np.ndarray
    places: np.ndarray
    radii: np.ndarray


def all_tunnels(atoms: Atoms, least_radius: float) -> list[TunnelSet]:
    """Every tunnel at least so wide, the widest first; those that join in a wider way than their narrowest are one.

    :param atoms: the framework alone, without ions that move in it
    :param least_radius: to the centres of atoms, Å
    :raises ConfigError: if it has fewer than three periodic directions
    """
    network, places, cells = _voronoi(atoms)
    edges, radii = _edges(network, places, cells)
    forest = PeriodicForest(places.max() + 1)
    vertices = np.array([places[n] for n in range(len(places)) if places[n] >= 0 and not cells[n].any()])
    found: list[tuple[float, np.ndarray, np.ndarray]] = []
    taken: set[int] = set()
    for number in np.argsort(-radii, kind="stable"):
        if radii[number] < least_radius:
            break
        one, two = edges[number]
        way = forest.join(places[one], places[two], cells[two] - cells[one])
        if way.any():
            root = forest.root(places[one])[0]
            members = np.array([v for v in np.unique(vertices) if forest.root(v)[0] == root])
            if not taken & set(members.tolist()):
                taken |= set(members.tolist())
                found.append((float(radii[number]), _pointing_up(way), members))
    result = []
    inside = {int(places[n]): n for n in reversed(range(len(places))) if places[n] >= 0 and not cells[n].any()}
    for radius, way, members in found:
        positions = network.vertices[[inside[int(member)] for member in members]]
        result.append(TunnelSet(radius, way, positions, cKDTree(network.points).query(positions)[0]))
    return result


def cavities(atoms: Atoms, least_radius: float) -> tuple[np.ndarray, np.ndarray]:
    """Centres of the spheres that touch four atoms or more and hold none, the largest first.

    :param atoms: a crystal
    :param least_radius: Å
    :return: places in the cell, shape (num_cavities, 3), Å, and radii, Å
    :raises ConfigError: if it has fewer than three periodic directions
    """
    network, places, cells = _voronoi(atoms)
    _, first = np.unique(np.where((cells == 0).all(axis=1), places, -1), return_index=True)
    chosen = network.vertices[[vertex for vertex in first if places[vertex] >= 0 and not cells[vertex].any()]]
    radii = cKDTree(network.points).query(chosen)[0]
    order = np.argsort(-np.round(radii, 6), kind="stable")
    order = order[radii[order] >= least_radius]
    return chosen[order], radii[order]


def _voronoi(atoms: Atoms) -> tuple[Voronoi, np.ndarray, np.ndarray]:
    """The network around the cell, and for its vertices what `_vertices` says."""
    if not (atoms.pbc.all() and atoms.cell.rank == 3):
        raise ConfigError(f"`atoms`: expected three periodic directions, got pbc {atoms.pbc.tolist()}")
    network = Voronoi(_with_images(atoms))
    return network, *_vertices(network.vertices, atoms.cell[:])


def _with_images(atoms: Atoms) -> np.ndarray:
    """Positions of the atoms in the cell and in all cells within reach."""
    heights = 1.0 / np.linalg.norm(atoms.cell.reciprocal()[:], axis=1)
    counts = np.ceil(REACH / heights).astype(int)
    wrapped = atoms.get_scaled_positions(wrap=True)
    shifts = np.stack(np.meshgrid(*(np.arange(-n, n + 1) for n in counts), indexing="ij"), axis=-1).reshape(-1, 3)
    return (shifts[:, None] + wrapped).reshape(-1, 3) @ atoms.cell[:]


def _vertices(positions: np.ndarray, cell: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each vertex which one of the cell it is, or -1 if it is too far outside, and the cell that it is in."""
    fractional = positions @ np.linalg.inv(cell)
    cells = np.floor(fractional + 1e-6).astype(int)
    near = np.abs(cells).max(axis=1) <= 1
    wrapped = (fractional[near] - cells[near]) @ cell
    inside = np.flatnonzero((cells[near] == 0).all(axis=1))
    groups = cKDTree(wrapped[inside])
    # vertices at one place, as of atoms on a common sphere, count as one
    first = np.array([min(group) for group in groups.query_ball_point(wrapped[inside], SAME_VERTEX)])
    distance, nearest = groups.query(wrapped, distance_upper_bound=SAME_VERTEX)
    places = np.full(len(positions), -1)
    places[near] = np.where(np.isfinite(distance), first[np.minimum(nearest, len(first) - 1)], -1)
    return places, cells


def _edges(network: Voronoi, places: np.ndarray, cells: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Edges that begin or end in the cell, shape (num_edges, 2), and their radii: the distance of an atom on them."""
    sizes = [len(face) for face in network.ridge_vertices]
    start = np.concatenate(network.ridge_vertices)
    end = np.concatenate([[*face[1:], face[0]] for face in network.ridge_vertices])
    atom = np.repeat(network.ridge_points[:, 0], sizes)
    home = (cells == 0).all(axis=1)
    used = (start >= 0) & (end >= 0) & (places[start] >= 0) & (places[end] >= 0) & (home[start] | home[end])
    edges, first = np.unique(np.sort(np.stack([start[used], end[used]], axis=1), axis=1), axis=0, return_index=True)
    return edges, _distances(network.points[atom[used][first]], *network.vertices[edges.T])


def _distances(points: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Distance of each point from the line between two others."""
    lines = ends - starts
    lengths = np.maximum((lines**2).sum(axis=1), 1e-20)
    shares = np.clip(((points - starts) * lines).sum(axis=1) / lengths, 0.0, 1.0)
    return np.linalg.norm(starts + shares[:, None] * lines - points, axis=1)


def _largest_sphere(network: Voronoi, cells: np.ndarray) -> float:
    inside = network.vertices[(cells == 0).all(axis=1)]
    distances, _ = cKDTree(network.points).query(inside)
    return float(distances.max())


def _pointing_up(way: np.ndarray) -> np.ndarray:
    """The direction without common factor, its first number that is not zero positive."""
    way = way // np.gcd.reduce(way)
    return way if way[np.flatnonzero(way)[0]] > 0 else -way
