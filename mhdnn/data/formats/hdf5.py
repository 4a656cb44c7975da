"""What readers of HDF5 files share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np

from mhdnn.data.store import LARGEST_RATIO
from mhdnn.errors import DataError


def datasets_of(file: h5py.File) -> dict[str, list[str]]:
    """The names of the arrays in each group, by its path without the leading slash."""
    found: dict[str, list[str]] = {}

    def visit(name: str | bytes, entry: Any) -> None:
        if isinstance(entry, h5py.Dataset):
            text = name.decode("utf-8", "surrogateescape") if isinstance(name, bytes) else name
            group, _, own = text.rpartition("/")
            found.setdefault(group, []).append(own)

    file.visititems(visit)
    return found


def read_array(file: h5py.File, name: str, path: Path) -> np.ndarray:
    """A whole array.

    :raises DataError: if it can't be as large as it says
    """
    dataset = file[name]
    size = dataset.size * dataset.dtype.itemsize
    if size > LARGEST_RATIO * max(path.stat().st_size, 1):
        raise DataError(
            f"{path}: {name}: says to have {size} bytes, more than the file can hold; it is damaged, copy it again"
        )
    return np.asarray(dataset[()])
