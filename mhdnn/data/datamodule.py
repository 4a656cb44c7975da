"""The Lightning data module: which structures train, validate and test."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
from torch.utils.data import DataLoader, DistributedSampler

from mhdnn.data.dataset import StructureDataset, collate, concatenated
from mhdnn.data.joined import JoinedStores, Reader, names_of_sources, open_stores, source_of, sources_of
from mhdnn.data.sampling import FractionSampler
from mhdnn.data.split import assign_split
from mhdnn.data.store import StoreReader
from mhdnn.errors import ConfigError, DataError
from mhdnn.structure import Batch, family_of
from mhdnn.typed import suggestion

SAMPLE_BATCH_ATOMS = 200
PASS_BATCH_ATOMS = 2000
VALIDATION_BATCH_ATOMS = 500
SMALLEST_SPLIT = 10  # structures; of fewer, all train
PARTS = ("train", "validation", "test")
FITTED = ("train", "validation")
"""Parts whose structures have weights."""


class StoreDataModule(pl.LightningDataModule):
    """Training, validation and test parts of one, two or three stores, or lists of them.

    Without a store of its own, a part comes from the training stores: of each by the split that is written in
    it, else (validation) as a fraction of it.

    :param train: path of the training store; several are the sources of the training
    :param validation: path of the validation store or stores, or None
    :param test: path of the test store or stores, or None
    :param cutoff: of the neighbour lists, Å
    :param validation_fraction: of the training store, where it has no written split
    :param split_by: group, structure or auto (group where groups are named ``family/member``)
    :param dispersion: whether labels include the stored dispersion part; else `dispersion_left_out` names it
    :param weights: of groups or families in the loss; structures of weight zero don't train or validate
    :param total_charge: of structures without a total charge and without atomic charges, e; for potentials
        with charges
    :param fractions: of each training store, what an epoch sees of it (`mhdnn.data.sampling`); None for all
    :param offsets: whether each training store has reference energies of its own (`mhdnn.training.offsets`)
    """

    def __init__(
        self,
        train: str | Sequence[str],
        validation: str | Sequence[str] | None,
        test: str | Sequence[str] | None,
        cutoff: float,
        validation_fraction: float,
        split_by: str,
        split_seed: int,
        dispersion: bool,
        batch_size: int,
        num_workers: int,
        cache_megabytes: float,
        seed: int = 0,
        total_charge: float | None = None,
        weights: Mapping[str, float] | None = None,
        fractions: Sequence[float] | None = None,
        offsets: bool = False,
    ) -> None:
        super().__init__()
        if batch_size < 1:
            raise ConfigError(f"`data.batch_size`: expected at least 1, got {batch_size}")
        self.cutoff, self.batch_size, self.num_workers = cutoff, batch_size, num_workers
        self.cache_megabytes, self.seed, self.total_charge = cache_megabytes, seed, total_charge
        self.readers: dict[str, Reader] = {
            part: open_stores(paths, subtract_dispersion=not dispersion)
            for part, paths in (("train", train), ("validation", validation), ("test", test))
            if paths is not None
        }
        self.fractions, self.offsets = None if fractions is None else list(fractions), offsets
        self._check_sources()
        self.dispersion_left_out = None if dispersion else self._named_dispersion()
        check_groups(weights or {}, self.readers)
        self.weights = {part: weights_of(self.reader_of(part), weights or {}) for part in FITTED}
        self.indices = self._with_weight(self._split(validation_fraction, split_by, split_seed))
        for part, reader in self.readers.items():
            self._check_labels(part, reader)
        self.datasets: dict[str, StructureDataset] = {}

    @property
    def train_reader(self) -> Reader:
        return self.readers["train"]

    def reader_of(self, part: str) -> Reader:
        """The stores that a part comes from: its own, or those of the training."""
        return self.readers.get(part, self.train_reader)

    def _named_dispersion(self) -> str:
        """The correction that all stores name by their attribute ``dispersion``."""
        first = sources_of(self.train_reader)[0].attributes.get("dispersion")
        for reader in (source for joined in self.readers.values() for source in sources_of(joined)):
            name = reader.attributes.get("dispersion")
            if not name or name != first:
                raise DataError(
                    f"{reader.path}: attribute `dispersion` must name the correction that `data.dispersion=false` "
                    f"leaves out, the same in all stores, found {name!r}; `mhdnn data convert OLD.h5 NEW.h5 "
                    "--attribute 'dispersion=d3 bj pbe'` writes it"
                )
        return str(first)

    def _split(self, validation_fraction: float, split_by: str, split_seed: int) -> dict[str, np.ndarray]:
        result = {part: np.arange(len(r)) for part, r in self.readers.items()}
        fraction = 0.0 if "validation" in self.readers else validation_fraction
        parts = [parts_of(source, fraction, split_by, split_seed) for source in sources_of(self.train_reader)]
        for part in PARTS:
            if part == "train" or part not in self.readers:
                result[part] = np.flatnonzero(np.concatenate(parts) == part)
        if len(result["train"]) == 0:
            raise DataError(f"{self.train_reader.path}: no structure is left for training; expected at least one")
        return {part: indices for part, indices in result.items() if len(indices) > 0}

    def _with_weight(self, indices: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Without the structures that weigh nothing."""
        for part, weights in self.weights.items():
            if part in indices:
                indices[part] = indices[part][weights[indices[part]] > 0]
        if len(indices["train"]) == 0:
            raise DataError(
                f"{self.train_reader.path}: `weight`: all training structures have the weight 0; give others"
            )
        return {part: chosen for part, chosen in indices.items() if len(chosen) > 0}

    @property
    def mean_weight(self) -> tuple[float, float]:
        """Mean weight of the training structures, and of their atoms."""
        chosen = self.indices["train"]
        weights, sizes = self.weights["train"][chosen], self.train_reader.num_atoms[chosen]
        seen = np.array(self.fractions or [1.0] * self.num_sources)[source_of(self.train_reader, chosen)]
        return float(np.average(weights, weights=seen)), float(np.average(weights, weights=seen * sizes))

    @property
    def num_sources(self) -> int:
        """Number of training stores."""
        return len(sources_of(self.train_reader))

    def _check_labels(self, part: str, reader: Reader) -> None:
        missing = "energy" not in reader.labels and "forces" not in reader.labels
        if missing:
            raise DataError(
                f"{reader.path}: `energy` or `forces` is needed as a label ({part}), the store has "
                f"{sorted(reader.labels) or 'none'}; convert the data again with its labels"
            )

    @property
    def remarks(self) -> list[str]:
        """What the user should know of the training data."""
        if "forces" in self.train_reader.labels:
            return []
        return [
            f"{self.train_reader.path}: no structure has forces, so the potential is trained on energies alone; if the "
            "sources hold forces, convert them again and name them with `--forces-key`"
        ]

    def _check_sources(self) -> None:
        """Refuse energies of several kinds or functionals, unless training stores have offsets; wrong fractions, too.

        :raises DataError: naming the stores
        :raises ConfigError: naming the setting
        """
        if self.offsets and self.num_sources == 1:
            raise ConfigError("`data.offsets`: there is one training store; give several, as in data.train=[a.h5,b.h5]")
        if self.fractions is not None and len(self.fractions) != self.num_sources:
            raise ConfigError(
                f"`data.fractions`: expected one number for each training store ({self.num_sources}), got "
                f"{len(self.fractions)}"
            )
        sources = sources_of(self.train_reader)
        for part, reader in self.readers.items():
            if self.offsets and len(sources_of(reader)) not in (1, self.num_sources):
                raise ConfigError(
                    f"`data.{part}`: with `data.offsets` expected one file, on the level of the first training file, "
                    f"or one for each ({self.num_sources}), got {len(sources_of(reader))}"
                )
        if not self.offsets:
            check_same("functional", sources)
        compared = sources[:1] if self.offsets else sources
        others = [source for part in ("validation", "test") if part in self.readers
                  for source in sources_of(self.readers[part])]  # fmt: skip
        check_same("energy_kind", [*compared, *others])

    def subtract_offsets(self, offsets: np.ndarray, atomic_numbers: Sequence[int]) -> None:
        """From now on give energies on the level of the main source (`JoinedStores.subtract_offsets`)."""
        self.datasets.clear()
        for reader in self.readers.values():
            if isinstance(reader, JoinedStores):
                reader.subtract_offsets(offsets, atomic_numbers)

    def dataset(self, part: str) -> StructureDataset:
        """Structures of a part (train, validation, test) with their neighbour pairs."""
        if part not in self.datasets:
            self.datasets[part] = self._dataset_of(part, self.indices[part])
        return self.datasets[part]

    def _dataset_of(self, part: str, indices: np.ndarray) -> StructureDataset:
        reader = self.reader_of(part)
        cache = self.cache_megabytes if part == "train" else self.cache_megabytes / 4
        return StructureDataset(reader, indices, self.cutoff, cache, self.total_charge, self.weights.get(part))

    def sample(self, num_atoms: int) -> Iterator[Batch]:
        """Random training structures, in all about ``num_atoms`` atoms, in batches of ``SAMPLE_BATCH_ATOMS``."""
        dataset = self.dataset("train")
        order = np.random.default_rng(self.seed).permutation(len(dataset))
        sizes = self.train_reader.num_atoms[dataset.indices[order]]
        chosen = order[: 1 + int(np.searchsorted(np.cumsum(sizes), num_atoms))]
        batch_number = np.cumsum(sizes[: len(chosen)]) // SAMPLE_BATCH_ATOMS
        for number in np.unique(batch_number):
            yield collate([dataset[int(index)] for index in chosen[batch_number == number]])

    def batches(self, part: str) -> Iterator[Batch]:
        """All structures of a part in their order, in batches of about ``PASS_BATCH_ATOMS``, read in blocks."""
        return self._passed(self.dataset(part), self._sizes(part))

    def thinned(self, num_atoms: int, part: str = "train") -> Callable[[], Iterator[Batch]]:
        """Passes over random structures of a part in their order, in all at most about ``num_atoms`` atoms."""
        sizes, chosen = self._sizes(part), self.chosen(num_atoms, part)
        if len(chosen) == len(sizes):
            return lambda: self.batches(part)
        dataset = self._dataset_of(part, self.indices[part][chosen])
        return lambda: self._passed(dataset, sizes[chosen])

    def chosen(self, num_atoms: int, part: str = "train") -> np.ndarray:
        """Which of the structures of a part `thinned` passes over."""
        sizes = self._sizes(part)
        if sizes.sum() <= num_atoms:
            return np.arange(len(sizes))
        order = np.random.default_rng(self.seed).permutation(len(sizes))
        return np.sort(order[: 1 + int(np.searchsorted(np.cumsum(sizes[order]), num_atoms))])

    def families(self, part: str) -> np.ndarray:
        """Families of the structures of a part, in their order."""
        groups = self.reader_of(part).groups
        return np.array([family_of(groups[index]) for index in self.indices[part]], dtype=str)

    def _sizes(self, part: str) -> np.ndarray:
        """Numbers of atoms of the structures of a part."""
        sizes: np.ndarray = self.reader_of(part).num_atoms[self.indices[part]]
        return sizes

    @staticmethod
    def _passed(dataset: StructureDataset, sizes: np.ndarray) -> Iterator[Batch]:
        items = dataset.in_order()
        for numbers in packed(sizes, PASS_BATCH_ATOMS):
            yield collate(list(itertools.islice(items, len(numbers))))

    def _loader(self, part: str, **options: Any) -> DataLoader[Any]:
        return DataLoader(
            self.dataset(part),
            collate_fn=concatenated,
            num_workers=self.num_workers,
            persistent_workers=self.num_workers > 0,
            **options,
        )

    def train_dataloader(self) -> DataLoader[Any]:
        world_size = self.trainer.world_size if self.trainer else 1
        rank = self.trainer.global_rank if self.trainer else 0
        # the order is a function of seed and epoch alone, so that a resumed run sees the same batches
        if self.fractions is not None:
            source = source_of(self.train_reader, self.indices["train"])
            drawn = FractionSampler(source, self.fractions, self.seed, world_size, rank)
            return self._loader("train", sampler=drawn, batch_size=self.batch_size)
        sampler: DistributedSampler[Any] = DistributedSampler(
            self.dataset("train"), num_replicas=world_size, rank=rank, shuffle=True, seed=self.seed
        )
        return self._loader("train", sampler=sampler, batch_size=self.batch_size)

    def val_dataloader(self) -> DataLoader[Any] | list[Any]:
        if "validation" not in self.indices:
            return []
        return self._loader("validation", batch_sampler=packed(self._sizes("validation"), VALIDATION_BATCH_ATOMS))

    def paths(self) -> dict[str, Path]:
        """Store of each part; of several stores, their paths one after the other."""
        return {part: Path(self.reader_of(part).path) for part in self.indices}

    def names(self) -> dict[str, str]:
        """Names of the stores of each part."""
        return {part: ", ".join(names_of_sources(self.reader_of(part))) for part in self.indices}

    def digests(self) -> dict[str, str]:
        """What tells the structures of each part from others: of their energies and numbers of atoms."""
        result = {}
        for part, indices in self.indices.items():
            reader = self.reader_of(part)
            content = reader.energies()[indices].tobytes() + reader.num_atoms[indices].astype(np.int64).tobytes()
            result[part] = hashlib.sha256(content).hexdigest()[:16]
        return result


