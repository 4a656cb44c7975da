"""MXenes: what remains of Ti2AlC and Ti3AlC2 without aluminium, with terminations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from ase import Atoms

from mhdnn.errors import ConfigError
from mhdnn.properties.structures.layers import THIRDS, hexagonal_sheet

Layer = tuple[str, int, float]

LATTICES: dict[str, tuple[float, list[Layer]]] = {
    "Ti2C": (3.056, [("Ti", 1, -1.14), ("C", 0, 0.0), ("Ti", 2, 1.14)]),
    "Ti3C2": (
        3.0753,
        [("Ti", 2, -2.378), ("C", 1, -1.302), ("Ti", 0, 0.0), ("C", 2, 1.302), ("Ti", 1, 2.378)],
    ),
}
"""Lattice constant in Å; element, position (of `THIRDS`) and height in Å of each layer in Ti2AlC and Ti3AlC2.

Ti3AlC2: a = 3.0753 Å, c = 18.578 Å, z = 0.1280 (Ti), 0.5701 (C), Pietzka and Schuster, J. Phase Equilib. 15, 392
(1994), https://doi.org/10.1007/BF02647559. Ti2AlC: a = 3.056 Å, c = 13.62 Å, z = 0.0837, after Barsoum, Prog.
Solid State Chem. 28, 201 (2000), https://doi.org/10.1016/S0079-6786(00)00006-6.
"""

TERMINATIONS = {"O": 1.97, "F": 2.16, "OH": 2.18, "Cl": 2.48}
"""Distance from titanium, Å. O, F, OH: DFT, Khazaei et al., Adv. Funct. Mater. 23, 2185 (2013),
https://doi.org/10.1002/adfm.201202502. Cl: the sum of the ionic radii of six-coordinated Ti(III) and Cl, 0.67 and
1.81 Å, Shannon, Acta Cryst. A 32, 751 (1976), https://doi.org/10.1107/S0567739476001551; relax it."""

HYDROXYL_BOND = 0.97  # Å


Shares = Mapping[str, int]


def mxene(
    formula: str = "Ti3C2",
    termination: str | Shares | None = "O",
    site: str = "fcc",
    size: Sequence[int] = (1, 1),
    vacuum: float = 10.0,
    seed: int = 0,
) -> Atoms:
    """A sheet of Ti2C or Ti3C2 with terminations on both sides.

    The layers stand as in the aluminium phase (not relaxed); terminations are at their distance from three titanium
    atoms: ``fcc`` over no carbon of the layer below (over the titanium after it), ``hcp`` over carbon. Several
    terminations are spread over the places of both sides at random.

    :param formula: Ti2C or Ti3C2
    :param termination: O, F, OH, Cl, or None; or several and their shares, as {"O": 2, "OH": 1, "F": 1}
    :param site: fcc or hcp
    :param size: cells along the two vectors
    :param vacuum: on each side, Å
    :param seed: of the places of several terminations
    :raises ConfigError: for another formula, termination or site, or shares that don't fit the number of places
    """
    if formula not in LATTICES:
        raise ConfigError(f"`formula`: expected one of {', '.join(LATTICES)}, got {formula!r}")
    shares = {termination: 1} if isinstance(termination, str) else dict(termination or {})
    for name, share in shares.items():
        if name not in TERMINATIONS or share < 1:
            raise ConfigError(
                f"`termination`: expected one of {', '.join(TERMINATIONS)} or none, or some with positive shares such "
                f"as O:2,F:1, got {name}:{share}"
            )
    if site not in ("fcc", "hcp"):
        raise ConfigError(f"`site`: expected fcc or hcp, got {site!r}")
    a, layers = LATTICES[formula]
    symbols = [symbol for symbol, _, _ in layers]
    positions = np.array([[*THIRDS[third], height] for _, third, height in layers])
    sheet = hexagonal_sheet(symbols, positions, a, 1.0, size, 0.0)
    if shares:
        sheet += _terminations(sheet, layers, a, shares, site, seed)
    sheet.center(vacuum=vacuum, axis=2)
    return sheet


def _terminations(sheet: Atoms, layers: list[Layer], a: float, shares: Shares, site: str, seed: int) -> Atoms:
    """Atoms over the last layer and under the first, side by side with the titanium of the surface."""
    titanium = sheet.positions[sheet.numbers == 22]
    titanium = titanium[np.argsort(titanium[:, 2], kind="stable")]
    count = len(sheet) // len(layers)
    total = sum(shares.values())
    if 2 * count % total:
        raise ConfigError(
            f"`termination`: expected shares whose sum divides the {2 * count} places, got {dict(shares)}; "
            "choose another size"
        )
    kinds = [name for name, share in shares.items() for _ in range(share * 2 * count // total)]
    kinds = np.random.default_rng(seed).permutation(kinds).tolist()
    plane = sheet.cell[:2] / np.linalg.norm(sheet.cell[:2], axis=1, keepdims=True) * a
    symbols, places = [], []
    for side, surface, carbon in ((1.0, layers[-1], layers[-2]), (-1.0, layers[0], layers[1])):
        third = carbon[1] if site == "hcp" else 3 - surface[1] - carbon[1]
        beside = (THIRDS[third] - THIRDS[surface[1]]) @ plane
        for below in titanium[-count:] if side > 0 else titanium[:count]:
            kind = kinds.pop()
            foot = below + beside
            rise = np.sqrt(TERMINATIONS[kind] ** 2 - a**2 / 3)
            symbols.append("O" if kind == "OH" else kind)
            places.append(foot + [0, 0, side * rise])
            if kind == "OH":
                symbols.append("H")
                places.append(foot + [0, 0, side * (rise + HYDROXYL_BOND)])
    added = Atoms(symbols, places, cell=sheet.cell, pbc=sheet.pbc)
    added.wrap(pbc=(True, True, False))
    return added
