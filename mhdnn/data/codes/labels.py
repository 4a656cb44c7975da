"""What the readers of DFT outputs share: numbers, choices between labels of several kinds, errors."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial

import numpy as np
from ase.data import atomic_numbers

from mhdnn.data.reading import Frame, ReadOptions
from mhdnn.data.schema import Record
from mhdnn.errors import DataError, UnconvergedError

NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[EeDd][-+]?\d+)?"
THREE = rf"({NUMBER})\s+({NUMBER})\s+({NUMBER})"
FREE_ENERGY, EXTRAPOLATED_ENERGY = "free_energy", "energy"
"""Values of ``--energy-key``; the first is the default."""


class Lines(Iterator[str]):
    """Lines of a file, of which the last one can be put back for the next reader."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = iter(lines)
        self._last: str | None = ""
        self._again = False

    def __next__(self) -> str:
        if self._again:
            self._again = False
        else:
            self._last = next(self._lines, None)
        if self._last is None:
            raise StopIteration
        return self._last

    def back(self) -> None:
        """Give the last line once more."""
        self._again = True


def table(lines: Lines, row: re.Pattern[str], longest_title: int = 6) -> list[re.Match[str]]:
    """Matches of the rows that follow each other, behind a title of a few lines; the line behind is left."""
    found: list[re.Match[str]] = []
    for position, line in enumerate(lines):
        match = row.match(line)
        if match:
            found.append(match)
        elif found or position >= longest_title:
            lines.back()
            break
    return found


def number(text: str, name: str) -> float:
    """A number as Fortran prints it.

    :param name: what error messages call the frame
    :raises DataError: if it is none, or stars because it was too long for its field
    """
    try:
        value = float(text.replace("D", "E").replace("d", "e"))
    except ValueError as error:
        raise DataError(f"{name}: expected a number, found {text!r}; correct the frame or remove it") from error
    if not math.isfinite(value):
        raise DataError(f"{name}: expected a finite number, found {text!r}; correct the frame or remove it")
    return value


def numbers(words: Iterable[str], name: str) -> np.ndarray:
    """:raises DataError: if one of the words is no number"""
    return np.array([number(word, name) for word in words])


def rows(lines: Sequence[str], count: int, columns: slice, name: str, what: str) -> np.ndarray:
    """Three columns of a table of exactly ``count`` lines, shape (count, 3).

    :param what: what the table holds, for errors
    :raises DataError: if there are fewer or more lines, or one of them is broken
    """
    found = [line.split()[columns] for line in lines]
    good = next((i for i, words in enumerate(found) if len(words) != 3), len(found))
    if good != count or len(found) != count:
        raise DataError(f"{name}: expected {count} lines of {what}, found {good} good ones; the file is cut or changed")
    return np.array([numbers(words, name) for words in found]).reshape(count, 3)


def atomic_number(symbol: str, name: str) -> int:
    """:raises DataError: if it is no element"""
    letters = re.match(r"[A-Za-z]{1,2}", symbol)
    found = letters.group().capitalize() if letters else ""
    for candidate in (found, found[:1]):
        if atomic_numbers.get(candidate, 0) > 0:
            return atomic_numbers[candidate]
    raise DataError(f"{name}: expected an element, found {symbol!r}; correct the file")


def chosen_energy(
    options: ReadOptions, free: float | None, extrapolated: float | None, name: str
) -> tuple[float | None, str | None]:
    """The energy that was asked for, eV, and its kind.

    :param extrapolated: None where the code doesn't print it
    :raises DataError: if it is neither kind, or not printed
    """
    key = options.keys.energy or FREE_ENERGY
    if key not in (FREE_ENERGY, EXTRAPOLATED_ENERGY):
        raise DataError(
            f"{name}: outputs of DFT codes have the energies `{FREE_ENERGY}` and `{EXTRAPOLATED_ENERGY}` (extrapolated "
            f"to zero smearing), found `--energy-key {key}`; choose one of them, or convert these outputs apart"
        )
    if key == EXTRAPOLATED_ENERGY:
        if free is not None and extrapolated is None:
            raise DataError(
                f"{name}: the code does not print the energy extrapolated to zero smearing; leave `--energy-key` out, "
                "which takes the free energy that the forces belong to"
            )
        return extrapolated, "extrapolated" if extrapolated is not None else None
    return free, "free" if free is not None else None


def chosen_charges(
    options: ReadOptions, printed: Mapping[str, np.ndarray]
) -> tuple[np.ndarray | None, str | None, tuple[str, ...]]:
    """Charges of the scheme that ``--charges-key`` names, or else of the first one; scheme; names of the others.

    :param printed: charges by scheme, in the order in which they are preferred
    """
    asked = options.keys.charges
    if asked is None:
        scheme = next(iter(printed), None)
    else:
        scheme = asked.lower().removesuffix("_charges").removesuffix(" charges")
    others = tuple(f"{other} charges" for other in printed if other != scheme)
    if scheme is None or scheme not in printed:
        return None, None, others
    return printed[scheme], scheme, others


def check_converged(converged: bool, options: ReadOptions, name: str, found: str) -> None:
    """:raises UnconvergedError: if it isn't and such frames aren't wanted"""
    if not converged and not options.keep_unconverged:
        raise UnconvergedError(
            f"{name}: the electronic structure did not converge ({found}); repeat the calculation, or keep it with "
            "`--keep-unconverged`"
        )


def failing(message: str) -> Frame:
    """A frame that can't be read."""
    return partial(_fail, message)


def _fail(message: str) -> Record:
    raise DataError(message)


def no_steps(path: object, what: str) -> Frame:
    """In place of the frames of an output that has none."""
    return failing(f"{path}: expected at least one {what}, found none; the calculation did not get so far, or was cut")
