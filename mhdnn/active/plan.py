"""The plan of `mhdnn learn`: what is explored, with which oracle, how far; read from YAML and checked."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from ase.data import atomic_numbers

from mhdnn.active.label import read_settings
from mhdnn.active.recipes import Ingredients, has_run, parse
from mhdnn.errors import ConfigError
from mhdnn.properties.screening.plan import path_from, read_content
from mhdnn.typed import NOT_EMPTY, Count, CountOrZero, NotNegative, Positive, Range, Rule, check, made

Element = Annotated[str, Rule(lambda value: value in atomic_numbers and value != "X", "the symbol of an element")]
GIVEN = ("data.train", "data.validation", "data.test", "resume", "resume_changed", "hydra.run.dir")
"""Settings of a training that the loop gives itself."""
MAY_CHANGE = ("folder", "max_rounds", "final_rounds", "max_labels", "changed", "label.processes", "label.limit")
"""Keys that may have other values when a loop continues: nothing that is there depends on them."""
CHANGEABLE = ("training", "warm", "final", "validation", "exploration", "selection")
"""Keys that may have other values with ``changed=true``: what is done stays as it is."""
EXPLORING = ("exploration", "selection")
"""Of these, those with which the last exploration is done again."""


@dataclass(frozen=True)
class Sampling:
    """Candidates without a model, all of which are labelled (`mhdnn data sample`).

    :ivar num: of structures
    :ivar recipe: as of `mhdnn data sample`
    :ivar ion: element of insertion
    :ivar particle: element of particle
    :ivar rattled: standard deviation by which strained, sheared and defective structures are rattled, too, Å
    :ivar nearest: smallest distance of two atoms, in sums of their covalent radii
    :ivar steps: of md and melt, with the oracle
    :ivar time_step: of md and melt, fs
    """

    num: Count = 40
    recipe: Annotated[list[str], NOT_EMPTY] = field(default_factory=lambda: ["rattle", "strain", "shear", "vacancy"])
    ion: Element | None = None
    particle: Element | None = None
    rattled: NotNegative = 0.02
    nearest: NotNegative = 0.7
    steps: Count = 200
    time_step: Positive = 1.0


@dataclass(frozen=True)
class Testing:
    """What no round is trained on, labelled at the start.

    :ivar num: of structures
    :ivar recipe: null: those of `sample`
    """

    num: Count = 20
    recipe: Annotated[list[str], NOT_EMPTY] | None = None


@dataclass(frozen=True)
class Exploration:
    """Molecular dynamics with the model of each round, from every structure at every temperature; relaxations at 0 K.

    :ivar temperatures: K; at 0 a relaxation that begins 0.1 Å beside the structure
    :ivar trajectories: of each structure at each temperature
    :ivar steps: of each trajectory
    :ivar time_step: fs
    :ivar ensemble: nvt (Langevin) or nve
    :ivar friction: of the Langevin thermostat, 1/fs
    :ivar limit: largest grade (expected error of a force, eV/Å) up to which the model is trusted; auto: that of its
        training set, at least 0.02
    :ivar beyond: times the limit, where a trajectory ends; no structure above is labelled
    :ivar interval: steps between structures that are kept
    :ivar nearest: smallest distance of two atoms, in sums of their covalent radii, below which a trajectory ends
    :ivar candidates: structures by the recipes of `sample` that join the pool of each round
    """

    temperatures: Annotated[list[NotNegative], NOT_EMPTY] = field(default_factory=lambda: [0.0, 300.0, 600.0])
    trajectories: Count = 1
    steps: Count = 2000
    time_step: Positive = 1.0
    ensemble: Literal["nvt", "nve"] = "nvt"
    friction: Positive = 0.01
    limit: Literal["auto"] | Positive = "auto"
    beyond: Annotated[float, Range(least=1)] = 3.0
    interval: Count = 20
    nearest: NotNegative = 0.6
    candidates: CountOrZero = 0


@dataclass(frozen=True)
class Selection:
    """What is labelled after an exploration (`mhdnn data select`).

    :ivar num: of structures in a round, at most
    """

    num: Count = 20


@dataclass(frozen=True)
class Labelling:
    """How structures are labelled, and what is told of their labels (`mhdnn data label`).

    :ivar processes: at the same time
    :ivar limit: longest time for a structure, s
    :ivar code: attribute of the datasets
    :ivar functional: attribute of the datasets
    :ivar dispersion: correction that the labels hold, as in d3 bj pbe
    :ivar energy_kind: with smearing: free or extrapolated
    """

    processes: Count = 1
    limit: Positive | None = None
    code: str | None = None
    functional: str | None = None
    dispersion: str | None = None
    energy_kind: Literal["free", "extrapolated"] | None = None


@dataclass(frozen=True)
class Plan:
    """What is learned.

    :ivar structures: files from which everything starts, all structures of each
    :ivar calculator: the oracle, `module:name` or a model file
    :ivar settings: of the oracle: keys with values, or a YAML file
    :ivar folder: where everything is written
    :ivar training: settings of `mhdnn train`, as in [trainer.max_epochs=100, descriptor=contracted]
    :ivar warm: whether a training starts from the model of the round before (`init` of `mhdnn train`), not from nothing
    :ivar final: further settings of the last training, as in [trainer.max_epochs=300]; where its model isn't trusted,
        further rounds follow, of such trainings alone; none if empty
    :ivar final_rounds: of max_rounds, how many are left for these
    :ivar validation: part of the labels that validates each training, and calibrates its expected errors
    :ivar max_rounds: trainings, at most
    :ivar max_labels: calculations of the oracle, those of the test set included, at most
    :ivar seed: of everything random
    :ivar changed: go on although training, warm, final, validation, exploration or selection differ from those of
        the folder; with another exploration or selection, that of the last round is done again
    """

    structures: Annotated[list[str], NOT_EMPTY]
    calculator: str
    settings: dict[str, Any] = field(default_factory=dict)
    folder: str = "learning"
    sample: Sampling = Sampling()
    test: Testing = Testing()
    training: list[str] = field(default_factory=list)
    warm: bool = False
    final: list[str] = field(default_factory=list)
    final_rounds: Count = 2
    validation: Annotated[float, Range(above=0, below=1)] = 0.15
    exploration: Exploration = Exploration()
    selection: Selection = Selection()
    label: Labelling = Labelling()
    max_rounds: Count = 5
    max_labels: Count = 500
    seed: CountOrZero = 0
    changed: bool = False


def read_plan(path: Path | None, changes: Sequence[str] = ()) -> Plan:
    """A plan from YAML, if there is one, with changes; paths of files in it count from its folder, too.

    :param changes: ``key=value``, keys of groups with dots (``exploration.steps=500``), values in YAML
    :raises ConfigError: if it can't be read, or naming the key that is wrong, what is expected and what came
    """
    content = {} if path is None else read_content(path)
    for text in changes:
        _change(content, text)
    folder = Path() if path is None else path.parent
    if isinstance(content.get("structures"), str):
        content["structures"] = [content["structures"]]
    if isinstance(content.get("settings"), str):
        content["settings"] = read_settings(Path(path_from(content["settings"], folder)))
    check(content, Plan)
    plan: Plan = made(content, Plan)
    structures = [path_from(text, folder) for text in plan.structures]
    plan = dataclasses.replace(plan, structures=structures, calculator=path_from(plan.calculator, folder))
    _check_meaning(plan)
    return plan


def _change(content: dict[str, Any], text: str) -> None:
    """Set a key of the plan, as a group's where it has dots."""
    key, separator, value = text.partition("=")
    if not separator or not key:
        raise ConfigError(f"`{text}`: expected a key of the plan as key=value, for example exploration.steps=500")
    *groups, last = key.split(".")
    for number, name in enumerate(groups):
        content = content.setdefault(name, {})
        if not isinstance(content, dict):
            raise ConfigError(f"`{key}`: `{'.'.join(groups[: number + 1])}` is no group of keys")
    try:
        content[last] = yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise ConfigError(f"`{key}`: expected a value as YAML has it, got {value!r}; quote texts") from error


