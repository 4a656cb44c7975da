"""Whether the compositions of a dataset determine the reference energies of its elements."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import gcd

import numpy as np
from ase.data import chemical_symbols

REMEDY = (
    "least squares chooses one of infinitely many solutions, which goes into energies of other compositions (voltages, "
    "formation energies); add structures of other compositions, e.g. of the elements, or give energies by "
    "initialization.reference_energies"
)


def undetermined(counts: np.ndarray, elements: Sequence[int]) -> list[str]:
    """What the compositions leave open, in words; nothing if they determine an energy for each element.

    Reference energies are the solution of :math:`E = N e_{ref}`; what is open is the null space of :math:`N`.

    :param counts: atoms of each element in the structures that have an energy, shape (num_structures, num_elements)
    :param elements: atomic numbers of the columns
    :return: for example ``Li and C occur only in the ratio 1:2``, or ``n(Li) + n(Na) = 2 n(O) in every structure``
    """
    rows = np.unique(np.asarray(counts, dtype=np.int64), axis=0)
    symbols = [chemical_symbols[number] for number in elements]
    absent = [symbol for symbol, column in zip(symbols, rows.T, strict=True) if not column.any()]
    texts = [f"no structure with an energy has {_listed(absent)}"] if absent else []
    first_of_ratio: dict[tuple[int, ...], int] = {}
    members: dict[int, list[int]] = {}
    for index, column in enumerate(rows.T):
        if column.any():
            first = first_of_ratio.setdefault(_primitive(column), index)
            members.setdefault(first, []).append(index)
    for group in members.values():
        if len(group) > 1:
            ratio = _primitive([int(rows[:, index].max()) for index in group])
            texts.append(
                f"{_listed([symbols[index] for index in group])} occur only in the ratio {':'.join(map(str, ratio))}"
            )
    independent = list(members)
    for vector in null_space(rows[:, independent]):
        texts.append(_equation(vector, [symbols[index] for index in independent]))
    return texts


def remedy(elements: Sequence[int]) -> str:
    """What to do about it, with the setting written out."""
    example = ",".join(f"{chemical_symbols[number]}: ..." for number in elements)
    return f"{REMEDY}={{{example}}}"


def _primitive(numbers: Iterable[int]) -> tuple[int, ...]:
    """Whole numbers in the same ratio, as small as possible."""
    whole = [int(number) for number in numbers]
    divisor = gcd(*whole) or 1
    return tuple(number // divisor for number in whole)


def null_space(rows: Sequence[Sequence[int]] | np.ndarray) -> list[tuple[int, ...]]:
    """Vectors of whole numbers, as small as possible, that span what all rows are orthogonal to.

    :param rows: whole numbers, shape (num_rows, size)
    """
    from sympy import Matrix, ilcm

    whole = np.asarray(rows).astype(object)  # Python's integers: exact, whatever their size
    vectors = Matrix(whole.T @ whole).nullspace()  # the same as that of the rows, which may be many
    return [_primitive(vector * ilcm(1, *(number.q for number in vector))) for vector in vectors]


def _equation(vector: Sequence[int], symbols: list[str]) -> str:
    def side(sign: int) -> str:
        terms = [
            f"{abs(factor)} n({symbol})" if abs(factor) > 1 else f"n({symbol})"
            for factor, symbol in zip(vector, symbols, strict=True)
            if factor * sign > 0
        ]
        return " + ".join(terms) or "0"

    return f"{side(-1)} = {side(1)} in every structure"


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
