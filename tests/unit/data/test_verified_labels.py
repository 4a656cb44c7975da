"""Every label that a reader gives has a row that says how it was verified; the rows are the table of data/FORMATS.md.

python -m tests.unit.data.test_verified_labels     writes the table
"""

from pathlib import Path

import pytest

from mhdnn.data.readers import READERS, read_frames
from mhdnn.structure import LABELS
from tests.unit.data.samples import SAMPLES, options_for
from tests.unit.data.verified_labels import ROWS

TESTS = Path(__file__).parents[2]
TABLE = TESTS.parent / "data" / "FORMATS.md"
HEAD = """\
# Formats, labels, and how each was verified

Written by `python -m tests.unit.data.test_verified_labels` from the rows beside the tests; a test fails where a reader
gives a label without a row. *-dE/dx*: energies of the same program at displaced atoms; *dE/dε/V*: at strained cells;
*second print*: the program prints the number twice, in other units or places; *definition*: the format's documentation;
*by hand*: a number of the test. Inside: eV, eV/Å, eV/Å³ (tension positive), e.

| format | label | verified by | test |
|---|---|---|---|
"""


def table() -> str:
    order = {label: place for place, label in enumerate(LABELS)}
    rows = sorted(ROWS, key=lambda row: (row.format, order[row.label]))
    return HEAD + "".join(f"| {row.format} | {row.label} | {row.how} | {row.test} |\n" for row in rows)


def test_table_is_that_of_the_rows():
    assert TABLE.read_text(encoding="utf-8") == table(), "python -m tests.unit.data.test_verified_labels"


def test_every_reader_has_a_sample():
    assert set(SAMPLES) == set(READERS)


@pytest.mark.parametrize("form", SAMPLES)
def test_every_label_has_a_row(form, tmp_path):
    structures = [frame().structure for frame in read_frames(SAMPLES[form](tmp_path), options_for(form))]
    given = {label for structure in structures for label in LABELS if getattr(structure, label) is not None}
    assert given == {row.label for row in ROWS if row.format == form}


def test_rows_are_unique_and_name_tests_that_exist():
    assert len({(row.format, row.label) for row in ROWS}) == len(ROWS)
    for row in ROWS:
        file, *names = row.test.split("::")
        text = (TESTS / file).read_text(encoding="utf-8")
        for name in names:
            kind = "def" if name.startswith("test_") else "class"
            assert f"{kind} {name}" in text, row.test


if __name__ == "__main__":
    TABLE.write_text(table(), encoding="utf-8")
