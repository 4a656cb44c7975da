"""The command ``charge_transfer``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mhdnn.errors import DataError
from mhdnn.evaluation.plots import INK, PALETTE, label_axes, new_figure, style_axes
from mhdnn.properties.bonding import Bond, interface_bonds
from mhdnn.properties.charge_transfer import (
    ChargeTransfer,
    PotentialProfile,
    average_of_charges,
    average_of_grid,
    charge_transfer,
    charges_of,
    potential_profile,
    widths_of,
)
from mhdnn.properties.grids import Grid, check_same, read_grid, read_potential
from mhdnn.properties.interfaces import check_labels
from mhdnn.properties.report import Curve, Report
from mhdnn.properties.separation import labelled


def charge_transfer_report(
    atoms: Atoms,
    calculator: Calculator | None = None,
    elements_2: list[str] | None = None,
    num_heights: int = 200,
    potential: Path | None = None,
    potential_unit: str | None = None,
    elf: Path | None = None,
) -> Report:
    """Charge of each slab, the potential across the interface, and the bonding by a DFT program's ELF.

    The potential is that of Gaussian charges with the model's widths, with covalent radii for other charges; or that of
    a DFT program.

    :param calculator: with charges; without, the structure file's charges are taken, if there are some
    :param elements_2: elements of the upper slab, if the file has no array `slab`
    :param num_heights: of the profile
    :param potential: LOCPOT of VASP, or a cube, of the same structure
    :param potential_unit: of a cube: V or Hartree/e (potential), eV, Ry or Hartree (energy of an electron)
    :param elf: ELFCAR of VASP, or a cube, of the same structure
    :raises DataError: if there are neither charges nor a grid
    """
    atoms = labelled(atoms, elements_2)
    check_labels(atoms)
    has_grid = potential is not None or elf is not None
    charges = _charges(atoms, calculator, has_grid)
    values: dict[str, Any] = {}
    warnings = []
    if charges is not None:
        values |= _charge_values(charges)
    profile = None
    if potential is not None:
        grid = _of(atoms, read_potential(potential, potential_unit), "potential")
        warnings += [grid.remark] if grid.remark else []
        profile = potential_profile(grid.atoms, average_of_grid(grid.atoms, grid.values), num_heights)
    elif charges is not None:
        average = average_of_charges(atoms, charges.charges, widths_of(atoms, calculator))
        profile = potential_profile(atoms, average, num_heights)
    if profile is not None:
        values |= {"potential_source": "charges" if potential is None else potential.name, **_profile_values(profile)}
    localisation, bonds = None, []
    if elf is not None:
        localisation = _of(atoms, read_grid(elf), "elf")
        warnings += [localisation.remark] if localisation.remark else []
        bonds = interface_bonds(atoms, localisation)
        values |= _bond_values(atoms, bonds, localisation)
    figure = charge_transfer_figure(atoms, charges, profile, localisation, bonds)
    curves = {}
    if profile is not None:
        curves["potential"] = Curve(profile.heights, profile.potential, "height, Å", "potential, V")
    return Report("charge_transfer", values, figure, warnings, curves=curves)


def _charges(atoms: Atoms, calculator: Calculator | None, optional: bool) -> ChargeTransfer | None:
    """None if there are none beside a grid."""
    try:
        return charge_transfer(atoms, charges_of(atoms, calculator))
    except DataError:
        if calculator is not None or not optional:
            raise
        return None


def _of(atoms: Atoms, grid: Grid, name: str) -> Grid:
    """The grid with the labels of the structure that it is of."""
    check_same(atoms, grid, name)
    own = atoms.copy()
    own.pbc = True
    return Grid(own, grid.values, grid.remark)


def _charge_values(result: ChargeTransfer) -> dict[str, Any]:
    return {
        "charge_1_e": result.charge_1,
        "charge_2_e": result.charge_2,
        "transferred_to_slab_2_e": result.transferred,
        "transferred_to_slab_2_e_per_nm2": result.transferred_per_square_nanometer,
        "charges_e": result.charges,
    }


def _profile_values(profile: PotentialProfile) -> dict[str, Any]:
    return {
        "potential_1_v": profile.potential_1,
        "potential_2_v": profile.potential_2,
        "gap_angstrom": profile.gap,
        "potential_gradient_v_per_angstrom": profile.gradient,
        "middle_field_v_per_angstrom": profile.middle_field,
        "heights_angstrom": profile.heights,
        "potential_v": profile.potential,
    }


def _bond_values(atoms: Atoms, bonds: list[Bond], elf: Grid) -> dict[str, Any]:
    middles = [bond.midpoint for bond in bonds]
    heights, means = _plane_means(elf)
    return {
        "num_bonds_across": sum(bond.is_bond for bond in bonds),
        "mean_elf_at_midpoints": float(np.mean(middles)),
        "bonding": bonds[0].character,
        "bonds": [
            {
                "atoms": [bond.first, bond.second],
                "elements": f"{atoms.symbols[bond.first]}-{atoms.symbols[bond.second]}",
                "length_angstrom": bond.length,
                "elf_at_midpoint": bond.midpoint,
                "largest_elf": bond.largest,
                "character": bond.character,
                "is_bond": bond.is_bond,
            }
            for bond in bonds
        ],
        "elf_heights_angstrom": heights,
        "elf_plane_average": means,
    }


def _plane_means(grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """Heights, Å, and the mean over each plane of the grid."""
    means = grid.values.mean((0, 1))
    return float(grid.atoms.cell[2, 2]) / len(means) * np.arange(len(means)), means


def charge_transfer_figure(
    atoms: Atoms,
    charges: ChargeTransfer | None,
    profile: PotentialProfile | None,
    elf: Grid | None,
    bonds: list[Bond],
) -> Figure:
    """Charges, potential with U₁, U₂ and d, and ELF against the height, as far as they are known."""
    parts = [part is not None for part in (charges, profile, elf)]
    figure = new_figure(6.0, 0.5 + 2.5 * sum(parts), "Interface")
    panels = iter(np.ravel(figure.subplots(sum(parts), 1, sharex=True, squeeze=False)))
    last = None
    if charges is not None:
        last = next(panels)
        _draw_charges(last, atoms, charges)
    if profile is not None:
        last = next(panels)
        _draw_potential(last, atoms, profile)
    if elf is not None:
        last = next(panels)
        _draw_elf(last, atoms, elf, bonds)
    if last is not None:
        last.set_xlabel("height, Å", color=INK, fontsize=10)
    return figure


def _draw_charges(axes: Axes, atoms: Atoms, result: ChargeTransfer) -> None:
    style_axes(axes)
    for label, total, color in ((1, result.charge_1, PALETTE[0]), (2, result.charge_2, PALETTE[1])):
        chosen = atoms.get_array("slab") == label
        heights = atoms.positions[chosen, 2]
        axes.plot(heights, result.charges[chosen], "o", color=color, label=f"slab {label}: {total:+.3f} e")
    axes.axhline(0.0, color="0.7", linewidth=0.8)
    label_axes(axes, "", "charge, e")
    axes.legend(frameon=False, fontsize=9)


def _draw_potential(axes: Axes, atoms: Atoms, profile: PotentialProfile) -> None:
    """The profile; U₁ and U₂ where they are read, and the distance d between them below the curve."""
    style_axes(axes)
    labels, z = atoms.get_array("slab"), atoms.positions[:, 2]
    bottom, top = float(z[labels == 1].max()), float(z[labels == 2].min())
    axes.plot(profile.heights, profile.potential, color=PALETTE[2])
    low, high = float(profile.potential.min()), float(profile.potential.max())
    margin = max(high - low, 1e-3)
    axes.set_ylim(low - 0.42 * margin, high + 0.28 * margin)
    level = low - 0.2 * margin
    for place, value, name, side in (
        (bottom, profile.potential_1, "$U_1$", "right"),
        (top, profile.potential_2, "$U_2$", "left"),
    ):
        axes.plot([place, place], [level, value], color="0.6", linewidth=0.8, linestyle=":")
        axes.plot(place, value, "o", color=INK, markersize=4)
        shift = -6 if side == "right" else 6
        axes.annotate(
            name, (place, value), (shift, 6), textcoords="offset points", ha=side, va="bottom", color=INK, fontsize=10
        )
    arrow = {"arrowstyle": "<->", "color": INK, "linewidth": 0.9, "shrinkA": 0, "shrinkB": 0}
    axes.annotate("", (top, level), (bottom, level), arrowprops=arrow)
    axes.annotate(
        f"$d$ = {profile.gap:.2f} Å, $(U_1 - U_2)/d$ = {profile.gradient:.3g} V/Å",
        (0.5 * (bottom + top), level),
        (0, -4),
        textcoords="offset points",
        ha="center",
        va="top",
        color=INK,
        fontsize=9,
    )
    label_axes(axes, "", "potential, V")


def _draw_elf(axes: Axes, atoms: Atoms, elf: Grid, bonds: list[Bond]) -> None:
    style_axes(axes)
    heights, means = _plane_means(elf)
    axes.plot(heights, means, color=PALETTE[5], label="mean over planes")
    middles = [0.5 * (atoms.positions[bond.first, 2] + atoms.positions[bond.second, 2]) for bond in bonds]
    kind = "midpoints of bonds" if bonds and bonds[0].is_bond else "midpoint of the shortest contact"
    axes.plot(middles, [bond.midpoint for bond in bonds], "o", color=PALETTE[1], markersize=5, label=kind)
    axes.set_ylim(0.0, 1.0)
    label_axes(axes, "", "ELF")
    axes.legend(frameon=False, fontsize=9)
