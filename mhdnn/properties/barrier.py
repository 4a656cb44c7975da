"""Barriers of hopping ions: a path between two structures, or all paths through a crystal that differ by symmetry."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator

from mhdnn.errors import ConfigError, DataError
from mhdnn.properties.barrier_figure import barrier_figure
from mhdnn.properties.barrier_paths import Bands, IonPaths, Search, ion_paths
from mhdnn.properties.elastic_band import BandSettings, MinimumEnergyPath
from mhdnn.properties.energy_profile import EnergyProfile
from mhdnn.properties.points import Points
from mhdnn.properties.relaxation import with_energy
from mhdnn.properties.report import Curve, Report

NAME = "barrier"
UNLIKE = 0.02
"""eV; equivalent sites whose energies differ by more are worth a warning."""


def barrier_report(
    atoms: Atoms | None = None,
    calculator: Calculator | None = None,
    ion: str = "Li",
    initial: Atoms | None = None,
    final: Atoms | None = None,
    images: list[Atoms] | None = None,
    sites: Atoms | None = None,
    mechanism: str | None = None,
    max_length: float | None = None,
    min_length: float = 9.0,
    min_distance: float = 1.5,
    num_images: int = 7,
    max_force: float = 0.03,
    max_steps: int = 1000,
    relax_ends: bool = True,
    symmetry_tolerance: float = 0.01,
    journal: Path | None = None,
) -> Report:
    """Barriers of a hopping ion by nudged elastic bands: between two structures, or through a crystal.

    Give a crystal (`atoms`), two structures (`initial`, `final`), or the `images` of a known path.

    :param atoms: crystal; a missing ion moves if it holds the ion, otherwise one more ion does
    :param calculator: with forces; only for `images` the energies of their file do without
    :param ion: symbol of what moves through the crystal
    :param initial: structure before a hop
    :param final: after it, the same atoms in the same order
    :param images: of a path whose energies are taken as they are, for example DFT's
    :param sites: in the cell of the crystal, its ions at the sites; otherwise they are looked for
    :param mechanism: vacancy or interstitial, if not by whether the crystal holds the ion
    :param max_length: of hops, Å; the shortest with which they lead through the crystal if not given
    :param min_length: between an ion and its images, Å, which decides the supercell
    :param min_distance: of interstitial sites from the atoms of the crystal, Å
    :param num_images: between the ends
    :param max_force: at the end, eV/Å
    :param max_steps: of a band's optimiser
    :param relax_ends: whether initial and final structure are relaxed
    :param symmetry_tolerance: distance within which atoms are equivalent, Å
    :param journal: JSON file of finished paths, from which an interrupted command continues
    """
    band = BandSettings(num_images, max_force, max_steps)
    if sum((atoms is not None, initial is not None or final is not None, images is not None)) != 1:
        raise ConfigError(
            "`atoms`, `initial`, `images`: expected either a crystal, two structures, or the images of a path"
        )
    if images is not None:
        return _images_report(images, calculator, band, journal)
    if calculator is None:
        raise ConfigError("`calculator`: expected one with forces for new paths, got none; give one")
    if atoms is None:
        if initial is None or final is None:
            raise ConfigError("`initial`, `final`: expected both ends of a path, got one; give the other")
        bands = Bands(initial, calculator, band, journal, {"final": final.positions.round(6), "relax_ends": relax_ends})
        return _path_report(bands.path("path", initial, final, relax_ends))
    search = Search(ion, mechanism, max_length, min_length, min_distance, symmetry_tolerance)
    points = Points()
    found = ion_paths(atoms, calculator, search, band, sites, journal, points)
    return _crystal_report(found, points)


def _images_report(
    images: list[Atoms], calculator: Calculator | None, band: BandSettings, journal: Path | None
) -> Report:
    """Energies along a given path."""
    if len(images) < 3:
        raise DataError(f"`images`: expected a path of at least three images, got {len(images)}")
    if len({(len(image), tuple(image.numbers)) for image in images}) > 1:
        raise DataError("`images`: expected the same atoms in the same order in all images, got others")
    if calculator is None:
        profile = EnergyProfile([with_energy(image, None) for image in images])
    else:
        profile = Bands(images[0], calculator, band, journal, {}).static(images)
    values = profile_values(profile)
    return Report(
        NAME, values, barrier_figure([profile], [""]), _remarks(profile), list(profile.images), _curves([profile])
    )


def _path_report(path: MinimumEnergyPath) -> Report:
    """One path between two structures."""
    profile = path.profile
    values = {**profile_values(profile), **_band_values(path)}
    warnings = _remarks(profile) + _band_remarks(path, "the path")
    return Report(NAME, values, barrier_figure([profile], [""]), warnings, list(profile.images), _curves([profile]))


def profile_values(profile: EnergyProfile) -> dict[str, Any]:
    """Barriers and the profile of a path."""
    return {
        "barrier_ev": profile.barrier,
        "reverse_barrier_ev": profile.reverse_barrier,
        "reaction_energy_ev": profile.reaction_energy,
        "ion_path_length_angstrom": profile.ion_path_length,
        "highest_image": profile.saddle,
        "distances_angstrom": profile.distances,
        "energies_ev": profile.energies,
    }


def _band_values(path: MinimumEnergyPath) -> dict[str, Any]:
    return {"halves_are_mirror_images": path.symmetric, "num_calculations": path.num_calculations}


def _remarks(profile: EnergyProfile, name: str = "the path") -> list[str]:
    """What the reader of a barrier should know about the profile."""
    remarks = []
    minima = profile.intermediate_minima
    if len(minima):
        places = ", ".join(f"{place:.2f}" for place in minima)
        remarks.append(f"{name} has a minimum between its ends (at {places} Å): it is more than one hop")
    if profile.saddle in (0, len(profile.images) - 1):
        remarks.append(
            f"{name} has no saddle point: energy is highest at an end, which is no minimum or is not relaxed"
        )
    return remarks


def _band_remarks(path: MinimumEnergyPath, name: str) -> list[str]:
    if path.ridge:
        return [
            f"{name}: energy falls across it at its highest point, although it was bent that way once: the barrier is "
            "an upper limit; give other ends or the sites between"
        ]
    return []


def _crystal_report(found: IonPaths, points: Points) -> Report:
    """All paths through a crystal."""
    network, names = found.network, [f"path {number}" for number in range(1, len(found.paths) + 1)]
    warnings, structures = list(points.failures), []
    for name, band in zip(names, found.bands, strict=True):
        warnings += _remarks(band.profile, name) + _band_remarks(band, name)
        for image in band.profile.images:
            image.info["path"] = name
            structures.append(image)
    if found.spread > UNLIKE:
        warnings.append(
            f"energies of equivalent sites differ by up to {found.spread:.3f} eV: the supercell has not the symmetry "
            "of the crystal or is too small; choose a larger `min_length`"
        )
    if not np.isfinite(network.energies[0]):
        warnings.append("the paths connect no site to its image in another cell; allow a larger `max_length`")
    values = {
        "ion": found.host.ion,
        "mechanism": found.host.mechanism,
        "num_sites": len(found.sites.places),
        "num_inequivalent_sites": len(found.site_energies),
        "num_distinct_paths": len(found.paths),
        "max_length_angstrom": found.max_length,
        "num_atoms": len(found.bands[0].profile.images[0]),
        **{f"percolating_barrier_{n + 1}d_ev": float(value) for n, value in enumerate(network.energies)},
        **{f"percolating_barrier_along_{axis}_ev": float(v) for axis, v in zip("abc", network.along, strict=True)},
        "hop_lengths_angstrom": [path.length for path in found.paths],
        "barriers_ev": [band.profile.barrier for band in found.bands],
        "site_energies_ev": found.site_energies,
        "site_places_angstrom": found.sites.places,
        "site_kinds": found.sites.kinds,
        "paths": [_path_values(found, number) for number in range(len(found.paths))],
    }
    profiles = [band.profile for band in found.bands]
    labels = [f"{path.length:.2f} Å" for path in found.paths]
    return Report(NAME, values, barrier_figure(profiles, labels, found), warnings, structures, _curves(profiles))


def _path_values(found: IonPaths, number: int) -> dict[str, Any]:
    path, band = found.paths[number], found.bands[number]
    one, two = path.hop[:2]
    kinds = found.sites.kinds
    starting = sum(member[0] == one for member in path.members)
    return {
        "kinds_of_sites": [int(kinds[one]), int(kinds[two])],
        "length_angstrom": path.length,
        "hops_from_first_site": starting,
        "start_angstrom": found.sites.places[one],
        "vector_angstrom": found.sites.vector(path.hop),
        **profile_values(band.profile),
        **_band_values(band),
    }


def _curves(profiles: list[EnergyProfile]) -> dict[str, Curve]:
    """The images' energies over the fraction of the path, whose length differs between calculators."""
    label = ("fraction of the path", "energy, eV")
    return {
        f"path_{number}": Curve(profile.distances / profile.distances[-1], profile.energies, *label)
        for number, profile in enumerate(profiles, start=1)
    }
