r"""A reacted interphase of an electrode and an electrolyte: its width, its growth, and what it is made of.

Width. Atoms are told by where they come from, electrode or electrolyte, whatever has become of them. With f(z) the part
of the electrode's atoms among all at the height z,

.. math:: d = \int 4 f (1 - f)\, \mathrm dz,

which is w for the profile :math:`f = \tfrac12[1 - \tanh(2z/w)]`, the thickness of a zone of equal parts, and zero for
parts that don't mix. Atoms are smeared out by a Gaussian of 0.75 Å, which leaves a sharp contact 1.7 Å wide
(`RESOLUTION`) and parts with a gap between less.

Products. Nonmetals (`mhdnn.properties.volumes.NONMETALS`) and boron closer than 1.25 times the sum of their covalent
radii are bonded; what is connected is a species. Metal ions belong to none: Li2CO3 counts as CO3 and lithium.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.data import covalent_radii
from ase.formula import Formula
from ase.neighborlist import neighbor_list
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from mhdnn.errors import ConfigError
from mhdnn.properties.volumes import NONMETALS

SMEARING = 0.75
"""Å"""
RESOLUTION = 1.7
"""Width of a sharp contact, 4/√π times the smearing, Å."""
STEP = 0.1
"""Å"""
THINNEST = 0.1
"""Atoms per height, in parts of the larger one of both sides', below which there is a gap, not an interphase."""
BOND = 1.25
BONDING = NONMETALS | {5}


@dataclass(frozen=True)
class Composition:
    """Atoms of both origins along the normal.

    :param heights: shape (num_heights,), Å
    :param electrode: atoms per height and area, shape (num_heights,), 1/Å³
    :param electrolyte: the same of the electrolyte's
    """

    heights: np.ndarray
    electrode: np.ndarray
    electrolyte: np.ndarray

    @property
    def width(self) -> float:
        """Of the reacted zone, Å."""
        both = self.electrode + self.electrolyte
        filled = both > THINNEST * max(self.electrode.max(), self.electrolyte.max())
        part = np.divide(self.electrode, both, out=np.zeros_like(both), where=filled)
        return float((4.0 * part * (1.0 - part)).sum() * (self.heights[1] - self.heights[0]))


def composition_of(atoms: Atoms, is_electrolyte: np.ndarray) -> Composition:
    """Profiles of both along the normal.

    From the lowest to the highest atom; if the third direction is periodic, so that both parts meet twice, from the
    middle of the electrode, below, to that of the electrolyte.

    :param is_electrolyte: of each atom, where it comes from, shape (num_atoms,)
    :raises ConfigError: if one of them has no atoms, or the electrolyte's middle is not above the electrode's
    """
    if not is_electrolyte.any() or is_electrolyte.all():
        raise ConfigError(
            f"`electrolyte`: expected atoms of an electrolyte and of an electrode, got {int(is_electrolyte.sum())} of "
            f"{len(atoms)} from the electrolyte"
        )
    heights, area = normal_heights(atoms)
    low, high = (float(np.mean(heights[part])) for part in (~is_electrolyte, is_electrolyte))
    if not low < high:
        raise ConfigError(
            f"`interphases`: expected the electrolyte above the electrode, got middles at {high:.2f} and {low:.2f} Å; "
            "put the electrode's atoms first, and below"
        )
    if not atoms.pbc[2]:
        low, high = float(heights.min()), float(heights.max())
    grid = np.arange(low, high + STEP, STEP)
    kernel = np.exp(-0.5 * ((grid[:, None] - heights[None]) / SMEARING) ** 2) / (np.sqrt(2 * np.pi) * SMEARING * area)
    return Composition(grid, kernel[:, ~is_electrolyte].sum(axis=1), kernel[:, is_electrolyte].sum(axis=1))


def normal_heights(atoms: Atoms) -> tuple[np.ndarray, float]:
    """Heights of the atoms along the normal of the first two cell vectors, Å, and their area, Å² (1 without a cell)."""
    normal = np.cross(*atoms.cell.complete()[:2])
    size = float(np.linalg.norm(normal))
    return atoms.positions @ normal / size, size


def species_of(atoms: Atoms, is_electrolyte: np.ndarray | None = None) -> Counter[str]:
    """Formulas of the species and how many there are of each.

    :param is_electrolyte: if given, only species with atoms of the electrolyte count; those that are bonded to
        nonmetals of the electrode are named ``... bound``, without these
    """
    chosen = np.ones(len(atoms), dtype=bool) if is_electrolyte is None else is_electrolyte
    members = np.flatnonzero(np.isin(atoms.numbers, list(BONDING)))
    if not len(members):
        return Counter()
    bonding = atoms[members]
    first, second = neighbor_list("ij", bonding, BOND * covalent_radii[bonding.numbers])
    graph = coo_matrix((np.ones(len(first)), (first, second)), shape=(len(members),) * 2)
    _, labels = connected_components(graph, directed=False)
    order = np.argsort(labels, kind="stable")
    groups = np.split(members[order], np.flatnonzero(np.diff(labels[order])) + 1)
    symbols = np.array(atoms.get_chemical_symbols())
    counts: Counter[str] = Counter()
    for group in groups:
        inside = group[chosen[group]]
        if len(inside):
            formula = Formula.from_dict(Counter(symbols[inside].tolist())).format("hill")
            counts[formula if len(inside) == len(group) else f"{formula} bound"] += 1
    return counts


@dataclass(frozen=True)
class Growth:
    """Growth of a width with the square root of time, d² = d_0² + 2 k t.

    :param constant: k, Å²/ps
    :param error: its standard error
    :param exponent: of d in t, from the slope of logarithms; 0.5 if diffusion decides, NaN where it can't be told
    """

    constant: float
    error: float
    exponent: float


def growth_of(times: Sequence[float] | np.ndarray, widths: Sequence[float] | np.ndarray) -> Growth:
    """Least squares of the squared widths; of at least three times.

    :param times: shape (num_times,), ps
    :param widths: shape (num_times,), Å
    :raises ConfigError: if there are fewer than three times, or they are all equal
    """
    t, d = np.asarray(times, dtype=float), np.asarray(widths, dtype=float)
    if len(t) < 3 or np.ptp(t) == 0:
        raise ConfigError(f"`time_between_frames`: expected at least three structures at different times, got {len(t)}")
    design = np.stack([np.ones_like(t), 2.0 * t], axis=1)
    solution, _, _, _ = np.linalg.lstsq(design, d**2, rcond=None)
    residual = d**2 - design @ solution
    error = np.sqrt(residual @ residual / (len(t) - 2) * np.linalg.inv(design.T @ design)[1, 1])
    late = (t > 0) & (d > 0)
    exponent = np.polyfit(np.log(t[late]), np.log(d[late]), 1)[0] if late.sum() > 1 else np.nan
    return Growth(float(solution[1]), float(error), float(exponent))
