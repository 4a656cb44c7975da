"""What computes energies: an ASE calculator, a model file, or the name of a calculator."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

from ase.calculators.calculator import BaseCalculator

from mhdnn.errors import ConfigError

EXPECTED = "expected an ASE calculator, the path of a model file, or `module:name` (`ase.calculators.emt:EMT`)"


def resolve_calculator(calculator: BaseCalculator | str | Path) -> BaseCalculator:
    """The calculator that is meant.

    :param calculator: an ASE calculator, which is returned as it is; the path of a model file; or `module:name`, a
        class or function that makes a calculator when it is called without arguments. The module may be a file
        of the working folder.
    :raises ConfigError: if it is none of these
    :raises ModelError: if the file is no model
    """
    if isinstance(calculator, BaseCalculator):
        return calculator
    if not isinstance(calculator, str | Path):
        raise ConfigError(f"`calculator`: {EXPECTED}, got {type(calculator).__name__}")
    if Path(calculator).is_file():
        from mhdnn.deploy.calculator import MHDNNCalculator

        return MHDNNCalculator(calculator)
    module, separator, name = str(calculator).partition(":")
    if not separator:
        raise ConfigError(f"`calculator`: {EXPECTED}; there is no file {str(calculator)!r}")
    return _made_by(module, name)


def _made_by(module: str, name: str) -> BaseCalculator:
    try:
        made = getattr(_import_module(module), name)()
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise ConfigError(f"`calculator`: {EXPECTED}; `{module}:{name}` can't be made ({error})") from error
    if not isinstance(made, BaseCalculator):
        raise ConfigError(f"`calculator`: {EXPECTED}; `{module}:{name}` makes a {type(made).__name__}")
    return made


def _import_module(name: str) -> object:
    """Import a module, also from the working folder, where an installed command does not look."""
    sys.path.append(str(Path.cwd()))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.pop()
