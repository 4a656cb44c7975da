"""Charges that minimise the charge-equilibration energy, and every derivative that goes through them."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from ase.build import bulk

from mhdnn.electrostatics import build_coulomb
from mhdnn.errors import DataError, ElectrostaticsError, MHDNNError
from mhdnn.units import COULOMB_CONSTANT
from tests.coulomb import OPEN, PERIODIC, SLAB, cases, random_case
from tests.tolerances import FINITE_DIFFERENCE, ROUND_OFF

SOLVERS = ["dense", "iterative"]
ACCURACY = {"dense": 1e-10, "iterative": 1e-4}
"""The mesh gives exact derivatives of what it computes, however coarse it is."""
STEP = 1e-4


def prepared(case, solver, accuracy=None):
    system = case.build(accuracy or ACCURACY[solver], solver)
    system.tolerance = 1e-13
    return system


def total_energy(case, solver, accuracy=None):
    """Of equilibrated charges, and a part that is not stationary in them, as a network's would be."""
    system = prepared(case, solver, accuracy)
    charges = case.equilibrate(system)
    return (system.energy(charges).sum() + (case.electronegativity * torch.sin(2.0 * charges)).sum()), charges


def two_atoms():
    """χ, J, widths, distance and total charge of a molecule."""
    return (1.3, 4.1), (5.2, 6.7), (0.6, 0.9), 1.7, 0.3


def test_two_atoms_by_hand():
    (chi1, chi2), (j1, j2), (s1, s2), distance, total = two_atoms()
    direction = np.array([0.6, 0.0, 0.8])
    positions = torch.tensor(np.stack([np.zeros(3), distance * direction]), requires_grad=True)
    system = build_coulomb(
        positions, torch.zeros(1, 3, 3), torch.zeros(1, 3, dtype=torch.bool), torch.zeros(2, dtype=torch.int64), 1,
        torch.tensor([s1, s2], dtype=torch.float64),
    )  # fmt: skip
    charges = system.equilibrate(
        torch.tensor([chi1, chi2], dtype=torch.float64),
        torch.tensor([j1, j2], dtype=torch.float64),
        torch.tensor([total], dtype=torch.float64),
    )
    gamma = math.sqrt(s1**2 + s2**2)
    a11, a22 = (COULOMB_CONSTANT / (s * math.sqrt(math.pi)) for s in (s1, s2))
    a12 = COULOMB_CONSTANT * math.erf(distance / (math.sqrt(2) * gamma)) / distance
    slope = COULOMB_CONSTANT * math.sqrt(2 / math.pi) / gamma * math.exp(-0.5 * (distance / gamma) ** 2) / distance
    slope -= a12 / distance
    # q2 = Q - q1 in ½ (a11 + j1) q1² + ½ (a22 + j2) q2² + a12 q1 q2 + χ1 q1 + χ2 q2
    curvature = a11 + j1 + a22 + j2 - 2 * a12
    q1 = (chi2 - chi1 + (a22 + j2 - a12) * total) / curvature
    q2 = total - q1
    q1_slope = (-slope * total + 2 * slope * q1) / curvature
    energy = 0.5 * (a11 * q1**2 + a22 * q2**2) + a12 * q1 * q2
    energy_slope = slope * q1 * q2 + (a11 * q1 - a22 * q2 + a12 * (q2 - q1)) * q1_slope
    found = system.energy(charges).sum()
    (gradient,) = torch.autograd.grad(found, positions)
    np.testing.assert_allclose(charges.detach().numpy(), [q1, q2], rtol=1e-12)
    np.testing.assert_allclose(found.item(), energy, rtol=1e-12)
    np.testing.assert_allclose(gradient.numpy(), np.outer([-1, 1], energy_slope * direction), atol=1e-12)


@pytest.mark.parametrize("name", list(cases()))
@pytest.mark.parametrize("solver", SOLVERS)
def test_conditions_of_the_minimum(name, solver):
    case = cases()[name]
    system = prepared(case, solver)
    charges = case.equilibrate(system)
    slope = system.potential(charges) + case.hardness * charges + case.electronegativity
    assert abs(charges.sum().item() - case.total_charge.item()) < ROUND_OFF
    assert float((slope - slope.mean()).abs().max()) < 1e-9
    assert float(charges.abs().max()) > 0.05


