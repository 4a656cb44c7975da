"""Particle mesh and conjugate gradients: the Ewald sum's values, exact derivatives, few iterations."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from ase.build import bulk

from mhdnn.electrostatics import build_coulomb
from mhdnn.electrostatics.blocks import Groups
from mhdnn.electrostatics.iterative import IterativeSolver
from mhdnn.electrostatics.mesh import RESOLUTIONS, good_size
from mhdnn.electrostatics.splines import influence_factor, spline_coefficients, spline_products, spline_weights
from tests.coulomb import OPEN, PERIODIC, SLAB, Case, cases, random_case
from tests.tolerances import ROUND_OFF

ORDERS = [3, 5, 6, 7, 12]


def energy_forces_stress(case, accuracy, solver):
    strain = torch.zeros(3, 3, dtype=torch.float64, requires_grad=True)
    free = replace(case, positions=case.positions.clone().requires_grad_())
    system = free.strained(strain).build(accuracy, solver)
    energy = system.energy(case.charges).sum()
    potential = system.potential(case.charges).detach()
    return (potential, energy.detach(), *torch.autograd.grad(energy, (free.positions, strain)))


@pytest.mark.parametrize("order", ORDERS)
def test_splines(order):
    """They add up to one, are symmetric, continuous, and have the Fourier transform sinc^p."""
    coefficients = spline_coefficients(order)
    t = np.linspace(0, 1, 7)
    values = coefficients @ t[None, :] ** np.arange(order)[:, None]
    np.testing.assert_allclose(values.sum(0), 1.0, rtol=1e-12)
    np.testing.assert_allclose(values, values[::-1, ::-1], atol=1e-12)
    np.testing.assert_allclose(values[:-1, -1], values[1:, 0], atol=1e-12)
    nodes, weights = np.polynomial.legendre.leggauss(20)
    x = 0.5 * (nodes + 1)
    for wave in (0.0, 0.4, 2.3):
        pieces = (coefficients @ x[None, :] ** np.arange(order)[:, None]) * np.exp(
            1j * wave * (x + np.arange(order)[:, None] - order / 2)
        )
        expected = np.sinc(wave / (2 * np.pi)) ** order
        np.testing.assert_allclose((pieces @ weights).sum() / 2, expected, atol=1e-12)


def test_spread_charge_has_the_moments_of_the_charge():
    """Total and mean position, for charges across the faces of the cell too."""
    coordinates = torch.tensor([[0.3, 5.9, 2.0], [7.99, 0.0, 3.4], [-0.2, 9.3, -6.1]], dtype=torch.float64)
    shape, order = (8, 10, 12), 6
    weights, points = spline_weights(coordinates, shape, order)
    products = spline_products(weights)
    np.testing.assert_allclose(products.sum(1), 1.0, rtol=1e-12)
    index = torch.stack(torch.meshgrid(*(torch.arange(size) for size in shape), indexing="ij"), -1).reshape(-1, 3)
    size = torch.tensor(shape, dtype=torch.float64)
    # splines of this order reach from the point back by the order
    offset = index[points.long()] - (coordinates[:, None] - order / 2)
    offset = offset - size * torch.round(offset / size)
    np.testing.assert_allclose((products[:, :, None] * offset).sum(1), 0.0, atol=1e-12)


@pytest.mark.parametrize("size", [10, 15])
def test_influence_factor(size):
    """Long waves pass; the wave number without a sign doesn't."""
    factor = influence_factor(size, 6)
    np.testing.assert_allclose(factor[0], 1.0, rtol=1e-12)
    np.testing.assert_allclose(factor[1:], factor[1:][::-1], rtol=1e-12)
    assert (factor[size // 2] == 0.0) == (size % 2 == 0)


def test_good_sizes():
    assert [good_size(least) for least in (1, 2.5, 7, 13, 17, 97, 101, 127)] == [2, 4, 8, 16, 18, 100, 108, 128]


@pytest.mark.parametrize("accuracy", [entry[0] for entry in RESOLUTIONS if entry[0] >= 1e-8])
@pytest.mark.parametrize("name", list(cases()))
def test_same_as_the_ewald_sum(name, accuracy):
    """Potential, energy, forces, stress; of open structures the direct sum, of slabs the corrected one."""
    case = cases()[name]
    expected = energy_forces_stress(case, 1e-12, "dense")
    found = energy_forces_stress(case, accuracy, "iterative")
    for what, tolerance, mine, theirs in zip(
        ("potential", "energy", "forces", "stress"), (3, 3, 10, 30), found, expected, strict=True
    ):
        scale = float(theirs.abs().max()) if what != "energy" else float((case.charges * expected[0]).abs().sum())
        assert float((mine - theirs).abs().max()) < tolerance * accuracy * scale, what


def test_larger_structure():
    """Sixty atoms of which many have their spline points across faces."""
    case = random_case(PERIODIC, 60, edge=11.0, skew=2.0, total_charge=0.4, seed=20)
    case = replace(case, positions=case.positions - 7.0)
    for mine, theirs in zip(
        energy_forces_stress(case, 1e-6, "iterative"), energy_forces_stress(case, 1e-10, "dense"), strict=True
    ):
        assert float((mine - theirs).abs().max()) < 1e-5 * float(theirs.abs().max())
    charges = [case.equilibrate(case.build(1e-6, solver)) for solver in ("iterative", "dense")]
    assert float((charges[0] - charges[1]).abs().max()) < 1e-6 * float(charges[1].abs().max())


@pytest.mark.parametrize("pbc", [OPEN, PERIODIC, SLAB])
def test_product_of_the_iterations(pbc):
    """It is the differentiable potential, and symmetric, whatever the accuracy."""
    case = random_case(pbc, 9, skew=1.0, seed=21)
    system = case.build(1e-4, "iterative")
    (block,) = system.blocks
    identity = torch.eye(9, dtype=torch.float64)
    matrix = torch.stack([block.product(row) for row in identity])
    expected = torch.stack([system.potential(row) for row in identity])
    scale = float(matrix.abs().max())
    assert float((matrix - expected).abs().max()) < ROUND_OFF * scale
    assert float((matrix - matrix.T).abs().max()) < ROUND_OFF * scale


def rock_salt(repeats, pbc=PERIODIC, seed=0):
    atoms = bulk("NaCl", "rocksalt", a=5.64, cubic=True).repeat(repeats)
    atoms.rattle(0.1, seed=seed)
    sodium = torch.tensor(atoms.numbers == 11)

    def by_element(first, second):
        return torch.where(sodium, first, second).to(torch.float64)

    noise = torch.randn(len(atoms), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return Case(
        torch.tensor(atoms.positions), torch.tensor(atoms.cell[:]), pbc, by_element(1.66, 1.02),
        by_element(0.5, -0.5), by_element(3.0, 7.0) + 0.3 * noise, by_element(5.0, 8.0),
        torch.zeros(1, dtype=torch.float64),
    )  # fmt: skip


def test_iterations_do_not_grow_with_the_structure():
    counts = []
    for repeats in (3, 6):
        case = rock_salt(repeats)
        system = case.build(1e-6, "iterative")
        case.equilibrate(system)
        counts += system.iterations
    assert max(counts) < 18
    assert counts[1] <= counts[0] + 3


@pytest.mark.parametrize("pbc", [OPEN, SLAB])
def test_iterations_where_the_density_is_not_uniform(pbc):
    case = rock_salt(4, pbc)
    system = case.build(1e-6, "iterative")
    case.equilibrate(system)
    assert max(system.iterations) < 35


def test_auto_solver():
    """Dense up to a number of atoms, iterative beyond; both give the same charges."""
    small, large = rock_salt(2), rock_salt(4)
    assert not has_iterations(small)
    assert has_iterations(large)
    dense, iterative = (large.equilibrate(large.build(1e-6, solver)) for solver in ("dense", "auto"))
    assert float((dense - iterative).abs().max()) < 1e-6 * float(dense.abs().max())


def has_iterations(case):
    system = case.build(1e-6, "auto")
    case.equilibrate(system)
    return bool(system.iterations)


def test_large_and_small_structures_in_one_batch():
    small, large = rock_salt(1), rock_salt(4)

    def joined(name):
        return torch.cat([getattr(small, name), getattr(large, name)])

    index = torch.repeat_interleave(torch.arange(2), torch.tensor([8, 512]))
    system = build_coulomb(
        joined("positions"), torch.stack([small.cell, large.cell]), torch.ones(2, 3, dtype=torch.bool), index, 2,
        joined("widths"),
    )  # fmt: skip
    found = system.equilibrate(joined("electronegativity"), joined("hardness"), torch.zeros(2))
    assert len(system.iterations) == 1
    np.testing.assert_allclose(found[:8], small.equilibrate(small.build(1e-6)), atol=1e-12)
    np.testing.assert_allclose(found[8:], large.equilibrate(large.build(1e-6, "iterative")), atol=1e-9)


@pytest.mark.parametrize("broken", [lambda x: -x, lambda x: x * torch.linspace(-1.0, 1.0, len(x), dtype=torch.float64)])
def test_preconditioner_that_is_not_positive_definite(broken):
    """It is given up for the next one."""
    generator = torch.Generator().manual_seed(0)
    root = torch.randn(20, 20, generator=generator, dtype=torch.float64)
    matrix, hardness = root @ root.T, torch.full((20,), 2.0, dtype=torch.float64)
    groups = Groups(torch.arange(20) % 2, torch.zeros(2, dtype=torch.int64))
    solver = IterativeSolver(lambda x: matrix @ x, hardness, groups, [broken, lambda x: x])
    solver.tolerance = 1e-12
    right_side, totals = torch.randn(20, generator=generator, dtype=torch.float64), torch.tensor([1.0, -0.3])
    x, multiplier = solver.solve(right_side, totals.double())
    np.testing.assert_allclose(groups.sum(x), totals, atol=1e-7)
    rest = right_side - matrix @ x - 2.0 * x - multiplier[groups.index]
    assert float(rest.abs().max()) < 1e-9
    assert math.isfinite(solver.iterations[0])
