"""The command `mhdnn`."""

from __future__ import annotations

import argparse
import difflib
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from rich.console import Console

import mhdnn
from mhdnn.errors import ConfigError, MHDNNError
from mhdnn.files import unwritable

USAGE = """\
mhdnn train [overrides]                          train a potential, e.g. data.train=a.h5 cutoff=6.0 (Hydra syntax)
mhdnn evaluate model=M data=D [output=m.json]    errors of a model on a dataset [report=folder]
mhdnn data convert|check|split ...               HDF5 datasets from DFT output
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
"""


HELP = ("-h", "--help")


def run_function(command: str, function: Callable[..., Any], arguments: Sequence[str]) -> Any:
    """Call a function with ``key=value`` arguments, which its signature decides; with ``--help`` print them.

    :raises ConfigError: for an unknown or missing key, or a value of the wrong kind
    """
    from mhdnn.properties.arguments import call, keys_of, parse_arguments

    keys = keys_of(function)
    if any(argument in HELP for argument in arguments):
        from mhdnn.properties.commands import print_keys  # imports torch, which `mhdnn lammps` doesn't need

        print_keys(Console(soft_wrap=True, highlight=False), command, function, keys)
        return None
    return call(function, parse_arguments(keys, arguments))


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


def run_evaluate(arguments: Sequence[str]) -> int:
    from mhdnn.evaluation.command import evaluate

    run_function("evaluate", evaluate, arguments)
    return 0


def export(checkpoint: Path, output: Path) -> None:
    """Model file from a checkpoint of a training, or from a model file of an older version.

    :param checkpoint: such as checkpoints/best.ckpt, or an older model.pt
    :param output: path of the model file
    """
    from mhdnn.deploy.export import export_checkpoint

    Console().print(f"model: {export_checkpoint(checkpoint, output)}", soft_wrap=True)


def run_export(arguments: Sequence[str]) -> int:
    run_function("export", export, arguments)
    return 0


def import_hdnnp(
    folder: Path,
    output: Path,
    length_unit: str = "bohr",
    energy_unit: str = "hartree",
    short_range: bool = True,
    accuracy: float = 1e-10,
) -> None:
    """Model file from the folder of a potential of n2p2 or RuNNer.

    :param folder: with input.nn, scaling.data and weights
    :param output: path of the model file
    :param length_unit: of the files: bohr or angstrom
    :param energy_unit: of the files: hartree or ev
    :param short_range: false: with charges only, short-range energies are zero
    :param accuracy: of the sums over periodic images of charges, relative
    """
    from mhdnn.deploy.hdnnp.importing import import_potential

    path = import_potential(folder, output, length_unit, energy_unit, short_range, accuracy)
    Console().print(f"model: {path}", soft_wrap=True)


IMPORT = """\
mhdnn import n2p2 FOLDER OUT.pt [key=value ...]      model file from a potential of n2p2
mhdnn import runner FOLDER OUT.pt [key=value ...]    the same of RuNNer; import n2p2 --help: the keys
"""


def run_import(arguments: Sequence[str]) -> int:
    if not arguments or arguments[0] in HELP:
        print(IMPORT, end="")
        return 0 if arguments else 2
    if arguments[0] not in ("n2p2", "runner"):
        raise ConfigError(f"`{arguments[0]}`: expected `mhdnn import n2p2` or `mhdnn import runner`")
    places = iter(("folder", "output"))
    rest = [word if word in HELP or "=" in word else f"{next(places, word)}={word}" for word in arguments[1:]]
    run_function(f"import {arguments[0]}", import_hdnnp, rest)
    return 0


def run_properties(arguments: Sequence[str]) -> int:
    from mhdnn.properties.commands import run

    run(arguments)
    return 0


def build_pair_style(
    include: Path | None = None, compiler: str | None = None, flags: str = "", torch: bool = False
) -> None:
    """Compile the LAMMPS pair style; prints its path.

    :param include: folder with the headers of a LAMMPS of your own (its src)
    :param compiler: of C++, such as mpicxx
    :param flags: further flags for the compiler
    :param torch: with libtorch, for GPUs (device cuda)
    """
    from mhdnn.deploy.lammps.build import build_plugin
    from mhdnn.deploy.lammps.plugin import lammps_at

    print(build_plugin(lammps_at(include) if include else None, compiler, flags, torch))


def find_pair_style(
    include: Path | None = None, compiler: str | None = None, flags: str = "", torch: bool = False
) -> None:
    """Print the path of the LAMMPS pair style that has been compiled.

    :param include: folder with the headers of a LAMMPS of your own (its src)
    :param compiler: that it was compiled with
    :param flags: that it was compiled with
    :param torch: whether libtorch is in it
    """
    from mhdnn.deploy.lammps.plugin import existing_plugin, lammps_at

    print(existing_plugin(lammps_at(include) if include else None, compiler, flags, torch))


