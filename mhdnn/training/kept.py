r"""What no step of a stage changes of its structures: computed once, and kept while memory lasts.

Where symmetry functions are not learned (any more), a network sees the same inputs :math:`\mathbf x` in every epoch,
and forces and virial :math:`\mathbf f` are linear in its derivatives by them:

.. math:: \mathbf f = \mathbf f_{known} + R\,\frac{\partial E}{\partial\mathbf x}, \qquad
          R = -\frac{\partial\mathbf x}{\partial(\mathbf r, -\varepsilon)}.

Where charges are not trained either they are among the inputs, with their response to all positions in R, and the
electrostatics are among what is known. Of small structures a product with R takes less time than the operators of
symmetry functions and the equations of the charges.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch

from mhdnn.charge_model import ChargeModel
from mhdnn.data.datamodule import SAMPLE_BATCH_ATOMS, StoreDataModule, packed
from mhdnn.data.dataset import collate
from mhdnn.electrostatics.system import TOLERANCE_PER_ACCURACY, CoulombSystem, errors_of_core, joined_coulomb
from mhdnn.kernels.loading import compiled_for
from mhdnn.networks import SharedNetwork
from mhdnn.potential import Potential, forces_from_pairs, pair_virials
from mhdnn.prediction import (
    ChargedAtoms,
    Prediction,
    SeenAtoms,
    has_charges,
    num_members,
    pairs_of_structures,
    predict_known,
    predict_repulsion,
)
from mhdnn.segments import segment_sum
from mhdnn.structure import Geometry, symmetric_voigt

LARGEST = 32
"""Atoms of a structure; R grows with their square, and beyond it the operators are faster."""


@dataclass(frozen=True)
class Kept:
    """What is kept of a structure, or of several one after the other.

    :param inputs: of the network, shape (num_atoms, num_inputs); without charges where those are trained
    :param responses: R of each structure, shapes (3 num_atoms + 6, num_atoms num_inputs); none for charges alone
    :param energies: of what is known, shape (num_atoms,), eV
    :param forces: the same, shape (num_atoms, 3), eV/Å
    :param virial: the same, shape (num_structures, 6), eV
    :param charges: shape (num_atoms,), e; None where they are trained, or there are none
    :param screening: of each pair, by the product of its charges, where charges are trained: its energy, eV/e², the
        derivative of that by the pair vector, eV/(Å e²), and its virial, eV/e², shape (num_pairs, 10); else no rows
    :param coulomb: electrostatics of each structure (`CoulombSystem.parts`), where charges are trained
    """

    inputs: torch.Tensor
    responses: tuple[torch.Tensor, ...]
    energies: torch.Tensor
    forces: torch.Tensor
    virial: torch.Tensor
    charges: torch.Tensor | None
    screening: torch.Tensor
    coulomb: tuple[Any, ...]

    @property
    def num_bytes(self) -> int:
        """Memory that it takes."""
        tensors = (self.inputs, *self.responses, self.energies, self.forces, self.virial, self.charges, self.screening)
        built = sum(part.num_bytes() for part in self.coulomb)
        return built + sum(tensor.nbytes for tensor in tensors if tensor is not None)

    def forces_and_virial(self, by_inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """All forces and virials.

        :param by_inputs: derivatives of the energies by the inputs, shape (num_atoms, num_inputs)
        """
        parts = by_inputs.flatten().split([response.shape[1] for response in self.responses])
        found = [response.mv(part) for response, part in zip(self.responses, parts, strict=True)]
        lengths = [length for values in found for length in (len(values) - 6, 6)]
        rows = torch.cat(found).split(lengths)  # one split: its derivative is one operation, too
        forces, virial = torch.cat(rows[::2]).view(-1, 3), torch.cat(rows[1::2]).view(-1, 6)
        return self.forces + forces, self.virial + virial


def joined(parts: list[Kept]) -> Kept:
    """Several structures, one after the other."""
    if len(parts) == 1:
        return parts[0]
    names = ("inputs", "energies", "forces", "virial", "charges", "screening")
    columns = {name: [getattr(part, name) for part in parts] for name in names}
    together = {name: None if values[0] is None else torch.cat(values) for name, values in columns.items()}
    responses = tuple(response for part in parts for response in part.responses)
    coulomb = tuple(built for part in parts for built in part.coulomb)
    return Kept(responses=responses, coulomb=coulomb, **together)  # type: ignore[arg-type]


def separated(kept: Kept, geometry: Geometry) -> Iterator[Kept]:
    """Each of several structures; copies, as a part of a tensor would hold the whole of it."""
    num_pairs = pairs_of_structures(geometry) if len(kept.screening) else [0] * geometry.num_structures
    counts, first_atom, first_pair = geometry.num_atoms_per_structure.tolist(), 0, 0
    for number, count in enumerate(counts):
        atoms = slice(first_atom, first_atom + count)
        pairs = slice(first_pair, first_pair + num_pairs[number])
        yield Kept(
            kept.inputs[atoms].clone(),
            kept.responses[number : number + 1],
            kept.energies[atoms].clone(),
            kept.forces[atoms].clone(),
            kept.virial[number : number + 1].clone(),
            None if kept.charges is None else kept.charges[atoms].clone(),
            kept.screening[pairs].clone(),
            kept.coulomb[number : number + 1],
        )
        first_atom, first_pair = atoms.stop, pairs.stop


class KeptStructures:
    """Training structures of which nothing but what the network makes of its inputs changes while a stage trains.

    :param potential: that is trained
    :param for_forces: whether forces are needed, or charges alone
    """

    def __init__(self, potential: Potential, for_forces: bool = True) -> None:
        self.potential, self.for_forces = potential, for_forces
        self._structures: dict[int, Kept] = {}

    def __len__(self) -> int:
        return len(self._structures)

    @property
    def is_possible(self) -> bool:
        """Whether the stage leaves symmetry functions as they are; ensembles share them in another way."""
        return not _is_trained(self.potential.descriptor) and num_members(self.potential) == 1

    @property
    def charges_stay(self) -> bool:
        """Whether the potential has charges and the stage doesn't train them."""
        return has_charges(self.potential) and not _is_trained(cast(torch.nn.Module, self.potential.charge_model))

    @property
    def charges_are_trained(self) -> bool:
        """Whether the potential has charges that the stage changes."""
        return has_charges(self.potential) and not self.charges_stay

    def fill(self, data: StoreDataModule, device: torch.device | str = "cpu") -> None:
        """Compute what is kept of the training structures, up to ``data.cache_megabytes``; the first ones stay."""
        if not self.is_possible:
            return
        dataset = data.dataset("train")
        sizes = data.train_reader.num_atoms[dataset.indices]
        small = np.flatnonzero(sizes <= LARGEST)
        left = data.cache_megabytes * 2**20
        for numbers in packed(sizes[small], SAMPLE_BATCH_ATOMS) if len(small) else []:
            geometry = collate([dataset[int(small[number])] for number in numbers]).geometry.to(device)
            for number, kept in zip(geometry.dataset_index.tolist(), self.computed(geometry), strict=True):
                left -= kept.num_bytes
                if left < 0:
                    return
                self._structures[number] = kept

    def forget(self) -> None:
        """Free the memory."""
        self._structures.clear()

    def of(self, geometry: Geometry) -> Kept | None:
        """What is kept of the structures of a training batch; None if one of them is missing."""
        if not self._structures:
            return None
        found = [self._structures.get(number) for number in geometry.dataset_index.tolist()]
        return None if None in found else joined(cast("list[Kept]", found))

    def computed(self, geometry: Geometry) -> list[Kept]:
        """What may be kept, of each structure."""
        with torch.enable_grad():
            atoms, inputs, charges = self._inputs(geometry)
            known = (predict_known if self.charges_stay else predict_repulsion)(self.potential, geometry)
            rows = tuple(responses(atoms, inputs)) if self.for_forces else ()
            screening = self._screening(geometry)
            coulomb = tuple(ChargedAtoms(self.potential, geometry).coulomb.parts()) if self.charges_are_trained else ()
        known_ones = (known.atomic_energies, known.forces, known.virial)
        everything = Kept(inputs.detach(), rows, *known_ones, charges, screening, coulomb)
        return list(separated(everything, geometry))

    def _screening(self, geometry: Geometry) -> torch.Tensor:
        """`Kept.screening` of all pairs, no rows where it isn't needed."""
        model = self.potential.charge_model
        if model is None or not self.for_forces or self.charges_stay or model.outer_radius <= 0.0:
            return torch.zeros((0, 10), dtype=torch.float64, device=geometry.positions.device)
        vectors = geometry.pair_vectors().requires_grad_()
        element = self.potential.element_index(geometry.atomic_numbers)
        energies = model.pair_screening(vectors, element[geometry.center_index], element[geometry.neighbor_index])
        (gradient,) = torch.autograd.grad(energies.sum(), vectors)
        virials = pair_virials(vectors.detach(), gradient)
        return torch.cat([energies.detach().unsqueeze(1), gradient, virials], 1)

    def _inputs(self, geometry: Geometry) -> tuple[SeenAtoms, torch.Tensor, torch.Tensor | None]:
        """Inputs of the network in the graph of derivatives by positions, and charges if they stay."""
        if not self.charges_stay:
            atoms = SeenAtoms(self.potential, geometry)
            return atoms, atoms.functions, None
        charged = ChargedAtoms(self.potential, geometry)
        charges = charged.charges()
        inputs = charged.charge_model.inputs(charged.functions, charged.element_index, charges)
        return charged, inputs, charges.detach()


