"""The calculations and datasets in and below a folder."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping
from pathlib import Path

from ase.io.formats import filetype

from mhdnn.data.readers import detect_format
from mhdnn.data.reading import decompressed
from mhdnn.errors import DataError

ASE_FORMATS = frozenset(
    {
        "traj", "json", "bundletrajectory", "castep-castep", "gaussian-out", "orca-output", "nwchem-out", "abinit-out",
        "crystal", "dmol-car", "elk", "exciting", "octopus-out", "qbox", "gamess-us-out", "turbomole", "onetep-out",
        "aims-output", "siesta-out", "openmx-out", "acemolecule", "demon-out", "mopac-out", "gpaw-out", "dacapo-text",
    }
)  # fmt: skip
"""Formats of results among those that ASE reads; the others are structures and inputs."""
VASP_NAME = re.compile(r"OUTCAR|vasprun|\.xml|\.(gz|bz2|xz)$")
"""What the two outputs of one calculation of VASP differ in."""
CP2K_PART = re.compile(r"-(pos|frc|vel)-\d+\.xyz(\.(gz|bz2|xz))?$")
"""Files that CP2K writes beside its output, which is read with them."""


def sources_below(folder: Path, without: Collection[Path] = ()) -> tuple[list[Path], dict[Path, str]]:
    """The sources in and below a folder, in order, and the files that are none, with the reason.

    DeePMD systems are folders. Of ``OUTCAR`` and ``vasprun.xml`` in one folder only the first is a source, and so of
    ``OUTCAR.a`` and ``vasprun.a.xml``; what CP2K writes beside its output is read with it.

    :param without: files that are left out without a word
    :raises DataError: if there is no source
    """
    sources: list[Path] = []
    ignored: dict[Path, str] = {}
    hidden = {os.path.realpath(path) for path in without}
    for place, folders, files in os.walk(folder):
        here = Path(place)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        if "type.raw" in files:
            sources.append(here)
            folders.clear()
            continue
        paths = [here / name for name in sorted(files) if not name.startswith(".")]
        formats = {path: _format(path) for path in paths if os.path.realpath(path) not in hidden}
        for path, form in formats.items():
            reason = "not recognised" if form is None else _part_of_another(path, formats)
            if reason:
                ignored[path] = reason
            else:
                sources.append(path)
    if not sources:
        names = ", ".join(sorted({path.name for path in ignored})[:10]) or "no file"
        raise DataError(
            f"{folder}: expected outputs of calculations or datasets in this folder or below it, found none "
            f"({names}); check the path, or give files and `--format`"
        )
    return sources, ignored


def _part_of_another(path: Path, formats: Mapping[Path, str | None]) -> str:
    """Why a file says nothing that an output beside it does not say; empty if it is a source.

    :param formats: of the files of its folder
    """
    if formats[path] == "extxyz" and CP2K_PART.search(path.name) and "cp2k" in formats.values():
        return "read with CP2K's output beside it"
    outputs = {VASP_NAME.sub("", other.name) for other, form in formats.items() if form == "vasp-outcar"}
    if formats[path] == "vasp-xml" and VASP_NAME.sub("", path.name) in outputs:
        return "the same calculation as the output beside it"
    return ""


def _format(path: Path) -> str | None:
    """The format of a file, or None if it is none that holds labels."""
    if not path.is_file() or path.suffix == ".part":
        return None
    try:
        form = detect_format(path)
        if form != "ase":
            return form
        with decompressed(path) as plain:
            return form if filetype(str(plain)) in ASE_FORMATS else None
    except DataError:
        return None
