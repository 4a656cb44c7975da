"""Settings with types: what a key may hold stands in the annotations of dataclasses, and is checked against them.

Annotations are made of float, int, bool, str, None, Any, Literal, list, dict with texts as keys, dataclasses, unions,
and ``Annotated`` with a `Range` or a `Rule`. A dataclass may have a class variable ``MORE``, the names of further keys
that are not looked at, or `ANYTHING`.
"""

from __future__ import annotations

import dataclasses
import difflib
import inspect
import math
import re
import types
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from mhdnn.errors import ConfigError

ANYTHING = "anything"
"""As ``MORE`` of a dataclass: any further key."""


@dataclass(frozen=True)
class Range:
    """Numbers from ``least`` to ``most``, or more than ``above`` and less than ``below``."""

    least: float = -math.inf
    most: float = math.inf
    above: float = -math.inf
    below: float = math.inf
    unit: str = ""

    def holds(self, value: float) -> bool:
        return self.least <= value <= self.most and self.above < value < self.below

    def __str__(self) -> str:
        named = {"at least": self.least, "greater than": self.above, "at most": self.most, "less than": self.below}
        words = [f"{word} {bound}" for word, bound in named.items() if math.isfinite(bound)]
        return " and ".join(words) + (f" {self.unit}" if self.unit else "")


@dataclass(frozen=True)
class Rule:
    """A condition, what a value is that fulfils it, and the same as keywords of JSON Schema where it has such."""

    holds: Callable[[Any], bool]
    noun: str
    keywords: Mapping[str, Any] = dataclasses.field(default_factory=dict, hash=False)


def one_of(names: Iterable[str]) -> Rule:
    """One of some texts, as ``Literal`` has it, of names that stand elsewhere."""
    known = list(names)
    return Rule(lambda value: value in known, either(known), {"enum": known})


Positive = Annotated[float, Range(above=0)]
NotNegative = Annotated[float, Range(least=0)]
Count = Annotated[int, Range(least=1)]
CountOrZero = Annotated[int, Range(least=0)]
NOT_EMPTY = Rule(lambda value: len(value) > 0, "", {"minLength": 1, "minItems": 1})
"""Of lists and texts."""


def check(value: Any, kind: Any, key: str = "") -> None:
    """Refuse a value that is not of a kind.

    :param value: plain: numbers, texts, lists, mappings
    :param kind: an annotation as above
    :param key: its dotted name, for messages
    :raises ConfigError: naming the innermost key that is wrong, what is expected and what came
    """
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        if arguments[0] in (float, int, str) and not _is_simple(value, arguments[0]):
            raise _mismatch(value, kind, key)  # with what the rules ask for
        check(value, arguments[0], key)
        if not all(rule.holds(value) for rule in arguments[1:]):
            raise _mismatch(value, kind, key)
    elif origin in (Union, types.UnionType):
        _check_union(value, arguments, kind, key)
    elif dataclasses.is_dataclass(kind):
        _check_fields(value, kind, key)
    elif origin is list and isinstance(value, list):
        for number, item in enumerate(value):
            check(item, arguments[0], f"{key}[{number}]")
    elif origin is dict and isinstance(value, Mapping):
        for name, item in value.items():
            check(name, arguments[0], f"{key}.{name}")
            check(item, arguments[1], f"{key}.{name}")
    elif not _is_simple(value, kind):
        raise _mismatch(value, kind, key)


