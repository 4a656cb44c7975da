"""`mhdnn data label`: energies, forces, stresses and charges of the structures of a dataset, by any ASE calculator."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console

from mhdnn.active.calculation import Calculation, failure, known_results, labelled, made_calculator, mark_of
from mhdnn.data.convert import DispersionChoice
from mhdnn.data.label_kinds import charge_scheme as kind_of_charges
from mhdnn.data.label_kinds import energy_kind as kind_of_energy
from mhdnn.data.store import StoreReader
from mhdnn.data.writer import StoreWriter
from mhdnn.dispersion import DispersionCorrection
from mhdnn.errors import ConfigError, DataError
from mhdnn.files import alone_in, refuse_to_overwrite, write_text_atomically
from mhdnn.properties.calculators import description_of
from mhdnn.properties.jobs import check_executor, run_jobs
from mhdnn.properties.journal import Journal

SHOWN = 10
"""Failures that are printed; the file has all."""
JOB = "job"
"""Kind of failure: a job of a cluster that died."""


class NothingLabelledError(DataError):
    """All structures of a pool have failed; the same command tries all of them again."""


def label(
    pool: Path,
    calculator: str,
    output: Path | None = None,
    settings: Path | None = None,
    processes: int = 1,
    executor: str = "processes",
    limit: float | None = None,
    retry: bool = False,
    code: str | None = None,
    functional: str | None = None,
    dispersion: str | None = None,
    energy_kind: str | None = None,
    charge_scheme: str | None = None,
    source: str | None = None,
    licence: str | None = None,
    slurm_partition: str | None = None,
    timeout_minutes: int | None = None,
) -> Path:
    """Compute labels; the same command continues after an interruption, and computes nothing twice.

    What is computed is kept in a folder OUTPUT.labels beside the output; structures that fail are left out, counted,
    and listed with their reasons in OUTPUT_failures.csv.

    :param pool: dataset; groups, total charges, weights and splits are kept, other labels are not
    :param calculator: `module:name` of what makes an ASE calculator (`ase.calculators.emt:EMT`), or a model file
    :param output: dataset of the labelled structures; default: NAME_labelled.h5 beside the pool
    :param settings: YAML file, keyword arguments of what makes the calculator
    :param processes: at the same time
    :param executor: processes (of this machine), cluster (jobs of the scheduler), or local (jobs on this machine)
    :param limit: longest time for a structure, s
    :param retry: compute again what failed before; that is done anyway where everything has failed
    :param code: attribute of the dataset
    :param functional: attribute of the dataset
    :param dispersion: correction that the labels hold, as in 'd3 bj pbe'; its part is kept
    :param energy_kind: with smearing, where the calculator doesn't tell: free or extrapolated
    :param charge_scheme: attribute of the dataset
    :param source: attribute of the dataset
    :param licence: attribute of the dataset
    :param slurm_partition: of the cluster's jobs
    :param timeout_minutes: of each job of the cluster
    :raises ConfigError: for settings that don't fit, or if the folder is of another calculator
    :raises NothingLabelledError: if no structure could be labelled
    """
    check_executor(executor)
    if processes < 1:
        raise ConfigError(f"`processes`: expected at least 1, got {processes}")
    if limit is not None and limit <= 0:
        raise ConfigError(f"`limit`: expected a positive time in s, got {limit}")
    output = output or pool.with_name(f"{pool.stem}_labelled.h5")
    refuse_to_overwrite([pool, settings, Path(calculator)], output)
    stated = {"code": code, "functional": functional, "source": source, "licence": licence}
    kinds = (kind_of_energy(energy_kind), kind_of_charges(charge_scheme))
    choice = DispersionChoice(DispersionCorrection.parse(dispersion), True) if dispersion else None
    folder = output.with_name(f"{output.name}.labels").absolute()
    words = json.dumps(read_settings(settings), sort_keys=True)
    calculation = Calculation(pool.absolute(), calculator, words, folder, limit)
    with alone_in(folder, "output"):
        described = describe(calculation)
        calculation = replace(calculation, identity=hashlib.sha256((described + words).encode()).hexdigest()[:16])
        jobs = {"slurm_partition": slurm_partition, "timeout_min": timeout_minutes}
        given = {key: value for key, value in jobs.items() if value is not None}
        results = compute(calculation, processes, executor, retry, given)
        attributes = {key: value for key, value in stated.items() if value is not None} | {"calculator": described}
        write(calculation, results, output, attributes, kinds, choice)
    return output


def read_settings(path: Path | None) -> dict[str, Any]:
    """Keyword arguments from a YAML file.

    :raises ConfigError: if it is none
    """
    if path is None:
        return {}
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        json.dumps(content)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, TypeError) as error:
        raise ConfigError(f"{path}: expected settings in YAML, got something else ({error}); correct it") from error
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise ConfigError(f"{path}: expected `name: value` for each argument, got {type(content).__name__}; correct it")
    return content


def describe(calculation: Calculation) -> str:
    """What the labels are computed with, which the folder keeps, too; made once, so that wrong settings fail at once.

    :raises ConfigError: if the folder is of another calculation
    """
    made_calculator.cache_clear()
    described = description_of(made_calculator(calculation.calculator, calculation.settings), calculation.calculator)
    journal = Journal(calculation.folder / "calculator.json", described | {"settings": calculation.settings})
    journal.get("calculator", lambda: calculation.calculator)
    return json.dumps(described, sort_keys=True)


def compute(
    calculation: Calculation, processes: int, executor: str, retry: bool, parameters: dict[str, Any]
) -> dict[int, dict[str, Any]]:
    """Labels or failures by the number of the structure: those that are known, and those that are not yet."""
    reader = StoreReader(calculation.pool)
    marks = [mark_of(structure) for structure in reader]
    groups = reader.groups
    charged = sum(bool(structure.total_charge) for structure in reader)
    reader.close()
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    if charged:
        console.print(
            f"warning: {charged} structures have a total charge; a calculator that doesn't read "
            'atoms.info["total_charge"] takes them as neutral',
            style="yellow", markup=False,
        )  # fmt: skip
    known = known_results(calculation, marks)
    # where all have failed, the reason may be none of theirs (a licence, a disk)
    retry = retry or (len(known) == len(marks) and all("failure" in result for result in known.values()))
    left = [number for number in range(len(marks)) if number not in known or (retry and "failure" in known[number])]
    if len(left) < len(marks):
        console.print(f"{len(marks) - len(left)} of {len(marks)} structures are known", markup=False)
    died = run_jobs(calculation.label, left, processes, executor, calculation.folder / "jobs", parameters, "labelling")
    results = known_results(calculation, marks)
    for position, reason in died.items():
        number = left[position]
        if number not in results or "failure" in results[number]:
            results[number] = failure(JOB, reason)
    return {number: result | {"group": groups[number]} for number, result in sorted(results.items())}


def write(
    calculation: Calculation,
    results: dict[int, dict[str, Any]],
    output: Path,
    attributes: dict[str, str],
    kinds: tuple[Any, Any],
    dispersion: DispersionChoice | None,
) -> None:
    """The dataset, the list of failures, and what happened in words.

    :raises NothingLabelledError: if nothing was labelled
    """
    failed = {number: result for number, result in results.items() if "failure" in result}
    listed = output.with_name(f"{output.stem}_failures.csv")
    if failed:
        write_text_atomically(listed, failures_csv(failed))
    else:
        listed.unlink(missing_ok=True)
    if len(failed) == len(results):
        first = next(iter(failed.values()))["failure"] if failed else {"kind": "none", "reason": "no structure"}
        raise NothingLabelledError(
            f"{calculation.pool}: no structure was labelled; the first: {first['kind']}: {first['reason']}"
        )
    reader = StoreReader(calculation.pool)
    with StoreWriter(output) as writer:
        for number, result in results.items():
            if number in failed:
                continue
            record = labelled(reader.record(number), result)
            for kind in kinds:
                kind.add(record, f"{calculation.pool}: structure {number}")
            if dispersion is not None:
                record = dispersion.applied_to(record)
            writer.append(record.structure, record.dispersion, record.split)
        known = {kind.attribute: kind.of_all for kind in kinds if kind.of_all is not None}
        corrected = {"dispersion": str(dispersion.correction)} if dispersion else {}
        writer.attributes = attributes | known | corrected
    reader.close()
    tell(failed, len(results), output, listed)


def failures_csv(failed: dict[int, dict[str, Any]]) -> str:
    """A row for each structure that has no labels."""
    stream = io.StringIO()
    rows = csv.writer(stream, lineterminator="\n")
    rows.writerow(["structure", "group", "kind", "reason"])
    for number, result in failed.items():
        rows.writerow([number, result["group"], result["failure"]["kind"], result["failure"]["reason"]])
    return stream.getvalue()


def tell(failed: dict[int, dict[str, Any]], total: int, output: Path, listed: Path) -> None:
    """How many were labelled, and how many failed for which reasons."""
    console = Console(soft_wrap=True, highlight=False)
    console.print(f"{output}: {total - len(failed)} of {total} structures labelled", markup=False)
    if not failed:
        return
    kinds = Counter(result["failure"]["kind"] for result in failed.values())
    counts = ", ".join(f"{kind} {count}" for kind, count in kinds.most_common())
    console.print(f"failed: {counts}; listed in {listed}, tried again with retry=true", markup=False, style="yellow")
    for number, result in list(failed.items())[:SHOWN]:
        told = result["failure"]
        console.print(f"  structure {number} ({result['group']}): {told['kind']}: {told['reason']}", markup=False)