def packed(sizes: np.ndarray, num_atoms: int) -> list[list[int]]:
    """Consecutive numbers of structures of some sizes, in lists of about so many atoms."""
    _, first = np.unique(np.cumsum(sizes) // num_atoms, return_index=True)
    return [numbers.tolist() for numbers in np.split(np.arange(len(sizes)), first[1:])]


def check_same(attribute: str, sources: Sequence[StoreReader]) -> None:
    """Refuse stores whose energies are on different levels.

    :raises DataError: naming the attribute and the stores
    """
    found = {str(source.path): source.attributes.get(attribute) for source in sources}
    if len({value for value in found.values() if value is not None}) > 1:
        told = ", ".join(f"{path} {value}" for path, value in found.items())
        remedy = "convert the sources again with the same `--energy-key`, or " if attribute == "energy_kind" else ""
        raise DataError(
            f"attribute `{attribute}` must be the same in all stores, found {told}; {remedy}give each training store "
            "reference energies of its own: data.offsets=true"
        )


def parts_of(reader: StoreReader, fraction: float, split_by: str, split_seed: int) -> np.ndarray:
    """Part of each structure of a training store, shape (num_structures,), text: as written in it, else by a fraction.

    :param fraction: that validates where no split is written
    """
    if reader.split is not None:
        return reader.split
    if fraction > 0 and len(reader) >= SMALLEST_SPLIT:
        return split_off_validation(reader.groups, fraction, split_by, split_seed)
    return np.full(len(reader), "train")


def weights_of(reader: Reader, of_groups: Mapping[str, float]) -> np.ndarray:
    """Weight of each structure in the loss: that in the store times that of its family and that of its group.

    :raises DataError: if a weight in the store is negative or infinite
    """
    weights = reader.weights()
    if of_groups:
        groups = np.array(reader.groups, dtype=str)
        families = np.array([family_of(group) for group in reader.groups], dtype=str)
        for name, weight in of_groups.items():
            weights = np.where((groups == name) | (families == name), weight * weights, weights)
    return weights


def check_groups(names: Iterable[str], readers: Mapping[str, Reader]) -> None:
    """Refuse names of groups that no store has.

    :raises ConfigError: naming what may have been meant
    """
    names = list(names)
    groups = {group for reader in readers.values() for group in reader.groups} if names else set()
    known = sorted(groups | set(map(family_of, groups)))
    for name in names:
        if name not in known:
            raise ConfigError(f"`data.weights.{name}`: no such group or family{suggestion(name, known)}")


def split_off_validation(groups: Sequence[str], fraction: float, split_by: str, seed: int) -> np.ndarray:
    """``train`` or ``validation`` for each structure.

    :param groups: where each structure comes from
    :param split_by: group, structure, or auto: by group where groups are named ``family/member`` and are
        enough, else by structure
    :raises ConfigError: if ``split_by`` is something else
    :raises DataError: if there are too few groups and ``split_by`` is group
    """
    if split_by == "auto" and any("/" in group for group in groups):
        try:
            return assign_split(groups, fraction, 0.0, seed, "group")
        except DataError:  # too few groups
            return assign_split(groups, fraction, 0.0, seed, "structure")
    if split_by not in ("auto", "group", "structure"):
        raise ConfigError(f"`data.split_by`: expected auto, group or structure, got {split_by!r}")
    return assign_split(groups, fraction, 0.0, seed, "group" if split_by == "group" else "structure")
