"""The wheel holds what a user without a checkout needs."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_wheel_contains_configuration_sources_and_data(tmp_path):
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", tmp_path, ROOT],
        check=True,
        capture_output=True,
        text=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    expected = {
        "mhdnn/configs/" + str(path.relative_to(ROOT / "configs")) for path in (ROOT / "configs").rglob("*.yaml")
    }
    assert expected
    assert expected <= names
    assert package_files() <= names


def package_files():
    """Modules, sources in C++ and CUDA that are compiled on first use, and data: all but notes and caches."""
    files = [path for path in (ROOT / "mhdnn").rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    found = {str(path.relative_to(ROOT)) for path in files if path.suffix not in (".md", ".pyc")}
    for suffix in (".py", ".cpp", ".h", ".cu", ".cuh", ".txt", ".xyz", ".typed"):
        assert any(name.endswith(suffix) for name in found), suffix
    return found
