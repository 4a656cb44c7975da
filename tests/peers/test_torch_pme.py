"""The same energies, forces and stress as torch-pme's, of Gaussian charges with three periodic directions.

torch-pme sums point charges; what Gaussians of width γ lack, erfc(r/√2γ)/r of close pairs, is taken off by a plain
sum over images. Its background of a charged cell is that of points, without the term of the widths.
"""

from dataclasses import replace

import pytest
import torch
from torchpme import CoulombPotential, EwaldCalculator

from mhdnn.neighbors import find_pairs
from mhdnn.units import COULOMB_CONSTANT
from tests.coulomb import cases, random_case

SMEARING = 0.6
CUTOFF = 4.5  # erfc(4.5 / (√2 · 0.6)) = 6e-14


def points_energy(case):
    """Of point charges by torch-pme, eV."""
    found = find_pairs(case.positions.detach().numpy(), case.cell.detach().numpy(), (True,) * 3, CUTOFF)
    center, neighbor, shifts = (torch.from_numpy(array) for array in found)
    shifts = torch.round(shifts @ torch.linalg.inv(case.cell.detach())) @ case.cell
    vectors = case.positions[neighbor] - case.positions[center] + shifts
    distances = torch.linalg.vector_norm(vectors, dim=1)
    potential = CoulombPotential(smearing=SMEARING, prefactor=COULOMB_CONSTANT).to(torch.float64)
    calculator = EwaldCalculator(potential, lr_wavelength=SMEARING * 2 * torch.pi / 16.0, full_neighbor_list=True).to(
        torch.float64
    )
    charges = case.charges[:, None]
    potential = calculator(charges, case.cell, case.positions, torch.stack([center, neighbor], 1), distances)
    return (charges * potential).sum()


def gaussians_energy(case):
    """Of Gaussian charges, eV."""
    steps = torch.arange(-2.0, 3.0, dtype=torch.float64)
    images = torch.cartesian_prod(steps, steps, steps)
    zero = images.abs().sum(1) == 0
    vectors = case.positions[:, None] - case.positions + (images @ case.cell)[:, None, None]
    own = zero[:, None, None] & torch.eye(len(case.positions), dtype=torch.bool)
    distances = torch.where(own, torch.ones_like(vectors[..., 0]), (vectors.square().sum(-1) + own).sqrt())
    gamma = (case.widths.square()[:, None] + case.widths.square()).sqrt()
    lacking = torch.where(own, torch.zeros_like(distances), torch.erfc(distances / (2**0.5 * gamma)) / distances)
    matrix = torch.diag(1.0 / (case.widths * torch.pi**0.5)) - lacking.sum(0)
    volume = torch.linalg.det(case.cell).abs()
    background = 2 * torch.pi / volume * case.charges.sum() * (case.charges * case.widths.square()).sum()
    return points_energy(case) + COULOMB_CONSTANT * (0.5 * case.charges @ matrix @ case.charges + background)


def results(energy_of, case):
    strain = torch.zeros(3, 3, dtype=torch.float64, requires_grad=True)
    free = replace(case, positions=case.positions.clone().requires_grad_())
    energy = energy_of(free, strain)
    return (energy.detach(), *torch.autograd.grad(energy, (free.positions, strain)))


@pytest.mark.parametrize("name", ["periodic", "triclinic", "charged", "larger"])
@pytest.mark.parametrize("solver", ["dense", "iterative"])
def test_same_energy_forces_and_stress(name, solver):
    case = random_case((True, True, True), 20, 8.0, 2.0, seed=30) if name == "larger" else cases()[name]
    theirs = results(lambda some, strain: gaussians_energy(some.strained(strain)), case)
    mine = results(lambda some, strain: some.build(1e-8, solver, strain=strain).energy(some.charges).sum(), case)
    for what, first, second in zip(("energy", "forces", "stress"), mine, theirs, strict=True):
        scale = float(second.abs().max())
        assert scale > 1e-3, f"{what}: nothing is compared"
        assert float((first - second).abs().max()) < 1e-6 * scale, what
