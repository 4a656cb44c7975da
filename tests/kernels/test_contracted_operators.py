"""The compiled operators of contracted functions: against plain torch, finite differences, and torch's rules."""

from dataclasses import replace

import pytest
import torch

from mhdnn.descriptors import contracted_reference as reference
from mhdnn.kernels import load_operators
from tests.kernels.cases import NEIGHBORS
from tests.kernels.contracted_cases import (
    SHAPES,
    density_case,
    in_single_precision,
    invariant_case,
    small_density_case,
)
from tests.kernels.test_operators import assert_same, random_like
from tests.tolerances import ROUND_OFF, SINGLE_PRECISION

ANGULAR = [shape for shape, sizes in SHAPES.items() if sizes["max_degree"] > 0]
NUM_ATOMS = (0, 1, 7, 45)


@pytest.fixture(scope="module", autouse=True)
def operators():
    if load_operators().kind != "compiled":
        pytest.skip("no compiler: the operators are plain torch here")


def density_reference(case):
    """Moments, gradients, second derivatives, and the directions they were made for, by torch's autograd."""
    inputs = [case.pair_vectors.clone().requires_grad_(), case.coefficients.clone().requires_grad_()]
    moments = reference.density_moments(*inputs, *case.settings())
    cotangent = random_like(moments, 1).requires_grad_()
    directions = [random_like(value, seed) for seed, value in enumerate(inputs, start=2)]
    gradients = torch.autograd.grad(moments, inputs, cotangent, create_graph=True)
    along = sum((g * d).sum() for g, d in zip(gradients, directions, strict=True))
    second = torch.autograd.grad(along, [cotangent, *inputs], allow_unused=True)
    second = [torch.zeros_like(v) if g is None else g for g, v in zip(second, [cotangent, *inputs], strict=True)]
    return [moments, *gradients, *second], cotangent.detach(), directions


def invariant_reference(case):
    moments = case.moments.clone().requires_grad_()
    functions = reference.density_invariants(moments, *case.arguments()[1:])
    cotangent, direction = random_like(functions, 1).requires_grad_(), random_like(moments, 2)
    (gradient,) = torch.autograd.grad(functions, moments, cotangent, create_graph=True)
    second = torch.autograd.grad((gradient * direction).sum(), (cotangent, moments), allow_unused=True)
    second = [torch.zeros_like(v) if g is None else g for g, v in zip(second, (cotangent, moments), strict=True)]
    return [functions, gradient, *second], cotangent.detach(), direction


def evaluate_densities(case, cotangent, directions):
    operators = torch.ops.mhdnn
    return [
        operators.density_moments(*case.arguments()),
        *operators.density_moments_vjp(cotangent, True, True, *case.arguments()),
        *operators.density_moments_vjp_tangent(cotangent, *directions, True, True, *case.arguments()),
    ]


def evaluate_invariants(case, cotangent, direction):
    operators = torch.ops.mhdnn
    return [
        operators.density_invariants(*case.arguments()),
        operators.density_invariants_vjp(cotangent, *case.arguments()),
        *operators.density_invariants_vjp_tangent(cotangent, direction, *case.arguments()),
    ]


def compare(found, expected, tolerance):
    for number, (f, e) in enumerate(zip(found, expected, strict=True)):
        assert_same(f, e.detach(), tolerance, f"output {number}")


def compare_densities(case):
    expected, cotangent, directions = density_reference(case)
    compare(evaluate_densities(case, cotangent, directions), expected, ROUND_OFF)
    single = evaluate_densities(in_single_precision(case), cotangent.float(), [d.float() for d in directions])
    compare(single, expected, SINGLE_PRECISION)


@pytest.mark.parametrize("shape", list(SHAPES))
@pytest.mark.parametrize("neighbors", list(NEIGHBORS))
def test_moments_equal_torch(neighbors, shape):
    compare_densities(density_case(neighbors, shape))


