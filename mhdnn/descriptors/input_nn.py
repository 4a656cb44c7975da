r"""Symmetry functions from RuNNer's or n2p2's ``input.nn``, as settings of the descriptor.

Read are ``cutoff_type`` and the lines

- ``symfunction_short E 2 A eta r_s r_c`` (radial), in n2p2 also ``symfunction``
- ``symfunction_short E 3 A B eta lambda zeta r_c`` (narrow) and ``... 9 ...`` (wide), with an optional ``r_s`` after it
- the same as ``element_symfunction_short`` without A and B, for all neighbours, and as ``global_symfunction_short``
  without E, A and B, for all centres and neighbours
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ase.data import atomic_numbers as atomic_number_of

from mhdnn.descriptors.cutoff import WITHOUT_INNER_RADIUS
from mhdnn.errors import ConfigError
from mhdnn.units import BOHR

LENGTH_UNITS = {"bohr": BOHR, "angstrom": 1.0}
CUTOFF_FUNCTIONS = (
    "hard", "cosine", "tanh_unscaled", "tanh", "exponential", "polynomial3", "polynomial", "polynomial7", "polynomial9",
)  # fmt: skip
"""By the number of the type in n2p2; RuNNer's are the same."""
KEYWORDS = {
    "symfunction": 2, "symfunction_short": 2, "element_symfunction_short": 1, "global_symfunction_short": 0
}  # fmt: skip
"""Which elements a line names: 2 centre and neighbours, 1 the centre, 0 none."""
RADIAL, NARROW, WIDE = 2, 3, 9
KINDS = {RADIAL: "radial", NARROW: "narrow", WIDE: "wide"}
NUM_NEIGHBORS = {RADIAL: 1, NARROW: 2, WIDE: 2}


class Line(NamedTuple):
    """A symmetry function in the units of its file; the fields stand in the order by which n2p2 sorts functions.

    :param kind: 2, 3 or 9
    :param neighbors: atomic numbers of one or two neighbours, ascending
    """

    kind: int
    cutoff: float
    eta: float
    shift: float
    zeta: float
    lambda_: float
    neighbors: tuple[int, ...]

    def settings(self, length: float, symbols: Mapping[int, str]) -> dict[str, Any]:
        """As `mhdnn.descriptors.listed.function_from_settings` reads it; ``length``: the file's unit in Å."""
        result = {
            "kind": KINDS[self.kind],
            "neighbors": [symbols[number] for number in self.neighbors],
            "eta": self.eta / length**2,
            "shift": self.shift * length,
            "cutoff": self.cutoff * length,
        }
        return result if self.kind == RADIAL else {**result, "zeta": self.zeta, "lambda": self.lambda_}


class InputNN(NamedTuple):
    """What an input.nn says of symmetry functions.

    :param cutoff_function: name, with the inner fraction
    :param elements: symbols, by atomic number
    :param functions: of each element as centre, in the order of n2p2's and RuNNer's scaling and weights
    """

    cutoff_function: str
    elements: list[str]
    functions: dict[str, list[Line]]

    @property
    def cutoff(self) -> float:
        """The largest, in the file's unit."""
        return max(line.cutoff for lines in self.functions.values() for line in lines)

    def settings(self, length: float) -> dict[str, Any]:
        """Settings of the descriptor; ``length``: the file's unit in Å."""
        symbols = {atomic_number_of[symbol]: symbol for symbol in self.elements}
        functions = {
            center: [line.settings(length, symbols) for line in lines] for center, lines in self.functions.items()
        }
        return {"cutoff_function": self.cutoff_function, "functions": functions}


def settings_from_input_nn(settings: Mapping[str, Any]) -> tuple[dict[str, Any], float]:
    """Settings of the descriptor, and the largest cutoff in Å.

    :param settings: keys input_nn (a path), length_unit (bohr or angstrom)
    :raises ConfigError: naming file and line if a function or the cutoff is of a kind that isn't here
    """
    path, unit = Path(settings["input_nn"]), settings["length_unit"]
    if unit not in LENGTH_UNITS:
        raise ConfigError(f"`descriptor.length_unit`: expected one of {', '.join(LENGTH_UNITS)}, got {unit!r}")
    if not path.is_file():
        raise ConfigError(f"`descriptor.input_nn`: {path}: no such file; give the path of an input.nn")
    content = read_input_nn(path)
    length = LENGTH_UNITS[unit]
    return content.settings(length), content.cutoff * length


def read_input_nn(path: Path) -> InputNN:
    """The symmetry functions of a file.

    :raises ConfigError: naming file and line if a function or the cutoff is of a kind that isn't here
    """
    lines = list(numbered_words(path))
    elements = elements_of(path, lines)
    cutoff_function = CUTOFF_FUNCTIONS[1]
    functions: dict[str, list[Line]] = {symbol: [] for symbol in elements}
    for number, words in lines:
        with named_line(path, number, words):
            if words[0] == "cutoff_type":
                cutoff_function = cutoff_name(words[1:])
            elif words[0] in KEYWORDS:
                for center, function in functions_of_line(words, elements):
                    functions[center].append(function)
    if not any(functions.values()):
        raise ConfigError(f"{path}: expected symmetry functions (lines `symfunction_short ...`), found none")
    return InputNN(cutoff_function, elements, {center: sorted(own) for center, own in functions.items()})


