"""The report is one page that needs nothing else, and the table shows what there is."""

import json
import re
import sys
from html.parser import HTMLParser
from io import StringIO
from pathlib import Path
from subprocess import run

import numpy as np
import pytest
from rich.console import Console

from mhdnn.errors import DataError
from mhdnn.evaluation.errors import compute_errors
from mhdnn.evaluation.predictions import Predictions
from mhdnn.evaluation.report import write_report
from mhdnn.evaluation.table import format_number, print_errors

VOID = {"meta", "img", "br", "link"}


class PageCheck(HTMLParser):
    """Collects attributes and checks that every element is closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def make_predictions(group: str = "slab/1", structures: int = 12) -> Predictions:
    random = np.random.default_rng(2)
    energy, forces = random.normal(-18, 1, structures), random.normal(0, 1, (2 * structures, 3))
    return Predictions(
        np.full(structures, 2),
        [group] * structures,
        np.tile([6, 50], structures),
        energy,
        energy + 0.01,
        forces,
        forces + 0.1,
    )


def check_page(path: Path) -> PageCheck:
    page = PageCheck()
    page.feed(path.read_text(encoding="utf-8"))
    assert page.open == []
    return page


def test_report_is_self_contained(tmp_path: Path) -> None:
    metrics = tmp_path / "metrics.csv"
    metrics.write_text("epoch,step,train_loss\n0,1,2.0\n1,2,1.0\n")
    path = write_report(
        tmp_path / "report",
        {"validation": make_predictions(), "test": make_predictions(structures=1)},
        metrics,
        {"Elements": "C, Sn"},
        "Tin on graphene",
    )
    assert path == tmp_path / "report" / "report.html"
    page = check_page(path)
    sources = [value for _, name, value in page.attributes if name in ("src", "srcset", "data")]
    assert len(sources) == 9  # two sets of two parities, histogram and families; learning curves
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    links = [value for _, name, value in page.attributes if name == "href"]
    anchors = {value for _, name, value in page.attributes if name == "id"}
    assert links
    assert {link.removeprefix("#") for link in links} == anchors
    assert {tag for tag, _, _ in page.attributes}.isdisjoint({"script", "link", "iframe"})
    assert not re.search(r"https?:|@import|url\(|//", re.sub(r"base64,[^\"]*", "", path.read_text()))
    assert len(list((tmp_path / "report" / "plots").glob("*.png"))) == 9


def test_report_escapes_what_others_wrote(tmp_path: Path) -> None:
    nasty = "<script>alert(1)</script>&\"'$"
    path = write_report(tmp_path, {nasty: make_predictions(nasty)}, None, {nasty: nasty}, nasty)
    page = check_page(path)
    assert "<script" not in path.read_text()
    assert nasty in page.text


def test_sets_with_similar_names_keep_their_own_files(tmp_path: Path) -> None:
    sets = {"a b": make_predictions(), "a/b": make_predictions(), "../c": make_predictions()}
    page = check_page(write_report(tmp_path / "report", sets, None, {}, "x"))
    anchors = [value for _, name, value in page.attributes if name == "id"]
    assert len(set(anchors)) == len(anchors)
    assert len(list((tmp_path / "report" / "plots").glob("*.png"))) == 12
    assert [entry.name for entry in tmp_path.iterdir()] == ["report"]


def test_errors_are_written_beside_the_report(tmp_path: Path) -> None:
    predictions = make_predictions()
    write_report(tmp_path, {"test": predictions}, None, {}, "x")
    errors = json.loads((tmp_path / "errors.json").read_text())
    assert errors["test"]["overall"] == compute_errors(predictions)
    assert list(errors["test"]["by_family"]) == ["slab"]
    assert list(errors["test"]["by_element"]) == ["C", "Sn"]


def test_only_ten_worst_structures_are_listed(tmp_path: Path) -> None:
    text = check_page(write_report(tmp_path, {"test": make_predictions("only/7")}, None, {}, "x")).text
    assert text.count("only/7") == 20


def test_empty_set_is_refused(tmp_path: Path) -> None:
    empty = make_predictions().select(np.zeros(12, dtype=bool))
    with pytest.raises(DataError, match="set `test` has no structures"):
        write_report(tmp_path, {"test": empty}, None, {}, "x")


def test_plots_use_no_global_matplotlib_state() -> None:
    code = "import sys, mhdnn.evaluation.report; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert run([sys.executable, "-c", code], check=False).returncode == 0


def test_table_shows_what_there_is() -> None:
    stream = StringIO()
    sets = {"validation": {"num_structures": 3, "energy_mae_mev_per_atom": 1.23456}, "test": {"num_atoms": 9}}
    print_errors(sets, "[red]Errors", Console(file=stream, width=100))
    text = stream.getvalue()
    assert "[red]Errors" in text
    assert "1.235" in text
    assert "Force" not in text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0.000"), (1.0, "1.000"), (12.3456, "12.35"), (0.0123456, "0.01235"), (12345.6, "12346"),
        (1e-7, "1.000e-07"), (-3.0, "-3.000"), (7, "7"), (None, "—"), (float("inf"), "diverged"),
    ],
)  # fmt: skip
def test_numbers_have_four_digits(value: float | None, text: str) -> None:
    assert format_number(value) == text