def made(value: Any, kind: Any) -> Any:
    """Dataclasses from mappings that `check` has accepted, at any depth; everything else as it is."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return made(value, arguments[0])
    if origin in (Union, types.UnionType):
        forms = [one for one in arguments if dataclasses.is_dataclass(one)]
        if not isinstance(value, Mapping) or not forms:
            return value
        return made(value, max(forms, key=lambda form: _num_shared(value, form)))
    if dataclasses.is_dataclass(kind):
        hints = get_type_hints(kind, include_extras=True)
        return kind(**{name: made(item, hints[name]) for name, item in value.items()})  # type: ignore[operator]
    if origin is list:
        return [made(item, arguments[0]) for item in value]
    if origin is dict:
        return {name: made(item, arguments[1]) for name, item in value.items()}
    return value


def keys_with_meanings(kind: Any, prefix: str = "") -> Iterator[tuple[str, str, str]]:
    """Each key of a dataclass and of those within: its dotted name, what it may be and its default, its meaning.

    Meanings are what the docstrings say (``:ivar NAME: ...``).
    """
    hints = get_type_hints(kind, include_extras=True)
    meanings = dict(re.findall(r":ivar (\w+): ((?:.+)(?:\n +(?!:).+)*)", inspect.getdoc(kind) or ""))
    for field in dataclasses.fields(kind):
        hint = hints[field.name]
        if dataclasses.is_dataclass(hint):
            yield from keys_with_meanings(hint, f"{prefix}{field.name}.")
            continue
        default = "required"
        if field.default is not dataclasses.MISSING:
            default = f"default {shown(field.default)}"
        elif field.default_factory is not dataclasses.MISSING:
            default = f"default {shown(field.default_factory())}"
        yield f"{prefix}{field.name}", f"{described(hint)}; {default}", " ".join(meanings.get(field.name, "").split())


def _is_simple(value: Any, kind: Any) -> bool:
    if get_origin(kind) is Literal:
        return any(value == choice and type(value) is type(choice) for choice in get_args(kind))
    if kind is Any or kind is None or kind is type(None):
        return kind is Any or value is None
    if kind is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return kind in (bool, str) and isinstance(value, kind)


def _check_union(value: Any, kinds: tuple[Any, ...], whole: Any, key: str) -> None:
    """One of the kinds must do; where only one has the form of the value, its own message is the better one."""
    if isinstance(value, Mapping):
        forms = [kind for kind in kinds if dataclasses.is_dataclass(kind) or get_origin(kind) is dict]
        forms = _of_this_name(value, forms, key)
        forms = sorted(forms, key=lambda kind: -_num_shared(value, kind))[:1]
    elif isinstance(value, list):
        forms = [kind for kind in kinds if _stripped(kind) is list]
    else:
        forms = [kind for kind in kinds if _stripped(kind) not in (list, dict) and not dataclasses.is_dataclass(kind)]
    if len(forms) == 1 and isinstance(value, (Mapping, list)):
        return check(value, forms[0], key)
    for kind in forms:
        try:
            return check(value, kind, key)
        except ConfigError:
            continue
    raise _mismatch(value, whole, key)


def _of_this_name(value: Mapping[str, Any], forms: list[Any], key: str) -> list[Any]:
    """Of forms that name themselves by a field ``kind``, those of the value's.

    :raises ConfigError: if none has its name
    """
    kinds = [get_type_hints(form).get("kind") if dataclasses.is_dataclass(form) else None for form in forms]
    if not forms or any(get_origin(kind) is not Literal for kind in kinds):
        return forms
    names = [name for kind in kinds for name in get_args(kind)]
    check(value.get("kind"), Literal[tuple(names)], f"{key}.kind")
    return [form for form, kind in zip(forms, kinds, strict=True) if value["kind"] in get_args(kind)]


def _num_shared(value: Mapping[str, Any], kind: Any) -> int:
    return len(value.keys() & get_type_hints(kind).keys()) if dataclasses.is_dataclass(kind) else 0


def _stripped(kind: Any) -> Any:
    """The outermost form of an annotation: list, dict, or itself."""
    if get_origin(kind) is Annotated:
        return _stripped(get_args(kind)[0])
    return get_origin(kind) or kind


def _check_fields(value: Any, kind: Any, key: str) -> None:
    """The fields of a dataclass, and no others."""
    if not isinstance(value, Mapping):
        raise ConfigError(f"`{key}`: expected keys with values ({', '.join(_names(kind))}), got {shown(value)}")
    hints = get_type_hints(kind, include_extras=True)
    prefix = f"{key}." if key else ""
    more = getattr(kind, "MORE", ())
    for name in value:
        if name not in _names(kind) and more != ANYTHING and name not in more:
            raise ConfigError(f"`{prefix}{name}`: no such key{suggestion(str(name), [*_names(kind), *more])}")
    for field in dataclasses.fields(kind):
        if field.name in value:
            check(value[field.name], hints[field.name], f"{prefix}{field.name}")
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise ConfigError(f"`{prefix}{field.name}`: is missing; expected {described(hints[field.name])}")


def _names(kind: Any) -> list[str]:
    return [field.name for field in dataclasses.fields(kind)]


def suggestion(name: str, known: Iterable[str]) -> str:
    """What may have been meant, else what there is, as the end of a sentence."""
    known = list(dict.fromkeys(known))
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.6)
    if near:
        return f"; did you mean {' or '.join(near)}?"
    return f"; expected one of {', '.join(known[:30])}" if known else ""


def _mismatch(value: Any, kind: Any, key: str) -> ConfigError:
    return ConfigError(f"`{key}`: expected {described(kind)}, got {shown(value)}")


def shown(value: Any) -> str:
    """A value as it is written in YAML."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return repr(value)


def described(kind: Any) -> str:
    """An annotation in words."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        nouns = [rule.noun for rule in arguments[1:] if isinstance(rule, Rule) and rule.noun]
        ranges = [str(rule) for rule in arguments[1:] if isinstance(rule, Range)]
        return " ".join([nouns[0] if nouns else described(arguments[0]), *ranges])
    if origin in (Union, types.UnionType):
        return either([described(argument) for argument in arguments])
    if origin is Literal:
        return either([str(choice) for choice in arguments])
    if origin is list:
        return f"a list of one or more {_plural(described(arguments[0]))}"
    if origin is dict:
        return f"a mapping from {_plural(described(arguments[0]))} to {_plural(described(arguments[1]))}"
    if dataclasses.is_dataclass(kind):
        return f"keys with values ({', '.join(_names(kind))})"
    return {float: "a number", int: "an integer", bool: "true or false", str: "a text", type(None): "null"}.get(
        kind, "anything"
    )


def either(words: Collection[str]) -> str:
    """Words with commas, and or before the last."""
    *first, last = words
    return f"{', '.join(first)} or {last}" if first else last


def _plural(description: str) -> str:
    """``an integer at least 1`` as ``integers at least 1``."""
    article, _, rest = description.partition(" ")
    noun, space, end = rest.partition(" at " if " at " in rest else " greater ")
    return f"{noun}s{space}{end}" if article in ("a", "an") else description
