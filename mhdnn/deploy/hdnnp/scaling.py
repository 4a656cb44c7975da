"""scaling.data: ranges of the symmetry functions in the training set, and how networks see the functions."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mhdnn.deploy.hdnnp.keywords import Keywords, as_number, first_columns
from mhdnn.descriptors.input_nn import InputNN
from mhdnn.errors import DataError

MINIMUM, MAXIMUM, MEAN, SIGMA = range(4)


class Scaling(NamedTuple):
    """Functions of one element; the networks see a + s (G - c).

    :param minimum: in the training set, shape (num_functions,); None where the file doesn't say
    :param maximum: the same
    :param offset: a
    :param factor: s, shape (num_functions,)
    :param center: c, shape (num_functions,)
    """

    minimum: np.ndarray | None
    maximum: np.ndarray | None
    offset: float
    factor: np.ndarray
    center: np.ndarray


def read_scaling(keywords: Keywords, functions: InputNN) -> dict[str, Scaling]:
    """Scaling of every element's functions, in their order.

    :raises DataError: if the file is missing, or its lines don't match the functions
    """
    flags = {
        name: keywords.find(f"{name}_symmetry_functions{suffix}") is not None
        for name, suffix in (("scale", ""), ("center", ""))
    }
    by_sigma = keywords.find("scale_symmetry_functions_sigma") is not None
    path = keywords.path.parent / "scaling.data"
    by_range, centered = flags["scale"], flags["center"]
    needed = by_range or centered or by_sigma
    if not needed and not path.is_file():
        return {center: _unscaled(len(own)) for center, own in functions.functions.items()}
    lines = first_columns(path, "the scaling of the symmetry functions")
    table = _table(keywords, functions, lines, 6 if by_sigma and not (by_range or centered) else 5)
    low, high = keywords.number("scale_min_short", 0.0), keywords.number("scale_max_short", 1.0)
    result = {}
    for center, (rows, numbers) in table.items():
        minimum, maximum, mean = rows[:, MINIMUM], rows[:, MAXIMUM], rows[:, MEAN]
        scaled = by_range or (by_sigma and not centered)
        width = (maximum - minimum if by_range else rows[:, -1]) if scaled else np.ones(len(rows))
        if (width <= 0).any():
            bad = int(np.argmax(width <= 0))
            raise DataError(
                f"{path}: line {numbers[bad]}: function {bad + 1} of {center} doesn't vary (its "
                f"{'range' if by_range else 'sigma'} is {width[bad]:g}), so that it can't be scaled; remove it from "
                "input.nn and the networks"
            )
        factor = (high - low if scaled else 1.0) / width
        origin = mean if centered or (scaled and not by_range) else (minimum if by_range else np.zeros(len(rows)))
        result[center] = Scaling(minimum, maximum, low if scaled else 0.0, factor, origin)
    return result


def _unscaled(count: int) -> Scaling:
    return Scaling(None, None, 0.0, np.ones(count), np.zeros(count))


def _table(
    keywords: Keywords, functions: InputNN, lines: list[tuple[int, list[str]]], num_columns: int
) -> dict[str, tuple[np.ndarray, list[int]]]:
    """Columns after the two indices, and line numbers, of every element."""
    path = keywords.path.parent / "scaling.data"
    expected = [
        (element + 1, place + 1, center)
        for element, center in enumerate(functions.functions)
        for place in range(len(functions.functions[center]))
    ]
    rest = lines[len(expected) :]
    if len(lines) < len(expected) or any(len(words) > 2 for _, words in rest):  # RuNNer ends with a range of energies
        counts = ", ".join(f"{len(own)} of {center}" for center, own in functions.functions.items())
        raise DataError(
            f"{path}: expected a line for each of the {len(expected)} symmetry functions of input.nn ({counts}), got "
            f"{len([words for _, words in lines if len(words) > 2])}; the files belong to different potentials"
        )
    result: dict[str, tuple[list[list[float]], list[int]]] = {center: ([], []) for center in functions.functions}
    for (element, place, center), (number, words) in zip(expected, lines, strict=False):
        if len(words) < num_columns:
            raise DataError(f"{path}: line {number}: expected at least {num_columns} columns, got {len(words)}")
        values = [as_number(path, number, word) for word in words[:num_columns]]
        if values[:2] != [element, place]:
            raise DataError(
                f"{path}: line {number}: expected function {place} of element {element} ({center}), got function "
                f"{words[1]} of element {words[0]}; the lines must stand in the order of elements and functions"
            )
        result[center][0].append(values[2:])
        result[center][1].append(number)
    return {
        center: (np.array(rows, dtype=np.float64).reshape(len(rows), -1), numbers)
        for center, (rows, numbers) in result.items()
    }
