"""The plugin for those who build their own LAMMPS."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

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
    """The same numbers as the plugin of `mhdnn lammps build`, with the symmetry functions in the same file."""
    lammps = required_lammps()
    build = tmp_path / "build"
    run(
        "cmake", "-S", PROJECT, "-B", build, f"-DLAMMPS_INCLUDE_DIR={lammps.include}",
        f"-DLAMMPS_VERSION={lammps.version}", f"-DCMAKE_PREFIX_PATH={torch.utils.cmake_prefix_path}",
        f"-DMPI_CXX_COMPILER={SCRIPTS / 'mpicxx'}", "-DCMAKE_CXX_FLAGS=-O1",
    )  # fmt: skip
    run("cmake", "--build", build, "--parallel", "2")
    atoms = structures()["triclinic"]
    expected = evaluate(tmp_path / "one", atoms, short_range_model)
    script = (tmp_path / "one" / "in.lammps").read_text()
    (tmp_path / "one" / "in.cmake").write_text(f"plugin load {build / 'mhdnnplugin.so'}\n" + script)
    # the program itself: its Python wrapper would load the other plugin, too, which registers the same operators
    program = lammps.include.parents[1] / "lmp"
    environment = {**os.environ, "LD_LIBRARY_PATH": str(Path(sys.prefix) / "lib"), "OMP_NUM_THREADS": "1"}
    environment.pop("LAMMPS_PLUGIN_PATH", None)  # set where a test before has imported the wrapper
    output = run(program, "-in", "in.cmake", "-log", "none", cwd=tmp_path / "one", env=environment)
    energy = float(next(line for line in output.splitlines() if line.startswith("RESULT")).split()[1])
    assert energy == pytest.approx(expected.energy, rel=1e-12)