def copy_package(folder: Path) -> None:
    """Write the sources of the LAMMPS pair style as a package of LAMMPS.

    :param folder: new, such as /path/to/lammps/src/MHDNN; the README in it says how LAMMPS is compiled with it
    """
    from mhdnn.deploy.lammps.package import write_package

    print(write_package(folder))


LAMMPS_COMMANDS: dict[str, Callable[..., None]] = {
    "build": build_pair_style, "path": find_pair_style, "package": copy_package,
}  # fmt: skip


def run_lammps(arguments: Sequence[str]) -> int:
    if arguments and arguments[0] in HELP:
        print("mhdnn lammps build key=value ...     compile the pair style; build --help: its keys")
        print("mhdnn lammps path key=value ...      say where it is")
        print("mhdnn lammps package FOLDER          its sources as a package of LAMMPS")
        return 0
    if not arguments or arguments[0] not in LAMMPS_COMMANDS:
        given = f"`{arguments[0]}`: no such command; " if arguments else ""
        raise ConfigError(f"{given}expected `mhdnn lammps build`, `mhdnn lammps path` or `mhdnn lammps package`")
    rest = list(arguments[1:])
    if arguments[0] == "package" and rest and "=" not in rest[0] and rest[0] not in HELP:
        rest[0] = f"folder={rest[0]}"
    run_function(f"lammps {arguments[0]}", LAMMPS_COMMANDS[arguments[0]], rest)
    return 0


ACTIVE_COMMANDS = {"sample": "source", "select": "pool", "label": "pool"}
"""Commands of `mhdnn data` that are functions of the same name in `mhdnn.active`, and their first key."""


def run_data(arguments: Sequence[str]) -> int:
    if arguments and arguments[0] in ACTIVE_COMMANDS:
        name = arguments[0]
        function = getattr(import_module(f"mhdnn.active.{name}"), name)
        first = len(arguments) > 1 and "=" not in arguments[1] and arguments[1] not in HELP
        named = [f"{ACTIVE_COMMANDS[name]}={arguments[1]}", *arguments[2:]] if first else arguments[1:]
        run_function(f"data {name}", function, named)
        return 0
    from mhdnn.data.commands import add_data_commands

    parser = argparse.ArgumentParser(prog="mhdnn")
    add_data_commands(parser.add_subparsers(required=True))
    parsed = parser.parse_args(["data", *arguments])
    return int(parsed.run(parsed) or 0)


def run_schema(arguments: Sequence[str]) -> int:
    from mhdnn.training.schema import write_schema

    run_function("schema", write_schema, arguments)
    return 0


def run_completion(arguments: Sequence[str]) -> int:
    from mhdnn.completion import print_completion

    return print_completion(arguments, functions_of_commands(), list(COMMANDS))


def functions_of_commands() -> dict[str, Callable[..., Any] | str | list[str]]:
    """The functions, or ``module:name``, whose signatures decide the keys of commands; or their words."""
    from mhdnn.active.plan import Plan
    from mhdnn.typed import keys_with_meanings

    return {
        "learn": [f"{key}=" for key, _, _ in keys_with_meanings(Plan)],
        "evaluate": "mhdnn.evaluation.command:evaluate",
        "export": export,
        "import n2p2": import_hdnnp,
        "import runner": import_hdnnp,
        "schema": "mhdnn.training.schema:write_schema",
        **{f"lammps {name}": function for name, function in LAMMPS_COMMANDS.items()},
        **{f"data {name}": f"mhdnn.active.{name}:{name}" for name in ACTIVE_COMMANDS},
    }


DOCTOR = """\
mhdnn doctor             what this machine has: versions, compiler, symmetry functions, LAMMPS
mhdnn doctor --build     compile the symmetry functions again, then the same
"""


def run_doctor(arguments: Sequence[str]) -> int:
    if any(argument in HELP for argument in arguments):
        print(DOCTOR, end="")
        return 0
    unknown = [argument for argument in arguments if argument != "--build"]
    if unknown:
        raise ConfigError(f"`{unknown[0]}`: expected --build or nothing")
    from mhdnn.doctor import print_findings
    from mhdnn.kernels.build import build

    if arguments:
        build(verbose=True, force=True)
    print_findings()
    return 0


COMMANDS: dict[str, Callable[[Sequence[str]], int]] = {
    "train": run_train,
    "learn": run_learn,
    "evaluate": run_evaluate,
    "data": run_data,
    "export": run_export,
    "import": run_import,
    "properties": run_properties,
    "lammps": run_lammps,
    "schema": run_schema,
    "completion": run_completion,
    "doctor": run_doctor,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; errors that the user can act on are printed without a traceback."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if not arguments or arguments[0] in HELP:
        print(USAGE, end="")
        return 0
    if arguments[0] == "--version":
        print(mhdnn.__version__)
        return 0
    if arguments[0] not in COMMANDS:
        near = difflib.get_close_matches(arguments[0], COMMANDS, 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        print(f"mhdnn: no command {arguments[0]!r}{hint}\n\n{USAGE}", end="", file=sys.stderr)
        return 2
    try:
        return COMMANDS[arguments[0]](arguments[1:])
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
