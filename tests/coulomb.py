"""Small sets of Gaussian charges with every boundary condition, for the tests of mhdnn.electrostatics."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch

from mhdnn.electrostatics import CoulombSystem, build_coulomb
from mhdnn.electrostatics.reference import coulomb_matrix

K = 14.399645478425668
"""Coulomb constant of CODATA 2018, eV Å/e²."""

OPEN, PERIODIC, SLAB = (False, False, False), (True, True, True), (True, True, False)


@dataclass
class Case:
    """One structure; charges are random, not equilibrated."""

    positions: torch.Tensor
    cell: torch.Tensor
    pbc: tuple[bool, bool, bool]
    widths: torch.Tensor
    charges: torch.Tensor
    electronegativity: torch.Tensor
    hardness: torch.Tensor
    total_charge: torch.Tensor

    def build(
        self,
        accuracy: float = 1e-10,
        solver: str = "dense",
        smearing: float | None = None,
        strain: torch.Tensor | None = None,
    ) -> CoulombSystem:
        structure = torch.zeros(len(self.positions), dtype=torch.int64)
        pbc, strains = torch.tensor([self.pbc]), None if strain is None else strain[None]
        return build_coulomb(
            self.positions, self.cell[None], pbc, structure, 1, self.widths, accuracy, solver, smearing, strains
        )

    def matrix(self, accuracy: float = 1e-10) -> torch.Tensor:
        """A of the formulas in plain torch, differentiable to any order."""
        return coulomb_matrix(self.positions, self.cell, torch.tensor(self.pbc), self.widths, accuracy)

    def equilibrate(self, system: CoulombSystem) -> torch.Tensor:
        return system.equilibrate(self.electronegativity, self.hardness, self.total_charge)

    def strained(self, strain: torch.Tensor) -> Case:
        deformation = torch.eye(3, dtype=torch.float64) + strain
        return replace(self, positions=self.positions @ deformation, cell=self.cell @ deformation)


def random_case(
    pbc: tuple[bool, bool, bool],
    num_atoms: int = 6,
    edge: float = 5.0,
    skew: float = 0.0,
    total_charge: float = 0.0,
    seed: int = 0,
) -> Case:
    """Atoms at least 1.2 Å from each other and their images."""
    generator = torch.Generator().manual_seed(seed)

    def uniform(*shape: int) -> torch.Tensor:
        return torch.rand(*shape, generator=generator, dtype=torch.float64)

    cell = edge * torch.diag(torch.tensor([1.0, 1.1, 0.95], dtype=torch.float64)) + skew * (uniform(3, 3) - 0.5)
    placed: list[torch.Tensor] = []
    while len(placed) < num_atoms:
        fraction = uniform(3)
        offsets = torch.stack(placed) - fraction if placed else torch.full((1, 3), 0.5, dtype=torch.float64)
        if torch.linalg.vector_norm((offsets - offsets.round()) @ cell, dim=1).min() > 1.2:
            placed.append(fraction)
    charges = uniform(num_atoms) - 0.5
    return Case(
        torch.stack(placed) @ cell,
        cell,
        pbc,
        0.4 + 0.5 * uniform(num_atoms),
        charges - charges.mean() + total_charge / num_atoms,
        4.0 * uniform(num_atoms),
        4.0 + 4.0 * uniform(num_atoms),
        torch.tensor([total_charge], dtype=torch.float64),
    )


def cases() -> dict[str, Case]:
    """Every boundary condition, neutral and charged."""
    return {
        "open": random_case(OPEN),
        "open, charged": random_case(OPEN, total_charge=0.8, seed=1),
        "periodic": random_case(PERIODIC, seed=2),
        "triclinic": random_case(PERIODIC, skew=3.0, seed=3),
        "charged": random_case(PERIODIC, skew=2.0, total_charge=-1.2, seed=4),
        "slab": random_case(SLAB, skew=1.5, seed=5),
        "slab along x, charged": random_case((False, True, True), skew=1.5, total_charge=0.7, seed=6),
    }


def more_cases() -> dict[str, Case]:
    """Small cells, in which every atom sees many images, and larger ones, with iterations."""
    return {
        **cases(),
        "slab along y": random_case((True, False, True), num_atoms=40, edge=11.0, skew=3.0, seed=7),
        "tiny cell": random_case(PERIODIC, num_atoms=2, edge=3.0, skew=2.5, total_charge=0.3, seed=8),
        "triclinic, many atoms": random_case(PERIODIC, num_atoms=60, edge=14.0, skew=7.0, total_charge=0.5, seed=9),
        "molecule, many atoms": random_case(OPEN, num_atoms=60, edge=14.0, seed=10),
        "chain": stretched(random_case(OPEN, num_atoms=40, edge=10.0, seed=11), [0.1, 40.0, 0.2]),
        "sheet": stretched(random_case(OPEN, num_atoms=40, edge=10.0, total_charge=0.5, seed=12), [3.0, 0.1, 5.0]),
    }


def stretched(case: Case, factors: list[float]) -> Case:
    """The same atoms with longer or shorter coordinates."""
    return replace(case, positions=case.positions * torch.tensor(factors, dtype=torch.float64))


CRYSTALS = {
    # fractions, charges, cell in units of the cubic edge, nearest distance, Madelung constant per formula unit
    "NaCl": ([[0, 0, 0], [0.5, 0.5, 0.5]], [1, -1], "fcc", 0.5, 1.7475645946331822),
    "CsCl": ([[0, 0, 0], [0.5, 0.5, 0.5]], [1, -1], "sc", 3**0.5 / 2, 1.7626747730709883),
    "ZnS": ([[0, 0, 0], [0.25, 0.25, 0.25]], [1, -1], "fcc", 3**0.5 / 4, 1.6380550533887894),
    "CaF2": ([[0, 0, 0], [0.25, 0.25, 0.25], [0.75, 0.75, 0.75]], [2, -1, -1], "fcc", 3**0.5 / 4, 5.0387848798),
}
"""Primitive cells; constants of zincblende, rock salt and caesium chloride: A. D. Baker and M. D. Baker, Am. J.
Phys. 78, 102 (2010), https://doi.org/10.1119/1.3219537; fluorite: Y. Sakamoto, J. Chem. Phys. 28, 164 (1958),
https://doi.org/10.1063/1.1744060."""
LATTICES = {"sc": np.eye(3), "fcc": 0.5 * (1.0 - np.eye(3))}


