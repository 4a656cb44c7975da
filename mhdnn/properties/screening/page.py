"""One page of a screening that needs nothing else: sortable table, plots, correlations, failures."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from html import escape
from pathlib import Path
from string import Template

import matplotlib
from matplotlib.figure import Figure

from mhdnn.properties.screening.correlations import METHOD, correlations_of
from mhdnn.properties.screening.figures import correlation_figure, pair_of, quantity_figure
from mhdnn.properties.screening.plan import Plan
from mhdnn.properties.screening.table import KEYS, Quantity, Row, Table, key_values

TEMPLATE = Path(__file__).with_name("page.html")


def page(table: Table, plan: Plan, name: str) -> str:
    """The page as HTML.

    :param name: of the plan
    """
    sections = [
        _section("Interfaces", _filter() + _main_table(table)),
        _section("Quantities", _figures(_quantities(table, plan))),
        _section("Correlations", _correlations(table, plan)),
    ]
    if plan.published:
        sections.append(_section("Published values beside", _published(table, plan)))
    if table.failures:
        sections.append(_section("Failed or not computed yet", _failures(table)))
    return Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        title=escape(f"Screening of interfaces: {name}"),
        introduction=_introduction(table, plan),
        sections="\n".join(sections),
    )


def _introduction(table: Table, plan: Plan) -> str:
    pairs = len({pair_of(row) for row in table.rows})
    failed = f"{len(table.failures)} calculations failed or are missing; they are at the end." if table.failures else ""
    interface, relaxation = plan.interface, plan.relaxation
    rest = "as built" if relaxation is None else f"relaxed to {relaxation.max_force:g} eV/Å"
    strain = f"{100 * interface.max_strain:g}"
    return (
        f"<p>{len(table.rows)} interfaces of {pairs} pairs, calculated with {escape(', '.join(plan.calculators))}. "
        f"Coincidence cells of at most {interface.max_area:g} Å² and {strain} % strain, {rest}. {failed}</p>"
    )


def _section(title: str, content: str) -> str:
    return f"<section>\n<h2>{escape(title)}</h2>\n{content}\n</section>"


def _filter() -> str:
    return (
        '<p class="filter"><label>Show rows with <input id="filter" type="search" placeholder="graphene Li"></label> '
        "(a click on a heading sorts)</p>\n"
    )


def _main_table(table: Table) -> str:
    shown = table.shown
    heads = [*((name, True) for name in (*KEYS[:-1], "ions per atom")), *((_head(one), False) for _, one in shown)]
    rows = [
        [*key_values(row.cell)[:-1], _number(row, "ions_per_atom", 3), *(_number(row, c, q.digits) for c, q in shown)]
        for row in table.rows
    ]
    return _table("table", "Interfaces and their properties", heads, rows, len(KEYS) - 1)


def _head(quantity: Quantity) -> str:
    return f"{quantity.name}, {quantity.unit}"


def _number(row: Row, column: str, digits: int) -> str:
    value = row.values.get(column)
    return "" if value is None else f"{value:.{digits}f}"


def _table(
    identity: str, caption: str, heads: Sequence[tuple[str, bool]], rows: Sequence[Sequence[str]], texts: int
) -> str:
    """A table whose headings sort, in a frame that scrolls if the window is narrow.

    :param texts: columns at the beginning that are texts; one more of this kind at the end is a reason
    """
    head = "".join(
        f'<th scope="col"{" class=text" if is_text else ""}><button type="button">{escape(name)}</button></th>'
        for name, is_text in heads
    )
    body = "\n".join(
        "<tr>"
        + "".join(f"<td{_kind(place, texts, heads)}>{escape(value)}</td>" for place, value in enumerate(row))
        + "</tr>"
        for row in rows
    )
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(caption)}">\n'
        f'<table id="{identity}" class="sortable">\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n'
        "</table>\n</div>"
    )


def _kind(place: int, texts: int, heads: Sequence[tuple[str, bool]]) -> str:
    if place < texts:
        return ' class="text"'
    return ' class="reason"' if heads[place][0] in ("reason", "source") else ""


def _quantities(table: Table, plan: Plan) -> list[tuple[Figure, str]]:
    return [
        (quantity_figure(table, plan, column, quantity), f"{quantity.name} in {quantity.unit} of every pair")
        for column, quantity in table.shown
    ]


def _correlations(table: Table, plan: Plan) -> str:
    found = [(label, one) for label in plan.calculators for one in correlations_of(table, label)]
    if not found:
        return "<p>None: work of separation, potential gradient and charge are not all in the plan.</p>"
    figures, lines = [], []
    for label, one in found:
        text = f"{one.second.name} against {one.first.name}, {label}: {one}"
        lines.append(f"<li>{escape(text)}</li>")
        if one.coefficient is not None:
            figures.append((correlation_figure(one, label), text))
    method = (
        f"<p>{escape(METHOD)}; it takes the points as independent, which contents of one pair are not quite. "
        "Shaded: 95 % band of the line of least squares.</p>"
    )
    return f"{method}\n<ul>\n{''.join(lines)}\n</ul>\n{_figures(figures)}"


def _published(table: Table, plan: Plan) -> str:
    names = {column: quantity for column, quantity in table.shown}
    heads = [("material", True), ("partner", True), ("quantity", True), ("published", False)]
    heads += [(f"{label}, without ions", False) for label in plan.calculators] + [("source", True)]
    rows = []
    for one in plan.published:
        quantity = names.get(one.quantity)
        known = {
            row.cell.calculator: _number(row, one.quantity, 3)
            for row in table.rows
            if (row.cell.partner, row.cell.material, row.cell.ion) == (one.partner, one.material, "")
        }
        rows.append(
            [
                one.material,
                one.partner,
                one.quantity if quantity is None else _head(quantity),
                f"{one.value:g}",
                *(known.get(label, "") for label in plan.calculators),
                one.source,
            ]
        )
    return _table("published", "Published values", heads, rows, 3)


def _failures(table: Table) -> str:
    heads = [(name, True) for name in (*KEYS, "step", "kind", "reason")]
    rows = [[*key_values(one.cell), one.step, one.kind, one.reason] for one in table.failures]
    return _table("failures", "What failed or is missing", heads, rows, len(heads) - 1)


def _figures(figures: Sequence[tuple[Figure, str]]) -> str:
    items = "\n".join(
        f'<figure><img alt="{escape(text)}" src="{_source(figure)}"><figcaption>{escape(text)}</figcaption></figure>'
        for figure, text in figures
    )
    return f'<div class="figures">\n{items}\n</div>'


def _source(figure: Figure) -> str:
    """The figure in the page itself, as SVG."""
    content = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "screening"}):  # the same numbers give the same page
        figure.savefig(content, format="svg", facecolor="white", metadata={"Date": None})
    return f"data:image/svg+xml;base64,{base64.b64encode(content.getvalue()).decode()}"
