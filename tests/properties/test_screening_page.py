"""The page of a screening: complete in itself, with headings, alternative texts and all numbers."""

from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from mhdnn.properties.screening.cells import Cell
from mhdnn.properties.screening.page import page
from mhdnn.properties.screening.plan import BuiltStructure, Plan, Published
from mhdnn.properties.screening.table import Failure, Row, Table, table_csv

WORK = "separation.work_of_separation_relaxed_j_per_m2"
GRADIENT = "charge_transfer.potential_gradient_v_per_angstrom"
CHARGE = "charge_transfer.transferred_to_slab_2_e_per_nm2"


class Reader(HTMLParser):
    """Tags with attributes, texts of headings and cells."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "img", "input"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def plan_of(materials: list[str]) -> Plan:
    partners = {name: BuiltStructure(name) for name in ("graphene", "mos2")}
    return Plan(
        {"one": "a:b", "two": "c:d"},
        partners,
        {name: BuiltStructure("crystal", {"element": name}) for name in materials},
        {"separation": {}},
        ["Li"],
        [0.0, 0.5],
        published=[Published("graphene", "Si", WORK, 0.41, "somebody <2020>")],
    )


def table_of(plan: Plan) -> Table:
    generator = np.random.default_rng(1)
    cells = [
        Cell(calculator, partner, material, ion, content)
        for material in plan.materials
        for partner in plan.partners
        for ion, content in (("", 0.0), ("Li", 0.5))
        for calculator in plan.calculators
    ]
    numbers = generator.normal(size=(len(cells), 2))
    rows = [
        Row(
            cell,
            {WORK: float(value), GRADIENT: float(-value + 0.1 * noise), CHARGE: float(noise), "ions_per_atom": 0.0},
        )
        for cell, (value, noise) in zip(cells, numbers, strict=True)
    ]
    return Table(rows[1:], [Failure(cells[0], "structure", "ConfigError", "`max_strain`: none <here> & there")])


@pytest.fixture(scope="module")
def found() -> tuple[str, Reader, Table]:
    plan = plan_of(["Si", "Sn"])
    table = table_of(plan)
    text = page(table, plan, "an example")
    return text, Reader(text), table


def test_page_needs_nothing_else(found):
    text, reader, _ = found
    assert not reader.open
    for tag, attributes in reader.tags:
        assert tag != "link"
        for key in ("src", "href", "srcset"):
            assert attributes.get(key, "data:").startswith("data:")
    assert "url(" not in text
    assert "import(" not in text


def test_headings_descend_and_pictures_have_texts(found):
    _, reader, _ = found
    levels = [int(tag[1]) for tag, _ in reader.tags if tag in ("h1", "h2", "h3")]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in zip(levels, levels[1:], strict=False))
    pictures = [attributes for tag, attributes in reader.tags if tag == "img"]
    assert len(pictures) == 3 + 2 * 3  # quantities, and correlations of each calculator
    assert all(len(picture["alt"]) > 10 for picture in pictures)
    assert dict(reader.tags)["html"] == {"lang": "en"}


def test_all_numbers_failures_and_sources_are_told(found):
    text, reader, table = found
    for row in table.rows:
        assert f"{row.values[WORK]:.3f}" in reader.texts
    assert "`max_strain`: none <here> & there" in reader.texts
    assert "somebody <2020>" in reader.texts
    assert "0.41" in reader.texts
    assert "Fisher" in text
    assert sum(len(line.split(",")) > 5 for line in table_csv(table).splitlines()) == len(table.rows) + 1


def test_few_points_are_said_not_drawn():
    plan = plan_of(["Si"])
    table = table_of(plan)
    text = page(Table(table.rows[:3], []), plan, "few")
    assert "points: at least 4 needed" in text
    assert "Failed" not in text


def test_page_is_the_same_for_the_same_numbers():
    plan = plan_of(["Si"])
    assert page(table_of(plan), plan, "x") == page(table_of(plan), plan, "x")
    assert Path(page.__code__.co_filename).with_name("page.html").is_file()