@pytest.mark.parametrize("name", list(cases()))
@pytest.mark.parametrize("solver", SOLVERS)
def test_forces_and_stress(name, solver):
    """Against central differences, charges relaxed at every step."""
    case = cases()[name]
    strain = torch.zeros(3, 3, dtype=torch.float64, requires_grad=True)
    free = replace(case, positions=case.positions.clone().requires_grad_())
    energy, _ = total_energy(free.strained(strain), solver)
    forces, stress = torch.autograd.grad(energy, (free.positions, strain))

    def difference(moved):
        values = [total_energy(moved(sign * STEP), solver)[0].item() for sign in (1, -1)]
        return (values[0] - values[1]) / (2 * STEP)

    for atom, axis in ((0, 0), (2, 1), (3, 2), (5, 1)):
        direction = torch.zeros_like(case.positions)
        direction[atom, axis] = 1.0
        found = difference(lambda step, d=direction: replace(case, positions=case.positions + step * d))
        assert abs(found - forces[atom, axis].item()) < FINITE_DIFFERENCE * float(forces.abs().max()), (atom, axis)
    for a, b in ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)):
        change = torch.zeros(3, 3, dtype=torch.float64)
        change[a, b] = 1.0
        found = difference(lambda step, d=change: case.strained(step * d))
        assert abs(found - stress[a, b].item()) < FINITE_DIFFERENCE * float(stress.abs().max()), (a, b)


@pytest.mark.parametrize("name", list(cases()))
def test_iterative_forces_are_the_dense_ones(name):
    results = []
    for solver in SOLVERS:
        strain = torch.zeros(3, 3, dtype=torch.float64, requires_grad=True)
        case = cases()[name]
        free = replace(case, positions=case.positions.clone().requires_grad_())
        energy, charges = total_energy(free.strained(strain), solver, 1e-6)
        results.append((charges.detach(), *torch.autograd.grad(energy, (free.positions, strain))))
    for dense, iterative in zip(*results, strict=True):
        assert float((dense - iterative).abs().max()) < 1e-5 * float(dense.abs().max())


