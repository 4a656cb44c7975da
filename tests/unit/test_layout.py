"""Modules import from below only, as CONTRIBUTING.md lists them."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LISTED = re.findall(r"^    mhdnn/(\w+)(?:\.py|/) ", (ROOT / "CONTRIBUTING.md").read_text(), re.MULTILINE)
MODULES = sorted(
    path for path in (ROOT / "mhdnn").rglob("*.py") if path.parent != ROOT / "mhdnn" or path.stem[0] != "_"
)
ALLOWED = {("kernels", "descriptors")}
"""The operators in plain torch, which are registered where nothing can be compiled."""


def part_of(path: Path) -> str:
    return path.relative_to(ROOT / "mhdnn").parts[0].removesuffix(".py")


def imported(path: Path) -> Iterator[str]:
    """Parts of the package that a module imports, wherever in it, but for types only."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("mhdnn"):
            names = [node.module] if "." in node.module else [f"mhdnn.{name.name}" for name in node.names]
            yield from (name.split(".")[1] for name in names)


def test_every_part_is_listed():
    assert {part_of(path) for path in MODULES} == set(LISTED)


@pytest.mark.parametrize("part", LISTED)
def test_imports_from_above_only(part):
    for path in (path for path in MODULES if part_of(path) == part):
        for name in imported(path):
            allowed = name not in LISTED or LISTED.index(name) <= LISTED.index(part) or (part, name) in ALLOWED
            assert allowed, f"{path}: imports mhdnn.{name}, which is listed below mhdnn.{part}"
