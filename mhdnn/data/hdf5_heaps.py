"""A check that HDF5 itself does not make: strings whose heap is damaged make its library loop for ever.

Strings of variable length stand in global heap collections: ``GCOL``, version 1, three zeros, the size of the
collection (8 bytes), then objects one after the other: number, references (2 bytes each), four zeros, size (8 bytes),
and the data padded to 8 bytes. The library goes on from object to object without looking whether it advances.
HDF5 File Format Specification, version 3.0, section III.E, https://docs.hdfgroup.org/hdf5/v1_14/_f_m_t3.html
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

import h5py

from mhdnn.errors import DataError

HEAD = struct.Struct("<4sB3sQ")
OBJECT = struct.Struct("<HH4xQ")
FIRST_HEAD = b"GCOL\x01\x00\x00\x00"
LARGEST_CHECKED = 2**30
"""Bytes of a file that are looked through, a second's work; what is behind them is left to the library."""


@contextmanager
def open_hdf5(path: Path) -> Iterator[h5py.File]:
    """An HDF5 file for reading, its heaps checked.

    :raises DataError: if a heap is damaged; otherwise raises as `h5py.File`
    """
    check_heaps(path)
    with h5py.File(path, "r", locking="best-effort") as file:
        yield file


def check_heaps(path: Path) -> None:
    """Check that all strings can be reached.

    :raises DataError: if a heap is damaged
    :raises OSError: if the file can't be opened
    """
    status = path.stat()
    place = _damaged_heap(path.absolute(), status.st_size, status.st_mtime_ns, status.st_ino)
    if place is not None:
        raise DataError(
            f"{path}: the strings of this HDF5 file are damaged (heap at byte {place}); copy it again, or make it again"
        )


@lru_cache(maxsize=256)
def _damaged_heap(path: Path, size: int, modified: int, inode: int) -> int | None:
    """Where the first damaged heap begins, or None; again only for files that have changed."""
    if size < HEAD.size:
        return None
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        limit = min(len(data), LARGEST_CHECKED)
        place = data.find(FIRST_HEAD, 0, limit)
        while place >= 0:
            if not _can_be_walked(data, place):
                return place
            place = data.find(FIRST_HEAD, place + 4, limit)
    return None


def _can_be_walked(data: mmap.mmap, place: int) -> bool:
    if place + HEAD.size > len(data):
        return True  # which the library refuses
    _, _, _, size = HEAD.unpack_from(data, place)
    position, end = place + HEAD.size, place + size
    if end > len(data):
        return True
    while position + OBJECT.size <= end:
        number, _, length = OBJECT.unpack_from(data, position)
        needed = OBJECT.size + (length + 7) // 8 * 8 if number else length
        if needed < OBJECT.size or position + needed > end:
            return False
        position += needed
    return True