def _is_trained(module: torch.nn.Module) -> bool:
    return any(parameter.requires_grad for parameter in module.parameters())


def responses(atoms: SeenAtoms, inputs: torch.Tensor) -> Iterator[torch.Tensor]:
    """R of each structure, shapes (3 num_atoms + 6, num_atoms num_inputs).

    Rows are found for all structures together: forces and virial as functions of derivatives by the inputs are
    differentiated.
    """
    geometry = atoms.geometry
    by_inputs = torch.zeros_like(inputs, requires_grad=True)
    by_variables = torch.autograd.grad(inputs, atoms.variables, by_inputs, create_graph=True, materialize_grads=True)
    forces, virial = atoms.forces_and_virial(by_variables)
    counts = geometry.num_atoms_per_structure
    first = torch.cumsum(counts, 0) - counts

    def row(values: torch.Tensor) -> torch.Tensor:
        (found,) = torch.autograd.grad(values.sum(), by_inputs, retain_graph=True)
        return found

    largest = int(counts.max())
    of_forces = [row(forces[first[counts > atom] + atom, axis]) for atom in range(largest) for axis in range(3)]
    of_virial = [row(virial[:, component]) for component in range(6)]
    for begin, count in zip(first.tolist(), counts.tolist(), strict=True):
        own = [found[begin : begin + count].flatten() for found in (*of_forces[: 3 * count], *of_virial)]
        yield torch.stack(own)


