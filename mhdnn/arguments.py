"""The grammar of commands: ``key=value`` arguments of a function, whose signature decides what they are.

- ``key=value``, ``--key value`` and ``--key=value`` are the same, as are ``--key`` and ``key=true`` where there are two
  answers; a dash in a name is an underscore.
- Words alone are the values of the required keys, in their order; one of several files takes as many as it can. They
  are the value of the first key of a command that requires none.
- An argument that is a dataclass of settings stands for its fields.
- ``--help`` prints the keys.
"""

from __future__ import annotations

import difflib
import glob
import inspect
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, is_dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import ase.io
from ase import Atoms
from ase.calculators.calculator import CalculatorError
from ase.io.formats import UnknownFileTypeError
from rich.console import Console
from rich.table import Table

from mhdnn.errors import ConfigError, MHDNNError, PropertyError
from mhdnn.typed import either

HELP = ("-h", "--help")
GIVEN = re.compile(r"(-*)([A-Za-z]\w*(?:-\w+)*)(?:=(.*))?", re.DOTALL)
"""A key, perhaps as an option and with its value."""


class Structures(list[Atoms]):
    """Structures that know which files they are of.

    :ivar files: none of those that were made in Python
    """

    def __init__(self, atoms: Iterable[Atoms] = (), files: Iterable[Path] = ()) -> None:
        super().__init__(atoms)
        self.files = tuple(files)

    def __add__(self, other: list[Any]) -> list[Any]:
        return Structures([*self, *other], self.files + (other.files if isinstance(other, Structures) else ()))


@dataclass
class Key:
    """An argument of a function.

    :param kind: what is expected, in words
    :param parse: from text to the value
    :param required: whether it must be given
    :param default: if it is not required
    :param meaning: what the docstring says about it
    :param is_answer: whether it is true or false
    :param takes_several: whether it may be given several times: lists of files, and pairs
    """

    name: str
    kind: str
    parse: Callable[[str], Any]
    required: bool
    default: Any
    meaning: str
    is_answer: bool = False
    takes_several: bool = False


