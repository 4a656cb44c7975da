"""Charges that minimise the charge-equilibration energy, and every derivative that goes through them."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from ase.build import bulk

from mhdnn.electrostatics import build_coulomb
from mhdnn.electrostatics.reference import equilibrated
from mhdnn.errors import DataError, ElectrostaticsError, MHDNNError
from mhdnn.units import COULOMB_CONSTANT
from tests.coulomb import PERIODIC, cases, more_cases, random_case
from tests.tolerances import FINITE_DIFFERENCE, ROUND_OFF

SOLVERS = ["dense", "iterative"]
ACCURACY = {"dense": 1e-10, "iterative": 1e-4}
"""The mesh gives exact derivatives of what it computes, however coarse it is."""
STEP = 1e-4


def prepared(case, solver, accuracy=None, strain=None):
    system = case.build(accuracy or ACCURACY[solver], solver, strain=strain)
    system.tolerance = 1e-13
    return system


def total_energy(case, solver, accuracy=None, strain=None):
    """Of equilibrated charges, and a part that is not stationary in them, as a network's would be."""
    system = prepared(case, solver, accuracy, strain)
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
    energy, _ = total_energy(free, solver, strain=strain)
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


def three_atoms(name):
    case, keep = cases()[name], torch.tensor([0, 2, 5])
    names = ("positions", "widths", "electronegativity", "hardness")
    return replace(case, **{key: getattr(case, key)[keep] for key in names})


CHECKED = ["open", "triclinic", "slab along x, charged"]
TIGHT = {"atol": 1e-6, "rtol": 1e-5}


@pytest.mark.parametrize("name", CHECKED)
@pytest.mark.parametrize("solver", SOLVERS)
def test_derivatives_of_charges(name, solver):
    """By electronegativity, hardness and total charge, twice; by positions and strain, once."""
    case = three_atoms(name)
    names = ("electronegativity", "hardness", "total_charge")
    inputs = tuple(getattr(case, key).clone().requires_grad_() for key in names)

    def charges(*values):
        some = replace(case, **dict(zip(names, values, strict=True)))
        return some.equilibrate(prepared(some, solver))

    assert torch.autograd.gradcheck(charges, inputs, **TIGHT)
    assert torch.autograd.gradgradcheck(charges, inputs, **TIGHT)

    def moved(positions):
        some = replace(case, positions=positions)
        return some.equilibrate(prepared(some, solver))

    assert torch.autograd.gradcheck(moved, (case.positions.clone().requires_grad_(),), **TIGHT)


@pytest.mark.parametrize("name", CHECKED)
@pytest.mark.parametrize("solver", SOLVERS)
def test_derivatives_of_forces(name, solver):
    """What training on forces and stress needs: theirs by what makes the charges, and by the charges themselves."""
    case = three_atoms(name)
    positions, strain = case.positions.clone().requires_grad_(), torch.zeros(3, 3, dtype=torch.float64).requires_grad_()
    system = prepared(replace(case, positions=positions), solver, strain=strain)
    weights = torch.tensor([0.7, -1.1, 0.4], dtype=torch.float64)

    def derivatives(electronegativity, hardness, total_charge):
        charges = system.equilibrate(electronegativity, hardness, total_charge)
        energy = system.energy(charges).sum() + (weights * torch.sin(2.0 * charges)).sum()
        return torch.autograd.grad(energy, (positions, strain), create_graph=True)

    inputs = tuple(
        values.clone().requires_grad_() for values in (case.electronegativity, case.hardness, case.total_charge)
    )
    assert torch.autograd.gradcheck(derivatives, inputs, **TIGHT)

    def of_energy(charges):
        return torch.autograd.grad(system.energy(charges).sum(), (positions, strain), create_graph=True)

    assert torch.autograd.gradcheck(of_energy, (weights.clone().requires_grad_(),), **TIGHT)