class KeptAtoms(ChargedAtoms):
    """Atoms whose charges are trained, and whose symmetry functions are not.

    :param kept: of these structures
    """

    def __init__(self, potential: Potential, geometry: Geometry, kept: Kept) -> None:
        self.kept = kept
        super().__init__(potential, geometry)
        self.functions = kept.inputs.detach().requires_grad_()

    def built(self, solver: str) -> CoulombSystem:
        geometry = self.geometry
        named = {
            "positions": self.positions, "cell": geometry.cell, "pbc": geometry.pbc,
            "structure_index": geometry.structure_index,
            "widths": self.charge_model.charge_widths(self.element_index),
        }  # fmt: skip
        return joined_coulomb(self.kept.coulomb, named, self.charge_model.accuracy, self.strain)

    @property
    def variables(self) -> list[torch.Tensor]:
        return [self.positions, self.strain, self.functions]

    def forces_and_virial(self, by_variables: Sequence[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        by_position, by_strain, by_inputs = by_variables
        geometry, screening = self.geometry, self.kept.screening
        forces, virial = self.kept.forces_and_virial(by_inputs)
        forces, virial = forces - by_position, virial + symmetric_voigt(by_strain)
        if not len(screening):
            return forces, virial
        terms = self._products.unsqueeze(1) * screening[:, 1:]
        center, neighbor = geometry.center_index, geometry.neighbor_index
        structure = geometry.structure_index.index_select(0, center)
        forces = forces + forces_from_pairs(terms[:, :3], center, neighbor, geometry.num_atoms)
        return forces, virial + segment_sum(terms[:, 3:], structure, geometry.num_structures)

    def screening(self, charges: torch.Tensor) -> torch.Tensor:
        energies = self.charge_model.self_screening(self.element_index) * charges * charges
        if not len(self.kept.screening):
            return energies
        center, neighbor = self.geometry.center_index, self.geometry.neighbor_index
        self._products = charges.index_select(0, center) * charges.index_select(0, neighbor)
        return energies.index_add(0, center, self._products * self.kept.screening[:, 0])

    @property
    def has_repulsion(self) -> bool:
        return True

    def repulsion(self) -> torch.Tensor:
        return self.kept.energies


def kept_charges(potential: Potential, geometry: Geometry, kept: Kept) -> torch.Tensor:
    """As `mhdnn.prediction.predict_charges` where charges are trained, from what is kept of the structures."""
    if not _is_compiled(potential, kept):
        return KeptAtoms(potential, geometry, kept).charges()
    model, atoms = cast(ChargeModel, potential.charge_model), _atoms(potential, geometry, kept)
    charges = [model.electronegativity_shift, model.raw_hardness, geometry.total_charge]
    network = cast(SharedNetwork, model.network).for_operators()
    with errors_of_core():
        found: torch.Tensor = torch.ops.mhdnn.kept_charges(*network, atoms, charges, *_equilibration(model, kept))
    return found


def predict_kept(potential: Potential, geometry: Geometry, kept: Kept) -> Prediction:
    """As `mhdnn.prediction.predict` with ``create_graph``, from what is kept of the structures."""
    if _is_compiled(potential, kept):
        return _predict_compiled(potential, geometry, kept)
    with torch.enable_grad():
        if has_charges(potential) and kept.charges is None:
            atoms = KeptAtoms(potential, geometry, kept)
            charges = atoms.charges()
            return atoms.predict(charges, atoms.energies(charges) + atoms.screening(charges), True)
        inputs = kept.inputs.detach().requires_grad_()
        energies = potential.short_range(inputs, potential.element_index(geometry.atomic_numbers))
        (by_inputs,) = torch.autograd.grad(energies.sum(), inputs, create_graph=True)
        forces, virial = kept.forces_and_virial(by_inputs)
        energies = energies + kept.energies
        energy = segment_sum(energies, geometry.structure_index, geometry.num_structures)
        return Prediction(energy, forces, virial, energies, kept.charges)


def _is_compiled(potential: Potential, kept: Kept) -> bool:
    """Whether one operator does it all."""
    parts = (potential.short_range, potential.charge_model)
    shared = all(isinstance(part.network, SharedNetwork) for part in parts if part is not None)
    return shared and compiled_for(kept.inputs)


def _predict_compiled(potential: Potential, geometry: Geometry, kept: Kept) -> Prediction:
    atoms, short_range, model = _atoms(potential, geometry, kept), potential.short_range, potential.charge_model
    known = [short_range.reference_energies, kept.energies, kept.forces, kept.virial]
    given: list[Any] = [*cast(SharedNetwork, short_range.network).for_operators(), atoms, known, kept.responses]
    if model is None or kept.charges is not None:
        given += [[], "", [], None, 0.0]
    else:
        charges = [
            model.electronegativity_shift, model.raw_hardness, geometry.total_charge, model.self_screening(atoms[1]),
            model.charge_mean, model.charge_scale, kept.screening, geometry.center_index, geometry.neighbor_index,
        ]  # fmt: skip
        given += [*cast(SharedNetwork, model.network).for_operators(), charges, *_equilibration(model, kept)]
    with errors_of_core():
        energies, forces, virial, *found = torch.ops.mhdnn.kept_prediction(*given)
    energy = segment_sum(energies, geometry.structure_index, geometry.num_structures)
    return Prediction(energy, forces, virial, energies, found[0] if found else kept.charges)


def _equilibration(model: ChargeModel, kept: Kept) -> tuple[Any, float]:
    """Electrostatics of the structures, and where iterations end."""
    return kept.coulomb[0].together(list(kept.coulomb[1:])), TOLERANCE_PER_ACCURACY * model.accuracy


def _atoms(potential: Potential, geometry: Geometry, kept: Kept) -> list[torch.Tensor]:
    return [kept.inputs, potential.element_index(geometry.atomic_numbers), geometry.structure_index]
