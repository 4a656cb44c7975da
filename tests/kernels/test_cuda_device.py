"""The operators on a GPU against those on the CPU."""

import subprocess
import sys

import pytest
import torch

from mhdnn.kernels import load_operators
from tests.kernels.cases import KINDS, NEIGHBORS, Case, make_case, small_case
from tests.kernels.device import waiting_is_an_error
from tests.kernels.test_cuda_emulation import NAMES, assert_equal, evaluate_operators
from tests.kernels.test_operators import assert_same, random_like
from tests.tolerances import ROUND_OFF, SINGLE_PRECISION

pytestmark = [pytest.mark.cuda, pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")]


@pytest.fixture(scope="module", autouse=True)
def operators():
    load_operators()
    if not torch._C._dispatch_has_kernel_for_dispatch_key("mhdnn::symmetry_functions_vjp", "CUDA"):
        pytest.skip("no nvcc: the operators were compiled for the CPU only")


def on_gpu(case: Case) -> Case:
    return Case(**{n: v.cuda() if isinstance(v, torch.Tensor) else v for n, v in vars(case).items()})


def directions_for(case: Case):
    """A cotangent, and tangents of vectors and table."""
    functions = torch.ops.mhdnn.symmetry_functions(*case.arguments())
    return random_like(functions, 1), (random_like(case.pair_vectors, 2), random_like(case.channel_table, 3))


def evaluate_on_gpu(case: Case):
    """Everything on the GPU, with the directions of the CPU."""
    cotangent, tangents = directions_for(case)
    return evaluate_operators(on_gpu(case), cotangent.cuda(), tuple(t.cuda() for t in tangents))


def compare(case: Case):
    expected = evaluate_operators(case, *directions_for(case))
    tolerance = ROUND_OFF if case.pair_vectors.dtype == torch.float64 else SINGLE_PRECISION
    for name, f, e in zip(NAMES, evaluate_on_gpu(case), expected, strict=True):
        assert f.is_cuda
        assert_same(f.cpu(), e, tolerance, name)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("channels", ["resolved", "mixed"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("neighbors", list(NEIGHBORS))
def test_gpu_equals_cpu(neighbors, kind, channels, dtype):
    compare(make_case(neighbors, kind, dtype, channels=channels))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("cutoff_function", ["polynomial", "tanh"])
def test_cutoff_functions(kind, cutoff_function):
    compare(make_case("two elements", kind, cutoff_function=cutoff_function, channels="mixed"))


@pytest.mark.parametrize("max_degree", [0, 1, 8, 20])
@pytest.mark.parametrize("kind", ["legendre", "degrees"])
def test_degrees_up_to_the_limit(kind, max_degree):
    case = make_case("two elements", kind, torch.float32)
    compare(Case(**{**vars(case), "max_degree": max_degree}))


@pytest.mark.parametrize("channels", ["resolved", "mixed"])
@pytest.mark.parametrize("kind", KINDS)
def test_numerical_differentiation(kind, channels):
    case = on_gpu(small_case(kind, channels=channels))
    inputs = (case.pair_vectors.requires_grad_(), case.channel_table.requires_grad_())

    def functions(vectors, table):
        return torch.ops.mhdnn.symmetry_functions(vectors, table, *case.settings())

    assert torch.autograd.gradcheck(functions, inputs)
    assert torch.autograd.gradgradcheck(functions, inputs)


@pytest.mark.parametrize("kind", KINDS)
def test_another_stream_and_another_run_give_the_same(kind):
    case = make_case("many atoms", kind, channels="mixed")
    expected = evaluate_on_gpu(case)
    torch.cuda.synchronize()
    with torch.cuda.stream(torch.cuda.Stream()):
        found = evaluate_on_gpu(case)
    torch.cuda.synchronize()
    assert_equal(found, expected)


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_waits_for_the_gpu(kind):
    case = on_gpu(make_case("two elements", kind, channels="mixed"))
    directions = directions_for(case)
    with waiting_is_an_error():
        evaluate_operators(case, *directions)


def test_too_large_a_shape_is_named():
    case = on_gpu(make_case("one atom", "legendre"))
    many = torch.linspace(0.1, 2.0, 60, device="cuda", dtype=torch.float64)
    case = Case(**{**vars(case), "etas": many, "shifts": many, "max_degree": 20})
    with pytest.raises(ValueError, match="bytes of shared memory for an atom on this GPU, got"):
        torch.ops.mhdnn.symmetry_functions(*case.arguments())


WRONG_ELEMENT = """
import torch
from mhdnn.kernels import load_operators
from tests.kernels.cases import make_case
load_operators()
case = make_case("two elements", "radial", device="cuda")
case.neighbor_element[3] = 2
torch.ops.mhdnn.symmetry_functions(*case.arguments())
torch.cuda.synchronize()
"""


def test_a_wrong_index_stops_the_kernel():
    """In a process of its own, which can't use the GPU afterwards."""
    result = subprocess.run([sys.executable, "-c", WRONG_ELEMENT], capture_output=True, text=True, check=False)
    assert result.returncode != 0
    assert "device-side assert" in result.stderr
