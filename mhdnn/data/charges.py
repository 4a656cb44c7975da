"""Atomic charges: what is none, what they add up to, and charges from numbers of electrons."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from ase.data import atomic_numbers, chemical_symbols

from mhdnn.errors import DataError
from mhdnn.structure import Structure

WHOLE_CHARGE = 0.1
"""e; atomic charges that add up to a whole number within this (grids, rounding) belong to that total charge."""
CONTRADICTION = 0.5
"""e between the sum of the atomic charges and the total charge; more is no error of a grid."""
NEGATIVE = -0.01
"""e; an atom below this has no number of electrons."""


def total_from_charges(charges: np.ndarray) -> float | None:
    """The whole number that atomic charges add up to within `WHOLE_CHARGE`; None if they don't.

    A cell of 0.018 e is one of rounded charges, and would be given a uniform background.
    """
    total = float(np.sum(charges))
    whole = round(total) if np.isfinite(total) else 0
    return float(whole) if abs(total - whole) <= WHOLE_CHARGE else None


def looks_like_electrons(structure: Structure) -> bool:
    """Whether the charges are numbers of electrons: nowhere negative, and their sum is far above the total charge.

    Where no total charge is known, a cation whose charges are all positive looks the same.
    """
    charges = structure.charges
    if charges is None or charges.min() < NEGATIVE:
        return False
    return float(charges.sum()) - (structure.total_charge or 0.0) > CONTRADICTION


def check_charges(structure: Structure, name: str) -> None:
    """Check that atomic charges are charges and add up to the total charge.

    :param name: what error messages call the structure
    :raises DataError: if they look like numbers of electrons, contradict the total charge, or if there is none and they
        don't add up to a whole number
    """
    if structure.charges is None:
        return
    total = float(structure.charges.sum())
    stated = structure.total_charge
    if looks_like_electrons(structure):
        elements = [chemical_symbols[number] for number in np.unique(structure.atomic_numbers).tolist()]
        example = ",".join(f"{element}=..." for element in elements)
        known = "no `total_charge`" if stated is None else f"`total_charge` {stated:g}"
        raise DataError(
            f"{name}: `charges` are nowhere negative and add up to {total:.3f} e, found {known}: they look like "
            f"numbers of electrons; `--valence-electrons {example}` (the valence of each element, in VASP ZVAL) "
            "converts them, or give the total charge if it is a cation"
        )
    if stated is not None and abs(total - stated) > CONTRADICTION:
        raise DataError(
            f"{name}: `charges` add up to {total:.3f} e, but `total_charge` is {stated:g} e; correct one of them"
        )
    if stated is None and total_from_charges(structure.charges) is None:
        raise DataError(
            f"{name}: `charges` add up to {total:.3f} e, no whole number within {WHOLE_CHARGE} e, and there is no "
            "`total_charge`; give it (`--total-charge 0`, or a key of each structure)"
        )


def charges_from_electrons(structure: Structure, valence: Mapping[int, float], name: str) -> Structure:
    """The structure with charges = valence electrons - numbers of electrons (Bader and others).

    :param valence: valence electrons of each element, by atomic number; in VASP the ZVAL of its POTCAR
    :raises DataError: if an element is not among them, or the charges are no numbers of electrons
    """
    if structure.charges is None:
        return structure
    missing = sorted(set(structure.atomic_numbers.tolist()) - set(valence))
    if missing:
        raise DataError(
            f"{name}: `--valence-electrons` needs every element that has charges, found none of "
            f"{', '.join(chemical_symbols[number] for number in missing)}; add it"
        )
    if structure.charges.min() < NEGATIVE:
        raise DataError(
            f"{name}: `charges` are {structure.charges.min():.3f} e at an atom, so they are no numbers of electrons; "
            "leave out `--valence-electrons`"
        )
    electrons = np.array([valence[number] for number in structure.atomic_numbers.tolist()])
    return replace(structure, charges=electrons - structure.charges)


def parse_valence(text: str) -> dict[int, float]:
    """Valence electrons of each element from ``Li=3,O=6``, or from ``all`` (atomic numbers: all-electron codes).

    :raises DataError: if the text is anything else
    """
    if text.strip().lower() == "all":
        return {number: float(number) for number in range(1, len(chemical_symbols))}
    valence = {}
    for pair in re.split(r"[,;\s]+", text.strip()):
        match = re.fullmatch(r"([A-Z][a-z]?)=(\d+(?:\.\d+)?)", pair)
        if match is None or match.group(1) not in atomic_numbers:
            raise DataError(
                f"`--valence-electrons` must be ELEMENT=NUMBER,... or all, as in Li=3,O=6, found {text[:60]!r}"
            )
        valence[atomic_numbers[match.group(1)]] = float(match.group(2))
    return valence
