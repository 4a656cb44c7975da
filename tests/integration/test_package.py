"""The wheel holds what a user without a checkout needs, and brings compiled operators if it was built with them."""

import os
import platform
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

import mhdnn
from mhdnn.compilation import compiler, processor
from mhdnn.data.bundled import bundled_files, bundled_path
from mhdnn.errors import ConfigError
from mhdnn.kernels.shipped import levels_of, library_name, shipped_library

ROOT = Path(__file__).parents[2]


def run(*command, **variables):
    environment = {**os.environ, **{name: str(value) for name, value in variables.items()}}
    words = [str(word) for word in command]
    result = subprocess.run(words, capture_output=True, text=True, check=False, env=environment)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """The source archive, unpacked: what has to be in it is missed by what is built from it."""
    folder = tmp_path_factory.mktemp("source")
    run(sys.executable, "-m", "build", "--sdist", "--no-isolation", "--outdir", folder, ROOT)
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        if hasattr(tarfile, "data_filter"):  # Python 3.11.4, 3.10.12
            tar.extraction_filter = tarfile.data_filter
        tar.extractall(folder)
    return folder / archive.name.removesuffix(".tar.gz")


def wheel_of(source, folder, **variables):
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, source, **variables)
    (wheel,) = folder.glob("*.whl")
    return wheel


@pytest.mark.slow
def test_wheel_contains_configuration_sources_and_data(source, tmp_path):
    wheel = wheel_of(source, tmp_path)
    assert wheel.name.endswith("py3-none-any.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    configs = {
        "mhdnn/configs/" + str(path.relative_to(ROOT / "configs")) for path in (ROOT / "configs").rglob("*.yaml")
    }
    assert configs
    assert configs <= names
    assert {f"mhdnn/bundled/{path.name}" for path in bundled_files()} <= names
    assert package_files() <= names
    assert not [name for name in names if name.endswith(".so")]


def package_files():
    """Modules, sources in C++ and CUDA that are compiled on first use, and data: all but notes and caches."""
    files = [path for path in (ROOT / "mhdnn").rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    found = {str(path.relative_to(ROOT)) for path in files if path.suffix not in (".md", ".pyc")}
    for suffix in (".py", ".cpp", ".h", ".cu", ".cuh", ".txt", ".xyz", ".typed"):
        assert any(name.endswith(suffix) for name in found), suffix
    return found


@pytest.mark.slow
def test_wheel_with_operators_trains_without_a_compiler(source, tmp_path):
    """Installed into a folder of its own; `scripts/wheel.sh` does the same with an empty environment."""
    if compiler() is None:
        pytest.skip("no C++ compiler")
    level = levels_of(set(processor().split()), platform.machine())[-1]
    wheel = wheel_of(source, tmp_path, MHDNN_SHIP=level)
    assert wheel.name.split("-")[2:4] == ["py3", "none"]
    assert platform.machine() in wheel.name
    place = tmp_path / "place"
    run(sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", place, wheel)
    script = tmp_path / "try_wheel.py"
    script.write_text((ROOT / "scripts/try_wheel.py").read_text())
    printed = run(sys.executable, script, PYTHONPATH=place)
    assert f"with {place}" in printed


FEATURES = "avx512f avx512bw avx512cd avx512dq avx512vl avx2 bmi1 bmi2 f16c fma movbe abm sse2"


@pytest.mark.parametrize(
    ("features", "machine", "levels"),
    [
        (FEATURES, "x86_64", ["x86-64-v4", "x86-64-v3"]),
        (FEATURES.replace("avx512vl", ""), "x86_64", ["x86-64-v3"]),
        (FEATURES.replace("fma", ""), "x86_64", []),  # of no level above one that it lacks
        ("fp asimd", "aarch64", ["armv8-a"]),
        (FEATURES, "riscv64", []),
    ],
)
def test_levels_of_a_processor(features, machine, levels):
    assert levels_of(set(features.split()), machine) == levels


def test_shipped_library_is_the_best_for_this_torch(tmp_path, monkeypatch):
    monkeypatch.setattr("mhdnn.kernels.shipped.processor", lambda: FEATURES)
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    monkeypatch.setattr("importlib.metadata.version", lambda name: "2.13.1+cpu")
    assert shipped_library(tmp_path / "none") is None
    (tmp_path / library_name("x86-64-v3", "2.12.0")).touch()
    assert shipped_library(tmp_path) is None, "of another torch"
    older = tmp_path / library_name("x86-64-v3", "2.13.0")
    older.touch()
    assert shipped_library(tmp_path) == older
    best = tmp_path / library_name("x86-64-v4", "2.13.0+cu130")
    best.touch()
    assert shipped_library(tmp_path) == best


def test_bundled_datasets_have_a_path():
    assert bundled_path("sn_graphene.h5").is_file()
    with pytest.raises(ConfigError, match="`tin.h5`: no such bundled dataset; expected one of carbon_chains.h5"):
        bundled_path("tin.h5")


def test_version_stands_the_same_everywhere():
    assert f'\nversion = "{mhdnn.__version__}"\n' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert f"\nversion: {mhdnn.__version__}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")


def test_oldest_versions_are_those_that_are_tested():
    """Every lower bound of a dependency stands in constraints-lowest.txt."""
    needed = re.search(r"\ndependencies = \[(.+?)\]", (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.DOTALL)
    bounds = dict(re.findall(r'"([\w-]+)>=([\d.]+)(?:,<[\d.]+)?"', needed[1]))
    assert len(bounds) == len(needed[1].strip().splitlines())
    lines = [line for line in (ROOT / "constraints-lowest.txt").read_text().splitlines() if "==" in line]
    tested = dict(line.split("==") for line in lines)
    for name, bound in bounds.items():
        assert (tested[name] + ".0.0").startswith(bound + "."), name
