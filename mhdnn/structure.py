r"""Every array and tensor that describes structures: name, shape, unit, once.

`Structure` is one set of atoms with its labels (numpy, as stored). Several of them concatenated are a `Geometry` with
its neighbour pairs (torch), which is all that a potential is asked about; a `Batch` has their `Labels` beside it.

Stress is :math:`\sigma = (1/V)\,\partial E/\partial\varepsilon`, tension positive, Voigt order
xx yy zz yz xz xy, per volume of the given cell (vacuum included).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

import numpy as np
import torch

LABELS = ("energy", "forces", "stress", "charges", "total_charge")
Tensors = TypeVar("Tensors", bound="_Tensors")
VOIGT = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))
_VOIGT_OF_NINE = torch.tensor(
    [[0.5 * ((i, j) == pair) + 0.5 * ((j, i) == pair) for pair in VOIGT] for i in range(3) for j in range(3)],
    dtype=torch.float64,
)


@dataclass
class Structure:
    """One structure and the labels it has; a missing label is None.

    :param atomic_numbers: shape (num_atoms,), int64
    :param positions: shape (num_atoms, 3), Å
    :param cell: rows are the cell vectors, shape (3, 3), Å; zero rows where not periodic
    :param pbc: periodic directions, shape (3,), bool
    :param energy: eV
    :param forces: shape (num_atoms, 3), eV/Å
    :param stress: shape (6,), eV/Å³
    :param charges: shape (num_atoms,), e
    :param total_charge: e
    :param group: where the structure comes from, ``family`` or ``family/member``
    :param weight: of the structure in the loss; None is one
    """

    atomic_numbers: np.ndarray
    positions: np.ndarray
    cell: np.ndarray
    pbc: np.ndarray
    energy: float | None = None
    forces: np.ndarray | None = None
    stress: np.ndarray | None = None
    charges: np.ndarray | None = None
    total_charge: float | None = None
    group: str = ""
    weight: float | None = None

    @property
    def num_atoms(self) -> int:
        return len(self.atomic_numbers)


def family_of(group: str) -> str:
    """The family of a group: the text before the first ``/`` (``slab/17`` → ``slab``)."""
    return group.partition("/")[0]


def cell_volume(cell: np.ndarray) -> float:
    """Volume of a cell, zero of one without three vectors, Å³.

    :param cell: shape (3, 3), Å
    """
    return abs(float(np.linalg.det(cell)))


def symmetric_voigt(matrices: torch.Tensor) -> torch.Tensor:
    """Their symmetric parts, from shape (n, 3, 3) to (n, 6); one product, as training makes it in every step."""
    return matrices.flatten(1) @ _VOIGT_OF_NINE.to(matrices)


class _Tensors:
    """A dataclass of tensors, or of such dataclasses."""

    def to(self: Tensors, device: torch.device | str | None = None, non_blocking: bool = False) -> Tensors:
        """The same on another device."""
        return self._each(lambda value: value.to(device, non_blocking=non_blocking))

    def pin_memory(self: Tensors) -> Tensors:
        """The same in page-locked memory (called by the data loader)."""
        return self._each(lambda value: value.pin_memory())

    def _each(self: Tensors, change: Callable[[Any], Any]) -> Tensors:
        names = [field.name for field in fields(self)]  # type: ignore[arg-type]
        return type(self)(**{name: change(getattr(self, name)) for name in names})


@dataclass
class Geometry(_Tensors):
    """Atoms of structures, one structure after the other, with their neighbour pairs sorted by centre.

    :param atomic_numbers: shape (num_atoms,), int64
    :param positions: shape (num_atoms, 3), Å
    :param cell: shape (num_structures, 3, 3), Å
    :param pbc: periodic directions, shape (num_structures, 3), bool
    :param structure_index: structure of each atom, shape (num_atoms,), int64
    :param num_atoms_per_structure: shape (num_structures,), int64
    :param center_index: atom i of each pair, ascending, shape (num_pairs,), int64
    :param neighbor_index: atom j of each pair, shape (num_pairs,), int64
    :param cell_shifts: lattice vectors added to atom j, shape (num_pairs, 3), Å at zero strain
    :param total_charge: shape (num_structures,), e; NaN where it is not known, which potentials with charges refuse
    :param dataset_index: position of each structure in its dataset, by which messages name it, shape
        (num_structures,), int64
    """

    atomic_numbers: torch.Tensor
    positions: torch.Tensor
    cell: torch.Tensor
    pbc: torch.Tensor
    structure_index: torch.Tensor
    num_atoms_per_structure: torch.Tensor
    center_index: torch.Tensor
    neighbor_index: torch.Tensor
    cell_shifts: torch.Tensor
    total_charge: torch.Tensor
    dataset_index: torch.Tensor

    @property
    def num_structures(self) -> int:
        return len(self.num_atoms_per_structure)

    @property
    def num_atoms(self) -> int:
        return len(self.atomic_numbers)

    @property
    def volume(self) -> torch.Tensor:
        """Volumes of the cells, zero of those without three vectors, shape (num_structures,), Å³."""
        return torch.linalg.det(self.cell).abs()

    def stress(self, virial: torch.Tensor) -> torch.Tensor:
        r"""Stress from :math:`V\sigma`, shape (num_structures, 6), eV/Å³; NaN where there is no volume."""
        volume = self.volume.unsqueeze(1)
        return virial / torch.where(volume > 0, volume, torch.nan)

    def pair_vectors(self) -> torch.Tensor:
        """Vectors from centre to neighbour, shape (num_pairs, 3), Å."""
        ends = self.positions.index_select(0, self.neighbor_index)
        return ends - self.positions.index_select(0, self.center_index) + self.cell_shifts

    def with_pairs(self, chosen: torch.Tensor) -> Geometry:
        """The same with some of the pairs, given by their numbers, ascending."""
        center, neighbor = self.center_index[chosen], self.neighbor_index[chosen]
        return replace(self, center_index=center, neighbor_index=neighbor, cell_shifts=self.cell_shifts[chosen])


@dataclass
class Labels(_Tensors):
    """What is known of structures that a potential is trained on or compared with; NaN where a label is missing.

    :param energy: shape (num_structures,), eV
    :param forces: shape (num_atoms, 3), eV/Å
    :param stress: shape (num_structures, 6), eV/Å³
    :param charges: shape (num_atoms,), e
    :param weight: in the loss, shape (num_structures,)
    """

    energy: torch.Tensor
    forces: torch.Tensor
    stress: torch.Tensor
    charges: torch.Tensor
    weight: torch.Tensor


@dataclass
class Batch(_Tensors):
    """Structures and their labels."""

    geometry: Geometry
    labels: Labels

    def with_labels(self, **labels: torch.Tensor) -> Batch:
        """The same structures with other labels."""
        return Batch(self.geometry, replace(self.labels, **labels))
