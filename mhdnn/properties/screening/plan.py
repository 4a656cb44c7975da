"""The plan of a screening: which pairs, ions, contents, calculators and properties; read from YAML and checked."""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

import yaml
from ase.data import atomic_numbers

from mhdnn.errors import ConfigError
from mhdnn.properties.commands import COMMANDS, load
from mhdnn.properties.structures.catalog import BUILDERS
from mhdnn.typed import NOT_EMPTY, Count, CountOrZero, NotNegative, Positive, Range, Rule, check, made, suggestion

GIVEN = ("atoms", "frames", "structures", "calculator", "elements_2", "journal", "metal", "ion", "relax")
"""Arguments of a property's function that the screening gives; `relax` of `voltage` alone."""
SERIES = "voltage"
"""The property that compares contents with each other."""
LABEL = re.compile(r"[\w.+]+")

Miller = Annotated[list[int], Rule(lambda value: len(value) == 3 and any(value), "three whole numbers, not all zero")]
Element = Annotated[str, Rule(lambda value: value in atomic_numbers, "the symbol of an element")]
Labels = Rule(
    lambda value: len(value) > 0 and all(LABEL.fullmatch(name) for name in value),
    "a mapping from one or more names of letters, digits, _, . and +",
)


@dataclass(frozen=True)
class Surface:
    """Layers that are cut from a crystal.

    :ivar miller: indices of the plane
    :ivar layers: number of the crystal's cells along its normal
    """

    miller: Miller
    layers: Count = 1


@dataclass(frozen=True)
class FileStructure:
    """A structure of a file.

    :ivar file: path, relative to the plan
    :ivar surface: what is cut from it, if it is a crystal
    """

    file: str
    surface: Surface | None = None


@dataclass(frozen=True)
class BuiltStructure:
    """A structure by name (`mhdnn properties structures`).

    :ivar options: of its builder
    """

    structure: str
    options: dict[str, Any] = field(default_factory=dict)
    surface: Surface | None = None


Structure = FileStructure | BuiltStructure


@dataclass(frozen=True)
class InterfacePlan:
    """How two slabs are joined; the smallest coincidence is taken (`mhdnn.properties.interfaces`).

    :ivar max_area: Å²
    :ivar max_strain: largest principal strain
    :ivar gap: to begin with, Å
    :ivar vacuum: Å
    :ivar strained_part: part of the strain that the material takes
    """

    max_area: Positive = 150.0
    max_strain: Positive = 0.03
    gap: Positive = 3.0
    vacuum: Positive = 15.0
    strained_part: Annotated[float, Range(least=0, most=1)] = 1.0


@dataclass(frozen=True)
class InsertionPlan:
    """Where ions are placed at random.

    :ivar where: material: from the middle of the gap to its highest atom; gap: between the slabs; surface: above
    :ivar min_distance: from all atoms, Å
    :ivar seed: of what is random
    """

    where: Literal["material", "gap", "surface"] = "material"
    min_distance: Positive = 2.0
    seed: CountOrZero = 0


@dataclass(frozen=True)
class RelaxationPlan:
    """Of each interface before its properties are computed.

    :ivar max_force: at the end, eV/Å
    :ivar max_steps: at most
    """

    max_force: Positive = 0.05
    max_steps: Count = 500


@dataclass(frozen=True)
class Published:
    """A number from elsewhere, shown beside.

    :ivar quantity: name of a column
    :ivar source: where it is from
    """

    partner: str
    material: str
    quantity: str
    value: float
    source: str


@dataclass(frozen=True)
class Plan:
    """What is screened.

    :ivar calculators: model files or ``module:name`` by label
    :ivar partners: lower slabs by label
    :ivar materials: upper slabs by label; contents refer to their atoms
    :ivar properties: names of commands, with what is set for them
    :ivar ions: elements
    :ivar contents: ions for each atom of the material
    :ivar relaxation: none leaves interfaces as they are built
    :ivar metals: that ions come from, for voltages; ASE's crystal of the element if not given
    """

    calculators: Annotated[dict[str, str], Labels]
    partners: Annotated[dict[str, Structure], Labels]
    materials: Annotated[dict[str, Structure], Labels]
    properties: Annotated[dict[str, dict[str, Any] | None], NOT_EMPTY]
    ions: list[Element] = field(default_factory=list)
    contents: Annotated[list[NotNegative], NOT_EMPTY] = field(default_factory=lambda: [0.0])
    interface: InterfacePlan = InterfacePlan()
    insertion: InsertionPlan = InsertionPlan()
    relaxation: RelaxationPlan | None = None
    metals: dict[str, Structure] = field(default_factory=dict)
    published: list[Published] = field(default_factory=list)


