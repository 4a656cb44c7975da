"""One self-contained HTML page: what the model is, how wrong it is, where, and how it learned."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

from mhdnn.errors import DataError
from mhdnn.evaluation.calibration_figure import calibration_figure
from mhdnn.evaluation.errors import (
    ENERGY,
    FORCE,
    QUANTITIES,
    Errors,
    Quantity,
    compute_errors,
    errors_by_element,
    errors_by_family,
    worst_structures,
    write_errors,
)
from mhdnn.evaluation.learning_curves import learning_figure
from mhdnn.evaluation.page import html_figure, html_page, html_section, html_table
from mhdnn.evaluation.plots import (
    family_colors,
    family_figure,
    histogram_figure,
    parity_figure,
    plain,
    save_figure,
)
from mhdnn.evaluation.predictions import Predictions
from mhdnn.evaluation.table import CALIBRATION, STATISTICS
from mhdnn.files import write_text_atomically


def errors_table(first: str, errors: Mapping[str, Errors]) -> str:
    """One row per set, family or element and one column per kind of error that any of them has."""
    counts = {"num_structures": "Structures", "num_atoms": "Atoms"}
    columns = counts | {
        quantity.key(statistic): f"{quantity.label} {label} ({quantity.unit})"
        for quantity in QUANTITIES
        for statistic, label in STATISTICS.items()
    }
    columns |= CALIBRATION
    keys = [key for key in columns if any(key in entry for entry in errors.values())]
    rows = [(name, *(entry.get(key) for key in keys)) for name, entry in errors.items()]
    return html_table([first, *(columns[key] for key in keys)], rows)


def _worst_table(predictions: Predictions, quantity: Quantity) -> str:
    worst = worst_structures(predictions, quantity)
    if not worst:
        return ""
    kind = "Error" if quantity is ENERGY else "RMSE"
    table = html_table(
        ["Group", "Index", "Atoms", f"{kind} ({quantity.unit})"],
        [(entry.group, entry.index, entry.num_atoms, entry.error) for entry in worst],
    )
    return f"<div><h3>Worst structures by {quantity.label.lower()}</h3>{table}</div>"


@dataclass(frozen=True)
class _Section:
    """One set of structures: what was predicted, its errors, and how it is called in file names."""

    name: str
    stem: str
    predictions: Predictions
    overall: Errors
    by_family: dict[str, Errors]
    by_element: dict[str, Errors]


def _section(rank: int, name: str, predictions: Predictions) -> _Section:
    if predictions.num_structures == 0:
        raise DataError(f"set `{name}` has no structures to report on; leave it out")
    stem = re.sub(r"[^A-Za-z0-9_-]+", "_", name)
    return _Section(
        name=name,
        # The rank keeps two names apart that differ only in what file names can't hold.
        stem=stem if stem == name else f"{stem}_{rank}",
        predictions=predictions,
        overall=compute_errors(predictions),
        by_family=errors_by_family(predictions),
        by_element=errors_by_element(predictions),
    )


def _figure(figure: Figure | None, path: Path, description: str) -> str:
    """Save a figure and return it as HTML; nothing if there is none."""
    return "" if figure is None else html_figure(save_figure(figure, path).read_bytes(), description)


def _section_html(section: _Section, colors: Mapping[str, str], folder: Path) -> str:
    """Figures and tables of one set of structures."""
    predictions, name = section.predictions, plain(section.name)
    parity = "".join(
        _figure(
            parity_figure(predictions, quantity, f"{quantity.label} · {name}", colors),
            folder / f"{section.stem}_parity_{quantity.name}.png",
            f"Predicted and reference {quantity.label.lower()}, {section.name}",
        )
        for quantity in QUANTITIES
    )
    histogram = _figure(
        histogram_figure(predictions, QUANTITIES, f"Distribution of errors · {name}"),
        folder / f"{section.stem}_histogram.png",
        f"Distribution of errors, {section.name}",
    )
    calibration = _figure(
        calibration_figure(predictions, f"Expected errors · {name}"),
        folder / f"{section.stem}_calibration.png",
        f"True and expected errors of forces, {section.name}",
    )
    families = _figure(
        family_figure(section.by_family, QUANTITIES, f"Errors per family · {name}"),
        folder / f"{section.stem}_families.png",
        f"Errors per family, {section.name}",
    )
    worst = "".join(_worst_table(predictions, quantity) for quantity in (FORCE, ENERGY))
    return (
        f'<div class="figures">\n{parity}{calibration}</div>\n{histogram}{families}'
        f"<h3>Per family</h3>\n{errors_table('Family', section.by_family)}"
        f"<h3>Per element</h3>\n{errors_table('Element', section.by_element)}"
        f'<div class="columns">{worst}</div>\n'
    )


def write_report(
    folder: Path,
    predictions: Mapping[str, Predictions],
    metrics_csv: Path | None,
    model_summary: Mapping[str, str],
    title: str,
) -> Path:
    """Write report.html, its figures as plots/*.png and all errors as errors.json.

    The page needs no other file and nothing from the network. errors.json holds for each set
    ``overall`` (as from `compute_errors`), ``by_family`` and ``by_element``.

    :param folder: where to write; created if needed
    :param predictions: for each set (``validation``, ``test``) what was predicted
    :param metrics_csv: what Lightning's CSV logger wrote; no learning curves if None
    :param model_summary: rows of the table that describes the model
    :return: path of report.html
    :raises DataError: if a set has no structures, or metrics_csv no column ``epoch``
    """
    sections = [_section(rank, name, entry) for rank, (name, entry) in enumerate(predictions.items())]
    colors = family_colors([family for section in sections for family in section.predictions.families])
    plots = folder / "plots"
    overall = errors_table("Set", {section.name: section.overall for section in sections})
    summary = html_table(["Property", "Value"], list(model_summary.items()), text_columns=2)
    parts = [("errors", "Errors", overall), ("model", "Model", summary)]
    if metrics_csv is not None:
        curves = _figure(learning_figure(metrics_csv), plots / "learning_curves.png", "Learning curves")
        parts.append(("learning", "Learning curves", curves))
    for section in sections:
        heading = section.name[:1].upper() + section.name[1:]
        parts.append((f"set-{section.stem}", heading, _section_html(section, colors, plots)))
    parts = [part for part in parts if part[2]]
    body = "".join(html_section(*part) for part in parts)
    report = folder / "report.html"
    write_text_atomically(report, html_page(title, {anchor: text for anchor, text, _ in parts}, body))
    fields = ("overall", "by_family", "by_element")
    errors = {section.name: {key: getattr(section, key) for key in fields} for section in sections}
    write_errors(folder / "errors.json", errors)
    return report
