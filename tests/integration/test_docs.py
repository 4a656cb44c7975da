"""Every block of the documentation runs, or says why not."""

from __future__ import annotations

import re
import runpy
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from ase.io import write

from mhdnn.data.ase_bridge import atoms_from_structure
from mhdnn.data.store import StoreReader
from tests.integration.conftest import run_mhdnn

ROOT = Path(__file__).parents[2]
PAGES = {page.stem: page for page in sorted((ROOT / "docs").glob("*.md"))} | {"README": ROOT / "README.md"}
BLOCK = re.compile(
    r"(?:<!-- not run: (?P<reason>.+?) -->\n)?^```(?P<kind>[\w{}-]*)\n(?P<code>.*?)^```$", re.DOTALL | re.M
)
QUICK = {
    "experiment=sn_graphene": ["trainer.max_epochs=1", "initialization.ridge_atoms=600"],
    "experiment=carbon_chains": ["trainer.max_epochs=1", "charges.max_epochs=1", "charges.joint_epochs=1"],
}
"""What the tests change in trainings: their length, not what they do."""
ALWAYS = ["descriptor=legendre", "descriptor.angular.legendre.max_degree=1", "network.hidden=[8]", "report=false"]


def blocks(page: Path) -> list[re.Match[str]]:
    return list(BLOCK.finditer(page.read_text(encoding="utf-8")))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where a reader of the documentation works: the checkout's data, some calculations, a molecule."""
    place = tmp_path_factory.mktemp("docs")
    shutil.copytree(ROOT / "data", place / "data", ignore=shutil.ignore_patterns("*.md"))
    chains = StoreReader(ROOT / "data/carbon_chains.h5")
    write(place / "chain.extxyz", atoms_from_structure(chains[0]), columns=["symbols", "positions"])
    (place / "calculations").mkdir()
    for number in range(12):
        write(place / f"calculations/chain_{number}.extxyz", atoms_from_structure(chains[number]))
    return place


def run_commands(code: str, folder: Path) -> None:
    """The commands of mhdnn in a block of the shell; it has no others."""
    for line in code.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        if not words:
            continue
        assert words[0] == "mhdnn", f"expected a command of mhdnn, or a reason why it is not run: {line}"
        arguments: list[str] = []
        for word in words[1:]:
            arguments += [str(path) for path in sorted(folder.glob(word))] if "*" in word else [word]
        for key, changes in QUICK.items():
            if arguments[0] == "train" and key in arguments:
                arguments += [*changes, *ALWAYS, "trainer.enable_progress_bar=false"]
        run_mhdnn(*arguments, folder=folder)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Pandas.*")
@pytest.mark.parametrize("name", ["first_potential", *(page for page in PAGES if page != "first_potential")])
def test_blocks_of_page_run(name, folder, monkeypatch):
    """In the order of the guide: what the first page trains is used by others."""
    monkeypatch.chdir(folder)
    if (folder / "runs/first").is_dir():  # what scripts/quickstart.sh leaves
        shutil.copytree(folder / "runs/first", folder / "runs/quickstart", dirs_exist_ok=True)
    for block in blocks(PAGES[name]):
        if block["reason"] or block["kind"].startswith("{"):
            continue
        if block["kind"] == "python":
            script = folder / "example.py"
            script.write_text(block["code"])
            runpy.run_path(str(script))
        else:
            assert block["kind"] == "bash", f"{name}: a block of kind {block['kind']!r} that says nothing of why"
            run_commands(block["code"], folder)


@pytest.mark.slow
def test_site_is_built_without_a_warning(tmp_path):
    command = [sys.executable, "-m", "sphinx", "-q", "--fail-on-warning", "--keep-going", ROOT / "docs", tmp_path]
    result = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert "MHDNNCalculator" in (tmp_path / "api.html").read_text(encoding="utf-8")


def test_links_between_pages_lead_somewhere():
    """Pages and headings within the project; the headings as the site names them."""
    for name, page in PAGES.items():
        for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
            if re.match(r"\w+:", target):
                continue
            path, _, heading = target.partition("#")
            where = page.parent / path if path else page
            assert where.exists(), f"{name}: {target}"
            if heading:
                titles = re.findall(r"^#+ (.+)$", where.read_text(encoding="utf-8"), re.M)
                anchors = [re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles]
                assert heading in anchors, f"{name}: {target}"


def test_every_command_has_its_place():
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES.values())
    for command in (
        "train",
        "evaluate",
        "export",
        "doctor",
        "data convert",
        "data check",
        "data split",
        "lammps build",
    ):
        assert f"mhdnn {command}" in text
