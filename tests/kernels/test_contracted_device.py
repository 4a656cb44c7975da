"""The operators of contracted functions on a GPU against those on the CPU."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from mhdnn.kernels import load_operators
from tests.kernels.cases import NEIGHBORS
from tests.kernels.contracted_cases import (
    SHAPES,
    density_case,
    in_single_precision,
    invariant_case,
    small_density_case,
)
from tests.kernels.device import waiting_is_an_error
from tests.kernels.test_contracted_operators import ANGULAR, compare, evaluate_densities, evaluate_invariants
from tests.kernels.test_cuda_emulation import assert_equal
from tests.kernels.test_operators import random_like
from tests.tolerances import ROUND_OFF, SINGLE_PRECISION

pytestmark = [pytest.mark.cuda, pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")]
TOLERANCES = {torch.float64: ROUND_OFF, torch.float32: SINGLE_PRECISION}


@pytest.fixture(scope="module", autouse=True)
def operators():
    load_operators()
    if not torch._C._dispatch_has_kernel_for_dispatch_key("mhdnn::density_moments_vjp", "CUDA"):
        pytest.skip("no nvcc: the operators were compiled for the CPU only")


def on_gpu(case: Any) -> Any:
    return replace(case, **{n: v.cuda() for n, v in vars(case).items() if isinstance(v, torch.Tensor)})


def in_precision(case: Any, dtype: torch.dtype) -> Any:
    return case if dtype == torch.float64 else in_single_precision(case)


def density_directions(case):
    """A cotangent, and tangents of vectors and coefficients."""
    cotangent = random_like(torch.ops.mhdnn.density_moments(*case.arguments()), 1)
    return cotangent, [random_like(case.pair_vectors, 2), random_like(case.coefficients, 3)]


def densities_on_gpu(case):
    """Everything on the GPU, with the directions of the CPU."""
    cotangent, tangents = density_directions(case)
    return evaluate_densities(on_gpu(case), cotangent.cuda(), [t.cuda() for t in tangents])


def to_cpu(tensors):
    assert all(tensor.is_cuda for tensor in tensors)
    return [tensor.cpu() for tensor in tensors]


@pytest.mark.parametrize("dtype", list(TOLERANCES))
@pytest.mark.parametrize("shape", list(SHAPES))
@pytest.mark.parametrize("neighbors", list(NEIGHBORS))
def test_moments_equal_cpu(neighbors, shape, dtype):
    case = in_precision(density_case(neighbors, shape), dtype)
    compare(to_cpu(densities_on_gpu(case)), evaluate_densities(case, *density_directions(case)), TOLERANCES[dtype])


@pytest.mark.parametrize("dtype", list(TOLERANCES))
@pytest.mark.parametrize("shape", ANGULAR)
@pytest.mark.parametrize("num_atoms", [0, 1, 7, 45])
def test_invariants_equal_cpu(num_atoms, shape, dtype):
    case = in_precision(invariant_case(num_atoms, shape), dtype)
    directions = random_like(torch.ops.mhdnn.density_invariants(*case.arguments()), 1), random_like(case.moments, 2)
    found = evaluate_invariants(on_gpu(case), *(direction.cuda() for direction in directions))
    compare(to_cpu(found), evaluate_invariants(case, *directions), TOLERANCES[dtype])


@pytest.mark.parametrize("cutoff", [1.5, 2.5])
def test_pairs_far_beyond_the_cutoff(cutoff):
    """As of angular functions whose cutoff is below that of the list; most pairs don't count."""
    case = replace(density_case("300 neighbors"), cutoff=cutoff)
    compare(to_cpu(densities_on_gpu(case)), evaluate_densities(case, *density_directions(case)), ROUND_OFF)


@pytest.mark.parametrize("kind", ["radial", "angular"])
def test_numerical_differentiation(kind):
    case = on_gpu(small_density_case("four-body"))
    inputs = (case.pair_vectors.requires_grad_(), case.coefficients.requires_grad_())

    def functions(vectors, coefficients):
        return torch.ops.mhdnn.contracted_functions(vectors, coefficients, *case.settings(), kind, 2, 2)

    assert torch.autograd.gradcheck(functions, inputs)
    assert torch.autograd.gradgradcheck(functions, inputs)


@pytest.mark.parametrize("shape", ["radial", "four-body"])
def test_another_stream_and_another_run_give_the_same(shape):
    case = density_case("many atoms", shape)
    expected = densities_on_gpu(case)
    torch.cuda.synchronize()
    with torch.cuda.stream(torch.cuda.Stream()):
        found = densities_on_gpu(case)
    torch.cuda.synchronize()
    assert_equal(found, expected)


def test_nothing_waits_for_the_gpu():
    case = on_gpu(density_case("two elements", "four-body"))
    cotangent, tangents = density_directions(case)
    with waiting_is_an_error():
        evaluate_densities(case, cotangent, tangents)


def test_too_large_a_shape_is_named():
    case = on_gpu(density_case("one atom"))
    many = case.coefficients.new_ones((2, 2, 200, 3))
    with pytest.raises(ValueError, match="contracted functions: expected at most .* bytes of shared memory"):
        torch.ops.mhdnn.density_moments(*replace(case, coefficients=many, max_degree=20).arguments())
