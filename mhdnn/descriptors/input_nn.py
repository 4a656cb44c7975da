r"""Symmetry functions from RuNNer's or n2p2's ``input.nn``, as settings of the descriptor.

Read are ``cutoff_type`` and the lines

- ``symfunction_short E 2 A eta r_s r_c`` (radial)
- ``symfunction_short E 3 A B eta lambda zeta r_c`` (narrow) and ``... 9 ...`` (wide), with an optional ``r_s`` after it
- the same as ``global_symfunction_short`` without elements

One network serves all elements here, so that every centre E gets the functions of all centres, for every neighbour
element or pair of them. Functions of each cutoff are a group. n2p2's tanh has another constant factor, which the
scaling of functions removes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mhdnn.errors import ConfigError
from mhdnn.units import BOHR

LENGTH_UNITS = {"bohr": BOHR, "angstrom": 1.0}
CUTOFF_FUNCTIONS = {"1": "cosine", "2": "tanh", "6": "polynomial"}
"""By n2p2's number (RuNNer's 1 and 2 are the same)."""
KEYWORDS = {"symfunction_short": True, "global_symfunction_short": False}
"""Whether a line of this keyword names elements."""
RADIAL, NARROW, WIDE = 2, 3, 9
NUM_NEIGHBORS = {RADIAL: 1, NARROW: 2, WIDE: 2}
SAME_CUTOFF = 1e-6
"""Relative difference of cutoffs that are the same in other digits."""


class Line(NamedTuple):
    """A symmetry function in the units of its file.

    :param kind: 2, 3 or 9
    """

    kind: int
    eta: float
    shift: float
    cutoff: float
    zeta: float = 0.0
    lambda_: float = 0.0


def settings_from_input_nn(settings: Mapping[str, Any]) -> tuple[dict[str, Any], float]:
    """Settings of the descriptor, and the largest cutoff in Å.

    :param settings: keys input_nn (a path), length_unit (bohr or angstrom), channels, num_channels
    :raises ConfigError: naming file and line if a function or the cutoff is of a kind that isn't here
    """
    path, unit = Path(settings["input_nn"]), settings["length_unit"]
    if unit not in LENGTH_UNITS:
        raise ConfigError(f"`descriptor.length_unit`: expected one of {', '.join(LENGTH_UNITS)}, got {unit!r}")
    if not path.is_file():
        raise ConfigError(f"`descriptor.input_nn`: {path}: no such file; give the path of an input.nn")
    length = LENGTH_UNITS[unit]
    cutoff_function, lines = _read(path)
    if not any(line.kind == RADIAL for line in lines):
        raise ConfigError(f"{path}: expected a radial symmetry function (type {RADIAL}), found none")
    groups = {kind: _by_cutoff([line for line in lines if line.kind == kind]) for kind in NUM_NEIGHBORS}
    cutoff = max(line.cutoff for line in lines)

    def own(lines: Sequence[Line]) -> float | None:
        """The cutoff of a group, where it is not that of the neighbour list."""
        return None if lines[0].cutoff >= cutoff * (1.0 - SAME_CUTOFF) else lines[0].cutoff * length

    angular: dict[str, Any] = {}
    for name, kind in (("narrow", NARROW), ("wide", WIDE)):
        for group in groups[kind]:
            place = name if len(groups[kind]) == 1 else f"{name}_{len(angular)}"
            angular[place] = {**_angular(name, group, length), "cutoff": own(group)}
    result = {
        "cutoff_function": cutoff_function,
        "channels": settings["channels"],
        "num_channels": settings["num_channels"],
        "radial": [{"functions": _gaussians(group, length), "cutoff": own(group)} for group in groups[RADIAL]],
        "angular": angular,
    }
    return result, cutoff * length


def _by_cutoff(lines: Sequence[Line]) -> list[list[Line]]:
    """Functions with the same cutoff together, the largest first."""
    groups: list[list[Line]] = []
    for line in sorted(lines, key=lambda line: -line.cutoff):
        if groups and line.cutoff >= groups[-1][0].cutoff * (1.0 - SAME_CUTOFF):
            groups[-1].append(line)
        else:
            groups.append([line])
    return groups


def _read(path: Path) -> tuple[str, list[Line]]:
    """The cutoff function, and every different function once."""
    cutoff_function, lines = CUTOFF_FUNCTIONS["1"], {}
    for number, words in _words(path):
        try:
            if words[0] == "cutoff_type":
                cutoff_function = _cutoff_function(words[1:])
            elif words[0] in KEYWORDS:
                lines[_line(words[1:], KEYWORDS[words[0]])] = number
        except (ValueError, IndexError) as error:
            raise ConfigError(f"{path}: line {number}: `{' '.join(words)}`: {error}") from error
    return cutoff_function, list(lines)


def _words(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Number and words of every line that is not empty, without comments."""
    for number, text in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
        words = text.partition("#")[0].split()
        if words:
            yield number, words


def _cutoff_function(words: list[str]) -> str:
    if words[0] not in CUTOFF_FUNCTIONS:
        names = ", ".join(f"{number} ({name})" for number, name in CUTOFF_FUNCTIONS.items())
        raise ValueError(f"expected a cutoff of type {names}")
    if any(float(word) != 0.0 for word in words[1:]):
        raise ValueError("an inner radius of the cutoff function is not supported; expected 0")
    return CUTOFF_FUNCTIONS[words[0]]


def _line(words: list[str], has_elements: bool) -> Line:
    words = words[1:] if has_elements else words
    kind = int(words[0])
    if kind not in NUM_NEIGHBORS:
        raise ValueError(f"expected a function of type {', '.join(map(str, NUM_NEIGHBORS))}, got {kind}")
    numbers = [float(word) for word in words[1 + (NUM_NEIGHBORS[kind] if has_elements else 0) :]]
    if kind == RADIAL:
        eta, shift, cutoff = numbers
        return Line(kind, eta, shift, cutoff)
    eta, lambda_, zeta, cutoff = numbers[:4]
    shift = numbers[4] if len(numbers) > 4 else 0.0
    if kind == NARROW and shift != 0.0:
        raise ValueError("narrow functions have no shift r_s here; expected 0")
    return Line(kind, eta, shift, cutoff, zeta, lambda_)


def _gaussians(lines: list[Line], length: float) -> list[list[float]]:
    """Different η (Å⁻²) and r_s (Å), in the order of the file."""
    return [[eta / length**2, shift * length] for eta, shift in dict.fromkeys((line.eta, line.shift) for line in lines)]


def _angular(kind: str, lines: list[Line], length: float) -> dict[str, Any]:
    place = {pair: index for index, pair in enumerate(dict.fromkeys((line.eta, line.shift) for line in lines))}
    functions = [[place[line.eta, line.shift], line.zeta, line.lambda_] for line in lines]
    return {"kind": kind, "radial": {"functions": _gaussians(lines, length)}, "functions": functions}
