"""Grids that DFT programs write: potentials and electron localisation, of VASP or as Gaussian cubes.

Units. A potential is told in V, that of a positive charge. VASP's LOCPOT holds the energy of an electron in eV, which
has the other sign; a cube does not say what it holds, so that its unit has to be given (`POTENTIAL_UNITS`).
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.calculators.vasp import VaspChargeDensity
from ase.io.cube import read_cube
from ase.units import Hartree, Rydberg
from scipy.ndimage import map_coordinates

from mhdnn.errors import ConfigError, DataError

POTENTIAL_UNITS = {"V": 1.0, "Hartree/e": Hartree, "eV": -1.0, "Ry": -Rydberg, "Hartree": -Hartree}
"""Factors to V: of potentials (V; Hartree/e: Gaussian), and of energies of an electron (eV: VASP; Ry: QE; Hartree)."""
SAME_PLACE = 0.01
"""Å by which atoms of a structure may differ from those of its grid."""


@dataclass(frozen=True)
class Grid:
    """Values at the fractions i/n of a cell's vectors.

    :param atoms: in the cell of the grid, periodic along x, y and z
    :param values: shape (n_1, n_2, n_3)
    :param remark: what the reader of the numbers should know
    """

    atoms: Atoms
    values: np.ndarray
    remark: str = ""

    def at(self, positions: np.ndarray) -> np.ndarray:
        """Values anywhere, by periodic cubic splines, shape (num_positions,).

        :param positions: shape (num_positions, 3), Å
        """
        fractions = self.atoms.cell.scaled_positions(np.asarray(positions, dtype=float))
        places = (fractions % 1.0) * self.values.shape
        return map_coordinates(self.values, places.T, order=3, mode="grid-wrap")


def read_grid(path: str | Path) -> Grid:
    """A grid from a Gaussian cube (its name ends in .cube or .cub) or a file of VASP (LOCPOT, ELFCAR), as it is there.

    Of spin-polarised ones of VASP the first is taken; the remark says if the second differs.

    :raises ConfigError: if there is no such file, or it is neither
    """
    file = Path(path)
    if not file.is_file():
        raise ConfigError(f"{file}: expected a file of VASP or a cube with a grid, found none; check the path")
    is_cube = file.suffix.lower() in (".cube", ".cub")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", DeprecationWarning)  # numpy's way to say that a text ends too early
            found = _cube(file) if is_cube else _vasp(file)
    except (OSError, ValueError, LookupError, TypeError, DeprecationWarning) as error:
        kind = "a Gaussian cube" if is_cube else "a grid of VASP (a cube's name ends in .cube)"
        raise ConfigError(f"{file}: expected {kind}, which can't be read ({type(error).__name__}: {error})") from error
    if found.values.size == 0 or not np.isfinite(found.values).all():
        raise ConfigError(f"{file}: expected a grid of finite numbers, got others; write it again")
    return found


def read_potential(path: str | Path, unit: str | None = None) -> Grid:
    """A potential in V.

    :param unit: one of `POTENTIAL_UNITS`; None for VASP, whose LOCPOT is the energy of an electron in eV
    :raises ConfigError: as `read_grid`, for another unit, or a cube without
    """
    if unit is None and Path(path).suffix.lower() in (".cube", ".cub"):
        raise ConfigError(
            f"`potential_unit`: expected one of {', '.join(POTENTIAL_UNITS)} for {path}, since a cube does not say it, "
            "got none; V and Hartree/e are potentials (Gaussian), eV, Ry (Quantum ESPRESSO) and Hartree energies of an "
            "electron"
        )
    if unit is not None and unit not in POTENTIAL_UNITS:
        raise ConfigError(f"`potential_unit`: expected one of {', '.join(POTENTIAL_UNITS)}, got {unit!r}")
    grid = read_grid(path)
    return Grid(grid.atoms, POTENTIAL_UNITS[unit or "eV"] * grid.values, grid.remark)


def check_same(atoms: Atoms, grid: Grid, name: str) -> None:
    """Whether a grid is of a structure.

    :param name: of the key, for the message
    :raises DataError: if cells or positions differ, whatever the order of the atoms
    """
    other = grid.atoms
    if len(atoms) != len(other) or np.abs(atoms.cell[:] - other.cell[:]).max() > SAME_PLACE:
        raise DataError(
            f"`{name}`: expected the grid of {atoms.get_chemical_formula()} in the cell {atoms.cell[:].tolist()}, got "
            f"that of {other.get_chemical_formula()} in {other.cell[:].tolist()}; give the structure of the same "
            "calculation"
        )
    for index, (number, position) in enumerate(zip(atoms.numbers, atoms.positions, strict=True)):
        offsets = other.cell.scaled_positions(other.positions[other.numbers == number] - position)
        offsets -= np.round(offsets)
        nearest = np.linalg.norm(offsets @ other.cell[:], axis=1).min(initial=np.inf)
        if nearest > SAME_PLACE:
            raise DataError(
                f"`{name}`: expected the grid of this structure, but atom {index} ({atoms.symbols[index]}) is "
                f"{nearest:.3g} Å from the nearest one of its kind there; give the structure of the same calculation"
            )


def _cube(file: Path) -> Grid:
    with file.open(encoding="utf-8") as stream:
        found = read_cube(stream)
    atoms, values = found["atoms"], np.asarray(found["data"], dtype=float)
    atoms.positions -= found["origin"]  # the grid begins there
    atoms.pbc = True
    return Grid(atoms, values)


def _vasp(file: Path) -> Grid:
    found = VaspChargeDensity(str(file))
    if not found.chg:
        raise ValueError("no grid in it")
    atoms = found.atoms[0]
    volume = atoms.get_volume()  # by which the reader divides, as densities need it
    values, remark = found.chg[0] * volume, ""
    if found.chgdiff and not np.allclose(found.chgdiff[0] * volume, values, rtol=0, atol=1e-5):
        remark = f"{file.name}: the grid of the second spin differs; that of the first is taken"
    return Grid(atoms, values, remark)