def wave_sum(case: Case, charges: torch.Tensor, largest: float = 30.0) -> torch.Tensor:
    r"""Energy of Gaussian charges in three periodic directions without any splitting, differentiable.

    :math:`\frac{2\pi k_e}{V}\sum_{k\ne0} |\sum_i q_i e^{-s_i^2k^2/2} e^{i k r_i}|^2 / k^2`
    """
    reciprocal = 2.0 * torch.pi * torch.linalg.inv(case.cell).T
    most = [int(largest * float(torch.linalg.vector_norm(row)) / (2.0 * np.pi)) + 1 for row in case.cell.detach()]
    numbers = torch.cartesian_prod(*(torch.arange(-n, n + 1, dtype=torch.float64) for n in most))
    numbers = numbers[numbers.abs().sum(1) > 0]
    waves = numbers @ reciprocal
    waves = waves[waves.detach().square().sum(1) < largest**2]
    squared = waves.square().sum(1)
    phases = case.positions @ waves.T
    weights = charges[:, None] * torch.exp(-0.5 * case.widths.square()[:, None] * squared)
    power = (weights * torch.cos(phases)).sum(0).square() + (weights * torch.sin(phases)).sum(0).square()
    return K * 2.0 * torch.pi / torch.linalg.det(case.cell).abs() * (power / squared).sum()


def plane_sum(case: Case, charges: torch.Tensor, largest: float = 30.0) -> torch.Tensor:
    r"""Energy of Gaussian charges in two periodic directions: D. E. Parry, Surf. Sci. 49, 433 (1975).

    With :math:`\gamma^2 = s_i^2 + s_j^2`, height z, and vectors h of the plane (area S)

    .. math:: A_{ij}/k_e = \frac{\pi}{S}\sum_{h\ne0}\frac{\cos h\rho}{h}\Bigl[
              e^{hz}\mathrm{erfc}\Bigl(\frac{\gamma h}{\sqrt2} + \frac{z}{\sqrt2\gamma}\Bigr) + (z \to -z)\Bigr]
              - \frac{2\pi}{S}\Bigl[z\,\mathrm{erf}\frac{z}{\sqrt2\gamma}
              + \gamma\sqrt{2/\pi}\,e^{-z^2/2\gamma^2}\Bigr]
    """
    axis = case.pbc.index(False)
    first, second = case.cell[(axis + 1) % 3], case.cell[(axis + 2) % 3]
    normal = torch.linalg.cross(first, second)
    area = torch.linalg.vector_norm(normal)
    normal = normal / area
    basis = torch.stack([torch.linalg.cross(second, normal), torch.linalg.cross(normal, first)]) * 2 * torch.pi / area
    most = int(largest / float(torch.linalg.svdvals(basis.detach()).min())) + 1
    steps = torch.arange(-most, most + 1, dtype=torch.float64)
    waves = torch.cartesian_prod(steps, steps) @ basis
    lengths = torch.linalg.vector_norm(waves, dim=1)
    waves, lengths = waves[(lengths > 1e-9) & (lengths < largest)], lengths[(lengths > 1e-9) & (lengths < largest)]
    vectors = case.positions[:, None] - case.positions
    gamma = (case.widths.square()[:, None] + case.widths.square()).sqrt()
    z = (vectors @ normal)[:, :, None]
    g = gamma[:, :, None]

    def half(height: torch.Tensor) -> torch.Tensor:  # e^a erfc(b) = e^(a - b²) erfcx(b)
        b = (g * lengths + height / g) / 2**0.5
        scaled = torch.exp(lengths * height - b.square()) * torch.special.erfcx(b.clamp_min(0.0))
        return torch.where(b > 0, scaled, torch.exp(lengths * height) * torch.erfc(b))

    waves_part = (torch.cos(vectors @ waves.T) / lengths * (half(z) + half(-z))).sum(-1)
    z, g = z[:, :, 0], gamma
    flat = z * torch.erf(z / (2**0.5 * g)) + g * (2 / torch.pi) ** 0.5 * torch.exp(-0.5 * (z / g).square())
    matrix = K * (torch.pi * waves_part - 2.0 * torch.pi * flat) / area
    return 0.5 * charges @ matrix @ charges
