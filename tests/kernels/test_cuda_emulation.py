"""The CUDA kernels without a GPU: their source runs on the CPU, a thread for every thread of a block."""

import subprocess
import sys

import pytest
import torch

from mhdnn.kernels import load_operators
from tests.kernels.cases import KINDS, NEIGHBORS, Case, make_case
from tests.kernels.emulation.library import (
    COMPILER,
    FOLDER,
    SMALL,
    Launch,
    OutOfSharedMemory,
    compile_with,
    emulate,
)
from tests.kernels.test_operators import assert_same, evaluate_reference, random_like
from tests.tolerances import HANG, ROUND_OFF, SINGLE_PRECISION

pytestmark = pytest.mark.skipif(COMPILER is None, reason="no g++")

LARGE_TILES = Launch(threads=8, tile=64)


def evaluate(library, case, cotangent, tangents, launch=SMALL):
    """Functions, both gradients, and the derivatives of all three along the tangents."""
    return (
        *emulate(library, case, launch=launch),
        *emulate(library, case, cotangent, launch=launch),
        *emulate(library, case, cotangent, tangents, launch),
    )


def evaluate_operators(case, cotangent, tangents):
    """The same by the compiled operators, on the device of the case."""
    return (
        torch.ops.mhdnn.symmetry_functions(*case.arguments()),
        *torch.ops.mhdnn.symmetry_functions_vjp(cotangent, *case.arguments()),
        *torch.ops.mhdnn.symmetry_functions_vjp_tangent(cotangent, *tangents, *case.arguments()),
    )


NAMES = (
    "functions", "gradient by vectors", "gradient by table", "second derivative by cotangent",
    "second derivative by vectors", "second derivative by table",
)  # fmt: skip


def compare(library, case: Case, expected, tolerance: float, launch: Launch):
    functions, gradients, second, cotangent, tangents = expected
    dtype = case.pair_vectors.dtype
    found = evaluate(library, case, cotangent.to(dtype), tuple(t.to(dtype) for t in tangents), launch)
    for name, f, e in zip(NAMES, found, (functions, *gradients, *second), strict=True):
        assert_same(f, e.detach(), tolerance, name)


def in_single_precision(case: Case) -> Case:
    floats = {n: v.float() for n, v in vars(case).items() if isinstance(v, torch.Tensor) and v.is_floating_point()}
    return Case(**{**vars(case), **floats})


def compare_both_precisions(library, case: Case, launch: Launch = SMALL):
    expected = evaluate_reference(case)
    compare(library, case, expected, ROUND_OFF, launch)
    compare(library, in_single_precision(case), expected, SINGLE_PRECISION, launch)


