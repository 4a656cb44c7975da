"""What computes energies: an ASE calculator, a model file, or the name of a calculator."""

from __future__ import annotations

import hashlib
import importlib
import re
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from ase.calculators.calculator import BaseCalculator, Calculator

from mhdnn.arguments import PARSERS
from mhdnn.errors import ConfigError
from mhdnn.properties.adapted import AdaptedCalculator, keeps_to_protocol

EXPECTED = "expected an ASE calculator, the path of a model file, or `module:name` (`ase.calculators.emt:EMT`)"


def resolve_calculator(
    calculator: BaseCalculator | str | Path, settings: Mapping[str, Any] | None = None
) -> BaseCalculator:
    """The calculator that is meant.

    :param calculator: an ASE calculator, which is returned as it is, or adapted if it has not ASE's base class
        (`AdaptedCalculator`); the path of a model file; or `module:name`, a class or function that makes a calculator
        when it is called with the settings. The module may be a file of the working folder.
    :param settings: keyword arguments of what makes the calculator
    :raises ConfigError: if it is none of these, or does not take the settings
    :raises ModelError: if the file is no model
    """
    if isinstance(calculator, BaseCalculator) or keeps_to_protocol(calculator):
        if settings:
            raise ConfigError("`settings`: expected none beside a calculator that is made already; make it with them")
        return calculator if isinstance(calculator, BaseCalculator) else AdaptedCalculator(calculator)
    if not isinstance(calculator, str | Path):
        raise ConfigError(f"`calculator`: {EXPECTED}, got {type(calculator).__name__}")
    if Path(calculator).is_file():
        from mhdnn.deploy.calculator import MHDNNCalculator

        try:
            return MHDNNCalculator(calculator, **(settings or {}))
        except TypeError as error:
            raise ConfigError(f"`settings`: expected arguments of MHDNNCalculator, got others ({error})") from error
    module, separator, name = str(calculator).partition(":")
    if not separator:
        raise ConfigError(f"`calculator`: {EXPECTED}; there is no file {str(calculator)!r}")
    return _made_by(module, name, settings or {})


def description_of(calculator: BaseCalculator, name: str | None = None) -> dict[str, Any]:
    """What tells a calculator from others: its class and its parameters, those of its parts if it is a sum of several;
    files count by their content.

    A calculator that has a method ``description`` says it itself (`MHDNNCalculator`: the digest of its model).

    :param name: `module:name` that it was made of; a module that is a file of the working folder counts by its content
    """
    kind = type(calculator)
    result: dict[str, Any] = {"class": f"{kind.__module__}.{kind.__qualname__}"}
    sources = {module: _own_source(module) for module in (kind.__module__, (name or "").partition(":")[0])}
    if any(sources.values()):
        result["sources"] = _described({module: source for module, source in sources.items() if source})
    if hasattr(calculator, "description"):
        return result | calculator.description()
    parameters = getattr(calculator, "parameters", None)
    result["parameters"] = _described(parameters if isinstance(parameters, Mapping) else {})
    mixer = getattr(calculator, "mixer", None)  # ASE's sums, averages and linear combinations
    if mixer is not None:
        result["parts"] = [description_of(part) for part in mixer.calcs]
        result["weights"] = _described(getattr(mixer, "weights", None))
    return result


def _own_source(module: str) -> Path | None:
    """The file of a module that stands in the working folder; None for an installed one."""
    file = Path(getattr(sys.modules.get(module), "__file__", None) or "")
    return file if file.is_file() and file.resolve().parent == Path.cwd() else None


def _described(value: Any) -> Any:
    """What JSON can keep, the same in every process for the same value."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, np.generic | np.ndarray):
        return _described(value.tolist())
    if isinstance(value, Mapping):
        return {str(key): _described(value[key]) for key in sorted(value, key=str)}
    if isinstance(value, list | tuple):
        return [_described(item) for item in value]
    if isinstance(value, str | Path) and Path(value).is_file():
        return f"{Path(value).name}: {hashlib.sha256(Path(value).read_bytes()).hexdigest()[:16]}"
    if hasattr(value, "todict"):
        return _described(value.todict())
    if isinstance(value, str):
        return value
    return f"{type(value).__qualname__} {re.sub(r' at 0x[0-9a-f]+', '', str(value))}"  # addresses differ each time


def _made_by(module: str, name: str, settings: Mapping[str, Any]) -> BaseCalculator:
    try:
        make = partial(getattr(_import_module(module), name), **settings)
        made = make()
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise ConfigError(f"`calculator`: {EXPECTED}; `{module}:{name}` can't be made ({error})") from error
    if isinstance(made, BaseCalculator):
        return made
    if keeps_to_protocol(made):
        return AdaptedCalculator(made, make)
    raise ConfigError(f"`calculator`: {EXPECTED}; `{module}:{name}` makes a {type(made).__name__}")


def _import_module(name: str) -> object:
    """Import a module, also from the working folder, where an installed command does not look."""
    sys.path.append(str(Path.cwd()))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.pop()


PARSERS[Calculator] = ("a model file or `module:name` of an ASE calculator", resolve_calculator)