def keys_of(function: Callable[..., Any]) -> list[Key]:
    """The keys of a function, in the order of its signature.

    :raises TypeError: if an annotation is no dataclass, Literal or one of `PARSERS`, nor one of these with ``| None``;
        if two keys have the same name
    """
    annotations = get_type_hints(function)
    meanings = dict(re.findall(r":param (\w+): ((?:.+)(?:\n +(?!:).+)*)", inspect.getdoc(function) or ""))
    keys = []
    for name, parameter in inspect.signature(function).parameters.items():
        annotation, optional = _without_none(annotations[name])
        if _is_settings(annotation):
            keys += keys_of(annotation)
            continue
        if get_origin(annotation) is Literal:
            kind, parse = either(get_args(annotation)), _one_of(get_args(annotation))
        elif annotation in PARSERS:
            kind, parse = PARSERS[annotation]
        else:
            raise TypeError(f"`{function.__name__}`: no text can be turned into `{name}`: {annotation}")
        required = parameter.default is parameter.empty
        keys.append(
            Key(
                name,
                f"{kind}, or none" if optional else kind,
                _or_none(parse) if optional else parse,
                required,
                None if required else parameter.default,
                " ".join(meanings.get(name, "").split()),
                annotation is bool,
                annotation in SEVERAL,
            )
        )
    names = [key.name for key in keys]
    if len(set(names)) < len(names):
        raise TypeError(f"`{function.__name__}`: two keys of the same name among {', '.join(names)}")
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

    :raises ConfigError: for an unknown, repeated or missing key, or a value that is not what is expected
    """
    by_name = {key.name: key for key in keys}
    known = f"the keys are {', '.join(f'{key.name}=...' for key in keys)}"
    values: dict[str, Any] = {}
    for name, text in _named(keys, _split(by_name, arguments, known), known):
        value = _parse(by_name[name], text, known)
        if name in values and not by_name[name].takes_several:
            raise ConfigError(f"`{name}`: is given twice; {known}")
        if name in values:
            value = values[name] | value if isinstance(value, dict) else values[name] + value
        values[name] = value
    missing = [key for key in keys if key.required and key.name not in values]
    if missing:
        expected = "; ".join(f"`{key.name}`: expected {key.kind}, got nothing" for key in missing)
        raise ConfigError(f"{expected}; {known}")
    return values


def _split(by_name: Mapping[str, Key], arguments: Sequence[str], known: str) -> Iterator[tuple[str, str]]:
    """Names, empty for words alone, and texts."""
    rest = iter(arguments)
    for argument in rest:
        found = GIVEN.fullmatch(argument)
        name = found[2].replace("-", "_") if found else ""
        is_option = argument.startswith("-")
        is_word = found is None or (found[3] is None and not is_option and name not in by_name)
        if found is None or is_word or (found[3] is None and Path(argument).exists()):
            yield "", argument
            continue
        key, text = by_name.get(name), found[3]
        if key is None or (text is None and not is_option):
            near = difflib.get_close_matches(name, by_name, 1)
            hint = f"did you mean {near[0]}=...? " if near else ""
            given = argument.partition("=")[0]
            raise ConfigError(f"`{given}`: expected a key as key=value, got {argument!r}; {hint}{known}")
        if text is None:
            text = "true" if key.is_answer else next(rest, None)
        if text is None:
            raise ConfigError(f"`{argument}`: expected {key.kind} behind it, got nothing; {known}")
        yield name, text


def _named(keys: Sequence[Key], given: Iterator[tuple[str, str]], known: str) -> list[tuple[str, str]]:
    """The same with the names of words alone.

    :raises ConfigError: if there are more of them than keys
    """
    pairs = list(given)
    named = {name for name, _ in pairs}
    places = [key for key in keys if key.required and key.name not in named] or [
        key for key in keys[:1] if not any(other.required for other in keys) and key.name not in named
    ]
    num_words = sum(not name for name, _ in pairs)
    names: list[str] = []
    for key in places:
        extra = num_words - len(places) if key.takes_several else 0
        names += [key.name] * (1 + max(0, extra))
    left = iter(names)
    result = []
    for name, text in pairs:
        place = name or next(left, "")
        if not place:
            raise ConfigError(f"`{text}`: expected a key as key=value, got {text!r}; {known}")
        result.append((place, text))
    return result


def run_function(command: str, function: Callable[..., Any], arguments: Sequence[str]) -> Any:
    """Call a function with the arguments of a command; with ``--help`` print its keys.

    :raises ConfigError: as `parse_arguments`
    """
    keys = keys_of(function)
    if any(argument in HELP for argument in arguments):
        print_keys(Console(soft_wrap=True, highlight=False), command, function, keys)
        return None
    return call(function, parse_arguments(keys, arguments))


def print_keys(console: Console, command: str, function: Callable[..., Any], keys: Sequence[Key]) -> None:
    """What a command does, and its keys with kinds and defaults."""
    words = "".join(f" {key.name.upper()}{' ...' if key.takes_several else ''}" for key in keys if key.required)
    console.print(f"mhdnn {command}{words} key=value ...\n\n{first_line(function)}\n", markup=False)
    table = Table.grid(padding=(0, 3))
    for key in keys:
        default = "required" if key.required else f"default {key.default}"
        table.add_row(*(text.replace("[", r"\[") for text in (f"{key.name}=", f"{key.kind}; {default}", key.meaning)))
    console.print(table)
    if any(key.name == "calculator" for key in keys):
        console.print(
            "calculators=a,b,c instead of calculator= computes with each and draws all in one picture", markup=False
        )


def first_line(function: Callable[..., Any]) -> str:
    """The first line of a docstring."""
    return (inspect.getdoc(function) or "").partition("\n")[0]


def read_structure(text: str) -> Atoms:
    """The structure of a file that ASE reads, the last one if it has several; ``file@0`` chooses the first.

    :raises ConfigError: if there is no such file, or ASE can't read it
    """
    return _read(text, -1)


def read_structures(text: str) -> Structures:
    """All structures of a file, of several files with commas between, or of a pattern such as ``charge_*.cif``.

    :raises ConfigError: if there is no such file, or ASE can't read it
    """
    found: list[Atoms] = []
    sources: list[Path] = []
    for name in text.split(","):
        files = sorted(glob.glob(name)) if "*" in name else [name]
        if not files:
            raise ConfigError(f"{name}: expected files that match, found none")
        for file in files:
            found += _read(file, ":")
            sources.append(_file_of(file))
    return Structures(found, sources)


def _read(text: str, index: int | str) -> Any:
    file = _file_of(text)
    if not file.is_file():
        raise ConfigError(f"{file}: expected a structure file, found none; check the path")
    try:
        return ase.io.read(text, index=index)
    except (OSError, ValueError, LookupError, AttributeError, AssertionError, TypeError, UnknownFileTypeError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise ConfigError(
            f"{file}: expected a structure file, but ASE can't read it ({reason}); convert it to extxyz or CIF"
        ) from error


def _file_of(text: str) -> Path:
    """The file of ``file`` or ``file@0``."""
    return Path(text if Path(text).is_file() else text.rpartition("@")[0] or text)


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


def _one_of(choices: Sequence[str]) -> Callable[[str], str]:
    return lambda text: choices[choices.index(text)]


def _pair(text: str) -> dict[str, str]:
    name, separator, value = text.partition("=")
    if not name or not separator:
        raise ValueError(text)
    return {name: value}


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
    Structures: ("structure files with commas between", read_structures),
    list[list[Atoms]]: ("trajectory files with commas between", _list_of(read_structures)),
    list[Path]: ("paths", lambda text: [Path(text)]),
    dict[str, str]: ("a pair name=value", _pair),
}
"""For each annotation what is expected, in words, and what makes it from text; `mhdnn.properties` adds calculators."""
SEVERAL = (list[Path], list[Atoms], Structures, dict[str, str])
"""Annotations of keys that may be given several times."""