@pytest.mark.parametrize("cutoff_function", ["cosine", "polynomial", "tanh"])
def test_cutoff_functions(cutoff_function):
    compare_densities(density_case("two elements", cutoff_function=cutoff_function))


@pytest.mark.parametrize("shape", ["radial", "three-body"])
@pytest.mark.parametrize("cutoff", [1.5, 2.5])
def test_pairs_far_beyond_the_cutoff(shape, cutoff):
    """As of angular functions whose cutoff is below that of the list; most pairs don't count."""
    compare_densities(replace(density_case("300 neighbors", shape), cutoff=cutoff))


@pytest.mark.parametrize("max_degree", [0, 1, 8, 20])
def test_degrees_up_to_the_limit(max_degree):
    compare_densities(replace(density_case("three elements"), max_degree=max_degree))


@pytest.mark.parametrize("shape", ANGULAR)
@pytest.mark.parametrize("num_atoms", NUM_ATOMS)
def test_invariants_equal_torch(num_atoms, shape):
    case = invariant_case(num_atoms, shape)
    expected, cotangent, direction = invariant_reference(case)
    compare(evaluate_invariants(case, cotangent, direction), expected, ROUND_OFF)
    single = evaluate_invariants(in_single_precision(case), cotangent.float(), direction.float())
    compare(single, expected, SINGLE_PRECISION)


@pytest.mark.parametrize("kind", ["radial", "angular"])
def test_contracted_functions_are_invariants_of_moments(kind):
    case = density_case("two elements", "four-body")
    found = torch.ops.mhdnn.contracted_functions(*case.arguments(), kind, 2, 3)
    assert_same(found, reference.contracted_functions(*case.arguments(), kind, 2, 3), ROUND_OFF)


@pytest.mark.parametrize("kind", ["radial", "angular"])
def test_numerical_differentiation(kind):
    case = small_density_case("all densities")
    inputs = (case.pair_vectors.requires_grad_(), case.coefficients.requires_grad_())

    def functions(vectors, coefficients):
        return torch.ops.mhdnn.contracted_functions(vectors, coefficients, *case.settings(), kind, 2, 2)

    assert torch.autograd.gradcheck(functions, inputs)
    assert torch.autograd.gradgradcheck(functions, inputs)


def test_operators_keep_torchs_rules():
    case = small_density_case("three-body")
    inputs = (case.pair_vectors.requires_grad_(), case.coefficients.requires_grad_())
    arguments = (*inputs, *case.settings())
    moments = torch.ops.mhdnn.density_moments(*arguments)
    cotangent = random_like(moments, 1).requires_grad_()
    torch.library.opcheck(torch.ops.mhdnn.density_moments, arguments)
    for wanted in ((True, True), (True, False), (False, True)):
        torch.library.opcheck(torch.ops.mhdnn.density_moments_vjp, (cotangent, *wanted, *arguments))
    plain = (case.pair_vectors.detach(), case.coefficients.detach(), *case.settings())
    tangents = [random_like(value, seed) for seed, value in enumerate(plain[:2], start=2)]
    second = (cotangent.detach(), *tangents, True, True, *plain)
    torch.library.opcheck(torch.ops.mhdnn.density_moments_vjp_tangent, second)


def test_invariants_keep_torchs_rules():
    case = invariant_case(3)
    moments = case.moments.requires_grad_()
    functions = torch.ops.mhdnn.density_invariants(moments, 2, 3)
    cotangent = random_like(functions, 1).requires_grad_()
    torch.library.opcheck(torch.ops.mhdnn.density_invariants, (moments, 2, 3))
    torch.library.opcheck(torch.ops.mhdnn.density_invariants_vjp, (cotangent, moments, 2, 3))
    plain = (cotangent.detach(), random_like(moments, 2), moments.detach(), 2, 3)
    torch.library.opcheck(torch.ops.mhdnn.density_invariants_vjp_tangent, plain)


