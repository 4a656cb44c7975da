r"""The linear part of a network by ridge regression on energies, forces and virials."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np
import torch

from mhdnn.errors import DataError
from mhdnn.networks import AtomicNetwork
from mhdnn.potential import Potential
from mhdnn.prediction import Prediction, SeenAtoms, predict
from mhdnn.segments import segment_sum
from mhdnn.structure import VOIGT, Batch, Geometry
from mhdnn.training.least_squares import NUM_FOLDS, choose_penalty, least_squares

DIRECTIONS_IN_A_BATCH = 48  # coordinates whose force equations are used
REFIT_PENALTY = 1 / 3
"""Of changes of the linear part by energies alone, in units of the mean square of structures' functions (an atom)."""
SMALLEST_SINGULAR_VALUE = 1e-6
"""Of the table of elements, relative to the largest."""


class ElementBasis:
    r"""The fewest coordinates of the elements that the linear part depends on.

    The table T (elements × blocks) of `AtomicNetwork.linear_table` is :math:`U\Sigma V^T`; weights W enter as
    :math:`TW = U\Sigma(V^TW)`, and of all W with the same product, :math:`V(V^TW)` is the smallest. So
    :math:`V^TW` is fitted: one block for one element, however many species features there are.

    :ivar coordinates: :math:`U\Sigma`, shape (num_elements, rank)
    :ivar right: :math:`V^T`, shape (rank, num_blocks)
    """

    def __init__(self, network: AtomicNetwork) -> None:
        left, values, right = torch.linalg.svd(network.linear_table().detach().double(), full_matrices=False)
        kept = values > SMALLEST_SINGULAR_VALUE * values[0]
        self.coordinates = left[:, kept] * values[kept]
        self.right = right[kept]

    def weights(self, solution: torch.Tensor) -> torch.Tensor:
        """`AtomicNetwork.linear_weight` from :math:`V^TW`, shape (rank · (1 + num_functions),)."""
        return (self.right.T @ solution.view(len(self.right), -1)).flatten()


class LinearFit(NamedTuple):
    """What the ridge regression found beside the weights.

    :param penalty: that cross-validation chose
    :param of_energies: further unknowns, shape (num_unknowns,)
    """

    penalty: float
    of_energies: torch.Tensor


OfEnergies = Callable[[Geometry], torch.Tensor]
"""Further unknowns, of energies alone: what each adds to those of structures, shape (num_structures, num_unknowns)."""


def fit_linear_part(
    potential: Potential,
    batches: Iterable[Batch],
    energy_weight: float,
    force_weight: float,
    stress_weight: float,
    of_energies: OfEnergies | None = None,
) -> LinearFit:
    """Set the network's linear weights by ridge regression.

    :param energy_weight: of the squared error of the energy per atom, as in the loss
    :param force_weight: of the squared error of force components
    :param stress_weight: of the squared error of the virial per atom
    :param of_energies: further unknowns, fitted with the weights
    :raises DataError: if no batch has a label
    """
    basis = ElementBasis(potential.short_range.network)
    num_blocks = potential.short_range.network.linear_table().shape[1]
    num_unknowns = len(potential.short_range.network.linear_weight) // num_blocks * basis.coordinates.shape[1]
    system = None
    for number, batch in enumerate(batches):
        weights = (energy_weight, force_weight, stress_weight)
        rows, targets = weighted_equations(potential, basis, batch, *weights, of_energies)
        system = system or least_squares(rows.shape[1])
        known = torch.isfinite(targets)
        system.add(rows[known], targets[known], number % NUM_FOLDS)
        if system.is_full():
            break
    if system is None or not any(system.squares(fold) > 0 for fold in range(NUM_FOLDS)):
        raise DataError("training set: no energy, force or stress to fit the linear part to")
    penalty = choose_penalty(system)
    solution = system.solve(penalty)
    with torch.no_grad():
        potential.short_range.network.linear_weight.copy_(basis.weights(solution[:num_unknowns]))
    return LinearFit(penalty, solution[num_unknowns:])


def left_over(batch: Batch, found: Prediction) -> Batch:
    """A batch whose labels are what a prediction leaves of them."""
    labels = batch.labels
    return batch.with_labels(
        energy=labels.energy - found.energy,
        forces=labels.forces - found.forces,
        stress=labels.stress - batch.geometry.stress(found.virial),
    )


