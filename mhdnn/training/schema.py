"""`mhdnn schema`: the settings of `mhdnn train` as JSON Schema (draft 2020-12), with which editors complete them.

Made from the same annotations that `mhdnn.typed.check` checks, with the meanings that stand as comments in
``mhdnn.configs``. No key is required: a file of one's own sets a few, and the others have defaults.
"""

from __future__ import annotations

import dataclasses
import importlib.resources
import json
import re
import types
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import yaml
from rich.console import Console

from mhdnn.files import write_text_atomically
from mhdnn.training.configuration import CONFIGS, choices, groups
from mhdnn.training.settings import LATER, TARGETS, Settings
from mhdnn.typed import ANYTHING, Range, Rule

DIALECT = "https://json-schema.org/draft/2020-12/schema"
OF_HYDRA = {"defaults": {"type": "array"}, "hydra": {"type": "object"}, "experiment": {"type": ["string", "null"]}}
SIMPLE: dict[Any, dict[str, Any]] = {
    float: {"type": "number"}, int: {"type": "integer"}, bool: {"type": "boolean"}, str: {"type": "string"},
    type(None): {"type": "null"}, None: {"type": "null"}, Any: {},
}  # fmt: skip
LINE = re.compile(r"^(?P<indent> *)(?P<key>\w+):(?P<value>[^#]*)(#\s*(?P<comment>.+))?$")


def schema_of(kind: Any) -> dict[str, Any]:
    """An annotation of `mhdnn.typed` as JSON Schema."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        result = schema_of(arguments[0])
        for rule in arguments[1:]:
            result |= _range_keywords(rule) if isinstance(rule, Range) else _rule_keywords(rule)
        return result
    if origin in (Union, types.UnionType):
        return {"anyOf": [schema_of(argument) for argument in arguments]}
    if origin is Literal:
        return {"enum": list(arguments)}
    if origin is list:
        return {"type": "array", "items": schema_of(arguments[0])}
    if origin is dict:
        names = {} if arguments[0] is str else {"propertyNames": schema_of(arguments[0])}
        return {"type": "object", "additionalProperties": schema_of(arguments[1]), **names}
    return _schema_of_fields(kind) if dataclasses.is_dataclass(kind) else dict(SIMPLE[kind])


def _range_keywords(bounds: Range) -> dict[str, Any]:
    limits = {
        "minimum": bounds.least, "maximum": bounds.most, "exclusiveMinimum": bounds.above,
        "exclusiveMaximum": bounds.below,
    }  # fmt: skip
    finite = {name: limit for name, limit in limits.items() if abs(limit) != float("inf")}
    return finite | ({"description": bounds.unit} if bounds.unit else {})


def _rule_keywords(rule: Rule) -> dict[str, Any]:
    return {**rule.keywords, **({"description": rule.noun} if rule.noun else {})}


def _schema_of_fields(kind: Any) -> dict[str, Any]:
    hints, more = get_type_hints(kind, include_extras=True), getattr(kind, "MORE", ())
    properties = {field.name: schema_of(hints[field.name]) for field in dataclasses.fields(kind)}
    if more != ANYTHING:
        properties |= {name: {} for name in more if name not in properties}
    text = (kind.__doc__ or "").strip()
    return {
        "type": "object", "properties": properties, "additionalProperties": more == ANYTHING,
        **({"description": text} if text else {}),
    }  # fmt: skip


def json_schema() -> dict[str, Any]:
    """The schema of all settings."""
    result = _schema_of_fields(Settings)
    properties = result["properties"]
    for key in ("optimizer", "scheduler"):
        properties[key] = _by_target(properties[key])
    for key in LATER:
        properties[key]["additionalProperties"] = _by_target(properties[key]["additionalProperties"])
    for path, comment, value in described_keys():
        for schema in _at(result, path):
            if comment:
                schema.setdefault("title", comment)
            if value is not None:
                schema.setdefault("default", value)
    properties |= OF_HYDRA
    return {"$schema": DIALECT, "title": "Settings of `mhdnn train`", **result}


def _by_target(other: Mapping[str, Any]) -> dict[str, Any]:
    """What Hydra makes, with the keywords of those targets of which they are known."""
    cases = [
        {
            "if": {"type": "object", "properties": {"_target_": {"const": target}}, "required": ["_target_"]},
            "then": schema_of(kind),
        }
        for target, kind in TARGETS.items()
    ]
    known = [path for path in TARGETS if path]
    named = {"type": "object", "properties": {"_target_": {"type": "string", "examples": known}}}
    return {**other, "allOf": [*cases, {"if": {"type": "object"}, "then": named}]}


def _at(schema: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    """The schemas of a key, one in each form of the groups above it."""
    for form in schema.get("anyOf", [schema]):
        below = form.get("properties", {}).get(path[0])
        if below is not None and len(path) == 1:
            yield below
        elif below is not None:
            yield from _at(below, path[1:])


def described_keys() -> Iterator[tuple[tuple[str, ...], str, Any]]:
    """Path, comment and default of the keys in the files of ``mhdnn.configs``; defaults are those of train.yaml."""
    folder = importlib.resources.files(CONFIGS)
    main = folder.joinpath("train.yaml").read_text("utf-8")
    yield from _described_lines(main, (), yaml.safe_load(main))
    first = {
        key: value for entry in yaml.safe_load(main)["defaults"] if entry != "_self_" for key, value in entry.items()
    }
    for group in groups():
        if group == "experiment":
            continue
        for name in sorted(choices(group), key=lambda name: name != first.get(group)):
            text = folder.joinpath(group, f"{name}.yaml").read_text("utf-8")
            yield from _described_lines(text, (group,), yaml.safe_load(text) if name == first.get(group) else {})


def _described_lines(
    text: str, above: tuple[str, ...], values: Mapping[str, Any]
) -> Iterator[tuple[tuple[str, ...], str, Any]]:
    path: list[tuple[int, str]] = []
    for line in text.splitlines():
        found = LINE.match(line)
        if found is None:
            continue
        indent = len(found["indent"])
        path = [*(entry for entry in path if entry[0] < indent), (indent, found["key"])]
        keys = tuple(key for _, key in path)
        yield (*above, *keys), (found["comment"] or "").strip(), _value_at(values, keys)


def _value_at(values: Any, keys: tuple[str, ...]) -> Any:
    """A number, text, list or truth value that a file gives; None for the rest."""
    for key in keys:
        values = values.get(key) if isinstance(values, Mapping) else None
    is_plain = isinstance(values, (bool, int, float, str, list)) and values != "???"
    return values if is_plain and "${" not in str(values) else None


def write_schema(output: Path | None = None) -> None:
    """JSON Schema of the settings of `mhdnn train`, for editors.

    :param output: path of the file; none: print it
    """
    text = json.dumps(json_schema(), indent=1, ensure_ascii=False) + "\n"
    if output is None:
        print(text, end="")
    else:
        write_text_atomically(output, text)
        Console().print(f"schema: {output}", soft_wrap=True)
