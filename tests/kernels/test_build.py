"""Building and choosing the operators: each in a process of its own, with a cache of its own."""

import json
import os
import subprocess
import sys

import pytest

from mhdnn.compilation import compiler
from mhdnn.kernels import build

EVALUATE = """
from tests.builders import geometry_of, random_charge_potential, random_potential, structures
from mhdnn.kernels import operator_state
from mhdnn.prediction import predict
potential = random_potential([6, 14, 50])
assert operator_state().kind == {kind!r}, operator_state()
print(repr(predict(potential, geometry_of(structures()["tiny"])).energy.item()))
charged = predict(random_charge_potential([6, 14, 50]), geometry_of(structures()["slab"], total_charge=0.5))
print(repr([charged.energy.item(), charged.forces.abs().sum().item(), charged.virial.abs().sum().item()]))
"""


def run_python(code, **variables):
    environment = {**os.environ, **{name: str(value) for name, value in variables.items()}}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment)


@pytest.fixture(scope="module")
def compiled_numbers():
    if compiler() is None:
        pytest.skip("no C++ compiler")
    result = run_python(EVALUATE.format(kind="compiled"))
    assert result.returncode == 0, result.stderr
    return numbers(result)


def numbers(result):
    """The energy of one potential; energy, forces and virial of another with charges."""
    energy, with_charges = result.stdout.splitlines()
    return float(energy), json.loads(with_charges)


def assert_same(found, expected):
    assert found[0] == pytest.approx(expected[0], rel=1e-12)
    assert found[1] == pytest.approx(expected[1], rel=1e-10)


def test_torch_on_request(compiled_numbers):
    result = run_python(EVALUATE.format(kind="torch"), MHDNN_KERNELS="torch")
    assert result.returncode == 0, result.stderr
    assert_same(numbers(result), compiled_numbers)
    assert "warning" not in result.stderr.lower()


def test_without_a_compiler_torch_runs_with_one_warning(compiled_numbers, tmp_path):
    code = EVALUATE.format(kind="torch") + "random_potential([6, 14])\n"
    result = run_python(code, PATH=tmp_path, CXX="", TORCH_EXTENSIONS_DIR=tmp_path)
    assert result.returncode == 0, result.stderr
    assert_same(numbers(result), compiled_numbers)
    assert result.stderr.count("no C++ compiler was found") == 1
    assert "apt install g++" in result.stderr


def test_compiled_on_demand_without_a_compiler(tmp_path):
    result = run_python(
        EVALUATE.format(kind="compiled"), PATH=tmp_path, CXX="", TORCH_EXTENSIONS_DIR=tmp_path, MHDNN_KERNELS="compiled"
    )
    assert result.returncode != 0
    assert "BuildError" in result.stderr
    assert "no C++ compiler was found" in result.stderr


def test_a_failed_build_shows_the_compilers_message(tmp_path):
    broken = tmp_path / "broken-c++"
    broken.write_text(
        "#!/bin/sh\ncase $1 in --version|-v) exec c++ $1;; esac\necho 'internal disaster 42' >&2\nexit 1\n"
    )
    broken.chmod(0o755)
    result = run_python(EVALUATE.format(kind="compiled"), CXX=broken, TORCH_EXTENSIONS_DIR=tmp_path)
    assert result.returncode != 0
    assert "BuildError" in result.stderr
    assert "internal disaster 42" in result.stderr
    assert "MHDNN_KERNELS=torch" in result.stderr
    assert not list(tmp_path.glob("*/build-*")), "the half-made build was left behind"


def test_wrong_choice_is_named():
    result = run_python(EVALUATE.format(kind="torch"), MHDNN_KERNELS="fast")
    assert "`MHDNN_KERNELS`: expected auto, compiled or torch, got 'fast'" in result.stderr


def test_a_built_library_is_not_built_again(compiled_numbers):
    before = build.library_path().stat().st_mtime_ns
    assert build.build() == build.library_path()
    assert build.library_path().stat().st_mtime_ns == before