def refit_energies(potential: Potential, batches: Iterable[Batch]) -> None:
    r"""Change the network's linear weights by v, a ridge regression of what the potential leaves of energies.

    .. math:: \min_v \sum_S w_S\Bigl(\frac{\Delta E_S - \Phi_S\cdot v}{N_S}\Bigr)^2 + \lambda|v|^2,
              \qquad \lambda = \frac13\Bigl\langle w_S\frac{|\Phi_S|^2}{N_S^2}\Bigr\rangle

    :param batches: whose energies count; without any, or without a linear part, nothing changes
    """
    network = potential.short_range.network
    if not network.linear_skip:
        return
    basis, rows, targets = ElementBasis(network), [], []
    for batch in batches:
        root = torch.sqrt(batch.labels.weight) / batch.geometry.num_atoms_per_structure
        residuals = root * (batch.labels.energy - predict(potential, batch.geometry).energy).detach()
        known = torch.isfinite(residuals)
        rows.append((root.unsqueeze(1) * StructureFeatures(potential, basis, batch.geometry).values())[known])
        targets.append(residuals[known])
    num_equations = sum(map(len, targets))
    if num_equations == 0:
        return
    system = least_squares(rows[0].shape[1])
    system.add(torch.cat(rows), torch.cat(targets), 0)
    solution = system.solve(REFIT_PENALTY * rows[0].shape[1] / num_equations)
    change_linear_part(network, basis.weights(solution))


def change_linear_part(network: AtomicNetwork, change: torch.Tensor) -> None:
    """Add something to the linear weights that a further training begins without."""
    with torch.no_grad():
        network.linear_weight.add_(change.to(network.linear_weight))
        network.linear_change.add_(change.to(network.linear_change))