@pytest.mark.parametrize("channels", ["resolved", "mixed"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("neighbors", list(NEIGHBORS))
def test_kernels_equal_torch(library, neighbors, kind, channels):
    launch = LARGE_TILES if neighbors == "300 neighbors" else SMALL
    compare_both_precisions(library, make_case(neighbors, kind, channels=channels), launch)


@pytest.mark.parametrize("kind", KINDS)
def test_one_weighted_channel(library, kind):
    case = make_case("three elements", kind)
    weighted = torch.tensor([[0.6], [1.4], [5.0]], dtype=torch.float64)
    compare_both_precisions(library, Case(**{**vars(case), "channel_table": weighted}))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("cutoff_function", ["polynomial", "tanh"])
def test_cutoff_functions(library, kind, cutoff_function):
    compare_both_precisions(library, make_case("two elements", kind, cutoff_function=cutoff_function, channels="mixed"))


@pytest.mark.parametrize("max_degree", [0, 1, 8, 20])
@pytest.mark.parametrize("kind", ["legendre", "degrees"])
def test_degrees_up_to_the_limit(library, kind, max_degree):
    case = make_case("three elements", kind, channels="mixed")
    compare_both_precisions(library, Case(**{**vars(case), "max_degree": max_degree}))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_kernels_equal_those_of_the_cpu(library, kind, dtype):
    if load_operators().kind != "compiled":
        pytest.skip("no compiler: the operators are plain torch here")
    case = make_case("two elements", kind, dtype, channels="mixed")
    cotangent = random_like(torch.ops.mhdnn.symmetry_functions(*case.arguments()), 1)
    tangents = (random_like(case.pair_vectors, 2), random_like(case.channel_table, 3))
    expected = evaluate_operators(case, cotangent, tangents)
    tolerance = ROUND_OFF if dtype == torch.float64 else SINGLE_PRECISION
    for name, f, e in zip(NAMES, evaluate(library, case, cotangent, tangents), expected, strict=True):
        assert_same(f, e, tolerance, name)


def assert_equal(found, expected):
    for f, e in zip(found, expected, strict=True):
        assert torch.equal(f, e)


@pytest.mark.parametrize("kind", KINDS)
def test_result_does_not_depend_on_threads_and_blocks(library, kind):
    case = make_case("two elements", kind, channels="mixed")
    cotangent = random_like(emulate(library, case)[0], 1)
    tangents = (random_like(case.pair_vectors, 2), random_like(case.channel_table, 3))
    expected = evaluate(library, case, cotangent, tangents)
    for launch in (Launch(threads=1), Launch(threads=33), Launch(blocks=1), Launch(blocks=9)):
        assert_equal(evaluate(library, case, cotangent, tangents, launch), expected)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("launch", [Launch(tile=1), Launch(tile=3), Launch(threads=0, tile=0)], ids=str)
def test_every_tile_is_right(library, kind, launch):
    case = make_case("two elements", kind, channels="mixed")
    compare(library, case, evaluate_reference(case), ROUND_OFF, launch)


def test_tiles_follow_the_shared_memory(library):
    """A plan for a small device takes smaller tiles, down to the point where nothing fits."""
    case = make_case("three elements", "legendre")
    case = Case(**{**vars(case), "max_degree": 8})
    expected = evaluate_reference(case)
    compare(library, case, expected, ROUND_OFF, Launch(tile=0, device_shared_bytes=60_000))
    with pytest.raises(OutOfSharedMemory):
        compare(library, case, expected, ROUND_OFF, Launch(tile=0, device_shared_bytes=20_000))


WRONG_INDICES = """
import sys
from pathlib import Path
import torch
from tests.kernels.cases import Case, make_case
from tests.kernels.emulation.library import emulate
import ctypes
case = make_case("two elements", "radial")
name, place, value = sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
getattr(case, name)[place] = value
emulate(ctypes.CDLL(sys.argv[1]), case)
"""


@pytest.mark.parametrize(
    ("name", "place", "value"),
    [("neighbor_element", 3, 2), ("neighbor_element", 3, -1), ("first_pair", 1, 40), ("first_pair", 5, 46)],
)
def test_wrong_indices_stop_the_kernel(library, name, place, value):
    command = [sys.executable, "-c", WRONG_INDICES, library._name, name, str(place), str(value)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode != 0
    assert "kernel assertion" in result.stderr


@pytest.fixture(scope="session")
def race_program(tmp_path_factory):
    """Every kernel under ThreadSanitizer."""
    folder = tmp_path_factory.mktemp("races")
    probe = folder / "probe.cpp"
    probe.write_text("int main() { return 0; }\n")
    flags = ("-g", "-fsanitize=thread")
    built = subprocess.run(
        [COMPILER, *flags, probe, "-o", folder / "probe"], capture_output=True, text=True, check=False
    )
    if built.returncode != 0:
        pytest.skip(f"g++ can't build with ThreadSanitizer here: {built.stderr.splitlines()[-1]}")
    ran = subprocess.run([folder / "probe"], capture_output=True, text=True, check=False)
    if ran.returncode != 0:
        pytest.skip(f"ThreadSanitizer can't run here: {ran.stderr.strip()[:200]}")
    compile_with(*flags, FOLDER / "races.cpp", "-o", folder / "races")
    return folder / "races"


def run_races(program, *arguments):
    return subprocess.run([program, *arguments], capture_output=True, text=True, check=False, timeout=HANG)


def test_no_races(race_program):
    result = run_races(race_program)
    assert result.returncode == 0, result.stderr[:3000]
    assert "status 0" in result.stdout


@pytest.mark.parametrize("barrier", ["1", "2", "3", "8"])
def test_a_missing_barrier_is_found(race_program, barrier):
    result = run_races(race_program, barrier)
    assert result.returncode != 0
    assert "data race" in result.stderr
