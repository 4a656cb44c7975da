"""The table of a screening: a row for each cell, columns for what was computed, and what failed or is missing."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from mhdnn.properties.screening.cells import STRUCTURE, Cell, Workshop, cells_of, metals_of

VOLUME_CHANGE = "volume_change_percent"
KEYS = ("calculator", "partner", "material", "ion", "content")
"""Columns that say what a row is."""
NOT_YET = "not computed yet"


@dataclass(frozen=True)
class Quantity:
    """A column that is shown and drawn.

    :param columns: the first of these that the table has
    :param name: for people
    """

    columns: tuple[str, ...]
    name: str
    unit: str
    digits: int = 3


WORK = Quantity(
    (
        "separation.work_of_separation_relaxed_j_per_m2",
        "separation.work_of_separation_rigid_j_per_m2",
        "gap_curve.work_of_separation_j_per_m2",
    ),
    "work of separation",
    "J/m²",
)
TRANSFER = Quantity(("charge_transfer.transferred_to_slab_2_e_per_nm2",), "charge transferred to the material", "e/nm²")
GRADIENT = Quantity(("charge_transfer.potential_gradient_v_per_angstrom",), "potential gradient", "V/Å")
QUANTITIES = (
    WORK,
    Quantity(("gap_curve.equilibrium_gap_angstrom", "gap_angstrom"), "gap", "Å"),
    Quantity(("gap_curve.strength_gpa",), "strength", "GPa"),
    Quantity(("sliding.largest_traction_gpa",), "largest sliding traction", "GPa"),
    Quantity(("interface_stress.slab_2_in_plane_gpa",), "in-plane stress of the material", "GPa"),
    Quantity(("interface_stress.cell_in_plane_n_per_m",), "in-plane stress of the interface", "N/m"),
    TRANSFER,
    GRADIENT,
    Quantity((VOLUME_CHANGE,), "change of the material's volume", "%", 1),
    Quantity(("voltage.average_voltage_v",), "voltage against the empty interface", "V"),
)


@dataclass(frozen=True)
class Row:
    """A cell and its numbers.

    :param values: by column: of the structure as they are called, of properties as ``property.number``
    """

    cell: Cell
    values: dict[str, float]


@dataclass(frozen=True)
class Failure:
    """What is missing.

    :param step: property, or what comes before
    """

    cell: Cell
    step: str
    kind: str
    reason: str


@dataclass(frozen=True)
class Table:
    """Rows of all cells of which something is known, and failures."""

    rows: list[Row]
    failures: list[Failure]

    @property
    def columns(self) -> list[str]:
        """All columns with numbers, in the order of their first appearance."""
        return list(dict.fromkeys(name for row in self.rows for name in row.values))

    def column_of(self, quantity: Quantity) -> str | None:
        """The column of a quantity; None if there is none."""
        columns = set(self.columns)
        return next((name for name in quantity.columns if name in columns), None)

    @property
    def shown(self) -> list[tuple[str, Quantity]]:
        """Columns of the quantities that are known."""
        found = [(self.column_of(quantity), quantity) for quantity in QUANTITIES]
        return [(column, quantity) for column, quantity in found if column is not None]


def collect(workshop: Workshop) -> Table:
    """The table of what is known now."""
    cells = cells_of(workshop.plan)
    known = {cell: _known(workshop, cell) for cell in cells}
    rows = []
    for cell in cells:
        values = known[cell]
        empty = known.get(replace(cell, ion="", content=0.0), {})
        name = "material_volume_cubic_angstrom"
        if cell.ion and name in values and name in empty:
            values[VOLUME_CHANGE] = 100.0 * (values[name] / empty[name] - 1.0)
        if values:
            rows.append(Row(cell, values))
    return Table(
        rows, [failure for cell in [*metals_of(workshop.plan), *cells] for failure in _failures(workshop, cell)]
    )


def _known(workshop: Workshop, cell: Cell) -> dict[str, float]:
    results = workshop.journal(cell).results
    values: dict[str, float] = {}
    for name, entry in workshop.steps(cell).items():
        prefix = "" if name == STRUCTURE else f"{name}."
        found = results.get(entry, {})
        values |= {f"{prefix}{key}": value for key, value in found.items() if value is not None}
    return values


def _failures(workshop: Workshop, cell: Cell) -> list[Failure]:
    """What failed in the last run, and what has not been tried."""
    results = workshop.journal(cell).results
    missing = [name for name, entry in workshop.steps(cell).items() if entry not in results]
    if not missing:
        return []
    file = workshop.place(cell) / "failures.json"
    told = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else []
    found = [Failure(cell, one["step"], one["kind"], one["reason"]) for one in told if one["step"] in [*missing, "job"]]
    return found or [Failure(cell, missing[0], NOT_YET, "the same command computes it")]


def key_values(cell: Cell) -> list[str]:
    """What a row is, in the order of `KEYS`."""
    return [cell.calculator, cell.partner, cell.material, cell.ion, f"{cell.content:g}"]


def table_csv(table: Table) -> str:
    """All numbers, with full digits."""
    columns = table.columns
    rows = ([*key_values(row.cell), *(_exact(row.values.get(name)) for name in columns)] for row in table.rows)
    return _csv([*KEYS, *columns], rows)


def failures_csv(table: Table) -> str:
    """What failed or is missing, with reasons."""
    rows = ([*key_values(one.cell), one.step, one.kind, one.reason] for one in table.failures)
    return _csv([*KEYS, "step", "kind", "reason"], rows)


def _exact(value: float | None) -> str:
    return "" if value is None else repr(value)


def _csv(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()