def weighted_equations(
    potential: Potential,
    basis: ElementBasis,
    batch: Batch,
    energy_weight: float,
    force_weight: float,
    stress_weight: float,
    of_energies: OfEnergies | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Equations of a batch times the square roots of their weights and those of the structures.

    :return: shapes (num_equations, num_unknowns) and (num_equations,)
    """
    geometry = batch.geometry
    element = potential.element_index(geometry.atomic_numbers)
    references = segment_sum(
        potential.short_range.reference_energies[element], geometry.structure_index, geometry.num_structures
    )
    left = batch.with_labels(energy=batch.labels.energy - references)
    blocks = equations(potential, basis, left, np.random.default_rng(0), DIRECTIONS_IN_A_BATCH)
    weights = energy_weight, stress_weight, force_weight
    roots = [
        torch.sqrt(weight / len(block.targets) * batch.labels.weight.index_select(0, block.structures))
        for weight, block in zip(weights, blocks, strict=True)
    ]
    rows = torch.cat([root.unsqueeze(1) * block.rows for root, block in zip(roots, blocks, strict=True)])
    targets = torch.cat([root * block.targets for root, block in zip(roots, blocks, strict=True)])
    if of_energies is None:
        return rows, targets
    # energies are the first equations
    more = (roots[0] / geometry.num_atoms_per_structure).unsqueeze(1) * of_energies(geometry)
    return torch.cat([rows, torch.nn.functional.pad(more, (0, 0, 0, len(rows) - len(more)))], 1), targets


class Equations(NamedTuple):
    """Rows · w = targets, of one kind of label; targets are NaN where there is no label.

    :param rows: shape (num_equations, num_unknowns)
    :param targets: shape (num_equations,)
    :param structures: to which they belong, shape (num_equations,)
    """

    rows: torch.Tensor
    targets: torch.Tensor
    structures: torch.Tensor


def equations(
    potential: Potential, basis: ElementBasis, batch: Batch, generator: np.random.Generator, num_directions: int
) -> tuple[Equations, Equations, Equations]:
    """Energies per atom (eV), components of virials per atom (eV), and components of forces (eV/Å) of a batch.

    :param batch: its labels are what the linear part is to be
    :param generator: chooses components of forces, if they are more
    :param num_directions: than these
    """
    geometry, labels = batch.geometry, batch.labels
    num_atoms, every = geometry.num_atoms_per_structure.to(torch.float64), torch.arange(geometry.num_structures)
    features = StructureFeatures(potential, basis, geometry)
    energies = Equations(features.values() / num_atoms.unsqueeze(1), labels.energy / num_atoms, every)
    virials = labels.stress * (geometry.volume / num_atoms).unsqueeze(1)
    strained = [features.strain_derivative(component) / num_atoms.unsqueeze(1) for component in range(len(VOIGT))]
    of_virials = Equations(torch.cat(strained), virials.T.flatten(), every.repeat(len(VOIGT)))
    rows, targets, structures = [], [], []
    for atom, axis in _some_directions(geometry, num_directions, generator):
        owners, atoms, derivative = features.displacement_derivative(atom, axis)
        rows.append(-derivative)
        targets.append(labels.forces[atoms, axis])
        structures.append(owners)
    return energies, of_virials, Equations(torch.cat(rows), torch.cat(targets), torch.cat(structures))


def _some_directions(geometry: Geometry, num_directions: int, generator: np.random.Generator) -> list[tuple[int, int]]:
    """Atoms (counted within their structure) and axes to displace; all of them if they are few."""
    largest = int(geometry.num_atoms_per_structure.max())
    everything = [(atom, axis) for atom in range(largest) for axis in range(3)]
    if len(everything) <= num_directions:
        return everything
    chosen = generator.choice(len(everything), num_directions, replace=False)
    return [everything[index] for index in chosen]


class StructureFeatures:
    r"""Sums :math:`\sum_i (U\Sigma)_{Z_i}\otimes[1, G_i]` of each structure, and their derivatives.

    One displacement in all structures at once: the cost does not depend on the number of functions. The
    gradient of a weighted sum of the functions is linear in the weights; its derivative by the weights is
    the derivative of the functions along the displacement.
    """

    def __init__(self, potential: Potential, basis: ElementBasis, geometry: Geometry) -> None:
        self.geometry = geometry
        self.first_atom = torch.cumsum(geometry.num_atoms_per_structure, 0) - geometry.num_atoms_per_structure
        with torch.enable_grad():
            atoms = SeenAtoms(potential, geometry)
            self._functions = potential.linear_inputs(atoms.functions)
            self._weights = torch.zeros_like(self._functions, requires_grad=True)
            (self._gradient,) = torch.autograd.grad(self._functions, atoms.vectors, self._weights, create_graph=True)
        self.vectors = atoms.vectors.detach()
        self._coordinates = basis.coordinates[atoms.element_index]

    def _sums(self, constant: float, functions: torch.Tensor) -> torch.Tensor:
        """Sums over each structure with [constant, functions], shape (num_structures, num_unknowns)."""
        rows = torch.nn.functional.pad(functions.detach().double(), (1, 0), value=constant)
        blocks = [
            segment_sum(coordinate.unsqueeze(1) * rows, self.geometry.structure_index, self.geometry.num_structures)
            for coordinate in self._coordinates.unbind(1)
        ]
        return torch.cat(blocks, 1)

    def _derivative(self, tangent: torch.Tensor) -> torch.Tensor:
        (derivative,) = torch.autograd.grad(self._gradient, self._weights, tangent, retain_graph=True)
        return self._sums(0.0, derivative)

    def values(self) -> torch.Tensor:
        """Shape (num_structures, num_unknowns)."""
        return self._sums(1.0, self._functions)

    def strain_derivative(self, component: int) -> torch.Tensor:
        """By a component of the strain (Voigt), shape (num_structures, num_unknowns)."""
        first, second = VOIGT[component]
        tangent = torch.zeros_like(self.vectors)
        tangent[:, first] += 0.5 * self.vectors[:, second]
        tangent[:, second] += 0.5 * self.vectors[:, first]
        return self._derivative(tangent)

    def displacement_derivative(self, atom: int, axis: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """By one coordinate of the same atom of every structure that has it.

        :return: these structures, the index of the atom in the batch for each, and the derivatives
        """
        geometry = self.geometry
        owners = torch.nonzero(geometry.num_atoms_per_structure > atom).squeeze(1)
        atoms = self.first_atom[owners] + atom
        moved = torch.zeros(geometry.num_atoms, dtype=self.vectors.dtype)
        moved[atoms] = 1.0
        tangent = torch.zeros_like(self.vectors)
        tangent[:, axis] = moved[geometry.neighbor_index] - moved[geometry.center_index]
        return owners, atoms, self._derivative(tangent)[owners]
