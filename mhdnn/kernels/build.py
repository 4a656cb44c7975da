"""Compilation of the operators and of the core's electrostatics, which they bind, kept in a cache folder.

Once for each machine, torch version and source.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from mhdnn.compilation import (
    announced,
    cache_root,
    compiler,
    compiler_flags,
    digest_of,
    flags_for,
    only_one,
    shared_library_flags,
    written_to,
)
from mhdnn.errors import BuildError
from mhdnn.kernels.shipped import library_name

SOURCE_FOLDER = Path(__file__).parent / "source"
CORE_FOLDER = Path(__file__).parents[1] / "core"
ELECTROSTATICS = CORE_FOLDER / "electrostatics"
LIBRARY_NAME = "mhdnn_operators"
CPU_SOURCES = (
    "operators.cpp", "operators_common.cpp", "operators_cpu.cpp",
    "operators_densities.cpp", "operators_invariants.cpp",
    "operators_contracted_common.cpp", "operators_contracted_cpu.cpp", "operators_electrostatics.cpp",
    "operators_networks.cpp", "operators_kept.cpp", "operators_training.cpp",
)  # fmt: skip
CUDA_SOURCES = ("operators_cuda.cu", "operators_contracted_cuda.cu")
CORE_FILES = ("threads.cpp", "threads.h", "buffer.cpp", "buffer.h")


def cuda_compiler() -> str | None:
    """nvcc, where this torch can use a GPU."""
    if not torch.cuda.is_available():
        return None
    from torch.utils.cpp_extension import CUDA_HOME

    nvcc = Path(CUDA_HOME or "") / "bin" / "nvcc"
    return str(nvcc) if CUDA_HOME and nvcc.is_file() else None


def sources(with_cuda: bool) -> list[Path]:
    names = CPU_SOURCES + (CUDA_SOURCES if with_cuda else ())
    return [*(SOURCE_FOLDER / name for name in names), *(path for path in core_files() if path.suffix == ".cpp")]


def core_files() -> list[Path]:
    """What of the core the operators are made of."""
    return sorted([*ELECTROSTATICS.rglob("*.*"), *(CORE_FOLDER / name for name in CORE_FILES)])


def library_path() -> Path:
    """Where the operators for this machine are, or would be."""
    core = [path.read_text(encoding="utf-8") for path in core_files()]
    digest = digest_of(SOURCE_FOLDER, [torch.__version__, str(cuda_compiler()), *core])
    return cache_root() / f"{LIBRARY_NAME}_{digest}" / f"{LIBRARY_NAME}.so"


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


def build(verbose: bool = False, force: bool = False) -> Path:
    """Compile the operators unless they are there; returns the library.

    :param verbose: show the compiler's commands
    :param force: compile even if the library is there
    :raises BuildError: with the compiler's message
    """
    library = library_path()
    if library.is_file() and not force:
        return library
    with only_one(library.parent):
        if library.is_file() and not force:
            return library
        nvcc = cuda_compiler()
        with announced(f"the operators ({'C++ and CUDA' if nvcc else 'C++'})"):
            _compile(library, verbose, compiler_flags(), str(Path(torch.__file__).parent / "lib"), nvcc)
    return library


def build_for_wheel(level: str, folder: Path) -> Path:
    """Compile the operators of the CPU for a level of `mhdnn.kernels.shipped`, unless they are newer than the source.

    :param level: architecture
    :param folder: where the library goes
    :raises BuildError: with the compiler's message
    """
    library = folder / library_name(level, torch.__version__)
    newest = max(path.stat().st_mtime for path in (*SOURCE_FOLDER.rglob("*"), *core_files()))
    if library.is_file() and library.stat().st_mtime > newest:
        return library
    folder.mkdir(parents=True, exist_ok=True)
    torch_beside = "$$ORIGIN/../../../torch/lib"  # of mhdnn/kernels/compiled; $$ is Ninja's $
    _compile(library, True, flags_for(level), torch_beside, None)
    return library


def _compile(library: Path, verbose: bool, flags: Sequence[str], torch_libraries: str, nvcc: str | None) -> None:
    from torch.utils import cpp_extension

    aside = library.parent / f"build-{os.getpid()}"
    with written_to(library.parent):
        aside.mkdir()
    try:
        with _ninja_in_path():
            cpp_extension.load(
                LIBRARY_NAME,
                [str(path) for path in sources(with_cuda=nvcc is not None)],
                extra_cflags=[*flags, "-Wno-psabi"],
                extra_include_paths=[str(SOURCE_FOLDER), str(CORE_FOLDER)],
                extra_cuda_cflags=["-O3"],
                # no Python in it: C++ programs load the same library
                extra_ldflags=[*shared_library_flags(), "-Wl,--as-needed", f"'-Wl,-rpath,{torch_libraries}'"]
                if sys.platform != "darwin"
                else [],
                build_directory=str(aside),
                with_cuda=nvcc is not None,
                is_python_module=False,
                verbose=verbose,
            )
        (aside / f"{LIBRARY_NAME}.so").replace(library)
    except (RuntimeError, OSError) as error:
        raise BuildError(
            f"the operators could not be compiled with {compiler()}:\n{error}\n"
            "Repair the compiler, or set MHDNN_KERNELS=torch to run them in plain torch"
        ) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
