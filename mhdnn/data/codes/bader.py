"""Charges from ``ACF.dat`` of Bader's analysis, which stands beside the output that its density came from.

The analysis counts electrons; the charge is those that the pseudopotential brings less those counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mhdnn.data.reading import text_of
from mhdnn.errors import DataError
from mhdnn.structure import cell_volume

SAME_PLACE = 2e-3
"""Largest distance between an atom's positions in both files, Å; the older programs print four decimals."""
SMALLEST_VOLUME = 1e-6
"""Å³; the vectors of a damaged cell may be linearly dependent."""
SAME_COUNT = 0.05
"""Largest difference between the electrons that were counted and those of the calculation, per atom."""


@dataclass(frozen=True)
class Density:
    """What the analysis found.

    :param positions: shape (num_atoms, 3), Å
    :param electrons: of each atom, shape (num_atoms,)
    :param total: electrons of the cell, those in the vacuum included
    """

    path: Path
    positions: np.ndarray
    electrons: np.ndarray
    total: float


def beside(output: Path) -> Density | None:
    """``ACF.dat`` in the folder of an output; None if there is none.

    :raises DataError: if it can't be read
    """
    path = output.parent / "ACF.dat"
    if not path.is_file():
        return None
    rows, total, vacuum = [], None, 0.0
    try:
        for line in text_of(path).splitlines():
            words = line.split()
            if line.strip().upper().startswith("NUMBER OF ELECTRONS"):
                total = float(words[-1])
            elif line.strip().upper().startswith("VACUUM CHARGE"):
                vacuum = float(words[-1])
            elif len(words) >= 5 and words[0].isdigit():
                rows.append([float(word) for word in words[1:5]])
    except ValueError as error:
        raise DataError(f"{path}: can't be read ({error}); repeat the Bader analysis or remove the file") from error
    if not rows:
        raise DataError(f"{path}: expected a line for each atom, found none; repeat the Bader analysis")
    table = np.array(rows)
    return Density(path, table[:, :3], table[:, 3], float(table[:, 3].sum()) + vacuum if total is None else total)


def charges(
    density: Density,
    valence: np.ndarray | None,
    electrons: float | None,
    positions: np.ndarray,
    cell: np.ndarray,
    last: bool,
) -> np.ndarray | None:
    """Charges of the atoms, e, if the analysis is of these positions; the density is mostly that of the last step.

    :param valence: electrons that each atom brings
    :param electrons: of the calculation
    :raises DataError: if the last step does not fit, or the electrons are not those of the calculation
    """
    if not _same_places(density.positions, positions, cell):
        if last:
            raise DataError(
                f"{density.path}: expected the positions of the last step of the output beside it, found others; "
                "repeat the Bader analysis, or move the file elsewhere"
            )
        return None
    if valence is None:
        raise DataError(f"{density.path}: the output beside it does not name the valence electrons (`ZVAL`)")
    if electrons is not None and abs(density.total - electrons) > SAME_COUNT * len(positions):
        raise DataError(
            f"{density.path}: expected the {electrons} electrons of the calculation, found {density.total}; analyse "
            "the whole valence density (CHGCAR, with `-ref` the sum of AECCAR0 and AECCAR2)"
        )
    return valence - density.electrons


def _same_places(first: np.ndarray, second: np.ndarray, cell: np.ndarray) -> bool:
    if first.shape != second.shape or cell_volume(cell) < SMALLEST_VOLUME:
        return False
    fractions = np.linalg.solve(cell.T, (first - second).T).T
    return bool(np.abs((fractions - np.round(fractions)) @ cell).max() < SAME_PLACE)
