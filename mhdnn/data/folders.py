"""The calculations and datasets in and below a folder."""

from __future__ import annotations

import os
from collections.abc import Collection
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
SAME_CALCULATION = {"vasp-xml": "vasp-outcar"}
"""Formats that say the same as another one beside them."""


def sources_below(folder: Path, without: Collection[Path] = ()) -> tuple[list[Path], dict[Path, str]]:
    """The sources in and below a folder, in order, and the files that are none, with the reason.

    DeePMD systems are folders. Of ``OUTCAR`` and ``vasprun.xml`` in one folder only the first is a source.

    :param without: files that are left out without a word
    :raises DataError: if there is no source
    """
    sources: list[Path] = []
    ignored: dict[Path, str] = {}
    hidden = {path.absolute() for path in without}
    for place, folders, files in os.walk(folder):
        here = Path(place)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        if "type.raw" in files:
            sources.append(here)
            folders.clear()
            continue
        paths = [here / name for name in sorted(files) if not name.startswith(".")]
        formats = {path: _format(path) for path in paths if path.absolute() not in hidden}
        for path, form in formats.items():
            other = SAME_CALCULATION.get(form or "")
            if form is None:
                ignored[path] = "not recognised"
            elif other is not None and other in formats.values():
                ignored[path] = "the same calculation as the output beside it"
            else:
                sources.append(path)
    if not sources:
        names = ", ".join(sorted({path.name for path in ignored})[:10]) or "no file"
        raise DataError(
            f"{folder}: expected outputs of calculations or datasets in this folder or below it, found none "
            f"({names}); check the path, or give files and `--format`"
        )
    return sources, ignored


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
