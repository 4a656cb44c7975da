"""Training, validation and test parts: chosen reproducibly, stored in the file or written apart."""

from __future__ import annotations

import hashlib
import shutil
from collections import Counter, defaultdict
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Literal

import h5py
import numpy as np

from mhdnn.data.partfile import unwritable
from mhdnn.data.schema import SPLITS
from mhdnn.data.store import StoreReader, StoreWriter
from mhdnn.data.writer import STRING
from mhdnn.errors import DataError
from mhdnn.files import refuse_to_overwrite
from mhdnn.structure import family_of

GROUPS_PER_PART = 2
"""A family is split on its own if it has this many groups for each part held out, and one more, so
that most of it still trains. Smaller families are pooled, and split if they are enough together."""


def assign_split(
    groups: Sequence[str],
    validation: float,
    test: float,
    seed: int,
    by: Literal["group", "structure"] = "group",
) -> np.ndarray:
    """The part of each structure: ``train``, ``validation`` or ``test``.

    By group, all structures of a group get the same part, so that near-copies are never trained and
    tested on. Each family (the text before the first ``/``) with enough groups is in every part;
    smaller families are split together, or train if they are few. Groups are ordered by a hash of
    their name and the seed: neither the order in the file nor library versions matter.
    By structure, each family is sampled evenly.

    :param groups: ``family`` or ``family/member`` of each structure
    :param validation: fraction of the structures to validate on, may be 0
    :param test: fraction of the structures to test on, may be 0
    :return: shape (num_structures,), str
    :raises DataError: if fractions are not sensible, or there are too few groups or structures
    """
    if validation < 0 or test < 0 or not validation + test < 1:
        raise DataError(
            f"`validation` and `test` must be fractions that leave some structures to train on, found "
            f"{validation:g} and {test:g}; for example 0.1 and 0.1"
        )
    if by not in ("group", "structure"):
        raise DataError(f"`by` must be `group` or `structure`, found {by!r}; choose one")
    fractions = {"test": test, "validation": validation}
    fractions = {part: fraction for part, fraction in fractions.items() if fraction > 0}
    if by == "structure":
        return _by_structure(groups, fractions, seed)
    part_of = _by_group(Counter(groups), fractions, seed)
    return np.array([part_of.get(group, "train") for group in groups], dtype="<U10")


def store_split(path: str | Path, split: np.ndarray) -> None:
    """Write ``/split`` into a dataset file, by way of a copy: the file is either old or new.

    :param split: part of each structure, shape (num_structures,), str
    :raises DataError: if the split does not fit the file, or the file can't be written
    """
    target = Path(path)
    reader = StoreReader(target)
    unknown = set(np.unique(split).tolist()) - set(SPLITS)
    if np.shape(split) != (len(reader),) or unknown:
        raise DataError(
            f"{target}: `split` must have {len(reader)} entries among {', '.join(SPLITS)}, found "
            f"{len(split)} and {sorted(unknown)}; make it with `assign_split`"
        )
    part = target.with_name(target.name + ".part")
    try:
        shutil.copyfile(target, part)
        with h5py.File(part, "r+") as file:
            if "split" in file:
                del file["split"]
            file.create_dataset("split", data=np.asarray(split, dtype=object), dtype=STRING)
        part.replace(target)
    except (OSError, RuntimeError) as error:
        raise unwritable(target, error) from error
    finally:
        part.unlink(missing_ok=True)


def write_parts(path: str | Path, split: np.ndarray, folder: str | Path) -> dict[str, Path]:
    """Write each part that has structures as a dataset file of its own, in the same order.

    :param split: part of each structure, shape (num_structures,), str
    :return: the file of each part: ``train.h5``, ``validation.h5``, ``test.h5`` in the folder
    :raises ConfigError: if the file would be overwritten by its own part
    :raises DataError: if a structure is broken or a file can't be written
    """
    reader = StoreReader(path)
    files = {part: Path(folder) / f"{part}.h5" for part in SPLITS if (split == part).any()}
    for file in files.values():
        refuse_to_overwrite([Path(path)], file)
    with ExitStack() as stack:
        writers = {p: stack.enter_context(StoreWriter(file, reader.attributes)) for p, file in files.items()}
        for part, frame in zip(split, reader.frames(), strict=True):
            record = frame()
            writers[part].append(record.structure, record.dispersion)
    reader.close()
    return files


def _by_structure(groups: Sequence[str], fractions: dict[str, float], seed: int) -> np.ndarray:
    """Every n-th structure of a list sorted by family, and within a family by hash."""
    order = sorted(range(len(groups)), key=lambda index: (family_of(groups[index]), _hash(seed, str(index))))
    split = np.full(len(groups), "train", dtype="<U10")
    remaining = np.array(order, dtype=int)
    for part, fraction in fractions.items():
        count = max(1, round(fraction * len(groups)))
        if count >= len(remaining):
            raise DataError(
                f"{len(groups)} structures are too few for a {part} part of {fraction:g} beside the others; "
                "add structures or set the fraction to 0"
            )
        chosen = ((np.arange(count) + 0.5) * len(remaining) / count).astype(int)
        split[remaining[chosen]] = part
        remaining = np.delete(remaining, chosen)
    return split


def _by_group(sizes: Counter[str], fractions: dict[str, float], seed: int) -> dict[str, str]:
    """The part of each group that is held out; the others train."""
    if not fractions:
        return {}
    families: defaultdict[str, list[str]] = defaultdict(list)
    for group in sizes:
        families[family_of(group)].append(group)
    pooled: list[str] = []
    part_of: dict[str, str] = {}
    for family in sorted(families):
        if len(families[family]) > GROUPS_PER_PART * len(fractions):
            part_of |= _hold_out(families[family], sizes, fractions, seed)
        else:
            pooled += families[family]
    if len(pooled) > GROUPS_PER_PART * len(fractions):
        part_of |= _hold_out(pooled, sizes, fractions, seed)
    if not part_of:
        raise DataError(
            f"a split by group into {', '.join(['train', *fractions])} needs at least "
            f"{GROUPS_PER_PART * len(fractions) + 1} groups of structures in all or in a family, found "
            f"{len(sizes)} ({', '.join(sorted(sizes)[:3])}); split `--by structure` (near-copies may then be "
            "on both sides) or name groups when converting"
        )
    return part_of


def _hold_out(groups: list[str], sizes: Counter[str], fractions: dict[str, float], seed: int) -> dict[str, str]:
    """Choose groups for each part, about its fraction of the structures and at least one group."""
    remaining = sorted(groups, key=lambda group: _hash(seed, group))
    total = sum(sizes[group] for group in groups)
    part_of: dict[str, str] = {}
    for left, (part, fraction) in zip(range(len(fractions) - 1, -1, -1), fractions.items(), strict=True):
        target = fraction * total
        chosen: list[str] = []
        for group in remaining:
            taken = sum(sizes[other] for other in chosen)
            if taken + sizes[group] / 2 <= target and len(chosen) < len(remaining) - left - 1:
                chosen.append(group)
        if not chosen:
            chosen = [min(remaining, key=lambda group: abs(sizes[group] - target))]
        part_of |= dict.fromkeys(chosen, part)
        remaining = [group for group in remaining if group not in chosen]
    return part_of


def _hash(seed: int, name: str) -> str:
    return hashlib.sha256(f"{seed}:{name}".encode()).hexdigest()
