"""Tunnels of a crystal one by one: width, shape, sites, and which ions fit.

Definitions. A tunnel (`tunnels.all_tunnels`) is as wide as its narrowest place; what an ion of radius r has left there
is this radius, measured to the centres of atoms, less r and the radius of the atom that is touched. Its shape is the
number of columns of cations around it, seen along the tunnel: edges of the Voronoi cell of its axis among them. Its
sites are the largest spheres in it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from ase import Atoms
from ase.data import covalent_radii
from scipy.spatial import Voronoi

from mhdnn.errors import ConfigError, PropertyError
from mhdnn.evaluation.plots import PALETTE, label_axes, new_figure, style_axes
from mhdnn.properties.bond_valence import LENGTHS, bond_valence_sums
from mhdnn.properties.fracture.directions import axes_with
from mhdnn.properties.report import Report
from mhdnn.properties.tunnels import TunnelSet, all_tunnels

ION_RADII = {"Li": 0.76, "Na": 1.02, "K": 1.38, "Mg": 0.72, "Ca": 1.00, "Zn": 0.74, "Al": 0.535, "Rb": 1.52}
ANION_RADII = {"O": 1.40, "F": 1.33, "S": 1.84, "Se": 1.98, "Cl": 1.81, "N": 1.46}
"""Ionic radii for six neighbours, Å: Shannon, Acta Cryst. A 32, 751 (1976), https://doi.org/10.1107/S0567739476001551."""
SAME_COLUMN = 0.5
"""Å; cations nearer to each other, seen along the tunnel, are one column."""
LEAST_EDGE = 0.15
"""Of a Voronoi cell's mean edge; shorter ones are corners where four columns meet."""
SHELL = 0.45
"""Å beyond the nearest atom of a site, within which others coordinate it."""
SITE_DISTANCE = 1.0
"""Å; spheres nearer to each other are one site."""
NAMES = {3: "triangular", 4: "square", 5: "pentagonal", 6: "hexagonal", 7: "heptagonal", 8: "octagonal"}


def tunnels_report(
    atoms: Atoms,
    ions: list[str] | None = None,
    ion: str | None = None,
    least_radius: float = 1.9,
) -> Report:
    """Tunnels of a crystal: radius and shape of each, its sites, and how Li, Na, K, Mg, Ca, Zn fit.

    :param atoms: crystal
    :param ions: that are tried; none: Li, Na, K, Mg, Ca, Zn
    :param ion: element of the crystal that is taken out before
    :param least_radius: of a tunnel, from its axis to the nearest atom's centre, Å
    :raises ConfigError: if there is no radius for an ion, or the structure is no crystal
    :raises PropertyError: if there is no tunnel so wide
    """
    tried = ions or ["Li", "Na", "K", "Mg", "Ca", "Zn"]
    unknown = [name for name in tried if name not in ION_RADII]
    if unknown:
        raise ConfigError(f"`ions`: expected some of {', '.join(ION_RADII)}, got {unknown[0]}")
    symbols = np.array(atoms.get_chemical_symbols())
    if ion is not None and ion not in symbols:
        raise ConfigError(f"`ion`: expected an element of {atoms.get_chemical_formula()}, got {ion!r}")
    host = atoms[symbols != ion] if ion is not None else atoms
    tunnels = all_tunnels(host, least_radius)
    if not tunnels:
        raise PropertyError(f"`least_radius`: expected a tunnel of {least_radius} Å or more, found none; choose less")
    described = [_described(host, tunnel, tried) for tunnel in tunnels]
    kinds = _kinds(described)
    values: dict[str, Any] = {
        "num_tunnels": len(tunnels),
        "shapes": [f"{kind['number']} {kind['shape']}" for kind in kinds],
        "radii_angstrom": np.array([kind["radius_angstrom"] for kind in kinds]),
        "free_radii_angstrom": np.array([kind["free_radius_angstrom"] for kind in kinds]),
        "left_for_ions_angstrom": {
            name: np.array([kind["left_for_ions_angstrom"][name] for kind in kinds]) for name in tried
        },
        "kinds": kinds,
    }
    structure = host.copy()
    return Report("tunnels", values, _figure(kinds, tried), structures=[structure])


def _described(host: Atoms, tunnel: TunnelSet, ions: list[str]) -> dict[str, Any]:
    sites = _sites(host, tunnel)
    corners = _corners(host, tunnel)
    touched = _nearest(host, tunnel.places[int(tunnel.radii.argmin())])
    room = tunnel.radius - _atom_radius(touched)
    return {
        "shape": NAMES.get(corners, f"{corners} columns"),
        "num_columns": corners,
        "radius_angstrom": tunnel.radius,
        "free_radius_angstrom": room,
        "direction": tunnel.direction,
        "left_for_ions_angstrom": {name: room - ION_RADII[name] for name in ions},
        "sites": [_site(host, place, radius, ions) for place, radius in sites],
    }


