r"""Reference energies of each source of a training, so that labels of several levels of theory train one potential.

The energy that the potential is to give a structure S of source s is :math:`E_S - \sum_{i\in S}\delta_s(Z_i)`. The
first source is the main one: :math:`\delta_0 = 0`, and its level is that of the model. The others start at the
least squares that `mhdnn.training.initialization` finds, are trained with the potential, and at the end are fitted to
it. An element that the main source lacks has no offset: its reference energy is known from the others alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from ase.data import chemical_symbols
from torch import nn

from mhdnn.data.datamodule import StoreDataModule
from mhdnn.data.joined import names_of_sources, source_of, sources_of
from mhdnn.potential import Potential
from mhdnn.prediction import predict
from mhdnn.structure import Geometry

LEARNING_RATE = 1e-3
"""eV in a step, before the schedule."""
LEAST_SPREAD = 1e-8
"""Smallest singular value, relative, of what reference energies are fitted to."""


class SourceOffsets(nn.Module):
    r""":math:`\delta_s(Z)` of all sources.

    :param is_free: which of them are not zero, shape (num_sources, num_elements), bool
    :param atomic_numbers: elements of the potential, ascending
    """

    is_free: torch.Tensor

    def __init__(self, is_free: torch.Tensor, atomic_numbers: Sequence[int]) -> None:
        super().__init__()
        self.register_buffer("is_free", is_free)
        self.atomic_numbers = list(atomic_numbers)
        self.free = nn.Parameter(torch.zeros(int(is_free.sum()), dtype=torch.float64))

    def table(self) -> torch.Tensor:
        """Offsets, shape (num_sources, num_elements), eV."""
        empty = torch.zeros(self.is_free.shape, dtype=torch.float64, device=self.free.device)
        return empty.masked_scatter(self.is_free, self.free)

    def columns(self, composition: torch.Tensor, source: torch.Tensor) -> torch.Tensor:
        """What each free offset adds to energies, shape (num_structures, num_free), in units of the offset.

        :param composition: shape (num_structures, num_elements)
        :param source: shape (num_structures,)
        """
        blocks = torch.zeros(len(source), *self.is_free.shape, dtype=torch.float64, device=composition.device)
        blocks[torch.arange(len(source)), source] = composition.to(torch.float64)
        return blocks[:, self.is_free]

    def energies(self, composition: torch.Tensor, source: torch.Tensor) -> torch.Tensor:
        """What is in the labels of structures beside the main source's, shape (num_structures,), eV."""
        return (self.table()[source] * composition).sum(1)

    def named(self, names: Sequence[str]) -> dict[str, dict[str, float]]:
        """Offsets that are free, by the names of the sources and the symbols of the elements, eV."""
        symbols = [chemical_symbols[number] for number in self.atomic_numbers]
        table, result = self.table().detach(), {}
        for name, values, free in zip(names[1:], table[1:], self.is_free[1:], strict=True):
            result[name] = {
                symbol: float(value) for symbol, value, known in zip(symbols, values, free, strict=True) if known
            }
        return result


def build_offsets(potential: Potential, data: StoreDataModule) -> SourceOffsets | None:
    """Offsets of the training sources, zero to begin with; None where they have none."""
    if not data.offsets:
        return None
    numbers = atomic_numbers_of(potential)
    has = torch.tensor([[z in source.elements() for z in numbers] for source in sources_of(data.train_reader)])
    is_free = has & has[0]
    is_free[0] = False
    return SourceOffsets(is_free, numbers)


def atomic_numbers_of(potential: Potential) -> list[int]:
    """Elements of a potential, ascending."""
    return torch.nonzero(potential.element_of_atomic_number >= 0).squeeze(1).tolist()


def composition_of(potential: Potential, geometry: Geometry) -> torch.Tensor:
    """Atoms of each element, shape (num_structures, num_elements), float64."""
    num_elements = len(potential.domain.symbols)
    rows = geometry.structure_index * num_elements + potential.element_index(geometry.atomic_numbers)
    counts = torch.bincount(rows, minlength=geometry.num_structures * num_elements)
    return counts.view(geometry.num_structures, num_elements).to(torch.float64)


def sources_in(data: StoreDataModule, geometry: Geometry, part: str = "train") -> torch.Tensor:
    """Source of each structure; of a part with stores of its own the n-th, if there are several, else the first."""
    reader = data.reader_of(part)
    source = source_of(reader, geometry.dataset_index.cpu().numpy())
    return torch.from_numpy(np.asarray(source)).to(geometry.positions.device)


def fit_to_residuals(
    potential: Potential, data: StoreDataModule, rows: Sequence[int], offsets: SourceOffsets | None
) -> torch.Tensor | None:
    """Offsets, and changes of reference energies, by least squares of what a potential leaves of the training energies.

    :param rows: of the elements whose reference energies may change
    :param offsets: which are set, or None
    :return: changes of the reference energies, shape (num_rows,), eV; None if no structure tells anything
    """
    columns, targets = [], []
    for batch in data.batches("train"):
        geometry, labels = batch.geometry, batch.labels
        composition = composition_of(potential, geometry)
        blocks = [composition[:, list(rows)]]
        if offsets is not None:
            blocks.append(offsets.columns(composition, sources_in(data, geometry)))
        root = torch.sqrt(labels.weight) / geometry.num_atoms_per_structure
        columns.append(root.unsqueeze(1) * torch.cat(blocks, 1))
        targets.append(root * (labels.energy - predict(potential, geometry).energy).detach())
    matrix, rest = torch.cat(columns).numpy(), torch.cat(targets).numpy()
    known = np.isfinite(rest) & (matrix != 0).any(1)
    if not known.any():
        return None
    solution = torch.from_numpy(np.linalg.lstsq(matrix[known], rest[known], rcond=LEAST_SPREAD)[0])
    if offsets is not None:
        with torch.no_grad():
            offsets.free.copy_(solution[len(rows) :])
    return solution[: len(rows)]


def told(offsets: SourceOffsets, data: StoreDataModule) -> dict[str, dict[str, float]]:
    """`SourceOffsets.named` by the files of the training."""
    return offsets.named(names_of_sources(data.train_reader))
