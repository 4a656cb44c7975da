"""Samples of the outputs of DFT codes, with every label that their readers give."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from tests.unit.data.codes import outputs, physics
from tests.unit.data.codes.reading import FILES
from tests.unit.data.codes.test_aims import HIRSHFELD, MULLIKEN

STEPS = physics.steps(3)


def outcar(folder: Path) -> Path:
    _bader(folder)
    return _write(folder / "OUTCAR", outputs.outcar(STEPS))


def vasprun(folder: Path) -> Path:
    _bader(folder)
    return _write(folder / "vasprun.xml", outputs.vasprun(STEPS))


def ml_ab(folder: Path) -> Path:
    return _write(folder / "ML_AB", outputs.ml_ab(STEPS))


def aims(folder: Path) -> Path:
    return _write(folder / "aims.out", outputs.aims(STEPS, extra=MULLIKEN + HIRSHFELD))


def espresso(folder: Path) -> Path:
    return Path(shutil.copy(FILES / "qe_md.out", folder))


def cp2k(folder: Path) -> Path:
    """An MD with the files beside it."""
    for path in FILES.glob("nve-*"):
        shutil.copy(path, folder)
    return Path(shutil.copy(FILES / "cp2k_md.out", folder))


def gpaw(folder: Path) -> Path:
    return Path(shutil.copy(FILES / "gpaw_al.txt", folder))


def _bader(folder: Path) -> None:
    """ACF.dat of the last step."""
    rows = []
    for i, (place, electrons) in enumerate(zip(STEPS[-1].positions, (0.2, 6.3, 6.5), strict=True)):
        rows.append(f"{i + 1:5d}" + "".join(f"{x:12.6f}" for x in [*place, electrons, 1.0, 10.0]))
    _write(folder / "ACF.dat", "\n".join(["    #   X   Y   Z   CHARGE   MIN DIST   ATOMIC VOL", *rows]) + "\n")


def _write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


CODE_SAMPLES: dict[str, Callable[[Path], Path]] = {
    "vasp-outcar": outcar,
    "vasp-xml": vasprun,
    "vasp-mlab": ml_ab,
    "qe": espresso,
    "cp2k": cp2k,
    "aims": aims,
    "gpaw": gpaw,
}
"""By the names of `READERS`."""