class named_line:  # noqa: N801  (reads like a statement)
    """Turns errors about a line into the package's own, which name it."""

    def __init__(self, path: Path, number: int, words: Sequence[str]) -> None:
        self.where = f"{path}: line {number}: `{' '.join(words)}`"

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, _: Any) -> None:
        if isinstance(error, IndexError):
            raise ConfigError(f"{self.where}: expected more words") from error
        if isinstance(error, ValueError) and not isinstance(error, ConfigError):
            raise ConfigError(f"{self.where}: {error}") from error


def numbered_words(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Number and words of every line that is not empty, without comments."""
    for number, text in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
        words = text.partition("#")[0].partition("!")[0].split()
        if words:
            yield number, words


def elements_of(path: Path, lines: Sequence[tuple[int, list[str]]]) -> list[str]:
    """Symbols by atomic number: of the line ``elements``, or where there is none of the functions.

    :raises ConfigError: for what is no element
    """
    symbols: list[str] = []
    for number, words in lines:
        if words[0] == "elements":
            with named_line(path, number, words):
                symbols = [checked_element(word) for word in words[1:]]
    if not symbols:
        centers = [words[1] for _, words in lines if words[0] in ("symfunction", "symfunction_short") and words[1:]]
        symbols = list(dict.fromkeys(symbol for symbol in centers if symbol in atomic_number_of))
    return sorted(symbols, key=lambda symbol: atomic_number_of[symbol])


def checked_element(word: str, known: Sequence[str] | None = None) -> str:
    """A symbol of an element, or of one of the known elements.

    :raises ValueError: if it is none
    """
    if word not in atomic_number_of or word == "X" or (known is not None and word not in known):
        expected = "a symbol of an element" if known is None else f"an element of the file ({', '.join(known)})"
        raise ValueError(f"expected {expected}, got {word!r}")
    return word


def cutoff_name(words: Sequence[str]) -> str:
    """The cutoff function of a line ``cutoff_type``, with its inner fraction.

    :raises ValueError: for an unknown type or a fraction out of range
    """
    if not words or words[0] not in map(str, range(len(CUTOFF_FUNCTIONS))):
        names = ", ".join(f"{number} ({name})" for number, name in enumerate(CUTOFF_FUNCTIONS))
        raise ValueError(f"expected a cutoff of type {names}")
    name = CUTOFF_FUNCTIONS[int(words[0])]
    inner = float(words[1]) if len(words) > 1 else 0.0
    if not 0.0 <= inner < 1.0:
        raise ValueError(f"expected an inner radius of at least 0 and below 1 times the cutoff, got {inner}")
    if name == "hard" or name in WITHOUT_INNER_RADIUS or inner == 0.0:  # n2p2 doesn't use it there
        return name
    return f"{name}:{inner!r}"


def functions_of_line(words: Sequence[str], elements: Sequence[str]) -> Iterator[tuple[str, Line]]:
    """Centres and functions of a line.

    :raises ValueError: for a type that isn't here, or numbers that are none
    """
    named = KEYWORDS[words[0]]
    centers = [checked_element(words[1], elements)] if named else list(elements)
    rest = list(words[2:] if named else words[1:])
    if not rest[0].isdigit() or int(rest[0]) not in NUM_NEIGHBORS:
        raise ValueError(f"expected a function of type {', '.join(map(str, NUM_NEIGHBORS))}, got {rest[0]}")
    kind = int(rest[0])
    size = NUM_NEIGHBORS[kind]
    if named == 2:
        neighbors = [tuple(checked_element(word, elements) for word in rest[1 : 1 + size])]
        numbers = [float(word) for word in rest[1 + size :]]
    else:
        neighbors = list(itertools.combinations_with_replacement(elements, size))
        numbers = [float(word) for word in rest[1:]]
    for center in centers:
        for pair in neighbors:
            yield center, _line(kind, tuple(sorted(atomic_number_of[symbol] for symbol in pair)), numbers)


def _line(kind: int, neighbors: tuple[int, ...], numbers: Sequence[float]) -> Line:
    most = 3 if kind == RADIAL else 5
    if len(numbers) > most:
        raise ValueError(f"expected at most {most} numbers after the elements, got {len(numbers)}")
    if kind == RADIAL:
        eta, shift, cutoff = (numbers[place] for place in range(3))
        zeta, lambda_ = 0.0, 0.0
    else:
        eta, lambda_, zeta, cutoff = (numbers[place] for place in range(4))
        shift = numbers[4] if len(numbers) > 4 else 0.0
        if zeta != int(zeta) or zeta < 1 or lambda_ not in (-1.0, 1.0):
            raise ValueError(
                f"expected positive integers as zeta and +1 or -1 as lambda, got {zeta:g} and {lambda_:g}; others have "
                "no kernel here"
            )
    if not (cutoff > 0.0 and eta >= 0.0):
        raise ValueError(f"expected a positive cutoff and eta of at least 0, got {cutoff:g} and {eta:g}")
    return Line(kind, cutoff, eta, shift, zeta, lambda_, neighbors)
