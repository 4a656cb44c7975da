"""Several datasets as one: the sources of a training."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from mhdnn.data.schema import LARGEST_ATOMIC_NUMBER
from mhdnn.data.store import StoreReader
from mhdnn.errors import ConfigError
from mhdnn.structure import Structure

UNKNOWN, BETWEEN = "unknown", " | "
"""In attributes of joined stores: of a store that has none, and between those of two."""


class JoinedStores:
    """Dataset files one after the other, with the interface of `StoreReader` that a training uses.

    :param paths: of the files, at least two different ones
    :param subtract_dispersion: as of `StoreReader`
    :ivar sources: their readers
    :ivar first: number of the first structure of each source, and that of all, shape (num_sources + 1,)
    :raises ConfigError: if a file is named twice
    :raises DataError: as `StoreReader`
    """

    def __init__(self, paths: Sequence[str | Path], subtract_dispersion: bool = False) -> None:
        twice = [path for path in paths if [Path(p).resolve() for p in paths].count(Path(path).resolve()) > 1]
        if twice:
            raise ConfigError(f"`data`: {twice[0]} is named twice; to count it more, give it a weight or a fraction")
        self.sources = [StoreReader(path, subtract_dispersion) for path in paths]
        self.first = np.concatenate([[0], np.cumsum([len(source) for source in self.sources])])
        self.path = Path(", ".join(map(str, paths)))
        self._offsets: np.ndarray | None = None

    def __len__(self) -> int:
        return int(self.first[-1])

    def __getitem__(self, index: int) -> Structure:
        source, own = self._place(index)
        return self._levelled(self.sources[source][own], source)

    def subtract_offsets(self, offsets: np.ndarray, atomic_numbers: Sequence[int]) -> None:
        """From now on give energies without reference energies of their sources.

        :param offsets: of each source and element, shape (num_sources, num_elements), eV
        :param atomic_numbers: of the columns
        """
        self._offsets = np.zeros((len(self.sources), LARGEST_ATOMIC_NUMBER + 1))
        self._offsets[:, list(atomic_numbers)] = offsets

    def _levelled(self, structure: Structure, source: int) -> Structure:
        if self._offsets is not None and structure.energy is not None:
            structure.energy -= float(self._offsets[source][structure.atomic_numbers].sum())
        return structure

    @property
    def labels(self) -> frozenset[str]:
        """Labels that at least one structure has."""
        return frozenset().union(*(source.labels for source in self.sources))

    @property
    def attributes(self) -> dict[str, str]:
        """Those of all sources; where they differ, one after the other."""
        names = dict.fromkeys(name for source in self.sources for name in source.attributes)
        values = {name: [source.attributes.get(name, UNKNOWN) for source in self.sources] for name in names}
        return {name: BETWEEN.join(dict.fromkeys(found)) for name, found in values.items()}

    @property
    def num_atoms(self) -> np.ndarray:
        """Atoms of each structure, shape (num_structures,), int64."""
        return np.concatenate([source.num_atoms for source in self.sources])

    @property
    def groups(self) -> list[str]:
        """Where each structure comes from, as its own file has it."""
        return [group for source in self.sources for group in source.groups]

    def elements(self) -> list[int]:
        """Atomic numbers that occur, ascending."""
        return sorted({number for source in self.sources for number in source.elements()})

    def composition(self, elements: Sequence[int]) -> np.ndarray:
        """Atoms of each element in each structure, shape (num_structures, num_elements)."""
        return np.concatenate([source.composition(elements) for source in self.sources])

    def energies(self) -> np.ndarray:
        """Energy of each structure, eV, NaN where missing, shape (num_structures,)."""
        energies = np.concatenate([source.energies() for source in self.sources])
        if self._offsets is None:
            return energies
        counts = self.composition(range(LARGEST_ATOMIC_NUMBER + 1))
        return energies - (counts * self._offsets[source_of(self, np.arange(len(self)))]).sum(1)

    def weights(self) -> np.ndarray:
        """Weight of each structure in the loss, shape (num_structures,)."""
        return np.concatenate([source.weights() for source in self.sources])

    def select(self, numbers: Sequence[int] | np.ndarray) -> Iterator[Structure]:
        """Structures of ascending numbers, read in blocks (`StoreReader.select`)."""
        numbers = np.asarray(numbers, dtype=np.int64)
        for number, (first, last) in enumerate(itertools.pairwise(self.first)):
            own = numbers[(numbers >= first) & (numbers < last)] - first
            yield from (self._levelled(structure, number) for structure in self.sources[number].select(own))

    def name_of(self, index: int) -> str:
        """A structure by its file and its number there, for messages."""
        source, own = self._place(index)
        return self.sources[source].name_of(own)

    def close(self) -> None:
        """Close the files; they open again when a structure is asked for."""
        for source in self.sources:
            source.close()

    def _place(self, index: int) -> tuple[int, int]:
        if not 0 <= index < len(self):
            raise IndexError(f"{self.path}: no structure {index}, the files have {len(self)}")
        source = int(source_of(self, np.array(index)))
        return source, int(index - self.first[source])


Reader = StoreReader | JoinedStores


def known_parts(attribute: str) -> set[str]:
    """What an attribute of one or of joined stores names."""
    return {part for part in str(attribute).split(BETWEEN) if part != UNKNOWN}


def open_stores(paths: str | Path | Sequence[str | Path], subtract_dispersion: bool = False) -> Reader:
    """The reader of a file, or of several files as one.

    :raises DataError: as `StoreReader`
    """
    if isinstance(paths, (str, Path)):
        return StoreReader(paths, subtract_dispersion)
    return StoreReader(paths[0], subtract_dispersion) if len(paths) == 1 else JoinedStores(paths, subtract_dispersion)


def sources_of(reader: Reader) -> list[StoreReader]:
    """The files of a reader."""
    return reader.sources if isinstance(reader, JoinedStores) else [reader]


def source_of(reader: Reader, numbers: np.ndarray) -> np.ndarray:
    """Which of the files structures with these numbers are of."""
    if isinstance(reader, JoinedStores):
        return np.searchsorted(reader.first, numbers, side="right") - 1
    return np.zeros_like(numbers)


def names_of_sources(reader: Reader) -> list[str]:
    """Of each file its name, or where two have the same, their paths."""
    names = [source.path.name for source in sources_of(reader)]
    return names if len(set(names)) == len(names) else [str(source.path) for source in sources_of(reader)]
