"""The commands ``mhdnn data convert | check | split | bundled``."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from mhdnn.data.ase_bridge import LabelKeys
from mhdnn.data.bundled import bundled_files, bundled_path
from mhdnn.data.charges import parse_valence
from mhdnn.data.check import CheckReport, check
from mhdnn.data.conversion_report import ConvertReport
from mhdnn.data.convert import DispersionChoice, convert
from mhdnn.data.formats import molecules
from mhdnn.data.readers import READERS, ReadOptions
from mhdnn.data.schema import SPLITS
from mhdnn.data.split import assign_split, store_split, write_parts
from mhdnn.data.store import StoreReader
from mhdnn.dispersion import DispersionCorrection
from mhdnn.errors import DataError

KEY_OPTIONS = {
    "energy": "by default the free energy, which the forces belong to, where it is there, else `energy`, `REF_energy`, "
    "`TotEnergy` and other usual names; `energy` chooses the one extrapolated to zero smearing",
    "forces": "by default `forces`, `REF_forces`, `dft_force` and other usual names",
    "stress": "eV/Å³, tension positive",
    "virial": "eV; the stress is -virial / volume",
    "charges": "by default `charges`, `REF_charges`, `bader_charges` and other usual names",
    "total_charge": "by default `total_charge` or `charge`",
    "group": "by default `group` or `config_type`",
}
UNREADABLE = 1e7
"""Numbers above are printed with their power of ten."""


def add_data_commands(subparsers: argparse._SubParsersAction) -> None:
    """Add ``data`` to the command line; ``arguments.run(arguments)`` returns the exit status."""
    data = subparsers.add_parser("data", help="make, check and split dataset files")
    commands = data.add_subparsers(dest="data_command", required=True)
    commands.add_parser("select", help="structures of a pool that a model knows least: mhdnn data select --help")
    commands.add_parser("sample", help="candidates for labelling from structures: mhdnn data sample --help")
    commands.add_parser("label", help="energies and forces by any ASE calculator: mhdnn data label --help")
    _add_convert(commands)
    checking = commands.add_parser("check", help="what a dataset holds and what looks wrong")
    checking.add_argument("dataset", type=Path, metavar="D.h5")
    checking.set_defaults(run=run_check)
    splitting = commands.add_parser("split", help="choose what to train, validate and test on")
    splitting.add_argument("dataset", type=Path, metavar="D.h5")
    splitting.add_argument("--by", choices=("group", "structure"), default="group")
    splitting.add_argument("--validation", type=float, default=0.1, help="fraction of the structures")
    splitting.add_argument("--test", type=float, default=0.1, help="fraction of the structures")
    splitting.add_argument("--seed", type=int, default=0)
    splitting.add_argument("--output", type=Path, help="folder for train.h5, ...; default: store in the file")
    splitting.set_defaults(run=run_split)
    bundled = commands.add_parser("bundled", help="where the datasets are that come with the package")
    bundled.add_argument("name", nargs="?", help="of one of them, as in sn_graphene.h5")
    bundled.set_defaults(run=run_bundled)


def _add_convert(commands: argparse._SubParsersAction) -> None:
    converting = commands.add_parser("convert", help="DFT outputs and other datasets to one dataset file")
    converting.add_argument(
        "sources", type=Path, nargs="+", metavar="SRC", help="files, and folders that are searched with all below them"
    )
    converting.add_argument("destination", type=Path, metavar="DST.h5")
    converting.add_argument("--format", choices=tuple(READERS), help="default: recognised")
    converting.add_argument(
        "--units", choices=molecules.UNITS, help="of n2p2 data, required there, and of HDF5 sets of molecules"
    )
    for label, text in KEY_OPTIONS.items():
        option = label.replace("_", "-")
        converting.add_argument(f"--{option}-key", metavar="KEY", help=f"name of the {label.replace('_', ' ')}: {text}")
    converting.add_argument("--total-charge", type=float, metavar="Q", help="of structures that don't have one, e")
    converting.add_argument(
        "--valence-electrons",
        metavar="LIST",
        help="where `charges` are numbers of electrons (Bader): the valence of each element, as in Li=3,O=6 (in VASP "
        "ZVAL), or all for all-electron codes; charge = valence - electrons",
    )
    converting.add_argument("--group", help="group of all structures (default: as named, else the file name)")
    converting.add_argument(
        "--attribute",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="code, functional, charge_scheme, source, licence, ...",
    )
    corrections = converting.add_mutually_exclusive_group()
    corrections.add_argument(
        "--dispersion",
        metavar="NAME",
        help="correction that the labels hold, as in 'd3 bj pbe'; its part is kept, so that data.dispersion=false can "
        "train without it",
    )
    corrections.add_argument("--add-dispersion", metavar="NAME", help="the same where the labels lack it: it is added")
    converting.add_argument("--skip-invalid", action="store_true", help="leave out broken structures and count them")
    converting.add_argument(
        "--keep-unconverged", action="store_true", help="keep structures whose electronic structure did not converge"
    )
    converting.set_defaults(run=run_convert)


def run_convert(arguments: argparse.Namespace) -> int:
    """``mhdnn data convert``; returns the exit status."""
    keys = LabelKeys(**{label: getattr(arguments, f"{label}_key") for label in KEY_OPTIONS})
    options = ReadOptions(
        arguments.format,
        arguments.units,
        keys,
        arguments.group,
        arguments.keep_unconverged,
        arguments.total_charge,
        parse_valence(arguments.valence_electrons) if arguments.valence_electrons else {},
    )
    console = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("reading", total=None)
        report = convert(
            arguments.sources,
            arguments.destination,
            options,
            parse_attributes(arguments.attribute),
            arguments.skip_invalid,
            lambda path, count: progress.update(task, description=f"{path.name}: {count} structures"),
            chosen_dispersion(arguments.dispersion, arguments.add_dispersion),
        )
    print_conversion(report, arguments.destination, Console())
    return 0


def chosen_dispersion(included: str | None, missing: str | None) -> DispersionChoice | None:
    """From the names that were given; raises as `DispersionCorrection.parse` does."""
    name = included or missing
    return DispersionChoice(DispersionCorrection.parse(name), name == included) if name else None


def run_check(arguments: argparse.Namespace) -> int:
    """``mhdnn data check``; returns 1 if the dataset has errors."""
    report = check(arguments.dataset)
    print_check(report, Console())
    return 1 if report.errors else 0


def run_bundled(arguments: argparse.Namespace) -> int:
    """`mhdnn data bundled`: their paths, or one path."""
    for path in [bundled_path(arguments.name)] if arguments.name else bundled_files():
        print(path)
    return 0


def run_split(arguments: argparse.Namespace) -> int:
    """``mhdnn data split``; returns the exit status."""
    groups = StoreReader(arguments.dataset).groups
    split = assign_split(groups, arguments.validation, arguments.test, arguments.seed, arguments.by)
    console = Console()
    if arguments.output is None:
        store_split(arguments.dataset, split)
        console.print(f"split stored in {arguments.dataset}", highlight=False, markup=False)
    else:
        files = write_parts(arguments.dataset, split, arguments.output)
        console.print("wrote " + ", ".join(str(file) for file in files.values()), highlight=False, markup=False)
    structures = Counter(split.tolist())
    for part in SPLITS:
        own_groups = {group for group, own in zip(groups, split, strict=True) if own == part}
        console.print(f"{part:>10}: {structures[part]} structures of {len(own_groups)} groups", highlight=False)
    return 0


def parse_attributes(texts: Sequence[str]) -> dict[str, str]:
    """Attributes from ``key=value`` texts.

    :raises DataError: if a text has no ``=``
    """
    pairs = [text.partition("=") for text in texts]
    for text, (key, equals, _) in zip(texts, pairs, strict=True):
        if not key or not equals:
            raise DataError(f"`--attribute` must be KEY=VALUE, found {text!r}; for example functional=PBE")
    return {key: value for key, _, value in pairs}


def print_conversion(report: ConvertReport, destination: Path, console: Console) -> None:
    """Say what was written, what each source gave and what was left out."""

    def say(text: str, style: str | None = None) -> None:
        shown = text.encode("utf-8", "backslashreplace").decode()  # names of files may be no texts
        console.print(shown, style=style, highlight=False, markup=False, soft_wrap=True)

    for line in report.source_lines:
        say(line)
    for line in report.ignored_lines:
        say(line)
    for reason in report.reasons:
        say(f"  skipped: {reason}")
    labels = ", ".join(f"{label} of {count}" for label, count in report.labels.items())
    kind = f" ({report.energy_kind})" if report.energy_kind else ""
    say(f"{destination}: {report.num_structures} structures, {report.num_atoms} atoms; {labels}{kind}")
    for message in report.warnings:
        say(f"warning: {message}", "yellow")


def print_check(report: CheckReport, console: Console) -> None:
    """Print a report as a table, then its errors and warnings."""
    table = Table(title=Text(str(report.path)), show_header=False, title_justify="left")
    table.add_column(style="bold")
    table.add_column()
    for name, value in summary(report).items():
        table.add_row(Text(name), Text(value))  # what stands in the file is no markup
    console.print(table)
    for style, kind, messages in (("red", "error", report.errors), ("yellow", "warning", report.warnings)):
        for message in messages:
            console.print(f"[{style}]{kind}:[/] ", end="")
            console.print(message, highlight=False, markup=False, soft_wrap=True)
    if not report.errors and not report.warnings:
        console.print("nothing suspicious found", style="green")


def summary(report: CheckReport) -> dict[str, str]:
    """The rows of the table: name and text."""
    rows = {
        "structures": str(report.num_structures),
        "atoms": str(report.num_atoms),
        "elements": _counts(report.elements),
        "groups": f"{report.num_groups} in families {_counts(report.families)}",
        "labels": ", ".join(
            f"{label} {count}" if count < report.num_structures else label for label, count in report.labels.items()
        ),
    }
    if report.split:
        rows["split"] = _counts(report.split)
    if report.energy_per_atom is not None:
        low, middle, high = report.energy_per_atom
        form = ".4f" if max(abs(low), abs(high)) < UNREADABLE else ".4g"
        rows["energy"] = f"{low:{form}} to {high:{form}}, median {middle:{form}} eV/atom"
    if report.force_max is not None:
        rows["forces"] = f"rms {report.force_rms:.4f}, largest {report.force_max:.3f} eV/Å"
    if report.stress_range is not None:
        rows["stress"] = f"{report.stress_range[0]:.3f} to {report.stress_range[1]:.3f} GPa"
    return rows | report.attributes


def _counts(counter: Counter[str], shown: int = 12) -> str:
    text = ", ".join(f"{name or '(none)'} {count}" for name, count in counter.most_common(shown))
    return text + (" ..." if len(counter) > shown else "")
