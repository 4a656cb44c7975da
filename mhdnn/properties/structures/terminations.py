"""Surfaces of any crystal: Miller indices, and between which planes of atoms it is cut."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from ase import Atoms

from mhdnn.errors import ConfigError
from mhdnn.properties.fracture.planes import along_plane, check_crystal, cuts_along, whole_indices
from mhdnn.properties.interfaces import area_of
from mhdnn.properties.report import Report
from mhdnn.properties.structure_figure import structure_figure
from mhdnn.properties.structures.files import write_structure
from mhdnn.properties.structures.surfaces import smallest_plane_cell


def terminated_slab(crystal: Atoms, miller: list[int], layers: int = 1, cut: int = 0, vacuum: float = 10.0) -> Atoms:
    """Layers of a crystal, cut below and above in the same gap between planes of atoms; nothing is moved.

    :param miller: indices of the plane in its cell
    :param layers: number of repeats along the normal
    :param cut: which gap, 0 the widest
    :param vacuum: on each side, Å
    :raises ConfigError: if the crystal is none, a number not positive, or there is no such plane or gap
    """
    check_crystal(crystal, "atoms", "take the crystal that the slab shall be cut from")
    if layers < 1 or not vacuum > 0:
        raise ConfigError(f"`layers`, `vacuum`: expected positive numbers, got {layers} and {vacuum}")
    plain = Atoms(crystal.numbers, crystal.positions, cell=crystal.cell, pbc=True)
    cell = along_plane(plain, whole_indices(miller, "miller"), cut) * (1, 1, layers)
    slab = Atoms(cell.numbers, cell.positions, cell=[*cell.cell[:2], [0, 0, cell.cell[2, 2]]], pbc=(True, True, False))
    slab.wrap()
    slab = smallest_plane_cell(slab)
    slab.center(vacuum=vacuum, axis=2)
    return slab


def surface_report(
    atoms: Atoms,
    miller: list[int],
    layers: int = 3,
    cut: int = 0,
    vacuum: float = 10.0,
    structure: Path = Path("surface.extxyz"),
) -> Report:
    """A slab of any crystal with chosen Miller indices and termination: writes it to a file.

    The terminations are all gaps between planes of atoms, the widest first; a slab is cut in the same gap below and
    above, so that it keeps the composition of the crystal.

    :param atoms: crystal
    :param miller: indices of the plane in its cell
    :param layers: number of repeats along the normal
    :param cut: which termination, 0 is the widest gap
    :param vacuum: on each side, Å
    :param structure: file that the slab is written to
    :raises ConfigError: if the crystal is none, a number not positive, or there is no such plane or termination
    """
    slab = terminated_slab(atoms, miller, layers, cut, vacuum)
    write_structure(slab, structure, "structure")
    cuts = cuts_along(atoms, whole_indices(miller, "miller"))
    # the upper surface is what lies below the gap
    terminations = [
        {"gap_angstrom": one.width, "lower_surface": _names(one.above), "upper_surface": _names(one.below)}
        for one in cuts
    ]
    values = {
        "formula": slab.get_chemical_formula(),
        "num_atoms": len(slab),
        "area_square_angstrom": area_of(slab),
        "thickness_angstrom": float(np.ptp(slab.positions[:, 2])),
        "cut": cut,
        "num_cuts": len(cuts),
        "lower_surface": terminations[cut]["lower_surface"],
        "upper_surface": terminations[cut]["upper_surface"],
        "structure": structure,
        "terminations": terminations,
    }
    name = "".join(map(str, miller))
    return Report("surface", values, structure_figure(slab, f"{slab.get_chemical_formula()} ({name})")[0])


def _names(symbols: list[str]) -> str:
    return " ".join(sorted(set(symbols)))
