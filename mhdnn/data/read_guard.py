"""Errors of HDF5 while a dataset file is read."""

from __future__ import annotations

from pathlib import Path

from mhdnn.errors import DataError, MHDNNError

REMEDY = "make the file again with `mhdnn data convert`"


class ReadGuard:
    """Turns the errors of HDF5 into ones that name the file and the array."""

    def __init__(self, path: Path, array: str) -> None:
        self.path = path
        self.array = array

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, FileNotFoundError):
            raise DataError(
                f"{self.path}: no such file; check the path, or make the file with `mhdnn data convert`"
            ) from error
        if isinstance(error, MHDNNError):
            return
        if isinstance(error, Exception):  # of a damaged file HDF5 and h5py raise anything
            raise DataError(
                f"{self.path}: `{self.array}` can't be read ({error}), expected a complete HDF5 file; "
                f"if it was cut short while copying, copy it again, else {REMEDY}"
            ) from error
