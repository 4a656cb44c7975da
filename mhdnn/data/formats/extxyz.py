"""Extended XYZ in the dialects of ASE, QUIP, GPUMD, MACE, NequIP and others, and plain XYZ.

Read here and not by ASE, which drops what it doesn't expect: keys in another case (``lattice=``), additional
columns, a frame that is one atom short.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers

from mhdnn.data.ase_bridge import record_from_atoms
from mhdnn.data.label_names import plain
from mhdnn.data.reading import Frame, ReadOptions, default_group, lines_of
from mhdnn.data.schema import LARGEST_ATOMIC_NUMBER, Record
from mhdnn.errors import DataError

COUNT = re.compile(r"\s*[-+]?\d+\s*")
LARGEST_COUNT = 100_000_000
PAIR = re.compile(
    r"""(?:"([^"]*)"|'([^']*)'|([^\s="'{}\[\]]+))  # key
    (?:\s*=\s*("(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|\{[^{}]*\}|\[[^\[\]]*(?:\[[^\[\]]*\][^\[\]]*)*\]|[^\s"']\S*))?""",
    re.VERBOSE,
)
TRUTH = {"t": True, "true": True, "1": True, "f": False, "false": False, "0": False}
LATTICES = ("lattice", "cell", "unitcell", "latticevectors", "box")
SYMBOLS, NUMBERS = ("species", "symbols", "symbol", "element", "elements"), ("z", "numbers", "atomicnumbers")
POSITIONS = ("pos", "positions", "position")
KINDS = {"r": float, "i": int, "s": str, "l": str}
PLAIN_COLUMNS = "species:S:1:pos:R:3"


def frames(path: Path, options: ReadOptions) -> Iterator[Frame]:
    """A function for each frame that makes its record.

    A frame goes on until the next line that is a whole number. So one with an atom too few or too many is the only one
    that is broken.
    """
    group = default_group(path)
    for number, block in enumerate(_blocks(lines_of(path))):
        yield partial(_record, block, f"{path}: frame {number}", group, options)


def _blocks(lines: Iterator[str]) -> Iterator[list[str]]:
    """The lines of each frame, blank ones left out but for the comment."""
    block: list[str] = []
    for line in lines:
        if not line.strip():
            continue
        if COUNT.fullmatch(line) and block:
            yield block
            block = []
        block.append(line)
        if len(block) == 1 and _count(line):  # a comment may be anything, also blank or a number
            block.extend(islice(lines, 1))
    if block:
        yield block


def _count(line: str) -> int | None:
    """The number of atoms that a line says; None if it says none that can be."""
    text = line.strip()
    count = int(text) if COUNT.fullmatch(text) and len(text) < 20 else 0
    return count if 0 < count <= LARGEST_COUNT else None


def _record(block: list[str], name: str, group: str, options: ReadOptions) -> Record:
    count, rows = _count(block[0]), block[2:]
    if count is None:
        raise DataError(
            f"{name}: expected the number of atoms, found {block[0].strip()[:60]!r}; if it is no number, the frame "
            "before it has more or fewer atoms than it says"
        )
    if len(rows) != count:
        raise DataError(
            f"{name}: expected {count} atoms, found {len(rows)} before the end of the frame; correct the number, or "
            "copy the file again if it was cut"
        )
    info = parse_comment(block[1], name)
    cell, pbc = _cell(info, name), _periodicity(info, name)
    if pbc is None:
        pbc = np.full(3, cell is not None)
    columns = _columns(str(info.pop(_key(info, ("properties",)) or "", PLAIN_COLUMNS)), rows, name)
    numbers, positions = _geometry(columns, name)
    atoms = Atoms(numbers, positions, cell=np.zeros((3, 3)) if cell is None else cell, pbc=pbc, info=info)
    for key, values in columns.items():
        atoms.new_array(f"{key}_" if key in atoms.arrays else key, values)
    return record_from_atoms(atoms, options.keys, group, name)


def parse_comment(line: str, name: str) -> dict[str, Any]:
    """The keys and values of a comment line; a key without value is True.

    :raises DataError: if a key stands twice with different values
    """
    info: dict[str, Any] = {}
    for match in PAIR.finditer(line.strip()):
        key = next(group for group in match.groups()[:3] if group is not None)
        value = True if match.group(4) is None else _value(match.group(4))
        if key in info and str(info[key]) != str(value):
            raise DataError(f"{name}: `{key}` stands twice in the comment, with different values; remove one")
        info[key] = value
    return info


def _value(text: str) -> Any:
    """A number, an array of numbers, a truth value, what JSON holds, or the text itself."""
    quoted = len(text) > 1 and text[0] in "\"'{[" and text[-1] in "\"'}]"
    inner = text[1:-1] if quoted else text
    if text.startswith("_JSON") or inner.startswith("_JSON"):
        return _json(inner.removeprefix("_JSON").strip().replace('\\"', '"'))
    if text.startswith("[") and "[" in inner:
        return _json(text)
    words = inner.replace(",", " ").split()
    if words and all(word in ("T", "F", "True", "False", "true", "false", "TRUE", "FALSE") for word in words):
        truths = [TRUTH[word.lower()] for word in words]
        return truths[0] if len(truths) == 1 else truths
    try:
        numbers = [float(word) for word in words]
    except ValueError:
        return inner.replace('\\"', '"')
    if not numbers or any("_" in word for word in words):  # Python reads 1_000 as a number
        return inner
    if len(numbers) > 1:
        return np.array(numbers)
    return int(words[0]) if re.fullmatch(r"[-+]?\d{1,18}", words[0]) else numbers[0]


def _json(text: str) -> Any:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return text
    try:
        return np.array(found, dtype=float) if isinstance(found, list) else found
    except (TypeError, ValueError):
        return found


def _key(info: dict[str, Any], names: tuple[str, ...]) -> str | None:
    """The key that is one of the names, whatever its case."""
    return next((key for name in names for key in info if plain(key) == name), None)


def _cell(info: dict[str, Any], name: str) -> np.ndarray | None:
    key = _key(info, LATTICES)
    if key is None:
        return None
    numbers = np.asarray(info[key]) if isinstance(info[key], (np.ndarray, int, float)) else np.empty(0)
    if plain(key) != "lattice" and numbers.size not in (3, 6, 9):
        return None  # a name or number of something else
    value = info.pop(key)
    if numbers.size != 9 or numbers.dtype.kind not in "if":
        raise DataError(
            f"{name}: `{key}` must be nine numbers (ax ay az bx by bz cx cy cz, Å), found {str(value)[:80]!r}; "
            "correct it"
        )
    return numbers.reshape(3, 3).astype(float)


def _periodicity(info: dict[str, Any], name: str) -> np.ndarray | None:
    key = _key(info, ("pbc", "periodic"))
    if key is None:
        return None
    value = info.pop(key)
    words = re.sub(r"[\[\](),\"']", " ", str(value)).lower().split()
    if len(words) == 1 and len(words[0]) == 3 and set(words[0]) <= set("tf10"):
        words = list(words[0])
    words = [re.sub(r"\.0*$", "", word) for word in words]
    truths = [TRUTH.get(word) for word in words]
    if len(truths) not in (1, 3) or None in truths:
        raise DataError(f'{name}: `{key}` must be three times T or F, as in pbc="T T F", found {str(value)[:60]!r}')
    return np.array(truths if len(truths) == 3 else truths * 3, dtype=bool)


def _columns(properties: str, rows: list[str], name: str) -> dict[str, np.ndarray]:
    """The columns of each property, shape (num_atoms,) or (num_atoms, columns).

    Further columns of a plain XYZ file are called ``column 5`` and so on.
    """
    layout = _layout(properties, name)
    width = sum(columns for _, _, columns in layout)
    cells = [row.split() for row in rows]
    wrong = next((index for index, row in enumerate(cells) if len(row) < width), None)
    extra = next((index for index, row in enumerate(cells) if len(row) != len(cells[0])), None)
    if properties != PLAIN_COLUMNS:
        extra = next((index for index, row in enumerate(cells) if len(row) > width), None)
    if wrong is not None or extra is not None:
        row = wrong if wrong is not None else extra
        raise DataError(
            f"{name}: atom {row}: expected {width} columns ({properties}), found {len(cells[row or 0])}: "
            f"{rows[row or 0].strip()[:80]!r}; correct the line or `Properties`"
        )
    if properties == PLAIN_COLUMNS:
        layout += [(f"column {column + 1}", str, 1) for column in range(width, len(cells[0]))]
    table = list(zip(*cells, strict=True))
    result, first = {}, 0
    for key, kind, columns in layout:
        values = (
            table[first] if columns == 1 else [list(row) for row in zip(*table[first : first + columns], strict=True)]
        )
        first += columns
        result[key] = _converted(values, kind, key, name)
    return result


def _converted(values: Any, kind: type, key: str, name: str) -> np.ndarray:
    if kind is str:
        return (
            _numbers_if_possible(np.array(values, dtype=str))
            if key.startswith("column")
            else np.array(values, dtype=str)
        )
    try:
        numbers = np.array(values, dtype=float)
    except ValueError as error:
        raise DataError(f"{name}: column `{key}` must be numbers ({error}); correct the frame or remove it") from error
    return numbers.astype(np.int64) if kind is int and np.all(numbers == np.round(numbers)) else numbers


def _numbers_if_possible(values: np.ndarray) -> np.ndarray:
    try:
        return values.astype(float)
    except ValueError:
        return values


def _layout(properties: str, name: str) -> list[tuple[str, type, int]]:
    """Name, type and number of columns of each property."""
    words = properties.strip().split(":")
    try:
        triples = [(words[i], KINDS[words[i + 1].lower()], int(words[i + 2])) for i in range(0, len(words), 3)]
        if any(not 0 < columns < 1000 for _, _, columns in triples):
            raise ValueError("number of columns")
        if len({key for key, _, _ in triples}) != len(triples):
            raise ValueError("a name stands twice")
    except (IndexError, KeyError, ValueError) as error:
        raise DataError(
            f"{name}: `Properties` must be NAME:TYPE:COLUMNS one after the other, with types R, I, S and L, found "
            f"{properties[:120]!r} ({error}); correct it"
        ) from error
    return triples


def _geometry(columns: dict[str, np.ndarray], name: str) -> tuple[np.ndarray, np.ndarray]:
    """Atomic numbers and positions, taken out of the columns."""
    places = {plain(key): key for key in columns}
    positions = next((columns.pop(places[key]) for key in POSITIONS if key in places), None)
    if positions is None or positions.shape[1:] != (3,) or positions.dtype.kind not in "if":
        raise DataError(f"{name}: `Properties` must have three columns `pos`, as in {PLAIN_COLUMNS}; correct it")
    symbols = next((columns.pop(places[key]) for key in SYMBOLS if key in places), None)
    numbers = next((columns.pop(places[key]) for key in NUMBERS if key in places), None)
    if symbols is not None and symbols.dtype.kind == "U" and symbols.ndim == 1:
        return np.array([_atomic_number(symbol, name) for symbol in symbols.tolist()], dtype=np.int64), positions
    found = numbers if numbers is not None else symbols
    if found is None or found.ndim != 1 or found.dtype.kind != "i":
        raise DataError(f"{name}: `Properties` must have a column of elements (`species` or `Z`); correct it")
    if found.min() < 1 or found.max() > LARGEST_ATOMIC_NUMBER:
        raise DataError(
            f"{name}: atomic numbers must be 1 to {LARGEST_ATOMIC_NUMBER}, found {found.min()} to {found.max()}"
        )
    return found, positions


def _atomic_number(symbol: str, name: str) -> int:
    number = int(symbol) if re.fullmatch(r"\d{1,3}", symbol) else atomic_numbers.get(symbol.capitalize(), 0)
    if not 0 < number <= LARGEST_ATOMIC_NUMBER:
        raise DataError(f"{name}: expected an element, found {symbol[:20]!r}; write its symbol or its atomic number")
    return number
