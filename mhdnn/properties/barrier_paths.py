"""Minimum-energy paths of a crystal's hops, or between given structures, kept in a journal path by path."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path as FilePath
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import BaseCalculator
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io.jsonio import decode, encode

from mhdnn.errors import ConfigError
from mhdnn.properties.band_file import BandFile
from mhdnn.properties.elastic_band import BandSettings, MinimumEnergyPath, minimum_energy_path
from mhdnn.properties.energy_profile import EnergyProfile
from mhdnn.properties.frames import with_results
from mhdnn.properties.hops import Path, Sites, distinct_paths
from mhdnn.properties.ion_sites import INTERSTITIAL, VACANCY, Host, candidates_of, interstitial_sites, vacancy_sites
from mhdnn.properties.journal import Journal, identity
from mhdnn.properties.percolation import Network, percolation, shortest_percolation
from mhdnn.properties.points import Points
from mhdnn.properties.progress import tracked

LONGEST = 10.0
"""Å; hops that are longer are not looked at unless asked for."""
ROOM = 2.1
"""A supercell is at least this many times as long as a hop, so that its shortest way is the one that is meant."""


@dataclass(frozen=True)
class Search:
    """What is looked for in a crystal.

    :param ion: symbol
    :param mechanism: ``vacancy`` or ``interstitial``; None chooses by whether the host holds the ion
    :param max_length: of hops, Å; None takes the shortest one with which hops lead through the crystal
    :param min_length: between the ion and its images, Å
    :param min_distance: of an interstitial site from atoms, Å
    :param symmetry_tolerance: distance within which atoms are equivalent, Å
    """

    ion: str
    mechanism: str | None = None
    max_length: float | None = None
    min_length: float = 9.0
    min_distance: float = 1.5
    symmetry_tolerance: float = 0.01


@dataclass(frozen=True)
class IonPaths:
    """All distinct paths of an ion through a crystal.

    :param host: with the supercell
    :param sites: of the primitive cell
    :param max_length: of hops, Å
    :param paths: whose bands converged
    :param bands: of these
    :param site_energies: of each kind of site, relative to the lowest; NaN if no path has one, eV
    :param spread: largest difference of energies of equivalent sites, eV
    :param network: barriers through the crystal, along the vectors of the host's cell
    """

    host: Host
    sites: Sites
    max_length: float
    paths: list[Path]
    bands: list[MinimumEnergyPath]
    site_energies: np.ndarray
    spread: float
    network: Network


class Bands:
    """Bands with a calculator, each kept in a journal when it has converged, and the unfinished one beside it.

    :param atoms: that the journal is for
    :param journal: JSON file; None keeps nothing
    :param settings: what results depend on, beside those of the band
    """

    def __init__(
        self,
        atoms: Atoms,
        calculator: BaseCalculator,
        band: BandSettings,
        journal: FilePath | None,
        settings: dict[str, Any],
    ) -> None:
        self.calculator, self.band = calculator, band
        kept = {} if journal is None else {**identity(atoms, calculator), **asdict(band), **settings}
        self.journal = Journal(journal, kept)
        self.file = BandFile(None if journal is None else journal.with_name(f"{journal.stem}_band.json"))

    def path(self, name: str, initial: Atoms, final: Atoms, relax_ends: bool = True) -> MinimumEnergyPath:
        """The path of a name: from the journal, or relaxed; errors as `minimum_energy_path`."""

        def compute() -> dict[str, Any]:
            found = minimum_energy_path(initial, final, self.calculator, self.band, relax_ends, self.file)
            return {"images": [_kept(image) for image in found.profile.images], **_remarks(found)}

        content = self.journal.get(name, compute)
        self.file.forget()
        remarks = {key: content[key] for key in ("symmetric", "num_calculations", "bent", "ridge")}
        return MinimumEnergyPath(EnergyProfile([_restored(image) for image in content["images"]]), **remarks)

    def static(self, images: Sequence[Atoms]) -> EnergyProfile:
        """Energies of images as they are."""
        found = []
        for number, image in enumerate(tracked(images, "images")):
            found.append(_restored(self.journal.get(f"image {number}", partial(self._kept, image))))
        return EnergyProfile(found)

    def _kept(self, image: Atoms) -> dict[str, Any]:
        return _kept(with_results(image, self.calculator))


def _kept(image: Atoms) -> dict[str, Any]:
    assert image.calc is not None
    return {
        "atoms": encode(image.copy()),
        "energy": image.get_potential_energy(),
        "forces": image.calc.results["forces"],
    }


def _restored(kept: dict[str, Any]) -> Atoms:
    image = decode(kept["atoms"])
    image.calc = SinglePointCalculator(image, energy=kept["energy"], forces=np.array(kept["forces"]))
    return image


def _remarks(path: MinimumEnergyPath) -> dict[str, Any]:
    return {key: getattr(path, key) for key in ("symmetric", "num_calculations", "bent", "ridge")}


def ion_paths(
    atoms: Atoms,
    calculator: BaseCalculator,
    search: Search,
    band: BandSettings,
    sites: Atoms | None = None,
    journal: FilePath | None = None,
    points: Points | None = None,
) -> IonPaths:
    """Sites of an ion in a crystal, hops that differ by symmetry, a path for each, and the way through the crystal.

    :param atoms: host at its own minimum, without the ion (or with it: then a vacancy moves)
    :param sites: in the host's cell, its ions at the sites; None takes the cavities of the host
    :param journal: JSON file of sites and finished paths, from which an interrupted search continues
    :param points: keeps what failed
    :raises ConfigError: if settings don't fit the host
    :raises PropertyError: if no path is left, or hops don't lead through the crystal and no length is given
    """
    points = points or Points()
    mechanism = search.mechanism or (VACANCY if search.ion in atoms.get_chemical_symbols() else INTERSTITIAL)
    host = Host(atoms, search.ion, mechanism, search.min_length)
    kept = asdict(replace(search, max_length=None)) | {"mechanism": mechanism, "sites": _places(sites, search.ion)}
    bands = Bands(atoms, calculator, band, journal, kept)
    if mechanism == VACANCY:
        net = vacancy_sites(host, search.symmetry_tolerance)
    else:
        candidates = candidates_of(host, sites, search.min_distance)
        net = interstitial_sites(
            host, candidates, calculator, band.max_force, search.symmetry_tolerance, bands.journal.get, points
        )
    length = search.max_length or shortest_percolation(net, LONGEST)
    host = replace(host, min_length=max(host.min_length, ROOM * length))
    paths, found = [], []
    for number, path in enumerate(tracked(distinct_paths(net, length), "paths"), start=1):
        name = f"path {number}, {path.length:.3f} Å, {','.join(map(str, path.hop))}"
        ends = host.ends_of(net, path.hop)
        result = points.get(name, partial(bands.path, name, *ends))
        if result is not None:
            paths.append(path)
            found.append(result)
    points.check(len(found), 1, "paths")
    if not found:
        raise ConfigError(f"`max_length`: expected hops up to {length} Å, found none; allow longer ones")
    return _summary(host, net, length, paths, found)


def _places(sites: Atoms | None, ion: str) -> list[list[float]] | None:
    return None if sites is None else sites.positions[sites.symbols == ion].round(6).tolist()


def _summary(host: Host, net: Sites, length: float, paths: list[Path], bands: list[MinimumEnergyPath]) -> IonPaths:
    """Energies of sites and saddle points on one scale, and the network."""
    energies: dict[int, list[float]] = {int(kind): [] for kind in net.kinds}
    for path, band in zip(paths, bands, strict=True):
        for site, image in ((path.hop[0], 0), (path.hop[1], -1)):
            energies[int(net.kinds[site])].append(band.profile.images[image].get_potential_energy())
    lowest = min(min(values) for values in energies.values() if values)
    site_energies = np.array([min(values) - lowest if values else np.nan for values in energies.values()])
    spread = max(np.ptp(values) for values in energies.values() if values)
    saddles = [band.profile.images[0].get_potential_energy() + band.profile.barrier - lowest for band in bands]
    known = np.nan_to_num(site_energies, nan=np.inf)[net.kinds]
    network = percolation(net, paths, saddles, known, host.atoms.cell[:])
    return IonPaths(host, net, length, paths, bands, site_energies, float(spread), network)
