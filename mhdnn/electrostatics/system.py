r"""Electrostatics of a batch of structures: potentials, energies, equilibrated charges.

.. math:: E = \tfrac12 q^T A q, \qquad
          A_{ij} = k_e\,\frac{\mathrm{erf}\bigl(r_{ij}/\sqrt{2(s_i^2 + s_j^2)}\bigr)}{r_{ij}},
          \quad A_{ii} = \frac{k_e}{s_i\sqrt\pi}

summed over the images of the periodic directions: none, two (slab) or three.
"""

from __future__ import annotations

import math

import torch

from mhdnn.electrostatics.assembly import build_blocks
from mhdnn.electrostatics.blocks import Block, Groups
from mhdnn.electrostatics.equilibration import (
    Problem,
    check_positive,
    equilibrate_block,
    fragment_groups,
    structure_groups,
)
from mhdnn.electrostatics.iterative import MOST_ITERATIONS, IterativeSolver
from mhdnn.errors import ConfigError, DataError
from mhdnn.segments import sum_by_index

SOLVERS = ("auto", "dense", "iterative")


class CoulombSystem:
    """Geometry of a batch of structures, built once and used for all charges.

    What it returns is differentiable twice by positions, cell, widths, charges, electronegativity and
    hardness. Results share the part of the graph that belongs to the geometry: differentiate their sum
    once, or pass ``retain_graph=True``.

    :param blocks: the structures, grouped by how they are treated
    :param structure_index: structure of each atom, shape (num_atoms,)
    :param tolerance: iterations end when the residual of the potential is below this fraction of the first
    :ivar most_iterations: after which a preconditioner, and with the last one the solution, is given up
    :ivar initial_charges: where iterations start from, shape (num_atoms,), e; e.g. those of the last MD step
    """

    def __init__(
        self, blocks: list[Block], structure_index: torch.Tensor, num_structures: int, tolerance: float
    ) -> None:
        self.blocks = blocks
        self.structure_index = structure_index
        self.num_structures = num_structures
        self.tolerance = tolerance
        self.most_iterations = MOST_ITERATIONS
        self.initial_charges: torch.Tensor | None = None
        self._solvers: list[IterativeSolver] = []

    @property
    def num_atoms(self) -> int:
        return len(self.structure_index)

    @property
    def iterations(self) -> list[int]:
        """Of every iterative solution since the last `equilibrate`: charges of each structure, then adjoints."""
        return [count for solver in self._solvers for count in solver.iterations]

    def potential(self, charges: torch.Tensor) -> torch.Tensor:
        """(A q)_i, shape (num_atoms,), eV/e.

        :param charges: shape (num_atoms,), e
        """
        charges = self._per_atom("charges", charges)
        parts = [block.potential(charges.index_select(0, block.atoms), *block.parameters) for block in self.blocks]
        return self._together(parts)

    def energy(self, charges: torch.Tensor) -> torch.Tensor:
        r""":math:`\tfrac12 q^TAq` of each structure, shape (num_structures,), eV.

        :param charges: shape (num_atoms,), e
        """
        charges = self._per_atom("charges", charges)
        return sum_by_index(0.5 * charges * self.potential(charges), self.structure_index, self.num_structures)

    def equilibrate(
        self,
        electronegativity: torch.Tensor,
        hardness: torch.Tensor,
        total_charge: torch.Tensor | None,
        fragment_index: torch.Tensor | None = None,
        fragment_charge: torch.Tensor | None = None,
    ) -> torch.Tensor:
        r"""Charges that minimise :math:`\tfrac12 q^T(A + \mathrm{diag}J)q + \chi^Tq`, shape (num_atoms,), e.

        :param electronegativity: :math:`\chi`, shape (num_atoms,), eV/e
        :param hardness: :math:`J > 0`, shape (num_atoms,), eV/e²
        :param total_charge: of each structure, shape (num_structures,), e; may be None with fragments
        :param fragment_index: fragment of each atom, numbered through the batch, shape (num_atoms,)
        :param fragment_charge: shape (num_fragments,), e
        :raises DataError: if an argument is missing or out of range
        :raises ElectrostaticsError: if the energy has no minimum, or iterations don't converge
        """
        electronegativity = self._per_atom("electronegativity", electronegativity)
        hardness = self._per_atom("hardness", hardness)
        check_positive("hardness", hardness, self.num_atoms, "eV/e²")
        total_charge = None if total_charge is None else total_charge.to(torch.float64)
        if fragment_index is None:
            groups, totals = structure_groups(total_charge, self.structure_index, self.num_structures)
        else:
            charge = None if fragment_charge is None else fragment_charge.to(torch.float64)
            groups, totals = fragment_groups(
                fragment_index, charge, total_charge, self.structure_index, self.num_structures
            )
        self._solvers = []
        return self._together(
            [self._equilibrate_block(block, electronegativity, hardness, groups, totals) for block in self.blocks]
        )

    def potential_at(self, points: torch.Tensor, charges: torch.Tensor) -> torch.Tensor:
        """Electrostatic potential at points, shape (num_points,), V; of a system of one structure.

        :param points: shape (num_points, 3), Å
        :param charges: shape (num_atoms,), e
        :raises DataError: if the system has several structures
        """
        if self.num_structures != 1:
            raise DataError(
                f"`potential_at`: expected a system of one structure, got {self.num_structures}; "
                f"build a system for each structure"
            )
        return self.blocks[0].potential_at(points.to(torch.float64), self._per_atom("charges", charges))

    def _equilibrate_block(
        self,
        block: Block,
        electronegativity: torch.Tensor,
        hardness: torch.Tensor,
        groups: Groups,
        totals: torch.Tensor,
    ) -> torch.Tensor:
        local, chosen = _groups_of_block(block, groups)
        own = hardness.index_select(0, block.atoms)
        solver = block.solver(own.detach(), local)
        start = None
        if isinstance(solver, IterativeSolver):
            solver.tolerance = self.tolerance
            solver.most_iterations = self.most_iterations
            self._solvers.append(solver)
            if self.initial_charges is not None:
                start = self._per_atom("initial_charges", self.initial_charges).detach().index_select(0, block.atoms)
        problem = Problem(block, solver, start)
        return equilibrate_block(
            problem, electronegativity.index_select(0, block.atoms), own, totals.index_select(0, chosen)
        )

    def _per_atom(self, name: str, values: torch.Tensor) -> torch.Tensor:
        if values.shape != (self.num_atoms,):
            raise DataError(
                f"`{name}`: expected shape ({self.num_atoms},), one for each atom, got {tuple(values.shape)}"
            )
        return values.to(torch.float64)

    def _together(self, parts: list[torch.Tensor]) -> torch.Tensor:
        if len(parts) == 1 and len(parts[0]) == self.num_atoms:
            return parts[0].new_zeros(self.num_atoms).index_copy(0, self.blocks[0].atoms, parts[0])
        atoms = torch.cat([block.atoms for block in self.blocks])
        joined = torch.cat(parts)
        return joined.new_zeros(self.num_atoms).index_copy(0, atoms, joined)


