"""Defects of graphene: vacancies and Stone–Wales rotations, at a concentration."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase import Atoms
from ase.neighborlist import neighbor_list

from mhdnn.errors import ConfigError
from mhdnn.properties.structures.layers import graphene_sheet

DEFECTS = ("single_vacancy", "double_vacancy", "stone_wales")


def defective_graphene(
    size: Sequence[int] = (6, 6),
    defect: str = "single_vacancy",
    concentration: float = 0.02,
    seed: int = 0,
    vacuum: float = 10.0,
) -> Atoms:
    """Graphene with defects at random places, no two of which share a neighbour; not relaxed.

    A single vacancy lacks an atom, a double vacancy a bonded pair (two pentagons and an octagon once it is relaxed); a
    Stone–Wales defect has a bond turned by 90° in the plane (two pentagons, two heptagons; Stone and Wales, Chem.
    Phys. Lett. 128, 501 (1986), https://doi.org/10.1016/0009-2614(86)80661-3).

    :param size: cells along the two vectors
    :param defect: single_vacancy, double_vacancy or stone_wales
    :param concentration: atoms that are missing or turned, as a fraction of the pristine sheet's
    :param seed: of the places
    :param vacuum: on each side, Å
    :raises ConfigError: for another defect, or if the sheet has no room for the concentration or is too small for one
    """
    if defect not in DEFECTS:
        raise ConfigError(f"`defect`: expected one of {', '.join(DEFECTS)}, got {defect!r}")
    sheet = graphene_sheet(size, vacuum)
    first, second, vectors = neighbor_list("ijD", sheet, 1.2 * 2.461 / np.sqrt(3))
    atoms_of_one = 1 if defect == "single_vacancy" else 2
    count = round(concentration * len(sheet) / atoms_of_one)
    if count < 1 or concentration > 1:
        raise ConfigError(
            f"`concentration`: {concentration} of {len(sheet)} atoms is no {defect}; expected at least "
            f"{atoms_of_one / len(sheet):.2g} and below 1: choose it larger, or a larger sheet"
        )
    pairs = [pair for pair in range(len(first)) if first[pair] < second[pair]]
    candidates: Sequence[tuple[int, ...]] = (
        [(atom,) for atom in range(len(sheet))]
        if defect == "single_vacancy"
        else [(int(first[pair]), int(second[pair])) for pair in pairs]
    )
    neighbors = [set(second[first == atom].tolist()) for atom in range(len(sheet))]
    chosen = _scattered(candidates, neighbors, count, np.random.default_rng(seed))
    if defect == "stone_wales":
        bonds = {(int(first[pair]), int(second[pair])): vectors[pair] for pair in pairs}
        for one, other in chosen:
            _turn_bond(sheet, one, other, bonds[one, other])
    else:
        del sheet[[atom for site in chosen for atom in site]]
    return sheet


def _scattered(
    candidates: Sequence[tuple[int, ...]], neighbors: list[set[int]], count: int, generator: np.random.Generator
) -> list[tuple[int, ...]]:
    """Sites in random order whose atoms and neighbours belong to no site before."""
    chosen: list[tuple[int, ...]] = []
    taken: set[int] = set()
    for number in generator.permutation(len(candidates)):
        site = candidates[number]
        region = set(site).union(*(neighbors[atom] for atom in site))
        if len(chosen) < count and not region & taken:
            chosen.append(site)
            taken |= region
    if len(chosen) < count:
        raise ConfigError(
            f"`concentration`: expected one that leaves room between defects, but only {len(chosen)} of {count} found "
            "a place; choose a smaller concentration or another seed"
        )
    return chosen


def _turn_bond(atoms: Atoms, one: int, other: int, bond: np.ndarray) -> None:
    center = atoms.positions[one] + bond / 2
    turned = np.array([-bond[1], bond[0], bond[2]])
    atoms.positions[one] = center - turned / 2
    atoms.positions[other] = center + turned / 2
