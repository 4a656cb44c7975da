"""What a potential says of structures: energies, forces, virials, and charges where it has them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch

from mhdnn.electrostatics import ChargeHistory, CoulombSystem, build_coulomb
from mhdnn.electrostatics.system import errors_of_core
from mhdnn.errors import DataError
from mhdnn.kernels.threads import only_functions_in_parallel
from mhdnn.potential import forces_from_pairs, pair_virials, virials_from_pairs
from mhdnn.segments import segment_sum
from mhdnn.structure import Geometry, symmetric_voigt
from mhdnn.uncertainty.prediction import expected_errors, has_error_model


class Spread(NamedTuple):
    """Standard deviations of what the members of an ensemble say; shapes as in `Prediction`, without gradient."""

    energy: torch.Tensor
    forces: torch.Tensor
    virial: torch.Tensor


class Prediction(NamedTuple):
    r"""What a potential says of structures.

    :param energy: shape (num_structures,), eV
    :param forces: shape (num_atoms, 3), eV/Å
    :param virial: :math:`V\sigma`, Voigt, shape (num_structures, 6), eV
    :param atomic_energies: shape (num_atoms,), eV
    :param charges: shape (num_atoms,), e; None for a potential without charges
    :param atomic_virials: shares of the atoms in :math:`V\sigma`, Voigt, shape (num_atoms, 6), eV; None if not
        asked for
    :param force_errors: expected errors of the forces, lengths of vectors (`mhdnn.uncertainty`), shape (num_atoms,),
        eV/Å; None if not asked for, or not known to the potential
    :param energy_errors: the same of energies, shape (num_structures,), eV
    :param spread: standard deviations of the members of an ensemble, where they are asked for
    """

    energy: torch.Tensor
    forces: torch.Tensor
    virial: torch.Tensor
    atomic_energies: torch.Tensor
    charges: torch.Tensor | None = None
    atomic_virials: torch.Tensor | None = None
    force_errors: torch.Tensor | None = None
    energy_errors: torch.Tensor | None = None
    spread: Spread | None = None

    def detach(self) -> Prediction:
        tensors: dict[str, Any] = {
            name: x.detach() for name, x in self._asdict().items() if isinstance(x, torch.Tensor)
        }
        return self._replace(**tensors)


class Guard(Protocol):
    """What looks at atoms before the potential is asked about them, and may raise.

    :ivar outside: atoms outside the training data that it has found, shape (num_atoms,), bool
    """

    outside: np.ndarray

    def look(self, atoms: SeenAtoms) -> None: ...

    def look_at_charges(self, atoms: SeenAtoms, charges: torch.Tensor) -> None: ...


def has_charges(potential: Any) -> bool:
    """Whether a potential (scripted or not) equilibrates charges."""
    return potential.charge_model is not None


def predict(
    potential: Any,
    geometry: Geometry,
    create_graph: bool = False,
    solver: str = "auto",
    history: ChargeHistory | None = None,
    atomic_virials: bool = False,
    guard: Guard | None = None,
    uncertainty: bool = False,
    spread: bool = False,
) -> Prediction:
    r"""Energies, forces and virials of structures.

    The virial of a pair, and of the two charges of an element of A, is shared half and half between its atoms:

    .. math:: W_i = \tfrac12\sum_j \Bigl(\mathbf r_{ij}\otimes\frac{\partial E}{\partial\mathbf r_{ij}}
              + \mathbf r_{ji}\otimes\frac{\partial E}{\partial\mathbf r_{ji}}\Bigr)
              + \tfrac12\sum_j (p_i q_j + q_i p_j)\frac{\partial A_{ij}}{\partial\varepsilon},
              \qquad p = \tfrac12 q + \frac{\partial E}{\partial\chi},

    in which the response of the charges is :math:`\partial E/\partial\chi` (the adjoint charges with their sign
    changed).

    :param potential: a `Potential`, scripted or not
    :param create_graph: whether forces and virials can be differentiated again (training)
    :param solver: of the charges: auto, dense or iterative
    :param history: of a structure that moves: where iterations start from; this step is added
    :param atomic_virials: whether each atom's share in the virial is computed, too; it has no gradient
    :param guard: is shown the atoms, and then their charges; errors of those that it marks are raised
    :param uncertainty: whether errors are expected, too; they have no gradient
    :param spread: whether the members of an ensemble are told apart, too
    :raises DataError: if a potential with charges is given a structure without total charge
    """
    # TorchScript's optimiser makes the first calls slow and gains nothing after them
    with only_functions_in_parallel(), torch.enable_grad(), torch.jit.optimized_execution(False):
        if not has_charges(potential):
            atoms = SeenAtoms(potential, geometry)
            if guard:
                guard.look(atoms)
            if spread and num_members(potential) > 1:
                members = _members(atoms, create_graph, atomic_virials)
                result = mean_of(members)._replace(spread=spread_of(members))
            else:
                result = _short_range(atoms, atoms.energies(), create_graph, atomic_virials)
            return _completed(result, atoms, create_graph, uncertainty, guard)
        charged = ChargedAtoms(potential, geometry, solver)
        if history:
            history.guess(charged.coulomb, geometry.atomic_numbers)
        if guard:
            guard.look(charged)
        charges = charged.charges()
        if guard:
            guard.look_at_charges(charged, charges.detach())
        short_range = charged.energies(charges) + charged.screening(charges)
        result = charged.predict(charges, short_range, create_graph, atomic_virials)
        if history:
            history.add(charged.coulomb, charges)
        return _completed(result, charged, create_graph, uncertainty, guard)


def _completed(
    result: Prediction, atoms: SeenAtoms, create_graph: bool, uncertainty: bool, guard: Guard | None
) -> Prediction:
    if uncertainty and has_error_model(atoms.potential):
        outside = None if guard is None else torch.as_tensor(guard.outside, device=result.forces.device)
        of_forces, of_energy = expected_errors(atoms.potential, atoms, result.forces, outside)
        result = result._replace(force_errors=of_forces, energy_errors=of_energy)
    return result if create_graph else result.detach()


def num_members(potential: Any) -> int:
    """Members of an ensemble (scripted or not), 1 for a single network."""
    return int(getattr(potential.short_range.network, "num_members", 1))


def predict_members(potential: Any, geometry: Geometry, create_graph: bool = False) -> list[Prediction]:
    """What each member of an ensemble says of structures; of a single network one prediction.

    :param create_graph: as in `predict`
    """
    if num_members(potential) == 1:
        return [predict(potential, geometry, create_graph)]
    with torch.enable_grad(), torch.jit.optimized_execution(False):
        results = _members(SeenAtoms(potential, geometry), create_graph)
    return results if create_graph else [result.detach() for result in results]


def _members(atoms: SeenAtoms, create_graph: bool, atomic_virials: bool = False) -> list[Prediction]:
    short_range, element = atoms.potential.short_range, atoms.element_index
    energies = short_range.with_references(short_range.network.member_energies(atoms.functions, element), element)
    if atoms.has_repulsion:
        energies = energies + atoms.repulsion()
    return [_short_range(atoms, own, create_graph, atomic_virials, retain_graph=True) for own in energies]


def mean_of(members: list[Prediction]) -> Prediction:
    """The mean of energies, forces and virials."""
    if len(members) == 1:
        return members[0]
    names = [name for name, value in members[0]._asdict().items() if value is not None]
    means: dict[str, Any] = {name: torch.stack([getattr(own, name) for own in members]).mean(0) for name in names}
    return Prediction(**means)


def spread_of(members: list[Prediction]) -> Spread:
    """Standard deviations of energies, forces and virials."""
    return Spread(*(torch.stack([getattr(own, name).detach() for own in members]).std(0) for name in Spread._fields))


class SeenAtoms:
    """Atoms as the networks see them: pair vectors as variables, and what is computed of them once.

    :param potential: a `Potential`, scripted or not
    """

    def __init__(self, potential: Any, geometry: Geometry) -> None:
        self.potential, self.geometry = potential, geometry
        self.element_index = potential.element_index(geometry.atomic_numbers)

    @cached_property
    def vectors(self) -> torch.Tensor:
        """Pair vectors, shape (num_pairs, 3), Å."""
        return self.geometry.pair_vectors().detach().requires_grad_()

    @property
    def pairs(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Vectors, centres and neighbours."""
        return self.vectors, self.geometry.center_index, self.geometry.neighbor_index

    @property
    def variables(self) -> list[torch.Tensor]:
        """By what energies are differentiated."""
        return [self.vectors]

    def forces_and_virial(self, by_variables: Sequence[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        """Forces, shape (num_atoms, 3), eV/Å, and virials, shape (num_structures, 6), eV.

        :param by_variables: derivatives of the energy by the `variables`
        """
        return _pair_forces_and_virial(self.geometry, self.vectors, by_variables[0])

    @cached_property
    def symmetry_functions(self) -> torch.Tensor:
        """Shape (num_atoms, num_functions)."""
        return self.potential.symmetry_functions(*self.pairs, self.element_index, self.geometry.num_atoms)

    @cached_property
    def functions(self) -> torch.Tensor:
        """Scaled symmetry functions, shape (num_atoms, num_functions)."""
        return self.potential.scaled(self.symmetry_functions)

    def energies(self, charges: torch.Tensor | None = None) -> torch.Tensor:
        """Short-range energies, shape (num_atoms,), eV."""
        energies = self.potential.energies_of(self.functions, self.element_index, charges)
        return energies + self.repulsion() if self.has_repulsion else energies

    @property
    def has_repulsion(self) -> bool:
        """Whether nuclei repel each other."""
        return self.potential.repulsion is not None

    def repulsion(self) -> torch.Tensor:
        """Of nuclei, shape (num_atoms,), eV."""
        return self.potential.repulsion(*self.pairs, self.element_index, self.geometry.num_atoms)


def _pair_forces_and_virial(
    geometry: Geometry, vectors: torch.Tensor, gradient: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    forces = forces_from_pairs(gradient, geometry.center_index, geometry.neighbor_index, geometry.num_atoms)
    return forces, virials_from_pairs(vectors, gradient, pairs_of_structures(geometry))


def pairs_of_structures(geometry: Geometry) -> list[int]:
    """How many each has; they follow each other."""
    ends = torch.cumsum(geometry.num_atoms_per_structure, 0)
    last = torch.searchsorted(geometry.center_index, ends)
    return torch.diff(last, prepend=last.new_zeros(1)).tolist()


def _shared_pair_virials(geometry: Geometry, vectors: torch.Tensor, gradient: torch.Tensor) -> torch.Tensor:
    """Half of each pair's virial for each of its atoms, shape (num_atoms, 6), eV."""
    half = 0.5 * pair_virials(vectors, gradient)
    return segment_sum(half, geometry.center_index, geometry.num_atoms).index_add(0, geometry.neighbor_index, half)


def _short_range(
    atoms: SeenAtoms, energies: torch.Tensor, create_graph: bool, atomic_virials: bool, retain_graph: bool = False
) -> Prediction:
    geometry, vectors = atoms.geometry, atoms.vectors
    gradient = None
    if energies.requires_grad:  # those of a repulsion of no pair that is near don't
        kept = create_graph or retain_graph
        (gradient,) = torch.autograd.grad(
            energies.sum(), vectors, retain_graph=kept, create_graph=create_graph, allow_unused=True
        )
    gradient = torch.zeros_like(vectors) if gradient is None else gradient
    forces, virial = atoms.forces_and_virial([gradient])
    energy = segment_sum(energies, geometry.structure_index, geometry.num_structures)
    shares = _shared_pair_virials(geometry, vectors, gradient) if atomic_virials else None
    return Prediction(energy, forces, virial, energies, None, shares)


class ChargedAtoms(SeenAtoms):
    """Atoms with charges that follow them; of the electrostatics positions and strain are the variables.

    :param potential: a `Potential` with a charge model, scripted or not
    :ivar electronegativity: of the charges computed last, shape (num_atoms,), eV/e
    :raises DataError: if a structure has no total charge
    """

    def __init__(self, potential: Any, geometry: Geometry, solver: str = "auto") -> None:
        unknown = torch.nonzero(~torch.isfinite(geometry.total_charge))
        if len(unknown):
            number = int(geometry.dataset_index[unknown[0, 0]])
            raise DataError(
                f"`total_charge`: structure {number} has none, nor atomic charges that add up to a whole number, but "
                "the model equilibrates charges; write it into the dataset, or give the one of all structures without "
                "(data.total_charge=0)"
            )
        super().__init__(potential, geometry)
        self.charge_model = potential.charge_model
        self.positions = geometry.positions.detach().requires_grad_()
        self.strain = torch.zeros_like(geometry.cell).requires_grad_()
        self.coulomb = self.built(solver)

    def built(self, solver: str) -> CoulombSystem:
        """Electrostatics of the structures."""
        geometry = self.geometry
        return build_coulomb(
            self.positions,
            geometry.cell,
            geometry.pbc,
            geometry.structure_index,
            geometry.num_structures,
            self.charge_model.charge_widths(self.element_index),
            accuracy=self.charge_model.accuracy,
            solver=solver,
            strain=self.strain,
        )

    @property
    def variables(self) -> list[torch.Tensor]:
        return [self.vectors, self.positions, self.strain]

    def forces_and_virial(self, by_variables: Sequence[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        by_pair, by_position, by_strain = by_variables
        forces, virial = super().forces_and_virial([by_pair])
        return forces - by_position, virial + symmetric_voigt(by_strain)

    def charges(self) -> torch.Tensor:
        """Equilibrated charges, shape (num_atoms,), e."""
        self.electronegativity = self.charge_model.electronegativity(self.functions, self.element_index)
        hardness = self.charge_model.hardness(self.element_index)
        return self.coulomb.equilibrate(self.electronegativity, hardness, self.geometry.total_charge)

    def screening(self, charges: torch.Tensor) -> torch.Tensor:
        """What takes the electrostatics of close pairs out again, shape (num_atoms,), eV."""
        return self.charge_model.screening(*self.pairs, self.element_index, charges)

    def predict(
        self, charges: torch.Tensor, short_range: torch.Tensor, create_graph: bool, atomic_virials: bool = False
    ) -> Prediction:
        """Total energy and its derivatives, the response of the charges included.

        :param charges: from `charges`
        :param short_range: atomic energies without electrostatics, shape (num_atoms,), eV
        :param atomic_virials: as in `predict`
        """
        geometry, variables = self.geometry, self.variables
        energies = short_range + 0.5 * charges * self.coulomb.potential(charges)
        with errors_of_core():
            gradients = torch.autograd.grad(
                energies.sum(),
                [*variables, self.electronegativity] if atomic_virials else variables,
                create_graph=create_graph,
                retain_graph=create_graph,
                allow_unused=True,
                materialize_grads=True,
            )
        forces, virial = self.forces_and_virial(gradients[: len(variables)])
        energy = segment_sum(energies, geometry.structure_index, geometry.num_structures)
        shares = None
        if atomic_virials:
            shares = _shared_pair_virials(geometry, self.vectors, gradients[0])
            partners = 0.5 * charges + gradients[-1]  # p of `predict`
            shares = shares + self.coulomb.strain_per_atom(partners.detach(), charges.detach())
        return Prediction(energy, forces, virial, energies, charges, shares)


def predict_charges(potential: Any, geometry: Geometry, solver: str = "auto") -> torch.Tensor:
    """Charges alone, shape (num_atoms,), e; differentiable by the potential's parameters."""
    return ChargedAtoms(potential, geometry, solver).charges()


def predict_repulsion(potential: Any, geometry: Geometry) -> Prediction:
    """That of nuclei alone; nothing without it."""
    with torch.enable_grad():
        atoms = SeenAtoms(potential, geometry)
        energies = atoms.repulsion() if atoms.has_repulsion else geometry.positions.new_zeros(geometry.num_atoms)
        return _short_range(atoms, energies, False, False).detach()


def predict_known(potential: Any, geometry: Geometry, solver: str = "auto") -> Prediction:
    """The part that the network doesn't have to learn: repulsion of nuclei, screened electrostatics of its charges."""
    if not has_charges(potential):
        return predict_repulsion(potential, geometry)
    with torch.enable_grad():
        charged = ChargedAtoms(potential, geometry, solver)
        charges = charged.charges()
        known = charged.screening(charges)
        if charged.has_repulsion:
            known = known + charged.repulsion()
        return charged.predict(charges, known, False).detach()
