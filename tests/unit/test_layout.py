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


def part_of(path: Path) -> str:
    return path.relative_to(ROOT / "mhdnn").parts[0].removesuffix(".py")


def names_imported(path: Path) -> Iterator[tuple[str, str]]:
    """What a module imports of the package, wherever in it, but for types only: from which module, and its name."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("mhdnn"):
            yield from ((node.module, name.name) for name in node.names)


def test_every_part_is_listed():
    assert {part_of(path) for path in MODULES} == set(LISTED)


@pytest.mark.parametrize("part", LISTED)
def test_imports_from_above_only(part):
    for path in (path for path in MODULES if part_of(path) == part):
        for name in (f"{module}.{name}".split(".")[1] for module, name in names_imported(path)):
            allowed = name not in LISTED or LISTED.index(name) <= LISTED.index(part)
            assert allowed, f"{path}: imports mhdnn.{name}, which is listed below mhdnn.{part}"


def test_no_circles():
    """Modules can be put into an order in which each imports only what is before it."""
    paths = {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path for path in MODULES}
    waiting = {}
    for own, path in paths.items():
        found = (f"{module}.{name}" for module, name in names_imported(path))
        waiting[own] = {name if name in paths else name.rpartition(".")[0] for name in found} & paths.keys() - {own}
    while free := {name for name, others in waiting.items() if not others}:
        waiting = {name: others - free for name, others in waiting.items() if name not in free}
    assert not waiting, f"in circles, or behind them: {sorted(waiting)}"
