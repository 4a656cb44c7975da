"""The command `mhdnn`."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import mhdnn
from mhdnn.arguments import HELP, first_line, run_function
from mhdnn.commands import COMMANDS, first_words, groups, members
from mhdnn.errors import ConfigError, MHDNNError
from mhdnn.files import unwritable

USAGE = """\
mhdnn train [overrides]                          train a potential, e.g. data.train=a.h5 cutoff=6.0 (Hydra syntax)
mhdnn evaluate model=M data=D [output=m.json]    errors of a model on a dataset [report=folder]
mhdnn data convert|check|split|bundled ...       HDF5 datasets from DFT output
mhdnn data select POOL.h5 model=M num=50         structures of a pool that a model knows least
mhdnn data sample FILES output=POOL.h5 num=100   candidates for labelling: rattled, strained, with defects ...
mhdnn data label POOL.h5 calculator=module:name  energies and forces of a pool by any ASE calculator
mhdnn learn PLAN.yaml [key=value ...]            sample, label, train, explore, select, and again, until it is trusted
mhdnn export checkpoint=C output=M.pt            model file from a checkpoint
mhdnn import n2p2|runner FOLDER OUT.pt [...]     model file from a potential of n2p2 or RuNNer
mhdnn properties [NAME key=value ...]            elasticity, voltage, adhesion, ...; alone: what there is
mhdnn lammps build|path [include=FOLDER]         the LAMMPS pair style: compile it; say where it is
mhdnn lammps package FOLDER                      its sources as a package of LAMMPS
mhdnn schema [output=FILE.json]                  JSON Schema of the settings of `mhdnn train`, for editors
mhdnn completion bash|zsh|fish                   completion of commands and keys for a shell
mhdnn doctor [--build]                           what this machine has; compile the symmetry functions again

All but train take key=value, or --key value; words alone are the required keys in their order; --help prints the keys.
"""


def run_train(arguments: Sequence[str]) -> int:
    from mhdnn.training.command import run_command

    return run_command(arguments)


LEARN = """\
mhdnn learn [PLAN.yaml] [key=value ...]

From structures and an oracle (any ASE calculator) to a model that is trusted along molecular dynamics: candidates are
labelled, a model is trained, it explores until it is uncertain, the most novel of what it met is labelled, and again.
The same command continues after any interruption.

"""


def run_learn(arguments: Sequence[str]) -> int:
    from mhdnn.active.learn import Learning
    from mhdnn.active.plan import Plan, read_plan
    from mhdnn.typed import keys_with_meanings

    if not arguments or any(argument in HELP for argument in arguments):
        print(LEARN, end="")
        for key, kind, meaning in keys_with_meanings(Plan):
            print(f"  {key:<24} {kind}\n{'':<27}{meaning}")
        return 0
    is_first = "=" not in arguments[0]
    plan = read_plan(Path(arguments[0]) if is_first else None, arguments[1:] if is_first else arguments)
    Learning(plan).run()
    return 0


def run_properties(arguments: Sequence[str]) -> int:
    from mhdnn.properties.commands import run

    run(arguments)
    return 0


OWN: dict[str, Callable[[Sequence[str]], int]] = {
    "train": run_train,
    "learn": run_learn,
    "properties": run_properties,
}
"""What does the work of `mhdnn.commands.OWN`."""


def run(arguments: Sequence[str]) -> int:
    """Run a command; returns the exit status.

    :raises MHDNNError: with a sentence for the user
    """
    first = arguments[0]
    if first in OWN:
        return OWN[first](arguments[1:])
    if first not in groups():
        return run_command(first, arguments[1:])
    second = arguments[1] if len(arguments) > 1 else ""
    if second in HELP:
        print_group(first)
        return 0
    if second not in members(first):
        *others, last = (f"`mhdnn {first} {member}`" for member in members(first))
        given = f"`{second}`: no such command; " if second else ""
        raise ConfigError(f"{given}expected {', '.join(others)} or {last}")
    return run_command(f"{first} {second}", arguments[2:])


def run_command(command: str, arguments: Sequence[str]) -> int:
    """Call the function of a command."""
    result = run_function(command, function_of(command), arguments)
    return result if type(result) is int else 0


def function_of(command: str) -> Callable[..., Any]:
    """The function that does the work of a command."""
    module, _, name = COMMANDS[command].partition(":")
    return getattr(import_module(module), name)


def print_group(group: str) -> None:
    """One line for each command of a group: the first one of its docstring."""
    for member in members(group):
        print(f"{f'mhdnn {group} {member}':<24} {first_line(function_of(f'{group} {member}'))}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; errors that the user can act on are printed without a traceback."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if not arguments or arguments[0] in HELP:
        print(USAGE, end="")
        return 0
    if arguments[0] == "--version":
        print(mhdnn.__version__)
        return 0
    if arguments[0] not in first_words():
        near = difflib.get_close_matches(arguments[0], first_words(), 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        print(f"mhdnn: no command {arguments[0]!r}{hint}\n\n{USAGE}", end="", file=sys.stderr)
        return 2
    try:
        return run(arguments)
    except MHDNNError as error:
        print(f"mhdnn {arguments[0]}: {error}", file=sys.stderr)
        return 1
    except OSError as error:  # what no module has words for: a full disk, a read-only folder
        print(f"mhdnn {arguments[0]}: {unwritable(error.filename or Path.cwd(), error)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
