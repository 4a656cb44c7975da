"""Compilation of the operators: once for each machine, torch version and source, kept in a cache folder."""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import torch
from rich.console import Console

from mhdnn.errors import BuildError

SOURCE_FOLDER = Path(__file__).parent / "source"
LIBRARY_NAME = "mhdnn_operators"
CPU_SOURCES = ("operators.cpp", "operators_common.cpp", "operators_cpu.cpp")
CUDA_SOURCES = ("operators_cuda.cu",)


def compiler() -> str | None:
    """The C++ compiler that torch would use, or None."""
    return shutil.which(os.environ.get("CXX", "c++")) or shutil.which("g++") or shutil.which("clang++")


def cuda_compiler() -> str | None:
    """nvcc, where this torch can use a GPU."""
    if not torch.cuda.is_available():
        return None
    from torch.utils.cpp_extension import CUDA_HOME

    nvcc = Path(CUDA_HOME or "") / "bin" / "nvcc"
    return str(nvcc) if CUDA_HOME and nvcc.is_file() else None


def compiler_flags() -> list[str]:
    """Flags for C++: the vector instructions of this machine, and threads."""
    native = "-mcpu=native" if platform.machine() == "arm64" else "-march=native"
    threads = [] if sys.platform == "darwin" else ["-fopenmp"]  # Apple's clang has no OpenMP
    return ["-O3", native, "-fno-math-errno", *threads]


def sources(with_cuda: bool) -> list[Path]:
    names = CPU_SOURCES + (CUDA_SOURCES if with_cuda else ())
    return [SOURCE_FOLDER / name for name in names]


def cache_root() -> Path:
    """Where compiled operators are kept; TORCH_EXTENSIONS_DIR chooses another place."""
    chosen = os.environ.get("TORCH_EXTENSIONS_DIR")
    return Path(chosen) if chosen else Path.home() / ".cache" / "torch_extensions"


def _processor() -> str:
    """What decides which instructions run here: a cache may be shared by the machines of a cluster."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith(("flags", "Features")):
                return line
    return platform.processor()


def library_path() -> Path:
    """Where the operators for this machine are, or would be."""
    digest = hashlib.sha256()
    for path in sorted(p for p in SOURCE_FOLDER.rglob("*") if p.is_file()):
        digest.update(path.relative_to(SOURCE_FOLDER).as_posix().encode())
        digest.update(path.read_bytes())
    for part in (torch.__version__, *compiler_flags(), _processor(), str(cuda_compiler()), str(compiler())):
        digest.update(part.encode())
    return cache_root() / f"{LIBRARY_NAME}_{digest.hexdigest()[:16]}" / f"{LIBRARY_NAME}.so"


@contextlib.contextmanager
def _ninja_in_path() -> Iterator[None]:
    """Ninja in PATH, where torch looks for it even if the environment is not activated."""
    import ninja

    before = os.environ.get("PATH", "")
    os.environ["PATH"] = os.pathsep.join([ninja.BIN_DIR, before])
    try:
        yield
    finally:
        os.environ["PATH"] = before


@contextlib.contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    """One process builds, the others wait; the lock of a process that died is free."""
    import fcntl

    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def build(verbose: bool = False, force: bool = False) -> Path:
    """Compile the operators unless they are there; returns the library.

    :param verbose: show the compiler's commands
    :param force: compile even if the library is there
    :raises BuildError: with the compiler's message
    """
    library = library_path()
    if library.is_file() and not force:
        return library
    with _only_one(library.parent):
        if library.is_file() and not force:
            return library
        where = "C++ and CUDA" if cuda_compiler() else "C++"
        console = Console(stderr=True)
        with console.status(f"Compiling the symmetry functions ({where}), once for this machine ..."):
            if not console.is_terminal:
                console.print(f"Compiling the symmetry functions ({where}), once for this machine ...")
            _compile(library, verbose)
    return library


def _compile(library: Path, verbose: bool) -> None:
    from torch.utils import cpp_extension

    aside = library.parent / f"build-{os.getpid()}"
    aside.mkdir()
    libraries = Path(torch.__file__).parent / "lib"
    nvcc = cuda_compiler()
    try:
        with _ninja_in_path():
            cpp_extension.load(
                LIBRARY_NAME,
                [str(path) for path in sources(with_cuda=nvcc is not None)],
                extra_cflags=compiler_flags(),
                extra_cuda_cflags=["-O3"],
                # no Python in it: C++ programs load the same library
                extra_ldflags=["-Wl,--as-needed", f"-Wl,-rpath,{libraries}"] if sys.platform != "darwin" else [],
                build_directory=str(aside),
                with_cuda=nvcc is not None,
                is_python_module=False,
                verbose=verbose,
            )
        (aside / library.name).replace(library)
    except (RuntimeError, OSError) as error:
        raise BuildError(
            f"the symmetry functions could not be compiled with {compiler()}:\n{error}\n"
            "Repair the compiler, or set MHDNN_KERNELS=torch to run them in plain torch"
        ) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
