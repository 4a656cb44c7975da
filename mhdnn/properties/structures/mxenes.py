"""MXenes: what remains of Ti2AlC and Ti3AlC2 without aluminium, with terminations."""

from __future__ import annotations

from collections.abc import Sequence

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

TERMINATIONS = {"O": 1.97, "F": 2.16, "OH": 2.18}
"""Distance from titanium, Å; DFT, Khazaei et al., Adv. Funct. Mater. 23, 2185 (2013), https://doi.org/10.1002/adfm.201202502"""

HYDROXYL_BOND = 0.97  # Å


def mxene(
    formula: str = "Ti3C2",
    termination: str | None = "O",
    site: str = "fcc",
    size: Sequence[int] = (1, 1),
    vacuum: float = 10.0,
) -> Atoms:
    """A sheet of Ti2C or Ti3C2 with both sides covered alike.

    The layers stand as in the aluminium phase (not relaxed); terminations are at their distance from three titanium
    atoms: ``fcc`` over no carbon of the layer below (over the titanium after it), ``hcp`` over carbon.

    :param formula: Ti2C or Ti3C2
    :param termination: O, F, OH, or None
    :param site: fcc or hcp
    :param size: cells along the two vectors
    :param vacuum: on each side, Å
    :raises ConfigError: for another formula, termination or site
    """
    if formula not in LATTICES:
        raise ConfigError(f"`formula`: expected one of {', '.join(LATTICES)}, got {formula!r}")
    if termination is not None and termination not in TERMINATIONS:
        raise ConfigError(f"`termination`: expected one of {', '.join(TERMINATIONS)} or none, got {termination!r}")
    if site not in ("fcc", "hcp"):
        raise ConfigError(f"`site`: expected fcc or hcp, got {site!r}")
    a, layers = LATTICES[formula]
    layers = list(layers)
    if termination is not None:
        layers += [*_terminated(layers, a, termination, site)]
    symbols = [symbol for symbol, _, _ in layers]
    positions = np.array([[*THIRDS[third], height] for _, third, height in layers])
    return hexagonal_sheet(symbols, positions, a, 1.0, size, vacuum)


def _terminated(layers: list[Layer], a: float, termination: str, site: str) -> list[Layer]:
    """Atoms over the last layer and under the first."""
    rise = np.sqrt(TERMINATIONS[termination] ** 2 - a**2 / 3)
    result = []
    for side, surface, carbon in ((1.0, layers[-1], layers[-2]), (-1.0, layers[0], layers[1])):
        third = carbon[1] if site == "hcp" else 3 - surface[1] - carbon[1]
        height = surface[2] + side * rise
        result.append((termination[0], third, height))
        if termination == "OH":
            result.append(("H", third, height + side * HYDROXYL_BOND))
    return result