def read_plan(path: str | Path) -> Plan:
    """A plan from YAML; paths of files in it count from its folder, unless they exist from the working one.

    :raises ConfigError: if it can't be read, or naming the key that is wrong, what is expected and what came
    """
    file = Path(path)
    content = read_content(file)
    check(content, Plan)
    plan = made(content, Plan)
    _check_meaning(plan)
    return dataclasses.replace(
        plan,
        calculators={label: path_from(text, file.parent) for label, text in plan.calculators.items()},
        partners=_located("partners", plan.partners, file.parent),
        materials=_located("materials", plan.materials, file.parent),
        metals=_located("metals", plan.metals, file.parent),
        properties={name: options or {} for name, options in plan.properties.items()},
    )


def read_content(file: Path) -> dict[str, Any]:
    """Keys with values of a plan in YAML.

    :raises ConfigError: if it can't be read, or is something else
    """
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"{file}: expected a plan in YAML, which can't be read ({reason})") from error
    if not isinstance(content, dict):
        raise ConfigError(f"{file}: expected a plan in YAML, keys with values, got {type(content).__name__}")
    return content


def structure_argument(name: str) -> str | None:
    """The argument of a property's function that takes the interface; None if it takes none.

    :param name: of a command
    """
    known = inspect.signature(load(name)).parameters
    if name == SERIES:
        return "structures"
    return next((key for key in ("atoms", "frames") if key in known and "calculator" in known), None)


def _check_meaning(plan: Plan) -> None:
    """What annotations can't say.

    :raises ConfigError: as `read_plan`
    """
    if any(plan.contents) and not plan.ions:
        raise ConfigError(f"`ions`: is missing; expected elements to insert, as `contents` are {plan.contents}")
    if len(set(plan.contents)) < len(plan.contents):
        raise ConfigError(f"`contents`: expected different numbers, got {plan.contents}")
    for name, options in plan.properties.items():
        _check_property(name, options or {})
    if SERIES in plan.properties and (0 not in plan.contents or not any(plan.contents)):
        raise ConfigError(f"`contents`: expected 0 and others for the voltage against it, got {plan.contents}")
    for number, one in enumerate(plan.published):
        for key, known in (("partner", plan.partners), ("material", plan.materials)):
            if (value := getattr(one, key)) not in known:
                raise ConfigError(f"`published[{number}].{key}`: no such {key} in the plan, {value!r}")
    for ion in plan.metals:
        if ion not in plan.ions:
            raise ConfigError(f"`metals.{ion}`: no such ion in the plan; expected one of {', '.join(plan.ions)}")


def _check_property(name: str, options: Mapping[str, Any]) -> None:
    usable = [command for command in COMMANDS if command != "screen" and structure_argument(command)]
    if name not in usable:
        raise ConfigError(f"`properties.{name}`: no such property of an interface{suggestion(name, usable)}")
    function = load(name)
    hints = get_type_hints(function)
    taken = GIVEN if name == SERIES else GIVEN[:-1]
    free = [key for key in inspect.signature(function).parameters if key not in taken]
    for key, value in options.items():
        if key not in free:
            raise ConfigError(f"`properties.{name}.{key}`: no such key{suggestion(key, free)}")
        check(value, hints[key], f"properties.{name}.{key}")


def path_from(text: str, folder: Path) -> str:
    """A path that is relative to the plan; anything else as it is."""
    return str(folder / text) if not Path(text).exists() and (folder / text).is_file() else text


def _located(key: str, structures: Mapping[str, Structure], folder: Path) -> dict[str, Structure]:
    """The structures with the paths of their files.

    :raises ConfigError: if there is no such file, or no structure of a name
    """
    result: dict[str, Structure] = {}
    for label, one in structures.items():
        if isinstance(one, FileStructure):
            one = dataclasses.replace(one, file=path_from(one.file, folder))
            if not Path(one.file).is_file():
                raise ConfigError(
                    f"`{key}.{label}.file`: expected a structure file, found none at {one.file}; paths count from the "
                    "working folder or from that of the plan"
                )
        elif one.structure not in BUILDERS:
            raise ConfigError(f"`{key}.{label}.structure`: no such structure{suggestion(one.structure, BUILDERS)}")
        result[label] = one
    return result
