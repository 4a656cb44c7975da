"""The commands ``mhdnn data convert | check | split | bundled``."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal

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
from mhdnn.data.readers import ReadOptions
from mhdnn.data.schema import SPLITS
from mhdnn.data.split import assign_split, store_split, write_parts
from mhdnn.data.store import StoreReader
from mhdnn.dispersion import DispersionCorrection
from mhdnn.errors import ConfigError

UNREADABLE = 1e7
"""Numbers above are printed with their power of ten."""


@dataclass(frozen=True)
class LabelNames:
    """Where the labels stand, if not under their usual names (`mhdnn.data.ase_bridge.LabelKeys`).

    :param energy_key: name of the energy: by default the free energy, which the forces belong to, where it is there,
        else `energy`, `REF_energy`, `TotEnergy` and other usual names; `energy` chooses the one extrapolated to zero
        smearing
    :param forces_key: name of the forces: by default `forces`, `REF_forces`, `dft_force` and other usual names
    :param stress_key: name of the stress: eV/Å³, tension positive
    :param virial_key: name of the virial: eV; the stress is -virial / volume
    :param charges_key: name of the charges: by default `charges`, `REF_charges`, `bader_charges` and other usual names
    :param total_charge_key: name of the total charge: by default `total_charge` or `charge`
    :param group_key: name of the group: by default `group` or `config_type`
    """

    energy_key: str | None = None
    forces_key: str | None = None
    stress_key: str | None = None
    virial_key: str | None = None
    charges_key: str | None = None
    total_charge_key: str | None = None
    group_key: str | None = None

    def keys(self) -> LabelKeys:
        return LabelKeys(**{field.name.removesuffix("_key"): getattr(self, field.name) for field in fields(self)})


def convert_sources(
    sources: list[Path],
    destination: Path,
    names: LabelNames,
    format: str | None = None,
    units: str | None = None,
    total_charge: float | None = None,
    valence_electrons: str | None = None,
    group: str | None = None,
    attribute: dict[str, str] | None = None,
    dispersion: str | None = None,
    add_dispersion: str | None = None,
    skip_invalid: bool = False,
    keep_unconverged: bool = False,
    keep_unlabelled: bool = False,
) -> None:
    """DFT outputs and other datasets to one dataset file.

    :param sources: files, and folders that are searched with all below them
    :param destination: the dataset, such as all.h5
    :param names: of labels
    :param format: by default it is recognised
    :param units: of n2p2 data, required there, and of HDF5 sets of molecules
    :param total_charge: of structures that don't have one, e
    :param valence_electrons: where `charges` are numbers of electrons (Bader): the valence of each element, as in
        Li=3,O=6 (in VASP ZVAL), or all for all-electron codes; charge = valence - electrons
    :param group: group of all structures (default: as named, else the file name)
    :param attribute: code, functional, charge_scheme, source, licence, ...; may be given several times
    :param dispersion: correction that the labels hold, as in 'd3 bj pbe'; its part is kept, so that
        data.dispersion=false can train without it
    :param add_dispersion: the same where the labels lack it: it is added
    :param skip_invalid: leave out broken structures and count them
    :param keep_unconverged: keep structures whose electronic structure did not converge
    :param keep_unlabelled: keep structures without labels, as candidates for `mhdnn data select` and `mhdnn data label`
    :raises ConfigError: if both kinds of corrections are given
    :raises DataError: if a source can't be read
    """
    if dispersion and add_dispersion:
        raise ConfigError("`dispersion` and `add_dispersion`: expected one of them, got both; leave one out")
    valence = parse_valence(valence_electrons) if valence_electrons else {}
    options = ReadOptions(format, units, names.keys(), group, keep_unconverged, keep_unlabelled, total_charge, valence)
    console = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("reading", total=None)
        report = convert(
            sources,
            destination,
            options,
            attribute or {},
            skip_invalid,
            lambda path, count: progress.update(task, description=f"{path.name}: {count} structures"),
            chosen_dispersion(dispersion, add_dispersion),
        )
    print_conversion(report, destination, Console())


def chosen_dispersion(included: str | None, missing: str | None) -> DispersionChoice | None:
    """From the names that were given; raises as `DispersionCorrection.parse` does."""
    name = included or missing
    return DispersionChoice(DispersionCorrection.parse(name), name == included) if name else None


def check_dataset(dataset: Path) -> int:
    """What a dataset holds and what looks wrong.

    :param dataset: such as all.h5
    :return: 1 if it has errors
    """
    report = check(dataset)
    print_check(report, Console())
    return 1 if report.errors else 0


def print_bundled(name: str | None = None) -> None:
    """Where the datasets are that come with the package.

    :param name: of one of them, as in sn_graphene.h5
    """
    for path in [bundled_path(name)] if name else bundled_files():
        print(path)


def split_dataset(
    dataset: Path,
    by: Literal["group", "structure"] = "group",
    validation: float = 0.1,
    test: float = 0.1,
    seed: int = 0,
    output: Path | None = None,
) -> None:
    """Choose what to train, validate and test on.

    :param dataset: such as all.h5
    :param by: what goes to one side as a whole
    :param validation: fraction of the structures
    :param test: fraction of the structures
    :param seed: of the choice
    :param output: folder for train.h5, ...; default: the split is stored in the file
    """
    groups = StoreReader(dataset).groups
    split = assign_split(groups, validation, test, seed, by)
    console = Console()
    if output is None:
        store_split(dataset, split)
        console.print(f"split stored in {dataset}", highlight=False, markup=False)
    else:
        files = write_parts(dataset, split, output)
        console.print("wrote " + ", ".join(str(file) for file in files.values()), highlight=False, markup=False)
    structures = Counter(split.tolist())
    for part in SPLITS:
        own_groups = {group for group, own in zip(groups, split, strict=True) if own == part}
        console.print(f"{part:>10}: {structures[part]} structures of {len(own_groups)} groups", highlight=False)


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
    labels = ", ".join(f"{label} of {count}" for label, count in report.labels.items()) or "no labels"
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
