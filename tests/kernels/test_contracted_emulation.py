"""The CUDA kernels of contracted functions without a GPU, as in test_cuda_emulation."""

from dataclasses import replace

import pytest
import torch

from tests.kernels.cases import NEIGHBORS
from tests.kernels.contracted_cases import SHAPES, density_case, in_single_precision, invariant_case
from tests.kernels.emulation.contracted import emulate_densities, emulate_invariants
from tests.kernels.emulation.library import COMPILER, SMALL, Launch, OutOfSharedMemory
from tests.kernels.test_contracted_operators import ANGULAR, compare, density_reference, invariant_reference
from tests.kernels.test_cuda_emulation import LARGE_TILES, assert_equal
from tests.tolerances import ROUND_OFF, SINGLE_PRECISION

pytestmark = pytest.mark.skipif(COMPILER is None, reason="no g++")


def all_densities(library, case, cotangent, directions, launch=SMALL):
    return [
        *emulate_densities(library, case, launch=launch),
        *emulate_densities(library, case, cotangent, launch=launch),
        *emulate_densities(library, case, cotangent, tuple(directions), launch),
    ]


def all_invariants(library, case, cotangent, direction, launch=SMALL):
    return [
        *emulate_invariants(library, case, launch=launch),
        *emulate_invariants(library, case, cotangent, launch=launch),
        *emulate_invariants(library, case, cotangent, direction, launch),
    ]


@pytest.mark.parametrize("shape", list(SHAPES))
@pytest.mark.parametrize("neighbors", list(NEIGHBORS))
def test_moments_equal_torch(library, neighbors, shape):
    launch = LARGE_TILES if neighbors == "300 neighbors" else SMALL
    case = density_case(neighbors, shape)
    expected, cotangent, directions = density_reference(case)
    compare(all_densities(library, case, cotangent, directions, launch), expected, ROUND_OFF)
    floats = (cotangent.float(), [d.float() for d in directions])
    compare(all_densities(library, in_single_precision(case), *floats, launch), expected, SINGLE_PRECISION)


@pytest.mark.parametrize("shape", ANGULAR)
@pytest.mark.parametrize("num_atoms", [0, 1, 7])
def test_invariants_equal_torch(library, num_atoms, shape):
    case = invariant_case(num_atoms, shape)
    expected, cotangent, direction = invariant_reference(case)
    compare(all_invariants(library, case, cotangent, direction), expected, ROUND_OFF)
    floats = (cotangent.float(), direction.float())
    compare(all_invariants(library, in_single_precision(case), *floats), expected, SINGLE_PRECISION)


@pytest.mark.parametrize("launch", [Launch(tile=1), Launch(tile=3), Launch(threads=0, tile=0)], ids=str)
def test_every_tile_is_right(library, launch):
    case = density_case("two elements")
    expected, cotangent, directions = density_reference(case)
    compare(all_densities(library, case, cotangent, directions, launch), expected, ROUND_OFF)


@pytest.mark.parametrize("cutoff", [1.5, 2.5])
def test_pairs_far_beyond_the_cutoff(library, cutoff):
    """As of angular functions whose cutoff is below that of the list; most pairs don't count."""
    case = replace(density_case("300 neighbors"), cutoff=cutoff)
    expected, cotangent, directions = density_reference(case)
    compare(all_densities(library, case, cotangent, directions, LARGE_TILES), expected, ROUND_OFF)


def test_result_does_not_depend_on_threads_and_blocks(library):
    case, invariants = density_case("two elements"), invariant_case(7)
    directions, of_invariants = density_reference(case)[1:], invariant_reference(invariants)[1:]
    expected = all_densities(library, case, *directions)
    expected_invariants = all_invariants(library, invariants, *of_invariants)
    for launch in (Launch(threads=1), Launch(threads=33), Launch(blocks=1), Launch(blocks=9)):
        assert_equal(all_densities(library, case, *directions, launch), expected)
        assert_equal(all_invariants(library, invariants, *of_invariants, launch), expected_invariants)


@pytest.mark.parametrize("wanted", [(True, False), (False, True)])
def test_gradients_that_are_not_wanted_are_left_out(library, wanted):
    case = density_case("two elements")
    _, cotangent, directions = density_reference(case)
    for tangents in (None, tuple(directions)):
        both = emulate_densities(library, case, cotangent, tangents)[-2:]
        (found,) = emulate_densities(library, case, cotangent, tangents, SMALL, *wanted)[-1:]
        assert torch.equal(found, both[wanted.index(True)])


def test_too_large_a_shape_does_not_fit(library):
    with pytest.raises(OutOfSharedMemory):
        emulate_densities(library, density_case("one atom"), launch=Launch(tile=0, device_shared_bytes=1000))
    with pytest.raises(OutOfSharedMemory):
        emulate_invariants(library, invariant_case(1), launch=Launch(device_shared_bytes=100))
