"""Compilation of C++ on the user's machine: once for each machine, torch and source, kept in a cache folder.

LAMMPS asks for its plugin at each start, so that this module must not import torch before something is compiled.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from rich.console import Console

from mhdnn.errors import BuildError


def compiler() -> str | None:
    """The C++ compiler that torch would use, or None."""
    return shutil.which(os.environ.get("CXX", "c++")) or shutil.which("g++") or shutil.which("clang++")


def compiler_flags() -> list[str]:
    """Flags for C++: the vector instructions of this machine, and threads."""
    return flags_for("native")


def flags_for(architecture: str) -> list[str]:
    """The same for another processor, as compilers name it."""
    option = "-mcpu" if platform.machine() == "arm64" else "-march"
    return ["-O3", f"{option}={architecture}", "-fno-math-errno", *threads()]


def threads() -> list[str]:
    """Flags for threads, of compiler and linker; OpenMP's say how many there are, and have loops for vectors."""
    return [] if sys.platform == "darwin" else ["-fopenmp", "-pthread"]  # Apple's clang has no OpenMP


def shared_library_flags() -> list[str]:
    """Linker flags of a shared library.

    Some compilers put their C++ library into what they link (-static-libstdc++). Its names stay inside: mixed with
    those of the library that the process has, messages are cut off and the process may crash.
    """
    return [] if sys.platform == "darwin" else ["-Wl,--exclude-libs,ALL"]


def cache_root() -> Path:
    """Where compiled libraries are kept; TORCH_EXTENSIONS_DIR chooses another place."""
    chosen = os.environ.get("TORCH_EXTENSIONS_DIR")
    return Path(chosen) if chosen else Path.home() / ".cache" / "torch_extensions"


def processor() -> str:
    """What decides which instructions run here: a cache may be shared by the machines of a cluster."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith(("flags", "Features")):
                return line
    return platform.processor()


def digest_of(folder: Path, parts: Iterable[str]) -> str:
    """Short digest of the files of a folder, this machine's processor, the compiler, its flags, and more parts."""
    return source_digest(folder, parts, [str(compiler())])


def source_digest(folder: Path, parts: Iterable[str], more_parts: Iterable[str] = ()) -> str:
    """The same without the compiler: what is already compiled is found where there is none."""
    digest = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        digest.update(path.relative_to(folder).as_posix().encode())
        digest.update(path.read_bytes())
    for part in (*parts, *compiler_flags(), processor(), *more_parts):
        digest.update(part.encode())
    return digest.hexdigest()[:16]


def compile_library(
    library: Path,
    command: Sequence[str],
    sources: Sequence[Path],
    run: Callable[[Sequence[str]], None],
    link: Sequence[str] = (),
) -> None:
    """Objects in parallel, then the shared library, aside and moved to its place.

    :param command: the compiler, and its arguments but for files
    :param run: runs a command, and raises BuildError if it fails: the others would fail alike, and are not begun
    :param link: what else is linked
    :raises BuildError: if nothing can be written there, or from ``run``
    """
    with written_to(library.parent):
        place = tempfile.TemporaryDirectory(dir=library.parent, prefix="build-")
    with place as folder:
        objects = [Path(folder) / f"{number}-{path.stem}.o" for number, path in enumerate(sources)]
        with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
            jobs = [
                pool.submit(run, [*command, "-c", str(source), "-o", str(target)])
                for source, target in zip(sources, objects, strict=True)
            ]
            try:
                for job in jobs:
                    job.result()
            except BuildError:
                pool.shutdown(cancel_futures=True)
                raise
        aside = Path(folder) / library.name
        parts = [*map(str, objects), "-shared", *threads(), *shared_library_flags(), "-o", str(aside), *link]
        run([command[0], *parts])
        aside.replace(library)


@contextlib.contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """One process builds, the others wait; the lock of a process that died is free.

    :raises BuildError: if nothing can be written there
    """
    import fcntl

    with contextlib.ExitStack() as stack:
        with written_to(folder):
            folder.mkdir(parents=True, exist_ok=True)
            lock = stack.enter_context(open(folder / "lock", "w"))
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def written_to(folder: Path) -> Iterator[None]:
    """Within, something is written to a folder of the cache.

    :raises BuildError: if that is not possible
    """
    try:
        yield
    except OSError as error:
        raise BuildError(
            f"{folder}: can't be written, and what is compiled for this machine is kept there "
            f"({error.strerror or error}); choose another place by TORCH_EXTENSIONS_DIR=/a/folder"
        ) from error


@contextlib.contextmanager
def announced(what: str) -> Iterator[None]:
    """Tell the user what he is waiting for."""
    console = Console(stderr=True)
    with console.status(f"Compiling {what}, once for this machine ..."):
        if not console.is_terminal:
            console.print(f"Compiling {what}, once for this machine ...")
        yield