@pytest.mark.parametrize("name", ["open", "triclinic", "slab along x, charged"])
@pytest.mark.parametrize("solver", SOLVERS)
def test_all_derivatives_twice(name, solver):
    """Charges by positions, cell, widths, electronegativity, hardness and total charge."""
    case = cases()[name]
    keep = torch.tensor([0, 2, 5])
    case = replace(
        case, **{key: getattr(case, key)[keep] for key in ("positions", "widths", "electronegativity", "hardness")}
    )
    names = ("positions", "cell", "widths", "electronegativity", "hardness", "total_charge")
    inputs = tuple(getattr(case, key).clone().requires_grad_() for key in names)

    def charges(*values):
        some = replace(case, **dict(zip(names, values, strict=True)))
        return some.equilibrate(prepared(some, solver))

    fast = {"atol": 1e-6, "rtol": 1e-5, "fast_mode": True}
    assert torch.autograd.gradcheck(charges, inputs, **fast)
    assert torch.autograd.gradgradcheck(charges, inputs, **fast)
    if solver == "dense":
        assert torch.autograd.gradcheck(charges, inputs, atol=1e-6, rtol=1e-5)
        assert torch.autograd.gradgradcheck(charges, inputs, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("solver", SOLVERS)
def test_force_training(solver):
    """The gradient of a loss of forces by what makes electronegativity and hardness."""
    case = random_case(PERIODIC, skew=2.0, seed=9)
    target = torch.randn(6, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    features = torch.randn(6, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)

    def loss(parameters):
        positions = case.positions.clone().requires_grad_()
        distances = (positions[:, None] - positions).square().sum(-1)
        chi = features @ parameters[:2] + torch.exp(-0.2 * distances).sum(1)
        some = replace(
            case, positions=positions, electronegativity=chi,
            hardness=case.hardness * torch.nn.functional.softplus(parameters[2]),
        )  # fmt: skip
        energy, _ = total_energy(some, solver)
        (gradient,) = torch.autograd.grad(energy, positions, create_graph=True)
        return (gradient + target).square().sum()

    parameters = torch.tensor([0.7, -0.4, 0.9], dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(loss(parameters), parameters)
    for place in range(3):
        step = torch.zeros(3, dtype=torch.float64)
        step[place] = STEP
        found = (loss(parameters.detach() + step) - loss(parameters.detach() - step)).item() / (2 * STEP)
        assert abs(found - gradient[place].item()) < FINITE_DIFFERENCE * float(gradient.abs().max()), place


@pytest.mark.parametrize("pbc", [OPEN, PERIODIC, SLAB])
@pytest.mark.parametrize("solver", SOLVERS)
def test_fragments(pbc, solver):
    """Charges of each fragment add up; within it electronegativities are equal; derivatives are right."""
    case = random_case(pbc, 8, seed=10)
    fragment = torch.tensor([0, 1, 1, 0, 2, 2, 2, 1])
    totals = torch.tensor([1.0, -0.7, 0.2], dtype=torch.float64)
    system = prepared(case, solver)
    charges = system.equilibrate(case.electronegativity, case.hardness, None, fragment, totals)
    slope = system.potential(charges) + case.hardness * charges + case.electronegativity
    levels = []
    for number, total in enumerate(totals):
        members = fragment == number
        assert abs(charges[members].sum().item() - total.item()) < ROUND_OFF
        assert float(slope[members].std()) < 1e-9
        levels.append(slope[members].mean().item())
    assert max(levels) - min(levels) > 0.1

    def energy(positions, fragment_charge):
        some = replace(case, positions=positions)
        own = prepared(some, solver)
        q = own.equilibrate(some.electronegativity, some.hardness, None, fragment, fragment_charge)
        return own.energy(q).sum()

    inputs = (case.positions.clone().requires_grad_(), totals.clone().requires_grad_())
    assert torch.autograd.gradcheck(energy, inputs, atol=1e-5, rtol=1e-5, fast_mode=True)


def test_fragments_of_a_batch():
    """Dense fragments of structures with different numbers of them are those of each alone."""
    first, second = random_case(PERIODIC, 6, seed=1), random_case(PERIODIC, 7, seed=2)
    fragments = [torch.tensor([0, 0, 1, 1, 1, 0]), torch.tensor([0, 1, 2, 2, 1, 0, 0])]
    totals = [torch.tensor([0.5, -0.5], dtype=torch.float64), torch.tensor([0.1, 0.2, 0.3], dtype=torch.float64)]
    expected = [
        case.build().equilibrate(case.electronegativity, case.hardness, None, fragment, total)
        for case, fragment, total in zip((first, second), fragments, totals, strict=True)
    ]

    def joined(name):
        return torch.cat([getattr(first, name), getattr(second, name)])

    system = build_coulomb(
        joined("positions"), torch.stack([first.cell, second.cell]), torch.ones(2, 3, dtype=torch.bool),
        torch.tensor(6 * [0] + 7 * [1]), 2, joined("widths"), 1e-10,
    )  # fmt: skip
    # numbered so that those of the second structure come first
    fragment = torch.cat([fragments[0] + 3, fragments[1]])
    found = system.equilibrate(
        joined("electronegativity"), joined("hardness"), torch.tensor([0.0, 0.6]), fragment, torch.cat(totals[::-1])
    )
    np.testing.assert_allclose(found, torch.cat(expected), atol=ROUND_OFF)


@pytest.mark.parametrize("name", ["open", "charged", "slab"])
def test_initial_charges(name):
    """They save iterations and don't change the result, wrong sums included."""
    case = cases()[name]
    system = case.build(1e-6, "iterative")
    cold = case.equilibrate(system)
    (iterations,) = system.iterations
    system.initial_charges = cold + 1e-6
    warm = case.equilibrate(system)
    assert system.iterations[0] < iterations / 2
    np.testing.assert_allclose(warm, cold, atol=1e-6)


def test_iterations_of_the_adjoint_are_kept():
    case = cases()["triclinic"]
    case = replace(case, positions=case.positions.clone().requires_grad_())
    system = case.build(1e-6, "iterative")
    energy = system.energy(case.equilibrate(system)).sum()
    torch.autograd.grad(energy, case.positions)
    assert len(system.iterations) == 2
    assert min(system.iterations) > 0


def test_a_single_atom():
    for name in ("open", "periodic", "slab"):
        case = cases()[name]
        one = replace(
            case, positions=case.positions[:1], widths=case.widths[:1], hardness=case.hardness[:1],
            electronegativity=case.electronegativity[:1], total_charge=torch.tensor([0.5], dtype=torch.float64),
        )  # fmt: skip
        for solver in SOLVERS:
            np.testing.assert_allclose(one.equilibrate(one.build(1e-6, solver)), [0.5], atol=ROUND_OFF)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"hardness": torch.tensor([1.0, 1, 1, -2, 1, 1])}, ["`hardness`", "got -2.0", "atom 3", "positive"]),
        ({"hardness": torch.full((6,), torch.nan)}, ["`hardness`", "nan"]),
        ({"electronegativity": torch.zeros(5)}, ["`electronegativity`", "(6,)", "(5,)"]),
        ({"total_charge": None}, ["`total_charge`", "None", "0 for a neutral"]),
        ({"total_charge": torch.tensor([torch.nan])}, ["`total_charge`", "nan for structure 0"]),
        ({"total_charge": torch.zeros(2)}, ["`total_charge`", "(1,)", "(2,)"]),
        ({"fragment_index": torch.zeros(6, dtype=torch.int64)}, ["`fragment_charge`", "None"]),
        (
            {"fragment_index": torch.tensor([0, 0, 2, 2, 2, 2]), "fragment_charge": torch.zeros(3)},
            ["`fragment_index`", "from 0 to 2", "[0, 2]"],
        ),
        ({"fragment_index": torch.tensor([0, 1]), "fragment_charge": torch.zeros(2)}, ["`fragment_index`", "6 atoms"]),
        (
            {"fragment_index": torch.tensor([0, 0, 0, 1, 1, 1]), "fragment_charge": torch.ones(2)},
            ["`fragment_charge`", "[0.0]", "[2.0]"],
        ),
    ],
)
def test_errors(changes, words):
    case = random_case(PERIODIC)
    arguments = {
        "electronegativity": case.electronegativity,
        "hardness": case.hardness,
        "total_charge": case.total_charge,
    }
    with pytest.raises(DataError) as caught:
        case.build(1e-6).equilibrate(**{**arguments, **changes})
    for word in words:
        assert word in str(caught.value)


