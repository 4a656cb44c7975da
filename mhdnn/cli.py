"""The command `mhdnn`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console

import mhdnn
from mhdnn.errors import ConfigError, MHDNNError

USAGE = """\
mhdnn train [overrides]                          train a potential, e.g. data.train=a.h5 cutoff=6.0 (Hydra syntax)
mhdnn evaluate model=M data=D [output=m.json]    errors of a model on a dataset [report=folder]
mhdnn data convert|check|split ...               HDF5 datasets from DFT output
mhdnn export checkpoint=C output=M.pt            model file from a checkpoint
mhdnn properties [NAME key=value ...]            elasticity, voltage, adhesion, ...; alone: what there is
mhdnn lammps build|path [include=FOLDER]         the LAMMPS pair style: compile it; say where it is
mhdnn doctor [--build]                           what this machine has; compile the symmetry functions again
"""


def keywords(arguments: Sequence[str], required: Sequence[str], optional: Sequence[str]) -> dict[str, str]:
    """``key=value`` arguments.

    :raises ConfigError: for an argument of another form, an unknown key or a missing one
    """
    result = {}
    known = [*required, *optional]
    for argument in arguments:
        key, separator, value = argument.partition("=")
        if not separator or key not in known:
            raise ConfigError(f"unknown argument {argument!r}; expected {', '.join(f'{k}=...' for k in known)}")
        result[key] = value
    missing = [key for key in required if key not in result]
    if missing:
        raise ConfigError(f"missing argument {', '.join(f'{key}=...' for key in missing)}")
    return result


def run_train(arguments: Sequence[str]) -> int:
    from mhdnn.training.command import run_command

    return run_command(arguments)


def run_evaluate(arguments: Sequence[str]) -> int:
    from mhdnn.evaluation.command import evaluate

    chosen = keywords(arguments, ["model", "data"], ["output", "report", "split", "dispersion", "total_charge"])
    evaluate(**chosen)
    return 0


def run_export(arguments: Sequence[str]) -> int:
    from mhdnn.deploy.export import export_checkpoint

    chosen = keywords(arguments, ["checkpoint", "output"], [])
    path = export_checkpoint(chosen["checkpoint"], chosen["output"])
    Console().print(f"model: {path}", soft_wrap=True)
    return 0


def run_properties(arguments: Sequence[str]) -> int:
    from mhdnn.properties.commands import run

    run(arguments)
    return 0


def run_lammps(arguments: Sequence[str]) -> int:
    from mhdnn.deploy.lammps.plugin import existing_plugin, lammps_at

    if not arguments or arguments[0] not in ("build", "path"):
        raise ConfigError("expected `mhdnn lammps build` or `mhdnn lammps path`")
    chosen = keywords(arguments[1:], [], ["include", "compiler", "flags"])
    lammps = lammps_at(Path(chosen["include"])) if "include" in chosen else None
    if arguments[0] == "path":
        path = existing_plugin(lammps, chosen.get("compiler"), chosen.get("flags", ""))
    else:
        from mhdnn.deploy.lammps.build import build_plugin

        path = build_plugin(lammps, chosen.get("compiler"), chosen.get("flags", ""))
    print(path)
    return 0


def run_data(arguments: Sequence[str]) -> int:
    from mhdnn.data.commands import add_data_commands

    parser = argparse.ArgumentParser(prog="mhdnn")
    add_data_commands(parser.add_subparsers(required=True))
    chosen = parser.parse_args(["data", *arguments])
    return int(chosen.run(chosen) or 0)


def run_doctor(arguments: Sequence[str]) -> int:
    from mhdnn.doctor import print_findings
    from mhdnn.kernels.build import build

    if arguments == ["--build"]:
        build(verbose=True, force=True)
    else:
        keywords(arguments, [], [])
    print_findings()
    return 0


COMMANDS: dict[str, Callable[[Sequence[str]], int]] = {
    "train": run_train,
    "evaluate": run_evaluate,
    "data": run_data,
    "export": run_export,
    "properties": run_properties,
    "lammps": run_lammps,
    "doctor": run_doctor,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; errors that the user can act on are printed without a traceback."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if not arguments or arguments[0] in ("-h", "--help"):
        print(USAGE, end="")
        return 0
    if arguments[0] == "--version":
        print(mhdnn.__version__)
        return 0
    if arguments[0] not in COMMANDS:
        print(f"mhdnn: no command {arguments[0]!r}\n\n{USAGE}", end="", file=sys.stderr)
        return 2
    try:
        return COMMANDS[arguments[0]](arguments[1:])
    except MHDNNError as error:
        print(f"mhdnn {arguments[0]}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
