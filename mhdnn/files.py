"""Writing files so that nobody ever reads half of one, and a full disk is told in a sentence."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from mhdnn.errors import ConfigError, OutputError


def write_atomically(path: Path, content: bytes) -> None:
    """Write beside the destination, wait for the disk, rename: readers see the old file or the new one.

    :raises OutputError: if the disk is full, the folder read-only ...; the old file is then untouched
    """
    aside = path.with_name(f"{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with aside.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        aside.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        raise unwritable(path, error) from error
    finally:
        if aside.is_file():
            aside.unlink(missing_ok=True)


def write_text_atomically(path: Path, text: str) -> None:
    """`write_atomically` of a text, in UTF-8."""
    write_atomically(path, text.encode())


def refuse_to_overwrite(inputs: Iterable[Path | None], destination: Path, key: str = "output") -> None:
    """Refuse to write over what is read.

    :param inputs: files that are read; None: one that was not given
    :param key: of the destination
    :raises ConfigError: if the destination is one of them, by whatever name or link
    """
    for path in inputs:
        if path is not None and is_same_file(path, destination):
            raise ConfigError(
                f"`{key}`: expected another file than {path}, which is read, got {destination}; choose another name"
            )


def is_same_file(one: Path, other: Path) -> bool:
    """Whether two paths lead to the same file or folder, or would if it were there."""
    try:
        return one.samefile(other)  # a disk may take upper and lower case for the same
    except OSError:
        return os.path.realpath(one) == os.path.realpath(other)


def _sync_folder(folder: Path) -> None:
    """The new name reaches the disk, too."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def alone_in(folder: Path, name: str) -> Iterator[None]:
    """Keep other processes from working in a folder, which is made; the lock goes with the process, however it ends.

    :param name: of the argument that says where the folder is
    :raises ConfigError: if there is one
    :raises OutputError: if nothing can be written there
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        stream = (folder / "lock").open("w")
    except OSError as error:
        raise unwritable(folder, error) from error
    with stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConfigError(
                f"`{name}`: expected a folder that no other process works in, got {folder}; wait for it, or choose "
                "another"
            ) from error
        yield


def unwritable(path: Path | str, error: Exception) -> OutputError:
    """The error for a file that can't be written, with the free space of its disk."""
    existing = [parent for parent in Path(path).absolute().parents if parent.is_dir()]
    folder = existing[0] if existing else Path.cwd()
    free = shutil.disk_usage(folder).free / 1e6
    reason = getattr(error, "strerror", None) or str(error)
    return OutputError(
        f"{path}: can't be written ({reason}); {free:.1f} MB are free in {folder}; "
        "free space, check the permissions or choose another folder"
    )
