"""Sites of an ion in a crystal, and supercells in which one ion (or vacancy) hops between them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import BaseCalculator
from ase.data import atomic_numbers
from ase.geometry import find_mic

from mhdnn.errors import ConfigError, PropertyError
from mhdnn.properties.hops import Key, Sites
from mhdnn.properties.points import Points
from mhdnn.properties.relaxation import relaxed
from mhdnn.properties.space_group import SpaceGroup, space_group
from mhdnn.properties.tunnels import cavities

VACANCY, INTERSTITIAL = "vacancy", "interstitial"
SAME_SITE = 0.5
"""Å; candidates or relaxed ions nearer than this are at one site."""
SPECIAL = 0.3
"""Å; an ion that relaxed so near to a special position is put there."""
TOLERANCE = 0.1
"""Å; places that the space group makes of one another agree within this."""

Keep = Callable[[str, Callable[[], Any]], Any]
"""A journal's `get`."""


@dataclass(frozen=True)
class Host:
    """A crystal in which an ion moves.

    :param atoms: its cell
    :param ion: symbol
    :param mechanism: ``vacancy``: ions of the host hop into a missing one; ``interstitial``: one more ion hops
    :param min_length: between the ion and its images, Å
    :raises ConfigError: if the ion is no element or not in the host, or the mechanism is neither
    """

    atoms: Atoms
    ion: str
    mechanism: str
    min_length: float

    def __post_init__(self) -> None:
        if self.ion not in atomic_numbers:
            raise ConfigError(f"`ion`: expected the symbol of an element, got {self.ion!r}")
        if self.mechanism not in (VACANCY, INTERSTITIAL):
            raise ConfigError(f"`mechanism`: expected {VACANCY} or {INTERSTITIAL}, got {self.mechanism!r}")
        if self.mechanism == VACANCY and self.ion not in self.atoms.get_chemical_symbols():
            raise ConfigError(f"`ion`: expected one of the host {self.atoms.symbols}, got {self.ion} for a vacancy")
        if self.atoms.cell.rank < 3:
            raise ConfigError("`atoms`: expected a cell of three vectors; use Atoms.center(vacuum=...)")

    @property
    def supercell(self) -> Atoms:
        """As many cells along the periodic directions as the least length takes."""
        heights = 1.0 / np.linalg.norm(self.atoms.cell.reciprocal()[:], axis=1)
        repeats = np.where(self.atoms.pbc, np.ceil(self.min_length / heights - 1e-6), 1).astype(int)
        result = self.atoms.copy()
        return result.repeat([int(n) for n in np.maximum(repeats, 1)])

    def with_ion_at(self, place: np.ndarray, empty: np.ndarray | None = None) -> Atoms:
        """The supercell with a mobile ion, the last atom, at a place.

        :param place: Å
        :param empty: the other site, which stays empty, of a vacancy's hop; shape (3,), Å
        """
        result = self.supercell
        if empty is not None:
            for site in (place, empty):
                _, distances = find_mic(result.positions - site, result.cell, result.pbc)
                nearest = int(distances.argmin())
                if distances[nearest] > SAME_SITE or result.symbols[nearest] != self.ion:
                    raise PropertyError(f"`sites`: expected {self.ion} at each site of the host, found none at {site}")
                del result[nearest]
        result.append(self.ion)
        result.positions[-1] = place
        return result

    def ends_of(self, sites: Sites, hop: Key) -> tuple[Atoms, Atoms]:
        """The supercell before and after a hop."""
        start = sites.places[hop[0]]
        end = start + sites.vector(hop)
        if self.mechanism == VACANCY:
            return self.with_ion_at(start, end), self.with_ion_at(end, start)
        return self.with_ion_at(start), self.with_ion_at(end)


def vacancy_sites(host: Host, symmetry_tolerance: float) -> Sites:
    """The places of the ions of the host."""
    group = space_group(host.atoms, symmetry_tolerance)
    places = host.atoms.positions[host.atoms.symbols == host.ion]
    return _all_sites(group, distinct_places(group, places, TOLERANCE))


def interstitial_sites(
    host: Host,
    candidates: np.ndarray,
    calculator: BaseCalculator,
    max_force: float,
    symmetry_tolerance: float,
    keep: Keep,
    points: Points,
) -> Sites:
    """The places where an ion comes to rest from inequivalent candidates.

    An ion that stays within 0.3 Å of a special position is put there. Candidates that come to rest at one site are one.

    :param candidates: shape (num_candidates, 3), Å
    :param max_force: eV/Å
    :param symmetry_tolerance: of the host, Å
    :param keep: of a journal
    :param points: keeps candidates that failed
    :raises PropertyError: if no ion comes to rest
    """
    group = space_group(host.atoms, symmetry_tolerance)
    found: list[tuple[float, np.ndarray]] = []
    distinct = distinct_places(group, candidates, SAME_SITE)

    def at_rest(place: np.ndarray) -> dict[str, Any]:
        start = host.with_ion_at(place)
        end = relaxed(start, calculator, max_force)
        moved = end.positions - start.positions
        return {"place": end.positions[-1] - moved[:-1].mean(axis=0), "energy": end.get_potential_energy()}

    for place in distinct:
        name = f"site from {np.round(place, 3).tolist()} Å"
        result = points.get(name, partial(keep, name, partial(at_rest, place)))
        if result is not None:
            found.append((result["energy"], group.symmetrised(np.array(result["place"]), SPECIAL)))
    points.check(len(found), 1, "sites")
    lowest_first = [place for _, place in sorted(found, key=lambda item: item[0])]
    return _all_sites(group, distinct_places(group, np.array(lowest_first), SAME_SITE))


def candidates_of(host: Host, sites: Atoms | None, min_distance: float) -> np.ndarray:
    """Places to begin with: those of the ions of a structure, or the cavities of the host, shape (num_places, 3), Å.

    :param sites: in the host's cell, its ions at the sites; or None
    :param min_distance: from cavities to the nearest atom, Å
    :raises ConfigError: if the structure has another cell or no ions, or there are no cavities
    """
    if sites is not None:
        places = sites.positions[sites.symbols == host.ion]
        if not len(places) or not np.allclose(sites.cell[:], host.atoms.cell[:], atol=1e-3):
            raise ConfigError(f"`sites`: expected {host.ion} at its sites in the cell of the host, got {sites.symbols}")
        return places
    places = cavities(host.atoms, min_distance)[0]
    if not len(places):
        raise ConfigError(
            f"`min_distance`: expected cavities of the host {min_distance} Å from its atoms, found none; choose less, "
            "or give `sites`"
        )
    return places


def distinct_places(group: SpaceGroup, places: np.ndarray, tolerance: float) -> list[np.ndarray]:
    """Places that no operation makes of one another, the first of each kind.

    :param tolerance: Å
    """
    found: list[np.ndarray] = []
    for place in places:
        images = group.images(place)
        if all(np.linalg.norm(group.between(other, images), axis=1).min() > tolerance for other in found):
            found.append(place)
    return found


def _all_sites(group: SpaceGroup, places: list[np.ndarray]) -> Sites:
    orbits = [group.orbit(place, TOLERANCE) for place in places]
    kinds = np.repeat(np.arange(len(orbits)), [len(orbit) for orbit in orbits])
    return Sites(np.vstack(orbits), kinds, group)