def _check_meaning(plan: Plan) -> None:
    """What annotations can't say.

    :raises ConfigError: as `read_plan`
    """
    for name, recipes in (("sample", plan.sample.recipe), ("test", plan.test.recipe or [])):
        for text in recipes:
            try:
                parse(text, Ingredients(plan.sample.ion, plan.sample.particle, plan.calculator))
            except ConfigError as error:
                raise ConfigError(f"`{name}.recipe`: {error}") from error
    if plan.exploration.candidates and not without_runs(plan.sample.recipe):
        raise ConfigError("`exploration.candidates`: expected a recipe beside md and melt in `sample.recipe`, got none")
    for name, settings in (("training", plan.training), ("final", plan.final)):
        for number, text in enumerate(settings):
            key, separator, _ = text.partition("=")
            if not separator or key.lstrip("+~") in GIVEN:
                reason = "the loop gives it" if separator else "is not of the form key=value"
                raise ConfigError(f"`{name}[{number}]`: `{text}`: {reason}; expected settings of `mhdnn train`")


def without_runs(recipes: Sequence[str]) -> list[str]:
    """Recipes that ask no calculator."""
    return [text for text in recipes if not has_run(text)]


def identity(plan: Plan) -> dict[str, Any]:
    """What the results of a loop depend on, for its journal."""
    content = dataclasses.asdict(plan)
    for key in MAY_CHANGE:
        group, _, name = key.rpartition(".")
        (content[group] if group else content).pop(name)
    return content
