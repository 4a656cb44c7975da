r"""Electrostatics of a batch of structures: potentials, energies, equilibrated charges.

.. math:: E = \tfrac12 q^T A q, \qquad
          A_{ij} = k_e\,\frac{\mathrm{erf}\bigl(r_{ij}/\sqrt{2(s_i^2 + s_j^2)}\bigr)}{r_{ij}},
          \quad A_{ii} = \frac{k_e}{s_i\sqrt\pi}

summed over the images of the periodic directions: none, two (slab) or three.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from mhdnn.electrostatics.checks import (
    check_cells,
    check_geometry,
    check_positive,
    check_total_charge,
    check_variables,
)
from mhdnn.electrostatics.ewald import choose_splitting
from mhdnn.electrostatics.field import open_potential_at, periodic_potential_at
from mhdnn.electrostatics.reference import ReferenceStructures
from mhdnn.electrostatics.slab import periodic_cell
from mhdnn.errors import ConfigError, DataError, ElectrostaticsError
from mhdnn.kernels import load_operators
from mhdnn.segments import sum_by_index

SOLVERS = ("auto", "dense", "iterative")
TOLERANCE_PER_ACCURACY = 1e-2
ERROR_OF_CORE = re.compile(r"\b(\w+)(: expected .*)")


class CoulombSystem:
    r"""Geometry of a batch of structures, built once and used for all charges.

    What it returns can be differentiated by positions, strain, charges, electronegativity, hardness and total charge,
    and the result again by all but positions and strain; with ``MHDNN_KERNELS=torch`` (`reference`) as often as one
    likes. Equilibrated charges are differentiated by the adjoint charges :math:`\lambda` that solve the same equations
    for the gradient of a loss L by q,

    .. math:: \frac{\partial L}{\partial\theta} = -\lambda^T \frac{\partial \chi}{\partial\theta}
              - \lambda^T \frac{\partial (A + J)}{\partial\theta} q.

    Tensors may lie on a GPU; the sums are made by the CPU.

    :param engine: the class ``Structures`` of the operators, or that of `reference`
    :param order: atoms, structure after structure; None if they stand so
    :ivar tolerance: iterations end when the residual of the potential is below this fraction of the first
    :ivar initial_charges: where iterations start from, shape (num_atoms,), e; e.g. those of the last MD step
    :ivar initial_adjoint: the same for adjoint charges
    """

    def __init__(
        self,
        engine: Any,
        geometry: dict[str, torch.Tensor],
        order: torch.Tensor | None,
        accuracy: float,
        smearing: float | None,
    ) -> None:
        self._engine, self._order = engine, order
        self.structure_index, self.widths = geometry["structure_index"], geometry["widths"]
        self.positions, self.strain = geometry["positions"], geometry["strain"]
        self.cell, self.pbc = geometry["cell"], geometry["pbc"]
        self.accuracy, self.smearing = accuracy, smearing
        self.tolerance = TOLERANCE_PER_ACCURACY * accuracy
        self.initial_charges: torch.Tensor | None = None
        self.initial_adjoint: torch.Tensor | None = None
        self._carriers = (self._to_core(self.positions), self.strain.cpu())

    @property
    def num_atoms(self) -> int:
        return len(self.structure_index)

    @property
    def num_structures(self) -> int:
        return len(self.cell)

    @property
    def iterations(self) -> list[int]:
        """Of every iterative solution since the last `equilibrate`: charges of each structure, then adjoints."""
        return list(self._engine.iterations())

    def parts(self) -> list[Any]:
        """What was built of each structure, for `joined_coulomb`; of a system whose atoms stand in their order.

        It has ``num_bytes()`` of memory.
        """
        assert self._order is None
        return [self._engine.part(number) for number in range(self.num_structures)]

    def potential(self, charges: torch.Tensor) -> torch.Tensor:
        """(A q)_i, shape (num_atoms,), eV/e.

        :param charges: shape (num_atoms,), e
        """
        return self._from_core(self._engine.potential(self._per_atom("charges", charges), *self._carriers))

    def energy(self, charges: torch.Tensor) -> torch.Tensor:
        r""":math:`\tfrac12 q^TAq` of each structure, shape (num_structures,), eV.

        :param charges: shape (num_atoms,), e
        """
        energies = 0.5 * charges.to(torch.float64) * self.potential(charges)
        return sum_by_index(energies, self.structure_index, self.num_structures)

    def equilibrate(
        self, electronegativity: torch.Tensor, hardness: torch.Tensor, total_charge: torch.Tensor | None
    ) -> torch.Tensor:
        r"""Charges that minimise :math:`\tfrac12 q^T(A + \mathrm{diag}J)q + \chi^Tq`, shape (num_atoms,), e.

        :param electronegativity: :math:`\chi`, shape (num_atoms,), eV/e
        :param hardness: :math:`J > 0`, shape (num_atoms,), eV/e²
        :param total_charge: of each structure, shape (num_structures,), e
        :raises DataError: if an argument is missing or out of range
        :raises ElectrostaticsError: if the energy has no minimum, or iterations don't converge
        """
        chi, own_hardness = self._per_atom("electronegativity", electronegativity), self._per_atom("hardness", hardness)
        check_positive("hardness", hardness, self.num_atoms, "eV/e²")
        totals = check_total_charge(total_charge, self.num_structures).cpu()
        given = {"initial_charges": self.initial_charges, "initial_adjoint": self.initial_adjoint}
        starts = [None if start is None else self._per_atom(name, start) for name, start in given.items()]
        self._engine.start_from(*starts)
        with errors_of_core():
            return self._from_core(self._engine.equilibrate(chi, totals, own_hardness, *self._carriers, self.tolerance))

    def adjoint(self) -> torch.Tensor:
        """Adjoint charges that were found last, shape (num_atoms,), e; zero where there were none."""
        return self._from_core(self._engine.adjoint())

    def strain_per_atom(self, p: torch.Tensor, q: torch.Tensor) -> torch.Tensor:
        r"""Shares of the atoms in :math:`\partial(p^TAq)/\partial\varepsilon`, Voigt, shape (num_atoms, 6), eV.

        :math:`\tfrac12 \sum_j (p_i q_j + q_i p_j)\,\partial A_{ij}/\partial\varepsilon`, without gradient.

        :param p: shape (num_atoms,), e
        :param q: shape (num_atoms,), e
        """
        return self._from_core(self._engine.strain_per_atom(self._per_atom("p", p), self._per_atom("q", q)))

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
        points, charges = points.to(torch.float64), charges.to(torch.float64)
        positions, widths = self.positions, self.widths
        if not bool(self.pbc.any()):
            return open_potential_at(points, charges, positions, widths)
        largest = 2.0**0.5 * float(widths.max())
        cell = periodic_cell(positions, self.cell[0], self.pbc[0], largest, self.accuracy)
        splitting = choose_splitting(float(cell.volume), largest, self.accuracy, self.smearing)
        return periodic_potential_at(points, charges, positions, widths, cell, splitting)

    def _per_atom(self, name: str, values: torch.Tensor) -> torch.Tensor:
        if values.shape != (self.num_atoms,):
            raise DataError(
                f"`{name}`: expected shape ({self.num_atoms},), one for each atom, got {tuple(values.shape)}"
            )
        return self._to_core(values.to(torch.float64))

    def _to_core(self, values: torch.Tensor) -> torch.Tensor:
        values = values.cpu()
        return values if self._order is None else values.index_select(0, self._order)

    def _from_core(self, values: torch.Tensor) -> torch.Tensor:
        if self._order is not None:
            values = torch.zeros_like(values).index_copy(0, self._order, values)
        return values.to(self.positions.device)


class ChargeHistory:
    """Guesses of the charges of one structure from those of the last steps (core/electrostatics/history.h)."""

    def __init__(self) -> None:
        compiled = load_operators().kind == "compiled"  # the formulas in torch iterate nothing
        self._steps = torch.classes.mhdnn.ChargeHistory() if compiled else None
        self._atoms: torch.Tensor | None = None

    def __deepcopy__(self, memo: dict[int, Any]) -> ChargeHistory:
        """A copied calculator has another past."""
        return ChargeHistory()

    def forget(self) -> None:
        """Start anew."""
        self._atoms = None
        if self._steps is not None:
            self._steps.forget()

    def guess(self, system: CoulombSystem, atomic_numbers: torch.Tensor) -> None:
        """Let the iterations of a system of one structure start from what the last steps lead to expect."""
        if self._steps is None:
            return
        if self._atoms is None or not torch.equal(self._atoms, atomic_numbers):
            self.forget()
            self._atoms = atomic_numbers.clone()
        found = self._steps.predict(system.cell[0].cpu(), system.pbc[0].cpu(), system.positions.detach().cpu())
        if len(found):
            system.initial_charges, system.initial_adjoint = found[0], found[1]

    def add(self, system: CoulombSystem, charges: torch.Tensor) -> None:
        """Remember the charges that were found, and their adjoint."""
        if self._steps is not None:
            self._steps.add(system.positions.detach().cpu(), charges.detach().cpu(), system.adjoint().cpu())


@contextmanager
def errors_of_core() -> Iterator[None]:
    """What the core has to say, as an error of this package.

    :raises ElectrostaticsError: with the core's message
    """
    try:
        yield
    except RuntimeError as error:
        found = ERROR_OF_CORE.search(str(error))
        if found is None:
            raise
        raise ElectrostaticsError(f"`{found[1]}`{found[2]}") from error


def solver_number(solver: str) -> int:
    """As the core numbers solvers.

    :raises ConfigError: if there is none of this name
    """
    if solver not in SOLVERS:
        raise ConfigError(f"`solver`: expected one of {', '.join(SOLVERS)}, got {solver!r}; choose one of them")
    return SOLVERS.index(solver)


def joined_coulomb(
    parts: Sequence[Any], geometry: dict[str, torch.Tensor], accuracy: float, strain: torch.Tensor
) -> CoulombSystem:
    """A system of structures, in this order, that have been built before.

    :param parts: from `CoulombSystem.parts`
    :param geometry: positions, cell, pbc, structure_index and widths, as those of `build_coulomb`, in double precision
    :param accuracy: that they were built with
    :param strain: as in `build_coulomb`
    """
    engine = parts[0].together(list(parts[1:]))
    return CoulombSystem(engine, {**geometry, "strain": strain}, None, accuracy, None)


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
    strain: torch.Tensor | None = None,
) -> CoulombSystem:
    r"""Prepare the electrostatics of a batch of structures.

    :param positions: shape (num_atoms, 3), Å
    :param cell: shape (num_structures, 3, 3), Å; rows of non-periodic directions are not used
    :param pbc: periodic directions, shape (num_structures, 3), bool: none, two or three
    :param structure_index: structure of each atom, shape (num_atoms,)
    :param widths: Gaussian widths s > 0, shape (num_atoms,), Å
    :param accuracy: error of an element of A relative to :math:`k_e/\eta` (`ewald`)
    :param solver: ``dense`` by factorisation, ``iterative`` by conjugate gradients with a mesh, or ``auto``:
        dense up to a number of atoms, iterative for larger structures
    :param smearing: width :math:`\eta` at which Ewald sums are split, Å; chosen if None (the result doesn't
        depend on it)
    :param strain: zeros of shape (num_structures, 3, 3), to differentiate by: of a symmetric strain that positions and
        cell follow
    :raises ConfigError: if accuracy or solver is out of range
    :raises DataError: if an array has another shape, a width is not positive, a periodic direction has no
        cell vector, or one direction is periodic; if cell or widths require a gradient
    :raises ElectrostaticsError: if there is too little memory
    """
    chosen_solver = solver_number(solver)
    if not 1e-14 < accuracy < 1e-2:
        raise ConfigError(f"`accuracy`: expected a number between 1e-14 and 1e-2, got {accuracy}; 1e-6 suits most uses")
    if smearing is not None and not (smearing > 0 and math.isfinite(smearing)):
        raise ConfigError(f"`smearing`: expected a positive number in Å, got {smearing}; leave it out")
    positions, cell, widths = (tensor.to(torch.float64) for tensor in (positions, cell, widths))
    check_positive("widths", widths, len(positions), "Å")
    check_variables(cell, widths)
    check_geometry(positions, cell, pbc, structure_index, num_structures)
    index = structure_index.cpu()
    order = None if bool((index[1:] >= index[:-1]).all()) else torch.argsort(index, stable=True)
    atoms = [tensor.detach().cpu() for tensor in (positions, widths)]
    if order is not None:
        atoms = [tensor.index_select(0, order) for tensor in atoms]
    counts = torch.bincount(index, minlength=num_structures)
    geometry = (atoms[0], cell.detach().cpu(), pbc.cpu(), counts, atoms[1])
    compiled = load_operators().kind == "compiled"
    structures = torch.classes.mhdnn.Structures if compiled else ReferenceStructures
    with errors_of_core():
        try:
            engine = structures(*geometry, accuracy, chosen_solver, smearing or 0.0)
        except RuntimeError:
            check_cells(cell, pbc)  # says more about them than the core
            raise
    strain = torch.zeros_like(cell) if strain is None else strain
    named = {
        "positions": positions, "strain": strain, "cell": cell, "pbc": pbc, "widths": widths,
        "structure_index": structure_index,
    }  # fmt: skip
    return CoulombSystem(engine, named, order, accuracy, smearing)
