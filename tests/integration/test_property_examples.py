"""The examples of mhdnn/properties/README.md run as they are."""

import re
import runpy
from pathlib import Path

import pytest

from mhdnn.properties.commands import COMMANDS

README = (Path(__file__).parents[2] / "mhdnn" / "properties" / "README.md").read_text()
LONGEST = 12


def examples() -> list[tuple[str, str]]:
    """Title and code of every example."""
    found = []
    for section in README.split("\n## ")[1:]:
        title = section.partition("\n")[0]
        found += [(title, code) for code in re.findall(r"```python\n(.*?)```", section, flags=re.DOTALL)]
    return found


@pytest.mark.parametrize(("title", "code"), examples(), ids=[title for title, _ in examples()])
def test_example_runs(title, code, tmp_path, monkeypatch):
    assert len(code.splitlines()) <= LONGEST
    monkeypatch.chdir(tmp_path)
    script = tmp_path / "example.py"
    script.write_text(code)
    runpy.run_path(str(script))


def test_every_section_has_one_example():
    titles = [section.partition("\n")[0] for section in README.split("\n## ")[1:]]
    assert [title for title, _ in examples()] == titles


def test_every_command_is_documented():
    assert [name for name in COMMANDS if f"mhdnn properties {name} " not in README] == []