def test_fragment_of_two_structures():
    system = build_coulomb(
        torch.rand(4, 3), torch.zeros(2, 3, 3), torch.zeros(2, 3, dtype=torch.bool), torch.tensor([0, 0, 1, 1]), 2,
        torch.ones(4),
    )  # fmt: skip
    with pytest.raises(DataError, match="within one structure"):
        system.equilibrate(torch.zeros(4), torch.ones(4), None, torch.tensor([0, 1, 1, 1]), torch.zeros(2))


@pytest.mark.parametrize("electronegativity", [-1.0, 0.3, 2.7])
def test_atoms_that_are_all_alike(electronegativity):
    """A perfect crystal: no charges, and of the first residual nothing but round-off."""
    atoms = bulk("Li", "bcc", a=3.51, cubic=True).repeat(6)
    ones = torch.ones(len(atoms), dtype=torch.float64)
    system = build_coulomb(
        torch.from_numpy(atoms.positions), torch.from_numpy(atoms.cell[:])[None], torch.ones(1, 3, dtype=torch.bool),
        torch.zeros(len(atoms), dtype=torch.int64), 1, 1.28 * ones, solver="iterative",
    )  # fmt: skip
    charges = system.equilibrate(electronegativity * ones, 5.0 * ones, torch.zeros(1, dtype=torch.float64))
    assert charges.abs().max() < 1e-10


@pytest.mark.parametrize("solver", SOLVERS)
def test_indefinite(solver):
    """Atoms at the same place with almost no hardness: charges could grow without limit."""
    case = random_case(PERIODIC)
    positions = case.positions.clone()
    positions[1] = positions[0]
    widths = case.widths.clone()
    widths[1] = widths[0]
    broken = replace(case, positions=positions, widths=widths, hardness=torch.full((6,), 1e-30, dtype=torch.float64))
    with pytest.raises(ElectrostaticsError, match=r"`(hardness|equilibrate)`.*same place"):
        broken.equilibrate(broken.build(1e-8, solver))


def test_not_converged():
    case = random_case(PERIODIC, 12, edge=7.0)
    system = case.build(1e-6, "iterative")
    system.most_iterations = 2
    with pytest.raises(
        ElectrostaticsError, match=r"`equilibrate`: expected a residual below 1.0e-08.*4 iterations"
    ) as caught:
        case.equilibrate(system)
    assert isinstance(caught.value, MHDNNError)
