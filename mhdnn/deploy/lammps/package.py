"""The sources of the pair style as a package of LAMMPS: a folder to be put into its ``src``, all files side by side.

LAMMPS copies a package's files into one folder. So folders become parts of names, ``cpu/moments.h`` of the symmetry
functions becomes ``mhdnn_kernels_cpu_moments.h``, and the names in ``#include`` follow.
"""

from __future__ import annotations

import re
from pathlib import Path

from mhdnn.deploy.lammps.plugin import CORE_FOLDER, KERNEL_FOLDER, SOURCE_FOLDER
from mhdnn.errors import OutputError

LEFT_OUT = ("plugin.cpp", "torch_model.cpp", "torch_model.h", "c_interface.cpp", "mhdnn.h")
INCLUDE = re.compile(r'^(\s*#include ")([^"]+)(")', re.MULTILINE)
README = """\
pair_style mhdnn as a package of LAMMPS, written by `mhdnn lammps package`. It needs no library, and C++17.

With make: put this folder into LAMMPS's src as MHDNN, then
    make yes-mhdnn
    make mpi CCFLAGS="-O3 -march=native -fno-math-errno -fopenmp -std=c++17" LINKFLAGS="-O3 -fopenmp"
(or change these flags in MAKE/Makefile.mpi). Without -march=native the pair style is several times slower.

With CMake: put it into src as MHDNN, too, and add MHDNN to the list STANDARD_PACKAGES in cmake/CMakeLists.txt, then
    cmake -S cmake -B build -D PKG_MHDNN=yes -D CMAKE_CXX_STANDARD=17 \\
          -D CMAKE_CXX_FLAGS="-O3 -march=native -fno-math-errno"
"""


def write_package(folder: Path) -> Path:
    """Write the sources into a new folder; returns it.

    :raises OutputError: if the folder is not empty, or can't be written
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise OutputError(f"{folder}: expected a new or an empty folder; remove it, or choose another")
    names = flat_names()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for source, name in names.items():
            (folder / name).write_text(_with_flat_includes(source, names), encoding="utf-8")
        (folder / "README").write_text(README, encoding="utf-8")
    except OSError as error:
        raise OutputError(f"{folder}: can't be written ({error.strerror or error})") from error
    return folder


def flat_names() -> dict[Path, str]:
    """Name in the package of each source and header that belongs to it."""
    headers = [path for path in KERNEL_FOLDER.rglob("*.h") if "operators" not in path.name and path.name != "order.h"]
    found = {path: "mhdnn_kernels_" + _joined(path, KERNEL_FOLDER) for path in headers}
    for path in (*CORE_FOLDER.rglob("*.h"), *CORE_FOLDER.rglob("*.cpp")):
        found[path] = "mhdnn_" + _joined(path, CORE_FOLDER)
    for path in (*SOURCE_FOLDER.glob("*.h"), *SOURCE_FOLDER.glob("*.cpp")):
        found[path] = path.name if path.name.startswith("pair_mhdnn") else "mhdnn_lammps_" + path.name
    return {path.resolve(): name for path, name in sorted(found.items()) if path.name not in LEFT_OUT}


def _joined(path: Path, folder: Path) -> str:
    return "_".join(path.relative_to(folder).parts)


def _with_flat_includes(source: Path, names: dict[Path, str]) -> str:
    """Headers are searched where the compiler does: beside the file, then in the three folders; others are LAMMPS's."""

    def flat(match: re.Match[str]) -> str:
        for folder in (source.parent, SOURCE_FOLDER, CORE_FOLDER, KERNEL_FOLDER):
            known = names.get((folder / match[2]).resolve())
            if known is not None:
                return match[1] + known + match[3]
        return match[0]

    return INCLUDE.sub(flat, source.read_text(encoding="utf-8"))
