"""Files written aside: their failures reach Python, never the middle of HDF5."""

from __future__ import annotations

import io
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mhdnn import files
from mhdnn.errors import DataError


class PartFile(io.FileIO):
    """A new file for HDF5 that keeps write errors until `raise_failure`.

    HDF5 can't close a file that it failed to write to (a full disk), and then crashes when the
    process ends. So a failed write looks done to it, and nothing is written after it.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path, "w+")
        self._failure: OSError | None = None

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        written = 0
        while self._failure is None and written < len(view):
            try:
                written += super().write(view[written:]) or 0
            except OSError as error:
                self._failure = error
        return len(view)

    def truncate(self, size: int | None = None) -> int:
        if self._failure is None:
            try:
                return super().truncate(size)
            except OSError as error:
                self._failure = error
        return size or 0

    def flush(self) -> None:
        if self._failure is None:
            super().flush()

    def raise_failure(self) -> None:
        """Raise the first error since the file was opened, if there was one.

        :raises OSError: for example disk full
        """
        if self._failure is not None:
            raise self._failure

    def give_up(self) -> None:
        """Write nothing more; closing the HDF5 file is then quick and can't fail."""
        self._failure = self._failure or OSError("given up")

    def finish(self) -> None:
        """Make sure that everything is on the disk, and close.

        :raises OSError: if something could not be written; a network disk may say so only now
        """
        self.raise_failure()
        os.fsync(self.fileno())
        self.close()


@contextmanager
def interrupts_deferred() -> Iterator[None]:
    """Ctrl-C during the block takes effect at its end.

    Within HDF5's calls to a Python file the exception would be lost or break HDF5's own state.
    """
    previous = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(previous):
        yield
        return
    received: list[tuple[int, Any]] = []
    signal.signal(signal.SIGINT, lambda number, frame: received.append((number, frame)))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)
    if received:
        previous(*received[0])


def unwritable(path: Path, error: Exception) -> DataError:
    """What `mhdnn.files.unwritable` says, of a dataset."""
    return DataError(str(files.unwritable(path, error)))