@pytest.mark.parametrize("name", CHECKED)
def test_all_derivatives_twice(name):
    """Of the formulas in plain torch: charges by positions, cell, widths, electronegativity, hardness, total charge."""
    case = three_atoms(name)
    names = ("positions", "cell", "widths", "electronegativity", "hardness", "total_charge")
    inputs = tuple(getattr(case, key).clone().requires_grad_() for key in names)

    def charges(*values):
        some = replace(case, **dict(zip(names, values, strict=True)))
        return equilibrated(some.matrix(), some.electronegativity, some.hardness, some.total_charge[0])

    assert torch.autograd.gradcheck(charges, inputs, **TIGHT)
    assert torch.autograd.gradgradcheck(charges, inputs, **TIGHT)


def test_what_is_not_differentiable_says_so():
    case = cases()["open"]
    positions = case.positions.clone().requires_grad_()
    system = replace(case, positions=positions).build()
    (gradient,) = torch.autograd.grad(system.energy(case.charges).sum(), positions, create_graph=True)
    with pytest.raises(NotImplementedError, match="not by positions and strain again; with MHDNN_KERNELS=torch"):
        torch.autograd.grad(gradient.sum(), positions)


MESH_TOLERANCES = (3, 3, 10, 10, 10, 30)
"""Of charges, potential, and derivatives by positions, electronegativity, hardness and strain, in accuracies."""


@pytest.mark.parametrize("name", list(more_cases()))
@pytest.mark.parametrize("accuracy", [1e-4, 1e-6, 1e-8])
def test_same_as_the_formulas(name, accuracy):
    """Charges, potential and their derivatives: of the dense matrix to round-off, of the mesh to the accuracy."""
    case = more_cases()[name]
    expected = charges_and_derivatives(case, accuracy, None)
    for solver, tolerances in (("dense", 6 * [ROUND_OFF]), ("iterative", [n * accuracy for n in MESH_TOLERANCES])):
        found = charges_and_derivatives(case, accuracy, solver)
        for mine, theirs, tolerance in zip(found, expected, tolerances, strict=True):
            assert float((mine - theirs).abs().max()) < tolerance * float(theirs.abs().max()), solver


def charges_and_derivatives(case, accuracy, solver):
    """Of the core, or (solver None) of the formulas in plain torch."""
    target = torch.linspace(-1.0, 1.5, len(case.charges), dtype=torch.float64)
    free = {key: getattr(case, key).clone().requires_grad_() for key in ("positions", "electronegativity", "hardness")}
    some, strain = replace(case, **free), torch.zeros(3, 3, dtype=torch.float64, requires_grad=True)
    if solver is not None:
        system = some.build(accuracy, solver, strain=strain)
        charges = some.equilibrate(system)
        potential = system.potential(charges)
    else:
        matrix = some.strained(0.5 * (strain + strain.T)).matrix(accuracy)
        charges = equilibrated(matrix, some.electronegativity, some.hardness, some.total_charge[0])
        potential = matrix @ charges
    form = (target * potential).sum() + (target * charges.square()).sum()
    return charges.detach(), potential.detach(), *torch.autograd.grad(form, (*free.values(), strain))


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
    with pytest.raises(ElectrostaticsError, match=r"`(hardness|charges)`.*same place"):
        broken.equilibrate(broken.build(1e-8, solver))


def test_not_converged():
    """Wide Gaussians that almost nothing keeps from short waves of charge."""
    case = random_case(PERIODIC, num_atoms=60, edge=14.0, skew=3.0, seed=9)
    case = replace(case, hardness=torch.full_like(case.hardness, 1e-6), widths=7.0 * case.widths)
    with pytest.raises(
        ElectrostaticsError, match=r"`charges`: expected a residual below 1.0e-12.*iterations"
    ) as caught:
        case.equilibrate(case.build(1e-10, "iterative"))
    assert isinstance(caught.value, MHDNNError)
