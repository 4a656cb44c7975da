r"""Every array and tensor that describes structures: name, shape, unit, once.

`Structure` is one set of atoms with its labels (numpy, as stored); `Batch` is several of them
concatenated with their neighbour pairs (torch, as trained on).

Stress is :math:`\sigma = (1/V)\,\partial E/\partial\varepsilon`, tension positive, Voigt order
xx yy zz yz xz xy, per volume of the given cell (vacuum included).
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
import torch

LABELS = ("energy", "forces", "stress", "charges", "total_charge")
VOIGT = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))


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


@dataclass
class Batch:
    """Structures concatenated, with their neighbour pairs sorted by centre.

    :param atomic_numbers: shape (num_atoms,), int64
    :param positions: shape (num_atoms, 3), Å
    :param cell: shape (num_structures, 3, 3), Å
    :param pbc: periodic directions, shape (num_structures, 3), bool
    :param structure_index: structure of each atom, shape (num_atoms,), int64
    :param num_atoms_per_structure: shape (num_structures,), int64
    :param center_index: atom i of each pair, ascending, shape (num_pairs,), int64
    :param neighbor_index: atom j of each pair, shape (num_pairs,), int64
    :param cell_shifts: lattice vectors added to atom j, shape (num_pairs, 3), Å at zero strain
    :param dataset_index: position of each structure in its dataset, shape (num_structures,), int64
    :param energy: shape (num_structures,), eV; NaN where a structure has no such label
    :param forces: shape (num_atoms, 3), eV/Å; NaN where missing
    :param stress: shape (num_structures, 6), eV/Å³; NaN where missing
    :param charges: shape (num_atoms,), e; NaN where missing
    :param total_charge: shape (num_structures,), e; NaN where missing
    :param weight: in the loss, shape (num_structures,)
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
    dataset_index: torch.Tensor
    energy: torch.Tensor
    forces: torch.Tensor
    stress: torch.Tensor
    charges: torch.Tensor
    total_charge: torch.Tensor
    weight: torch.Tensor

    @property
    def num_structures(self) -> int:
        return len(self.num_atoms_per_structure)

    @property
    def num_atoms(self) -> int:
        return len(self.atomic_numbers)

    def to(self, device: torch.device | str | None = None, non_blocking: bool = False) -> Batch:
        """The same batch on another device."""
        moved = {f.name: getattr(self, f.name).to(device, non_blocking=non_blocking) for f in fields(self)}
        return replace(self, **moved)

    def pin_memory(self) -> Batch:
        """The same batch in page-locked memory (called by the data loader)."""
        return replace(self, **{f.name: getattr(self, f.name).pin_memory() for f in fields(self)})
