"""The command ``screen``."""

from __future__ import annotations

from pathlib import Path

from mhdnn.properties.report import Report
from mhdnn.properties.screening.cells import Workshop, described_calculators
from mhdnn.properties.screening.correlations import METHOD, correlations_of
from mhdnn.properties.screening.figures import overview_figure
from mhdnn.properties.screening.page import page
from mhdnn.properties.screening.plan import read_plan
from mhdnn.properties.screening.run import run
from mhdnn.properties.screening.table import KEYS, collect, failures_csv, key_values, table_csv


def screen_report(
    plan: Path,
    processes: int = 1,
    executor: str = "processes",
    points: Path = Path("screen_points"),
    slurm_partition: str | None = None,
    timeout_minutes: int | None = None,
) -> Report:
    """Screening: materials × partners × ions × contents, any property, one or several calculators.

    Every interface has a folder with its structure and a journal: the same command continues after an interruption,
    and tries again what failed.

    :param plan: YAML file
    :param processes: at the same time; 0 computes nothing and shows what is known
    :param executor: processes (of this machine), cluster (jobs of the scheduler), or local (jobs on this machine)
    :param points: folder of what is finished
    :param slurm_partition: of the cluster's jobs
    :param timeout_minutes: of each job of the cluster
    """
    settings = read_plan(plan)
    workshop = Workshop(settings, points, described_calculators(settings))
    given = {"slurm_partition": slurm_partition, "timeout_min": timeout_minutes}
    run(workshop, processes, executor, {key: value for key, value in given.items() if value is not None})
    table = collect(workshop)
    correlations = [(label, one) for label in settings.calculators for one in correlations_of(table, label)]
    values = {
        "num_interfaces": len(table.rows),
        "num_failures": len(table.failures),
        "rows": [dict(zip(KEYS, key_values(row.cell), strict=True)) | row.values for row in table.rows],
        "failures": [
            dict(zip(KEYS, key_values(one.cell), strict=True))
            | {"step": one.step, "kind": one.kind, "reason": one.reason}
            for one in table.failures
        ],
        "correlation_method": METHOD,
        "correlations": [
            {
                "calculator": label,
                "first": one.first.name,
                "second": one.second.name,
                "coefficient": one.coefficient,
                "low": one.low,
                "high": one.high,
                "num_points": len(one.x),
                "remark": one.remark,
            }
            for label, one in correlations
        ],
    }
    warnings = [f"{one.cell.name}, {one.step}: {one.kind}: {one.reason}" for one in table.failures]
    files = {
        "screen.csv": table_csv(table),
        "screen_failures.csv": failures_csv(table),
        "screen.html": page(table, settings, plan.stem.replace("_", " ")),
    }
    return Report("screen", values, overview_figure(table, settings), warnings, files=files)