def _groups_of_block(block: Block, groups: Groups) -> tuple[Groups, torch.Tensor]:
    """The groups that a block's atoms belong to, counted within the block, and their numbers in the batch."""
    index = groups.index.index_select(0, block.atoms)
    chosen, local = torch.unique(index, return_inverse=True)
    structure = torch.zeros_like(chosen).index_copy(0, local, block.structure_index)
    return Groups(local, structure), chosen


def build_coulomb(
    positions: torch.Tensor,
    cell: torch.Tensor,
    pbc: torch.Tensor,
    structure_index: torch.Tensor,
    num_structures: int,
    widths: torch.Tensor,
    accuracy: float = 1e-6,
    solver: str = "auto",
    smearing: float | None = None,
) -> CoulombSystem:
    r"""Prepare the electrostatics of a batch of structures.

    The stress is the derivative by a strain that the caller applies to positions and cell.

    :param positions: shape (num_atoms, 3), Å
    :param cell: shape (num_structures, 3, 3), Å; rows of non-periodic directions are not used
    :param pbc: periodic directions, shape (num_structures, 3), bool: none, two or three
    :param structure_index: structure of each atom, shape (num_atoms,)
    :param widths: Gaussian widths s > 0, shape (num_atoms,), Å
    :param accuracy: error of an element of A relative to :math:`k_e/\eta` (see `ewald`, `mesh`)
    :param solver: ``dense`` by factorisation, ``iterative`` by conjugate gradients with a mesh, or ``auto``:
        dense up to a number of atoms, iterative for larger structures
    :param smearing: width :math:`\eta` at which Ewald sums are split, Å; chosen if None (the result doesn't
        depend on it)
    :raises ConfigError: if accuracy or solver is out of range
    :raises DataError: if an array has another shape, a width is not positive, a periodic direction has no
        cell vector, or one direction is periodic
    """
    if solver not in SOLVERS:
        raise ConfigError(f"`solver`: expected one of {', '.join(SOLVERS)}, got {solver!r}; choose one of them")
    if not 1e-14 < accuracy < 1e-2:
        raise ConfigError(f"`accuracy`: expected a number between 1e-14 and 1e-2, got {accuracy}; 1e-6 suits most uses")
    if smearing is not None and not (smearing > 0 and math.isfinite(smearing)):
        raise ConfigError(f"`smearing`: expected a positive number in Å, got {smearing}; leave it out")
    positions, cell, widths = (tensor.to(torch.float64) for tensor in (positions, cell, widths))
    check_positive("widths", widths, len(positions), "Å")
    blocks = build_blocks(positions, cell, pbc, structure_index, num_structures, widths, accuracy, solver, smearing)
    return CoulombSystem(blocks, structure_index, num_structures, tolerance=1e-2 * accuracy)
