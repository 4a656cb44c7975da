"""Structures with their neighbour pairs, and how they become batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from torch.utils.data import Dataset

from mhdnn.data.charges import total_from_charges
from mhdnn.errors import DataError
from mhdnn.neighbors import NeighborPairs, find_pairs
from mhdnn.structure import Batch, Geometry, Labels, Structure

COINCIDENT = 0.01  # Å
LARGEST_LABEL = 1e8  # all electrons of the heaviest atoms have -1.5e6 eV
OBJECT_BYTES = 4000  # what Python needs for the objects around a structure's arrays
SMALL = 64
"""Atoms of structures whose tensors are kept, too: making them takes longer than putting them together."""

GEOMETRY, LABELS = (tuple(field.name for field in fields(kind)) for kind in (Geometry, Labels))

Item = tuple[int, Structure, NeighborPairs]


class StructureSource(Protocol):
    """Anything that gives structures by number (a store's reader, a list)."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Structure: ...


@runtime_checkable
class BlockSource(Protocol):
    """A source that reads many structures faster than one by one."""

    def select(self, numbers: Sequence[int]) -> Iterator[Structure]: ...


@runtime_checkable
class Named(Protocol):
    """A source that says where a structure stands."""

    def name_of(self, index: int) -> str: ...


class StructureDataset(Dataset[Item]):
    """Structures of a store with their neighbour pairs, found once and kept while memory lasts.

    :param source: where structures come from
    :param indices: which of them belong to this dataset
    :param cutoff: Å
    :param cache_megabytes: how much may be kept; the rest is read and searched again each time
    :param total_charge: of structures that have no total charge, nor atomic charges that add up to a whole number, e
    :param weights: in the loss, of all structures of the source, in place of their own
    """

    def __init__(
        self,
        source: StructureSource,
        indices: Sequence[int] | np.ndarray,
        cutoff: float,
        cache_megabytes: float = 256.0,
        total_charge: float | None = None,
        weights: np.ndarray | None = None,
    ) -> None:
        self.source = source
        self.indices = np.asarray(indices, dtype=np.int64)
        self.cutoff = cutoff
        self.total_charge = total_charge
        self.weights = weights
        self.cache_bytes = cache_megabytes * 2**20
        self._cache: dict[int, Item] = {}
        self._tensors: dict[int, Batch] = {}
        self._cached_bytes = 0

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> Item:
        number = int(self.indices[index])
        return self._cache[number] if number in self._cache else self._made(number, self.source[number])

    def __getitems__(self, indices: Sequence[int]) -> list[Batch]:
        """Structures one by one as batches, for `concatenated`; a `DataLoader` asks for them in this way."""
        return [self._batch_of_one(index) for index in indices]

    def _batch_of_one(self, index: int) -> Batch:
        number = int(self.indices[index])
        if number in self._tensors:
            return self._tensors[number]
        item = self[index]
        batch, size = collate([item]), bytes_of(item)
        if item[1].num_atoms <= SMALL and number in self._cache and self._cached_bytes + size <= self.cache_bytes:
            self._tensors[number] = batch
            self._cached_bytes += size
        return batch

    def in_order(self) -> Iterator[Item]:
        """All structures, as one by one, but those that are not kept are read in blocks."""
        missing = [int(number) for number in self.indices if int(number) not in self._cache]
        read = (
            self.source.select(missing)
            if isinstance(self.source, BlockSource)
            else map(self.source.__getitem__, missing)
        )
        known = set(self._cache)
        for number in map(int, self.indices):
            yield self._cache[number] if number in known else self._made(number, next(read))

    def _made(self, number: int, structure: Structure) -> Item:
        """A structure that was read with its pairs, kept if there is room."""
        if np.isnan(total_charge_of(structure)):
            structure.total_charge = self.total_charge
        if self.weights is not None:
            structure.weight = float(self.weights[number])
        name = f"{self.source.name_of(number) if isinstance(self.source, Named) else f'dataset: structure {number}'}"
        name = f"{name} (group {structure.group!r})"
        try:
            pairs = find_pairs(structure.positions, structure.cell, structure.pbc, self.cutoff)
        except DataError as error:  # it doesn't know whose atoms these are
            raise DataError(f"{name}: {error}") from error
        check_labels(structure, name)
        check_distances(structure, pairs, name)
        item = (number, structure, pairs)
        size = bytes_of(item)
        # what was cached first stays: with shuffled epochs replacing gains nothing
        if self._cached_bytes + size <= self.cache_bytes:
            self._cache[number] = item
            self._cached_bytes += size
        return item


def bytes_of(item: Item) -> int:
    """Memory that a structure with its pairs takes."""
    _, structure, pairs = item
    return OBJECT_BYTES + sum(array.nbytes for array in pairs) + 100 * structure.num_atoms


def check_labels(structure: Structure, name: str) -> None:
    """Refuse labels that no calculation gives, and whose squares would be the whole loss.

    :param name: of the structure, for the message
    :raises DataError: naming the label
    """
    per_atom = None if structure.energy is None else np.asarray(structure.energy / structure.num_atoms)
    labels = {"energy": per_atom, "forces": structure.forces, "stress": structure.stress, "charges": structure.charges}
    for label, values in labels.items():
        if values is not None and np.size(values) and np.nanmax(np.abs(values), initial=0.0) > LARGEST_LABEL:
            raise DataError(
                f"{name}: `{label}` reaches {np.nanmax(np.abs(values)):.3g} (eV an atom, eV/Å, eV/Å³, e); correct or "
                "remove the structure (`mhdnn data check` finds such labels)"
            )


def check_distances(structure: Structure, pairs: NeighborPairs, name: str) -> None:
    """Refuse atoms at the same place, of which no energy is right.

    :param name: of the structure, for the message
    :raises DataError: naming the pair
    """
    vectors = pairs.vectors(structure.positions)
    squares = np.einsum("ij,ij->i", vectors, vectors)
    if len(squares) and not squares.min() > COINCIDENT**2:  # NaN, too
        worst = int(np.argmin(squares))
        first, second = int(pairs.center_index[worst]), int(pairs.neighbor_index[worst])
        raise DataError(
            f"{name}: atoms {first} and {second} are {squares[worst] ** 0.5:.2g} Å apart; "
            "correct or remove the structure (`mhdnn data check` finds all of them)"
        )


def collate(items: Sequence[Item]) -> Batch:
    """Concatenate structures; indices of atoms are shifted, missing labels become NaN."""
    structures = [structure for _, structure, _ in items]
    counts = np.array([structure.num_atoms for structure in structures])
    first_atom = np.cumsum(counts) - counts
    pairs = [pairs for _, _, pairs in items]

    def joined(arrays: list[np.ndarray]) -> torch.Tensor:
        return torch.from_numpy(np.concatenate(arrays))

    geometry = Geometry(
        atomic_numbers=joined([s.atomic_numbers.astype(np.int64) for s in structures]),
        positions=joined([s.positions for s in structures]),
        cell=torch.from_numpy(np.stack([s.cell for s in structures])),
        pbc=torch.from_numpy(np.stack([s.pbc for s in structures])),
        structure_index=torch.from_numpy(np.repeat(np.arange(len(items)), counts)),
        num_atoms_per_structure=torch.from_numpy(counts),
        center_index=joined([p.center_index + shift for p, shift in zip(pairs, first_atom, strict=True)]),
        neighbor_index=joined([p.neighbor_index + shift for p, shift in zip(pairs, first_atom, strict=True)]),
        cell_shifts=joined([p.cell_shifts for p in pairs]),
        total_charge=torch.tensor([total_charge_of(s) for s in structures], dtype=torch.float64),
        dataset_index=torch.tensor([number for number, _, _ in items]),
    )
    labels = Labels(
        energy=torch.tensor([np.nan if s.energy is None else s.energy for s in structures], dtype=torch.float64),
        forces=joined([label_or_nan(s.forces, (s.num_atoms, 3)) for s in structures]),
        stress=torch.from_numpy(np.stack([label_or_nan(s.stress, (6,)) for s in structures])),
        charges=joined([label_or_nan(s.charges, (s.num_atoms,)) for s in structures]),
        weight=torch.tensor([1.0 if s.weight is None else s.weight for s in structures], dtype=torch.float64),
    )
    return Batch(geometry, labels)


def concatenated(batches: Sequence[Batch]) -> Batch:
    """Batches of one structure each as one, as `collate` makes it."""
    if len(batches) == 1:
        return batches[0]
    counts = torch.cat([batch.geometry.num_atoms_per_structure for batch in batches])
    num_pairs = torch.tensor([len(batch.geometry.center_index) for batch in batches])
    before = torch.repeat_interleave(torch.cumsum(counts, 0) - counts, num_pairs)
    geometry = {name: torch.cat([getattr(own.geometry, name) for own in batches]) for name in GEOMETRY}
    geometry["structure_index"] = torch.repeat_interleave(counts)
    geometry["center_index"] += before
    geometry["neighbor_index"] += before
    labels = {name: torch.cat([getattr(own.labels, name) for own in batches]) for name in LABELS}
    return Batch(Geometry(**geometry), Labels(**labels))


def label_or_nan(label: np.ndarray | None, shape: tuple[int, ...]) -> np.ndarray:
    return np.full(shape, np.nan) if label is None else np.asarray(label, dtype=np.float64)


def total_charge_of(structure: Structure) -> float:
    """Total charge, e: the label, else the whole number that the atomic charges add up to, else NaN."""
    if structure.total_charge is not None:
        return structure.total_charge
    total = None if structure.charges is None else total_from_charges(structure.charges)
    return np.nan if total is None else total
