"""Coulomb energies, forces and stress with every boundary condition, against sums done in another way."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.special import erfc, erfcx, gamma, gammainc

from mhdnn.electrostatics import build_coulomb
from mhdnn.electrostatics.ewald import wave_vectors
from mhdnn.electrostatics.gaussians import boys_function, gaussian_potential
from mhdnn.electrostatics.slab import shortest_reciprocal, vacuum_needed
from mhdnn.errors import ConfigError, DataError, MHDNNError
from mhdnn.units import COULOMB_CONSTANT
from tests.coulomb import CRYSTALS, LATTICES, OPEN, PERIODIC, SLAB, K, cases, plane_sum, random_case, wave_sum
from tests.tolerances import ROUND_OFF

THREE_PERIODIC = ["periodic", "triclinic", "charged"]
TWO_PERIODIC = ["slab", "slab along x, charged"]


def derivatives(energy_of, case):
    """Energy, its derivative by positions, and by strain."""
    strain = torch.zeros(3, 3, dtype=torch.float64, requires_grad=True)
    case = replace(case, positions=case.positions.clone().requires_grad_())
    energy = energy_of(case, strain)
    by_position, by_strain = torch.autograd.grad(energy, (case.positions, strain))
    return energy.detach(), by_position, by_strain


def ours(accuracy=1e-10, **options):
    return lambda case, strain: case.build(accuracy, **options, strain=strain).energy(case.charges).sum()


def by_formulas(case, strain):
    """The same in plain torch."""
    return 0.5 * case.charges @ case.strained(strain).matrix() @ case.charges


def assert_same(mine, theirs, tolerance):
    for name, first, second in zip(("energy", "forces", "stress"), mine, theirs, strict=True):
        scale = float(second.abs().max())
        assert scale > 1e-3, f"{name}: nothing is compared"
        assert float((first - second).abs().max()) < tolerance * scale, name


@pytest.mark.parametrize("order", [0, 1, 2, 3])
def test_boys_function(order):
    argument = torch.cat([torch.logspace(-4, 2, 60, dtype=torch.float64), torch.tensor([0.99999, 1.0, 1.00001])])
    t = argument.numpy()
    expected = gamma(order + 0.5) * gammainc(order + 0.5, t) / (2 * t ** (order + 0.5))
    np.testing.assert_allclose(boys_function(order, argument).numpy(), expected, rtol=2e-13)
    at_zero = boys_function(order, torch.zeros(1, dtype=torch.float64))
    np.testing.assert_allclose(at_zero.item(), 1 / (2 * order + 1), rtol=1e-15)


def test_derivatives_of_the_pair_function():
    squared = torch.tensor([0.0, 0.3, 1.7, 9.0, 40.0], dtype=torch.float64, requires_grad=True)
    width = torch.tensor([0.7, 1.1, 0.5, 1.3, 2.0], dtype=torch.float64, requires_grad=True)
    # away from zero distance, where central differences would leave the domain
    inner = (squared.detach() + 1e-2).requires_grad_()
    assert torch.autograd.gradcheck(gaussian_potential, (inner, width))
    assert torch.autograd.gradgradcheck(gaussian_potential, (inner, width))
    assert torch.autograd.gradcheck(
        lambda w: gaussian_potential(squared.detach(), w), (width[:1].detach().requires_grad_(),)
    )
    (slope,) = torch.autograd.grad(gaussian_potential(squared, width)[0], squared)
    np.testing.assert_allclose(slope[0].item(), -((2 / np.pi) ** 0.5) / 0.7**3 / 6, rtol=1e-14)


@pytest.mark.parametrize("name", list(CRYSTALS))
@pytest.mark.parametrize("solver", ["dense", "iterative"])
def test_madelung_constants(name, solver):
    fractions, charges, lattice, nearest, constant = CRYSTALS[name]
    edge = 5.0
    cell = torch.tensor(edge * LATTICES[lattice])
    positions = torch.tensor(fractions, dtype=torch.float64) @ torch.eye(3, dtype=torch.float64) * edge
    charges = torch.tensor(charges, dtype=torch.float64)
    width = 0.1
    case = replace(
        random_case(PERIODIC, len(charges)),
        positions=positions, cell=cell, charges=charges, widths=torch.full_like(charges, width),
    )  # fmt: skip
    energy = case.build(1e-9, solver).energy(charges).item()
    self_energy = 0.5 * COULOMB_CONSTANT * charges.square().sum().item() / (width * np.pi**0.5)
    found = -(energy - self_energy) * nearest * edge / COULOMB_CONSTANT
    np.testing.assert_allclose(found, constant, rtol=1e-8 if name != "CaF2" else 1e-7)


@pytest.mark.parametrize("name", THREE_PERIODIC)
def test_three_periodic_directions(name):
    """Against the sum over waves alone, which wide Gaussians allow."""
    case = cases()[name]
    theirs = derivatives(lambda some, strain: wave_sum(some.strained(strain), some.charges), case)
    assert_same(derivatives(ours(), case), theirs, 1e-8)
    assert_same(derivatives(by_formulas, case), theirs, 1e-8)
    assert_same(derivatives(ours(1e-6), case), theirs, 1e-5)


def test_sum_over_images():
    """A charge in a cube of others: its images are so symmetric that a plain sum over them converges."""
    corners = 1.1 * (torch.cartesian_prod(*3 * [torch.tensor([-0.5, 0.5], dtype=torch.float64)]))
    positions = torch.cat([torch.zeros(1, 3, dtype=torch.float64), corners])
    charges = torch.tensor([1.0] + 8 * [-0.125], dtype=torch.float64)
    case = replace(
        random_case(PERIODIC, 9),
        positions=positions, cell=4.0 * torch.eye(3, dtype=torch.float64), charges=charges,
        widths=torch.tensor([0.5] + 8 * [0.3], dtype=torch.float64),
    )  # fmt: skip
    steps = torch.arange(-6.0, 7.0, dtype=torch.float64)
    images = 4.0 * torch.cartesian_prod(steps, steps, steps)
    squared = (positions[:, None] - positions + images[:, None, None]).square().sum(-1)
    width = (case.widths.square()[:, None] + case.widths.square()).sqrt()
    matrix = COULOMB_CONSTANT * gaussian_potential(squared, width.expand(squared.shape)).sum(0)
    np.testing.assert_allclose(
        case.build().energy(charges).item(), (0.5 * charges @ matrix @ charges).item(), rtol=1e-6
    )


@pytest.mark.parametrize("name", TWO_PERIODIC)
def test_two_periodic_directions(name):
    case = cases()[name]
    theirs = derivatives(lambda some, strain: plane_sum(some.strained(strain), some.charges), case)
    assert_same(derivatives(ours(), case), theirs, 1e-8)
    assert_same(derivatives(by_formulas, case), theirs, 1e-8)
    assert_same(derivatives(ours(1e-6), case), theirs, 1e-5)


def test_slab_is_the_limit_of_a_growing_cell():
    """A neutral slab in a cell periodic in three directions: with the dipole term, the vacuum hardly matters."""
    case = random_case(SLAB, seed=7)
    expected = case.build().energy(case.charges).item()
    errors = []
    for length in (12.0, 18.0, 24.0):
        cell = case.cell.clone()
        cell[2] = torch.tensor([0.0, 0.0, length])
        energy = replace(case, cell=cell, pbc=PERIODIC).build().energy(case.charges).item()
        dipole = (case.charges * case.positions[:, 2]).sum().item()
        energy += 2 * np.pi * COULOMB_CONSTANT / torch.linalg.det(cell).item() * dipole**2
        errors.append(abs(energy - expected) / abs(expected))
    assert errors[0] > 10 * errors[1] > 100 * errors[2]
    assert errors[2] < 1e-8


@pytest.mark.parametrize("name", TWO_PERIODIC)
@pytest.mark.parametrize("solver", ["dense", "iterative"])
def test_slab_does_not_depend_on_the_third_vector(name, solver):
    case = cases()[name]
    expected = case.build(solver=solver).energy(case.charges).item()
    axis = case.pbc.index(False)
    for vector in ([0.0, 0.0, 0.0], [1.0, 2.0, 3.0], [50.0, -7.0, 80.0]):
        cell = case.cell.clone()
        cell[axis] = torch.tensor(vector)
        energy = replace(case, cell=cell).build(solver=solver).energy(case.charges).item()
        assert abs(energy - expected) < ROUND_OFF * abs(expected), vector


def test_slab_in_every_orientation():
    case = random_case(SLAB, skew=1.0, total_charge=0.5, seed=8)
    expected = derivatives(ours(), case)[:2]
    for shift in (1, 2):
        turned = replace(case, cell=case.cell.roll(shift, 0), pbc=tuple(np.roll(case.pbc, shift).tolist()))
        for mine, theirs in zip(derivatives(ours(), turned)[:2], expected, strict=True):
            assert float((mine - theirs).abs().max()) < ROUND_OFF * float(theirs.abs().max())


def test_vacuum():
    """The shortest reciprocal vector of a skewed plane; vacuum between wide Gaussians."""
    first, second = np.array([3.0, 0.0, 0.0]), np.array([7.4, 2.5, 0.0])  # the same lattice as (3, 0), (-1.6, 2.5)
    inverse = 2 * np.pi * np.linalg.inv(np.array([first[:2], second[:2]])).T
    steps = np.arange(-8, 9)
    lengths = np.linalg.norm(np.stack(np.meshgrid(steps, steps), -1).reshape(-1, 2) @ inverse, axis=1)
    np.testing.assert_allclose(shortest_reciprocal(first, second), np.sort(lengths)[1], rtol=1e-12)
    assert vacuum_needed(0.1, 1.0, 1e-6) > np.log(1e6) / 0.1
    assert vacuum_needed(20.0, 2.0, 1e-6) > 2.0 * np.sqrt(2 * np.log(1e6))


@pytest.mark.parametrize("name", [name for name in cases() if not name.startswith("open")])
def test_result_does_not_depend_on_the_splitting(name):
    case = cases()[name]
    results = [derivatives(ours(1e-12, smearing=smearing), case) for smearing in (0.7, 1.0, 1.5)]
    for other in results[1:]:
        assert_same(other, results[0], 1e-8)
    charges = [case.equilibrate(case.build(1e-12, smearing=smearing)) for smearing in (0.7, 1.5)]
    np.testing.assert_allclose(charges[0], charges[1], atol=1e-8)


@pytest.mark.parametrize("name", list(cases()))
@pytest.mark.parametrize("solver", ["dense", "iterative"])
def test_potential(name, solver):
    """It is the derivative of the energy, and at points that of a charge too small to matter."""
    case = cases()[name]
    accuracy = 1e-10 if solver == "dense" else 1e-8
    charges = case.charges.clone().requires_grad_()
    system = case.build(accuracy, solver)
    (gradient,) = torch.autograd.grad(system.energy(charges).sum(), charges)
    potential = system.potential(case.charges)
    assert float((potential - gradient).abs().max()) < ROUND_OFF * float(potential.abs().max())
    points = case.positions[:3] + torch.tensor([0.9, -0.4, 0.7], dtype=torch.float64)
    more = replace(
        case,
        positions=torch.cat([case.positions, points]),
        widths=torch.cat([case.widths, torch.full((3,), 1e-5, dtype=torch.float64)]),
    )
    expected = more.build(1e-10).potential(torch.cat([case.charges, torch.zeros(3)]))[-3:]
    found = system.potential_at(points, case.charges)
    assert float((found - expected).abs().max()) < 1e-7 * float(expected.abs().max())
    assert_points_differentiable(system, points, case)


def assert_points_differentiable(system, points, case):
    points = points.clone().requires_grad_()
    (field,) = torch.autograd.grad(system.potential_at(points, case.charges).sum(), points)
    step = torch.zeros_like(points)
    step[:, 1] = 1e-4
    values = [system.potential_at(points.detach() + sign * step, case.charges) for sign in (1, -1)]
    slope = (values[0] - values[1]) / 2e-4
    assert float((slope - field[:, 1]).abs().max()) < 1e-6 * float(field.abs().max())


HEIGHTS = [-400.0, -60.0, -25.0, -14.0, -9.0, -4.0, 0.0, 3.0, 6.0, 10.0, 14.0, 18.0, 22.0, 30.0, 90.0, 1000.0]


@pytest.mark.parametrize("name", TWO_PERIODIC)
@pytest.mark.parametrize(("solver", "accuracy"), [("dense", 1e-6), ("dense", 1e-10), ("iterative", 1e-6)])
def test_potential_above_and_below_a_slab(name, solver, accuracy):
    """At any distance that of the slab alone, without images: what a small charge there would feel."""
    case = cases()[name]
    axis = case.pbc.index(False)
    first, second = case.cell[(axis + 1) % 3], case.cell[(axis + 2) % 3]
    normal = torch.linalg.cross(first, second)
    heights = torch.tensor(HEIGHTS, dtype=torch.float64)
    points = case.positions.mean(0) + torch.outer(heights, normal / torch.linalg.vector_norm(normal)) + 0.3 * first
    more = replace(
        case,
        positions=torch.cat([case.positions, points]),
        widths=torch.cat([case.widths, torch.full((len(points),), 1e-5, dtype=torch.float64)]),
    )
    charges = torch.cat([case.charges, torch.zeros(len(points), dtype=torch.float64)]).requires_grad_()
    (expected,) = torch.autograd.grad(plane_sum(more, charges), charges)
    system = case.build(accuracy, solver)
    period = 3.0 * first - 2.0 * second
    for moved in (points, points + period):
        found = system.potential_at(moved, case.charges)
        # V; potentials are about 1 V, those of the charged slab some 1000 V far away
        limits = 30 * accuracy + 1e-14 * expected[-len(points) :].abs()
        assert ((found - expected[-len(points) :]).abs() < limits).all(), found - expected[-len(points) :]
    assert_points_differentiable(system, points, case)


def test_potential_around_a_molecule():
    """Far outside of the box that holds it, too: that of its charges one by one."""
    case = replace(random_case(OPEN, 40, edge=12.0, total_charge=0.6, seed=30), cell=torch.zeros(3, 3))
    points = case.positions[:4] + torch.tensor(
        [[0.0, 0.0, 0.0], [0.5, 0.0, 0.0], [25.0, -30.0, 40.0], [-1000.0, 20.0, 3.0]], dtype=torch.float64
    )
    distance = torch.linalg.vector_norm(points[:, None] - case.positions, dim=2).clamp_min(1e-9)
    values = torch.erf(distance / (2**0.5 * case.widths)) / distance
    for solver in ("dense", "iterative"):
        found = case.build(1e-6, solver).potential_at(points, case.charges)
        np.testing.assert_allclose(found, K * values @ case.charges, rtol=1e-10)


def test_average_potential_is_zero():
    """Also that of a charged cell: its background is there."""
    case = replace(cases()["charged"], cell=4.5 * torch.eye(3, dtype=torch.float64))
    steps = (torch.arange(8, dtype=torch.float64) + 0.3) / 8
    grid = torch.cartesian_prod(steps, steps, steps) @ case.cell
    potential = case.build(1e-8).potential_at(grid, case.charges)
    assert abs(potential.mean().item()) < 1e-4 * potential.abs().max().item()


@pytest.mark.parametrize("solver", ["dense", "iterative"])
def test_batch_is_single(solver):
    """Open, slab, periodic structures of different sizes, their atoms mixed up."""
    many = [*cases().values(), random_case(OPEN, 3, seed=11), random_case(PERIODIC, 11, edge=6.0, seed=12)]
    index = torch.cat([torch.full((len(case.positions),), number) for number, case in enumerate(many)])
    order = torch.randperm(len(index), generator=torch.Generator().manual_seed(0))

    def joined(name):
        return torch.cat([getattr(case, name) for case in many])[order]

    system = build_coulomb(
        joined("positions"), torch.stack([case.cell for case in many]), torch.tensor([case.pbc for case in many]),
        index[order], len(many), joined("widths"), 1e-6, solver,
    )  # fmt: skip
    charges = torch.empty(len(index), dtype=torch.float64)
    totals = torch.cat([case.total_charge for case in many])
    found = system.equilibrate(joined("electronegativity"), joined("hardness"), totals)
    charges[order] = found
    energies = system.energy(found)
    for number, case in enumerate(many):
        single = case.build(1e-6, solver)
        expected = case.equilibrate(single)
        np.testing.assert_allclose(charges[index == number], expected, atol=ROUND_OFF)
        np.testing.assert_allclose(energies[number].item(), single.energy(expected).item(), rtol=1e-9)
    if solver == "iterative":
        assert len(system.iterations) == len(many)


def arguments(**changes):
    case = random_case(PERIODIC)
    values = {
        "positions": case.positions,
        "cell": case.cell[None],
        "pbc": torch.ones(1, 3, dtype=torch.bool),
        "structure_index": torch.zeros(6, dtype=torch.int64),
        "num_structures": 1,
        "widths": case.widths,
    }
    return {**values, **changes}


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"widths": torch.tensor([1.0, 1.0, 0.0, 1.0, 1.0, 1.0])}, DataError, ["`widths`", "got 0.0", "atom 2"]),
        ({"widths": torch.ones(5)}, DataError, ["`widths`", "(6,)", "(5,)"]),
        ({"pbc": torch.tensor([[False, True, False]])}, DataError, ["`pbc`", "wire", "vacuum"]),
        ({"cell": torch.zeros(1, 3, 3)}, DataError, ["`cell`", "give the cell"]),
        ({"cell": torch.zeros(1, 3, 3), "pbc": torch.tensor([[True, True, False]])}, DataError, ["`cell`"]),
        ({"cell": torch.zeros(3, 3)}, DataError, ["`cell`", "(1, 3, 3)"]),
        ({"cell": torch.eye(3)[None].requires_grad_()}, DataError, ["`cell`", "without gradient", "`strain`"]),
        ({"widths": torch.ones(6).requires_grad_()}, DataError, ["`widths`", "without gradient"]),
        ({"positions": torch.full((6, 3), torch.nan)}, DataError, ["`positions`", "NaN"]),
        ({"solver": "fast"}, ConfigError, ["`solver`", "auto, dense, iterative", "'fast'"]),
        ({"accuracy": 0.5}, ConfigError, ["`accuracy`", "0.5"]),
        ({"smearing": -1.0}, ConfigError, ["`smearing`", "-1.0"]),
    ],
)
def test_errors(changes, error, words):
    with pytest.raises(error) as caught:
        build_coulomb(**arguments(**changes))
    assert isinstance(caught.value, MHDNNError)
    for word in words:
        assert word in str(caught.value)


def test_wrong_shapes_of_charges():
    system = random_case(PERIODIC).build()
    with pytest.raises(DataError, match="`charges`: expected shape"):
        system.energy(torch.zeros(5))
    two = build_coulomb(
        torch.rand(2, 3),
        torch.zeros(2, 3, 3),
        torch.zeros(2, 3, dtype=torch.bool),
        torch.tensor([0, 1]),
        2,
        torch.ones(2),
    )
    with pytest.raises(DataError, match="one structure, got 2"):
        two.potential_at(torch.zeros(1, 3), torch.zeros(2))


@pytest.mark.parametrize("width", [0.3, 1.0, 2.5, 6.0])
@pytest.mark.parametrize("shortest", [0.2, 0.7, 1.5, 4.0])
@pytest.mark.parametrize("accuracy", [1e-4, 1e-8])
def test_beyond_the_vacuum_nothing_varies_in_the_plane(width, shortest, accuracy):
    """The wave h of the potential of a Gaussian charge at the height z, over that in its own plane."""
    height = vacuum_needed(shortest, width, accuracy)
    a, b = width * shortest / np.sqrt(2), height / (np.sqrt(2) * width)
    above = 0.5 * (np.exp(a * a - shortest * height) * erfc(a - b) + erfcx(a + b) * np.exp(-b * b))
    left = above / erfcx(a)
    assert left < accuracy


@pytest.mark.parametrize("cutoff", [0.9, 3.0])
def test_each_wave_vector_or_its_opposite_once(cutoff):
    cell = np.array([[7.0, 0.3, 0.0], [-1.0, 8.0, 0.4], [0.5, 0.2, 9.0]])
    found = wave_vectors(cell, cutoff)
    both = [tuple(row) for row in np.concatenate([found, -found]).astype(int)]
    assert len(both) == len(set(both))
    steps = np.arange(-8, 9)
    everything = np.stack(np.meshgrid(steps, steps, steps), -1).reshape(-1, 3)
    lengths = np.linalg.norm(everything @ (2 * np.pi * np.linalg.inv(cell).T), axis=1)
    assert set(both) == {tuple(row) for row in everything[(lengths <= cutoff) & (lengths > 0)]}
