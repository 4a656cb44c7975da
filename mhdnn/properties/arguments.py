"""``key=value`` arguments of a function: its signature decides what they are.

An argument that is a dataclass of settings stands for its fields.
"""

from __future__ import annotations

import difflib
import glob
import inspect
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, is_dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import ase.io
from ase import Atoms
from ase.calculators.calculator import Calculator, CalculatorError
from ase.io.formats import UnknownFileTypeError

from mhdnn.errors import ConfigError, MHDNNError, PropertyError
from mhdnn.properties.calculators import resolve_calculator


@dataclass
class Key:
    """An argument of a property's function.

    :param kind: what is expected, in words
    :param parse: from text to the value
    :param required: whether it must be given
    :param default: if it is not required
    :param meaning: what the docstring says about it
    """

    name: str
    kind: str
    parse: Callable[[str], Any]
    required: bool
    default: Any
    meaning: str


def keys_of(function: Callable[..., Any]) -> list[Key]:
    """The keys of a function, in the order of its signature.

    :raises TypeError: if an annotation is neither a dataclass nor one of `PARSERS`, or one of these with ``| None``
    """
    annotations = get_type_hints(function)
    meanings = dict(re.findall(r":param (\w+): ((?:.+)(?:\n +(?!:).+)*)", inspect.getdoc(function) or ""))
    keys = []
    for name, parameter in inspect.signature(function).parameters.items():
        annotation, optional = _without_none(annotations[name])
        if _is_settings(annotation):
            keys += keys_of(annotation)
            continue
        if annotation not in PARSERS:
            raise TypeError(f"`{function.__name__}`: no text can be turned into `{name}`: {annotation}")
        kind, parse = PARSERS[annotation]
        required = parameter.default is parameter.empty
        keys.append(
            Key(
                name,
                f"{kind}, or none" if optional else kind,
                _or_none(parse) if optional else parse,
                required,
                None if required else parameter.default,
                " ".join(meanings.get(name, "").split()),
            )
        )
    return keys


def call(function: Callable[..., Any], values: Mapping[str, Any]) -> Any:
    """Call a function with the values of its keys; dataclasses of settings are made from those of their fields.

    :raises PropertyError: with what the calculator says it can't do
    """
    rest, arguments = dict(values), {}
    for name, annotation in get_type_hints(function).items():
        if _is_settings(annotation) and name != "return":
            fields = [field for field in annotation.__dataclass_fields__ if field in rest]
            arguments[name] = annotation(**{field: rest.pop(field) for field in fields})
    try:
        return function(**arguments, **rest)
    except (CalculatorError, NotImplementedError) as error:  # of a foreign calculator
        raise PropertyError(
            f"`calculator`: can't compute this ({type(error).__name__}: {error}); choose one that knows these elements "
            "and gives what is asked for, or repair the calculation"
        ) from error


def parse_arguments(keys: Sequence[Key], arguments: Sequence[str]) -> dict[str, Any]:
    """Values of the keys that are given.

    :raises ConfigError: for another form, an unknown or missing key, or a value that is not what is expected
    """
    by_name = {key.name: key for key in keys}
    known = f"the keys are {', '.join(f'{key.name}=...' for key in keys)}"
    values = {}
    for argument in arguments:
        name, separator, text = argument.partition("=")
        if not separator or name not in by_name:
            near = difflib.get_close_matches(name, by_name, 1)
            hint = f"did you mean {near[0]}=...? " if near else ""
            raise ConfigError(f"`{name}`: expected a key as key=value, got {argument!r}; {hint}{known}")
        values[name] = _parse(by_name[name], text, known)
    missing = [key for key in keys if key.required and key.name not in values]
    if missing:
        expected = "; ".join(f"`{key.name}`: expected {key.kind}, got nothing" for key in missing)
        raise ConfigError(f"{expected}; {known}")
    return values


def read_structure(text: str) -> Atoms:
    """The structure of a file that ASE reads, the last one if it has several; ``file@0`` chooses the first.

    :raises ConfigError: if there is no such file, or ASE can't read it
    """
    return _read(text, -1)


def read_structures(text: str) -> list[Atoms]:
    """All structures of a file, of several files with commas between, or of a pattern such as ``charge_*.cif``.

    :raises ConfigError: if there is no such file, or ASE can't read it
    """
    found: list[Atoms] = []
    for name in text.split(","):
        files = sorted(glob.glob(name)) if "*" in name else [name]
        if not files:
            raise ConfigError(f"{name}: expected files that match, found none")
        for file in files:
            found += _read(file, ":")
    return found


def _read(text: str, index: int | str) -> Any:
    file = text if Path(text).is_file() else text.rpartition("@")[0] or text
    if not Path(file).is_file():
        raise ConfigError(f"{file}: expected a structure file, found none; check the path")
    try:
        return ase.io.read(text, index=index)
    except (OSError, ValueError, LookupError, AttributeError, AssertionError, TypeError, UnknownFileTypeError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise ConfigError(
            f"{file}: expected a structure file, but ASE can't read it ({reason}); convert it to extxyz or CIF"
        ) from error


def _parse(key: Key, text: str, known: str) -> Any:
    try:
        return key.parse(text)
    except MHDNNError as error:
        raise ConfigError(f"`{key.name}`: {error}") from error
    except ValueError as error:
        raise ConfigError(f"`{key.name}`: expected {key.kind}, got {text!r}; {known}") from error


def _is_settings(annotation: Any) -> bool:
    return isinstance(annotation, type) and is_dataclass(annotation)


def _boolean(text: str) -> bool:
    words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    if text.lower() not in words:
        raise ValueError(text)
    return words[text.lower()]


def _list_of(parse: Callable[[str], Any]) -> Callable[[str], list[Any]]:
    return lambda text: [parse(item.strip()) for item in text.strip("[]").split(",")]


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return value


def _vector(text: str) -> tuple[float, ...]:
    values = tuple(_list_of(_number)(text))
    if len(values) != 3:
        raise ValueError(text)
    return values


def _or_none(parse: Callable[[str], Any]) -> Callable[[str], Any]:
    return lambda text: None if text.lower() == "none" else parse(text)


def _without_none(annotation: Any) -> tuple[Any, bool]:
    """The X of ``X | None``, and whether there is None."""
    if get_origin(annotation) in (Union, UnionType) and NoneType in get_args(annotation):
        (rest,) = (item for item in get_args(annotation) if item is not NoneType)
        return rest, True
    return annotation, False


PARSERS: dict[Any, tuple[str, Callable[[str], Any]]] = {
    str: ("text", str),
    int: ("a whole number", int),
    float: ("a number", _number),
    bool: ("true or false", _boolean),
    Path: ("a path", Path),
    tuple[float, float, float]: ("three numbers with commas between", _vector),
    list[float]: ("numbers with commas between", _list_of(_number)),
    list[int]: ("whole numbers with commas between", _list_of(int)),
    list[str]: ("words with commas between", _list_of(str)),
    Atoms: ("a structure file", read_structure),
    list[Atoms]: ("structure files with commas between", read_structures),
    list[list[Atoms]]: ("trajectory files with commas between", _list_of(read_structures)),
    Calculator: ("a model file or `module:name` of an ASE calculator", resolve_calculator),
}
"""For each annotation what is expected, in words, and what makes it from text."""