def _site(host: Atoms, place: np.ndarray, radius: float, ions: list[str]) -> dict[str, Any]:
    probe = host + Atoms("He", [place])
    distances = probe.get_distances(len(host), list(range(len(host))), mic=True)
    near = np.flatnonzero(distances < radius + SHELL)
    names, counts = np.unique([host.symbols[n] for n in near], return_counts=True)
    result = {
        "place_angstrom": place,
        "radius_angstrom": radius,
        "neighbours": " ".join(f"{name}{count}" for name, count in zip(names, counts, strict=True)),
    }
    if set(host.get_chemical_symbols()) <= {"O", *LENGTHS}:
        # only oxygen around counts, so that the host's own sums do not matter
        result["bond_valence"] = {
            name: float(bond_valence_sums(host + Atoms(name, [place]))[-1]) for name in ions if name in LENGTHS
        }
    return result


def _sites(host: Atoms, tunnel: TunnelSet) -> list[tuple[np.ndarray, float]]:
    """The largest spheres, the largest first, each so far from others."""
    found: list[tuple[np.ndarray, float]] = []
    for number in np.argsort(-np.round(tunnel.radii, 4), kind="stable"):
        place = tunnel.places[number]
        apart = [np.linalg.norm(_shortest(host, place - other)) for other, _ in found]
        if min(apart, default=np.inf) > max(SITE_DISTANCE, 0.6 * tunnel.radii[number]):
            found.append((place, float(tunnel.radii[number])))
    return found


def _shortest(host: Atoms, vector: np.ndarray) -> np.ndarray:
    fractions = vector @ np.linalg.inv(host.cell[:])
    return (fractions - np.rint(fractions)) @ host.cell[:]


def _corners(host: Atoms, tunnel: TunnelSet) -> int:
    """Columns of cations around the axis."""
    along = tunnel.direction @ host.cell[:]
    frame = axes_with(along / np.linalg.norm(along), _across(along))
    plane = frame[[row for row in range(3) if abs(frame[row] @ along) < 1e-6 * np.linalg.norm(along)]]
    widest = tunnel.places[int(tunnel.radii.argmax())] @ plane.T
    cations = host[[n for n, name in enumerate(host.get_chemical_symbols()) if name not in ANION_RADII] or slice(None)]
    heights = 1.0 / np.linalg.norm(host.cell.reciprocal()[:], axis=1)
    reach = np.ceil(4.0 * tunnel.radii.max() / heights).astype(int) + 1
    steps = np.stack(np.meshgrid(*(np.arange(-n, n + 1) for n in reach), indexing="ij"), -1).reshape(-1, 3)
    images = (cations.positions[:, None] + steps @ host.cell[:]).reshape(-1, 3) @ plane.T - widest
    images = images[np.linalg.norm(images, axis=1) < 6.0 * tunnel.radii.max()]
    columns: list[np.ndarray] = []
    for image in images:
        if all(np.linalg.norm(image - other) > SAME_COLUMN for other in columns):
            columns.append(image)
    network = Voronoi(np.vstack([[0.0, 0.0], *columns]))
    lengths = [
        np.linalg.norm(np.subtract(*network.vertices[face]))
        for pair, face in zip(network.ridge_points, network.ridge_vertices, strict=True)
        if 0 in pair and min(face) >= 0
    ]
    return int((np.array(lengths) > LEAST_EDGE * np.mean(lengths)).sum())


def _across(along: np.ndarray) -> np.ndarray:
    axis = np.eye(3)[int(np.abs(along).argmin())]
    across = np.cross(along, axis)
    return across / np.linalg.norm(across)


def _nearest(host: Atoms, place: np.ndarray) -> str:
    probe = host + Atoms("He", [place])
    return str(host.symbols[int(probe.get_distances(len(host), list(range(len(host))), mic=True).argmin())])


def _atom_radius(symbol: str) -> float:
    return ANION_RADII.get(symbol, float(covalent_radii[Atoms(symbol).numbers[0]]))


def _kinds(described: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Tunnels of equal radius, direction and shape, with their number."""
    found: list[dict[str, Any]] = []
    for one in described:
        same = [
            other
            for other in found
            if abs(other["radius_angstrom"] - one["radius_angstrom"]) < 0.01
            and np.array_equal(other["direction"], one["direction"])
            and other["num_columns"] == one["num_columns"]
        ]
        if same:
            same[0]["number"] += 1
        else:
            found.append({"number": 1, **one})
    return found


def _figure(kinds: list[dict[str, Any]], ions: list[str]) -> Any:
    figure = new_figure(5.6, 3.8, "tunnels and ions")
    axes = figure.subplots()
    style_axes(axes)
    names = [f"{kind['number']} {kind['shape']}" for kind in kinds]
    axes.barh(range(len(kinds)), [kind["free_radius_angstrom"] for kind in kinds], color=PALETTE[0], height=0.5)
    for number, name in enumerate(sorted(ions, key=lambda name: ION_RADII[name])):
        axes.axvline(ION_RADII[name], color="0.4", lw=0.8, ls=":")
        axes.text(ION_RADII[name], len(kinds) - 0.45 + 0.12 * (number % 3), name, ha="center", fontsize=8)
    axes.set_yticks(range(len(kinds)), names, fontsize=9)
    axes.set_ylim(-0.5, len(kinds))
    label_axes(axes, "free radius (bars) and radius of ions (lines), Å", "")
    return figure