@pytest.mark.parametrize("wanted", [(True, False), (False, True)])
def test_gradients_that_are_not_wanted_are_left_out(wanted):
    case = density_case("two elements")
    cotangent = random_like(torch.ops.mhdnn.density_moments(*case.arguments()), 1)
    both = torch.ops.mhdnn.density_moments_vjp(cotangent, True, True, *case.arguments())
    found = torch.ops.mhdnn.density_moments_vjp(cotangent, *wanted, *case.arguments())
    for is_wanted, f, b in zip(wanted, found, both, strict=True):
        assert torch.equal(f, b) if is_wanted else f.numel() == 0


def test_training_of_forces_by_torchs_autograd():
    """Gradient by coefficients of a function of forces, as in training: the vectors' own gradient is not asked for."""
    case = density_case("two elements", "four-body")

    def gradient(functions):
        vectors, c = case.pair_vectors.clone().requires_grad_(), case.coefficients.clone().requires_grad_()
        energy = functions(vectors, c, *case.settings(), "angular", 2, 3).square().sum()
        (force,) = torch.autograd.grad(energy, vectors, create_graph=True)
        return torch.autograd.grad(force.square().sum() + energy, c)[0]

    assert_same(gradient(torch.ops.mhdnn.contracted_functions), gradient(reference.contracted_functions), ROUND_OFF)


def test_result_does_not_depend_on_threads():
    case = density_case("many atoms")
    results = []
    before = torch.get_num_threads()
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        moments = torch.ops.mhdnn.density_moments(*case.arguments())
        results.append((moments, *torch.ops.mhdnn.density_moments_vjp(moments, True, True, *case.arguments())))
    torch.set_num_threads(before)
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            assert torch.equal(a, b)


def test_third_derivatives_are_refused():
    case = small_density_case("three-body")
    vectors = case.pair_vectors.requires_grad_()
    value = torch.ops.mhdnn.contracted_functions(vectors, case.coefficients, *case.settings(), "angular", 2, 2).sum()
    for _ in range(2):
        (gradient,) = torch.autograd.grad(value, vectors, create_graph=True)
        value = gradient.square().sum()
    with pytest.raises(NotImplementedError, match="can be differentiated twice"):
        torch.autograd.grad(value, vectors)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("coefficients", lambda t: t[0], "`coefficients`: expected shape"),
        ("etas", lambda t: t[:1], "`etas`: expected shape"),
        ("center_element", lambda t: t[:2], "`center_element`: expected one entry for each of the 5 atoms, got 2"),
        ("center_element", lambda t: t + 1, "`center_element`: expected 0 to 1, got 2"),
        ("neighbor_element", lambda t: t - 1, "`neighbor_element`: expected 0 to 1, got -1"),
        ("first_pair", lambda t: t + 1, "`first_pair`: expected to begin with 0"),
        ("cutoff", lambda c: -c, "`cutoff`: expected a positive length"),
        ("cutoff_function", lambda _: "step", "`cutoff_function`: expected cosine"),
        ("max_degree", lambda _: 21, "`max_degree`: expected 0 to 20, got 21"),
    ],
)
def test_wrong_arguments_are_named(name, change, message):
    case = density_case("two elements")
    wrong = replace(case, **{name: change(getattr(case, name))})
    with pytest.raises((ValueError, IndexError), match=message):
        torch.ops.mhdnn.density_moments(*wrong.arguments())


@pytest.mark.parametrize(
    ("numbers", "message"),
    [((4, 2), "`four_body_degree`: expected 0 to 3, got 4"), ((2, 5), "`four_body_densities`: expected 0 to the")],
)
def test_wrong_four_body_functions_are_named(numbers, message):
    case = invariant_case(2)
    with pytest.raises(ValueError, match=message):
        torch.ops.mhdnn.density_invariants(case.moments, *numbers)
