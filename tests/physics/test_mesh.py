"""Particle mesh and conjugate gradients: the Ewald sum's values, exact derivatives, few iterations."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from ase.build import bulk

from mhdnn.electrostatics import ChargeHistory, build_coulomb
from tests.coulomb import OPEN, PERIODIC, SLAB, Case, cases, random_case
from tests.tolerances import ROUND_OFF

ACCURACIES = [1e-4, 1e-5, 1e-6, 1e-8]


def energy_forces_stress(case, accuracy, solver):
    strain = torch.zeros(3, 3, dtype=torch.float64, requires_grad=True)
    free = replace(case, positions=case.positions.clone().requires_grad_())
    system = free.build(accuracy, solver, strain=strain)
    energy = system.energy(case.charges).sum()
    potential = system.potential(case.charges).detach()
    return (potential, energy.detach(), *torch.autograd.grad(energy, (free.positions, strain)))


@pytest.mark.parametrize("accuracy", ACCURACIES)
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
def test_symmetry(pbc):
    """Whatever the accuracy."""
    case = random_case(pbc, 9, skew=1.0, seed=21)
    system = case.build(1e-4, "iterative")
    matrix = torch.stack([system.potential(row) for row in torch.eye(9, dtype=torch.float64)])
    scale = float(matrix.abs().max())
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


def test_steps_of_a_history():
    """Atoms that go on as before: fewer iterations, of the charges and of their adjoint, and the same charges."""
    case = rock_salt(4)
    velocities = 0.01 * torch.randn(case.positions.shape, generator=torch.Generator().manual_seed(1)).double()
    history, numbers, counts = ChargeHistory(), torch.full((len(case.widths),), 11), []
    for step in range(5):
        moved = replace(case, positions=(case.positions + step * velocities).requires_grad_())
        system = moved.build(1e-6, "iterative")
        history.guess(system, numbers)
        charges = moved.equilibrate(system)
        energy = system.energy(charges).sum() + charges.square().sum()
        torch.autograd.grad(energy, moved.positions)
        history.add(system, charges)
        counts.append(system.iterations)
    cold = moved.equilibrate(moved.build(1e-6, "iterative"))
    assert float((charges - cold).detach().abs().max()) < 1e-6
    assert max(counts[-1]) < 0.7 * min(counts[0]), counts
    system.initial_charges = None
    history.guess(system, numbers + 1)  # other atoms: nothing is known
    assert system.initial_charges is None
