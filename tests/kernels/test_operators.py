"""The compiled operators against plain torch, against finite differences, and torch's own checks of operators."""

import pytest
import torch

from mhdnn.descriptors.reference import symmetry_functions as reference
from mhdnn.kernels import load_operators
from tests.kernels.cases import CUTOFF_FUNCTIONS, KINDS, LISTS, NEIGHBORS, Case, make_case, small_case
from tests.tolerances import ROUND_OFF, SINGLE_PRECISION


@pytest.fixture(scope="module", autouse=True)
def operators():
    if load_operators().kind != "compiled":
        pytest.skip("no compiler: the operators are plain torch here")


def assert_same(found, expected, tolerance, name=""):
    assert found.shape == expected.shape, name
    if expected.numel() == 0:
        return
    scale = max(1e-3, expected.abs().max().item())
    assert (found.double() - expected.double()).abs().max().item() <= tolerance * scale, name


def random_like(tensor, seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(tensor.shape, generator=generator, dtype=torch.float64).to(tensor)


def evaluate_reference(case: Case):
    """Functions, their vjp, and the vjp's derivative along random directions, all by torch's autograd."""
    vectors, table = case.pair_vectors.clone().requires_grad_(), case.channel_table.clone().requires_grad_()
    functions = reference(vectors, table, *case.settings())
    cotangent = random_like(functions, 1).requires_grad_()
    directions = (random_like(vectors, 2), random_like(table, 3))
    gradients = torch.autograd.grad(
        functions, (vectors, table), cotangent, create_graph=True, allow_unused=True, materialize_grads=True
    )
    along = sum((g * d).sum() for g, d in zip(gradients, directions, strict=True))
    second = torch.autograd.grad(along, (cotangent, vectors, table), allow_unused=True)
    second = [torch.zeros_like(v) if g is None else g for g, v in zip(second, (cotangent, vectors, table), strict=True)]
    return functions, gradients, second, cotangent.detach(), directions


def compare(case: Case, tolerance: float, exact: Case):
    functions, gradients, second, cotangent, directions = evaluate_reference(exact)
    dtype = case.pair_vectors.dtype
    cotangent, directions = cotangent.to(dtype), [d.to(dtype) for d in directions]
    assert_same(torch.ops.mhdnn.symmetry_functions(*case.arguments()), functions, tolerance, "functions")
    found = torch.ops.mhdnn.symmetry_functions_vjp(cotangent, *case.arguments())
    for name, f, e in zip(("vectors", "table"), found, gradients, strict=True):
        assert_same(f, e, tolerance, f"gradient by {name}")
    found = torch.ops.mhdnn.symmetry_functions_vjp_tangent(cotangent, *directions, *case.arguments())
    for name, f, e in zip(("cotangent", "vectors", "table"), found, second, strict=True):
        assert_same(f, e, tolerance, f"second derivative by {name}")


@pytest.mark.parametrize("channels", ["resolved", "mixed"])
@pytest.mark.parametrize("kind", KINDS + LISTS)
@pytest.mark.parametrize("neighbors", list(NEIGHBORS))
def test_compiled_equals_torch(neighbors, kind, channels):
    exact = make_case(neighbors, kind, channels=channels)
    compare(exact, ROUND_OFF, exact)
    single = make_case(neighbors, kind, torch.float32, channels=channels)
    compare(single, SINGLE_PRECISION, exact)


@pytest.mark.parametrize("kind", KINDS + LISTS)
@pytest.mark.parametrize("cutoff_function", CUTOFF_FUNCTIONS)
def test_cutoff_functions(kind, cutoff_function):
    exact = make_case("two elements", kind, cutoff_function=cutoff_function, channels="mixed")
    compare(exact, ROUND_OFF, exact)
    single = make_case("two elements", kind, torch.float32, cutoff_function, "mixed")
    compare(single, SINGLE_PRECISION, exact)


@pytest.mark.parametrize("max_degree", [0, 1, 8, 20])
def test_degrees_up_to_the_limit(max_degree):
    case = make_case("three elements", "legendre")
    case = Case(**{**vars(case), "max_degree": max_degree})
    compare(case, ROUND_OFF, case)


@pytest.mark.parametrize("channels", ["resolved", "mixed"])
@pytest.mark.parametrize("kind", KINDS + LISTS)
def test_numerical_differentiation(kind, channels):
    case = small_case(kind, channels=channels)
    inputs = (case.pair_vectors.requires_grad_(), case.channel_table.requires_grad_())

    def functions(vectors, table):
        return torch.ops.mhdnn.symmetry_functions(vectors, table, *case.settings())

    assert torch.autograd.gradcheck(functions, inputs)
    assert torch.autograd.gradgradcheck(functions, inputs)


@pytest.mark.parametrize("kind", KINDS + LISTS)
def test_operators_keep_torchs_rules(kind):
    case = small_case(kind, channels="mixed")
    vectors, table = case.pair_vectors.requires_grad_(), case.channel_table.requires_grad_()
    arguments = (vectors, table, *case.settings())
    functions = torch.ops.mhdnn.symmetry_functions(*arguments)
    cotangent = random_like(functions, 1).requires_grad_()
    torch.library.opcheck(torch.ops.mhdnn.symmetry_functions, arguments)
    torch.library.opcheck(torch.ops.mhdnn.symmetry_functions_vjp, (cotangent, *arguments))
    plain = (case.pair_vectors.detach(), case.channel_table.detach(), *case.settings())
    tangents = (random_like(vectors, 2), random_like(table, 3))
    torch.library.opcheck(torch.ops.mhdnn.symmetry_functions_vjp_tangent, (cotangent.detach(), *tangents, *plain))


@pytest.mark.parametrize("kind", KINDS + LISTS)
def test_result_does_not_depend_on_threads(kind):
    case = make_case("many atoms", kind, channels="mixed")
    results = []
    before = torch.get_num_threads()
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        functions = torch.ops.mhdnn.symmetry_functions(*case.arguments())
        gradients = torch.ops.mhdnn.symmetry_functions_vjp(random_like(functions, 1), *case.arguments())
        results.append((functions, *gradients))
    torch.set_num_threads(before)
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            assert torch.equal(a, b)


def test_inputs_need_not_be_contiguous():
    case = make_case("two elements", "legendre")
    expected = torch.ops.mhdnn.symmetry_functions(*case.arguments())
    vectors = case.pair_vectors.T.contiguous().T
    elements = torch.stack([case.neighbor_element, case.neighbor_element], 1)[:, 0]
    assert not vectors.is_contiguous()
    assert not elements.is_contiguous()
    changed = Case(**{**vars(case), "pair_vectors": vectors, "neighbor_element": elements})
    assert torch.equal(torch.ops.mhdnn.symmetry_functions(*changed.arguments()), expected)
    cotangent = random_like(expected, 1)
    strided = cotangent.T.contiguous().T
    gradients = [torch.ops.mhdnn.symmetry_functions_vjp(c, *changed.arguments())[0] for c in (cotangent, strided)]
    assert torch.equal(*gradients)


def test_third_derivative_is_refused():
    case = small_case("radial")
    vectors = case.pair_vectors.requires_grad_()
    value = torch.ops.mhdnn.symmetry_functions(vectors, case.channel_table, *case.settings()).sum()
    for _ in range(2):
        (gradient,) = torch.autograd.grad(value, vectors, create_graph=True)
        value = (gradient**2).sum()
    with pytest.raises(NotImplementedError, match="differentiated twice"):
        torch.autograd.grad(torch.autograd.grad(value, vectors, create_graph=True)[0].sum(), vectors)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("pair_vectors", lambda t: t[:, :2], r"`pair_vectors`: expected shape \(num_pairs, 3\)"),
        ("pair_vectors", lambda t: t.half(), "`pair_vectors`: expected float32 or float64"),
        ("channel_table", lambda t: t.float(), "`channel_table`: expected Double, got Float"),
        ("neighbor_element", lambda t: t[:-1], "`neighbor_element`: expected one entry for each of the 45 pairs"),
        ("neighbor_element", lambda t: t + 1, "`neighbor_element`: expected 0 to 1, got 2"),
        ("neighbor_element", lambda t: t.int(), "`neighbor_element`: expected one-dimensional int64"),
        ("first_pair", lambda t: t.flip(0), "`first_pair`: expected ascending"),
        ("first_pair", lambda t: t - 1, "`first_pair`: expected to begin with 0"),
        ("shifts", lambda t: t[:2], r"`shifts`: expected shape \[3\]"),
        ("cutoff", lambda _: -1.0, "`cutoff`: expected a positive length"),
        ("cutoff_function", lambda _: "cubic", "`cutoff_function`: expected cosine, polynomial, tanh, .*, got cubic"),
        ("cutoff_function", lambda _: "cosine:1", "`cutoff_function`: expected an inner fraction"),
        ("elements", lambda _: [0, 0], "`elements`: expected 2 for each of the 3 radial functions, got 2"),
        ("elements", lambda _: [0, 0, 0, 2, 0, 0], "`elements`: expected 0 to 1, got 2"),
        ("elements", lambda _: [0, 0, 1, 0, 0, 0], "`elements`: expected pairs in ascending order, got 1 before 0"),
        ("elements", lambda _: [0, 0, 0, 1, 1, 1], "`radial_index`: expected ascending numbers"),
        ("kind", lambda _: "broad", "`kind`: expected radial, legendre, degrees, narrow or wide, got broad"),
        ("zetas", lambda z: [0, *z[1:]], "`zetas`: expected positive integers, got 0"),
        ("lambdas", lambda z: [2, *z[1:]], r"`lambdas`: expected \+1 or -1, got 2"),
        ("radial_index", lambda n: [3, *n[1:]], "`radial_index`: expected 0 to 2, got 3"),
        ("radial_index", lambda n: n[1:], "expected equal lengths"),
    ],
)
def test_wrong_arguments_are_named(name, change, message):
    case = make_case("two elements", "wide")
    wrong = Case(**{**vars(case), name: change(getattr(case, name))})
    with pytest.raises((ValueError, IndexError), match=message):
        torch.ops.mhdnn.symmetry_functions(*wrong.arguments())


def test_degree_beyond_the_limit_is_named():
    case = make_case("one atom", "legendre")
    with pytest.raises(ValueError, match="`max_degree`: expected 0 to 20, got 21"):
        torch.ops.mhdnn.symmetry_functions(*Case(**{**vars(case), "max_degree": 21}).arguments())
