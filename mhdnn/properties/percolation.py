"""What it takes to get through a crystal by hops."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from mhdnn.errors import PropertyError
from mhdnn.properties.hops import LENGTH_TOLERANCE, Path, Sites, distinct_paths
from mhdnn.properties.periodic_forest import PeriodicForest

INDEPENDENT = 1e-6
"""Å"""


@dataclass
class Network:
    """The paths that percolate first, and at what energy.

    :param energies: lowest barrier, relative to the lowest site on the way, at which hops connect a site to its images
        in one, two and three independent directions; NaN if they don't
    :param along: the same along each of three directions
    """

    energies: np.ndarray = field(default_factory=lambda: np.full(3, np.nan))
    along: np.ndarray = field(default_factory=lambda: np.full(3, np.nan))


def shortest_percolation(sites: Sites, longest: float) -> float:
    """The shortest length of hops that connect a site to an image of itself, Å.

    :param longest: length that is not exceeded, Å
    :raises PropertyError: if hops up to the longest length don't
    """
    paths = distinct_paths(sites, longest)
    for path in paths:
        shorter = [other for other in paths if other.length <= path.length + LENGTH_TOLERANCE]
        if np.isfinite(percolation(sites, shorter, [0.0] * len(shorter), np.zeros(len(sites.places))).energies[0]):
            return path.length
    raise PropertyError(
        f"`max_length`: hops up to {longest:.1f} Å connect no site to its image in another cell; allow longer ones"
    )


def percolation(
    sites: Sites,
    paths: Sequence[Path],
    saddles: Sequence[float],
    energies: np.ndarray,
    directions: np.ndarray | None = None,
) -> Network:
    """At what energy hops lead through the crystal.

    :param saddles: energy of each path's saddle point, eV
    :param energies: of each site, shape (num_sites,), eV
    :param directions: three vectors as rows, Å; the primitive cell's if None
    """
    result, forest = Network(), PeriodicForest(len(sites.places))
    wanted = sites.group.lattice if directions is None else directions
    lowest = np.array(energies, dtype=float)
    for number in np.argsort(saddles, kind="stable"):
        for one, two, *cells in paths[number].members:
            roots = [forest.root(site)[0] for site in (one, two)]
            forest.join(one, two, np.array(cells))
            root = forest.root(one)[0]
            lowest[root] = min(lowest[roots[0]], lowest[roots[1]])
        for root in {forest.root(site)[0] for site in range(len(sites.places))}:
            loops = np.array(forest.loops[root]).reshape(-1, 3) @ sites.group.lattice
            _note(result, saddles[number] - lowest[root], loops, wanted)
    return result


def _note(network: Network, barrier: float, loops: np.ndarray, directions: np.ndarray) -> None:
    """What a part of the network that is connected so far makes possible."""
    rank = int(np.linalg.matrix_rank(loops, tol=INDEPENDENT)) if len(loops) else 0
    network.energies[:rank] = np.fmin(network.energies[:rank], barrier)
    for axis, direction in enumerate(directions):
        if rank and np.linalg.matrix_rank(np.vstack([loops, direction]), tol=INDEPENDENT) == rank:
            network.along[axis] = np.fmin(network.along[axis], barrier)
