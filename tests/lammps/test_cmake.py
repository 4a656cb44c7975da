"""The plugin for those who build their own LAMMPS."""

import shutil
import subprocess
from pathlib import Path

import pytest

from mhdnn.deploy.lammps.plugin import required_lammps
from tests.builders import structures
from tests.lammps.runs import SCRIPTS, evaluate

PROJECT = Path(__file__).parents[2] / "mhdnn" / "deploy" / "lammps"


def run(*command, **options):
    result = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False, **options)
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    return result.stdout


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("cmake") is None, reason="no CMake")
def test_cmake_builds_the_plugin(short_range_model, tmp_path):
    """The same numbers as the plugin of `mhdnn lammps build`."""
    lammps = required_lammps()
    build = tmp_path / "build"
    run(
        "cmake", "-S", PROJECT, "-B", build, f"-DLAMMPS_INCLUDE_DIR={lammps.include}",
        f"-DLAMMPS_VERSION={lammps.version}",
        f"-DMPI_CXX_COMPILER={SCRIPTS / 'mpicxx'}", "-DCMAKE_CXX_FLAGS=-O1",
    )  # fmt: skip
    run("cmake", "--build", build, "--parallel", "2")
    atoms = structures()["triclinic"]
    expected = evaluate(tmp_path / "one", atoms, short_range_model)
    found = evaluate(tmp_path / "two", atoms, short_range_model, plugin=build / "mhdnnplugin.so")
    assert found.energy == pytest.approx(expected.energy, rel=1e-12)
