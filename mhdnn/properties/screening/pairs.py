"""Interfaces of a screening: two slabs of the plan in a common cell, and ions in them."""

from __future__ import annotations

from typing import Any

import numpy as np
from ase import Atoms
from ase.build import bulk

from mhdnn.arguments import read_structure
from mhdnn.errors import ConfigError, PropertyError
from mhdnn.properties.insertion import Region, inserted_ions, insertion_region, random_insertion, with_labels
from mhdnn.properties.interfaces import build_interface, coincidences_of, gap_of
from mhdnn.properties.screening.plan import FileStructure, InsertionPlan, InterfacePlan, Structure
from mhdnn.properties.structures.catalog import build_structure
from mhdnn.properties.structures.surfaces import surface_slab
from mhdnn.properties.surface_shell import SurfaceShell

SHELL = (2.0, 4.0)
"""Distances of ions on a surface from the nuclei of the host, Å."""


def structure_of(one: Structure) -> Atoms:
    """The slab or crystal that a plan names.

    :raises ConfigError: if it can't be read, built or cut
    """
    atoms = (
        read_structure(one.file) if isinstance(one, FileStructure) else build_structure(one.structure, **one.options)
    )
    return atoms if one.surface is None else surface_slab(atoms, one.surface.miller, one.surface.layers)


def metal_of(ion: str, one: Structure | None) -> Atoms:
    """The crystal that ions come from: that of the plan, or ASE's of the element.

    :raises ConfigError: if ASE knows none
    """
    if one is not None:
        return structure_of(one)
    try:
        return bulk(ion)
    except (ValueError, KeyError, RuntimeError) as error:
        raise ConfigError(
            f"`metals.{ion}`: expected the crystal of {ion} as `file:` or `structure:`, since ASE can't build it "
            f"({error})"
        ) from error


def join(partner: Atoms, material: Atoms, settings: InterfacePlan) -> tuple[Atoms, dict[str, Any]]:
    """The interface on the smallest coincidence, and what is known of it.

    :raises ConfigError: if there is none within the limits
    """
    found = coincidences_of(partner, material, settings.max_area, settings.max_strain)[0]
    atoms = build_interface(partner, material, found, settings.gap, settings.vacuum, settings.strained_part)
    return atoms, {"area_square_angstrom": found.area, "strain_percent": 100.0 * found.largest_strain}


def with_ions(atoms: Atoms, ion: str, content: float, settings: InsertionPlan) -> Atoms:
    """A copy with ions for each atom of the material (slab 2), in random free places.

    The ions of a larger content are those of a smaller one and more. They belong to the material; those in the gap to
    the slab of the nearest atom.

    :raises PropertyError: if the content is less than half an ion, or there is no place
    """
    number = round(content * int((atoms.get_array("slab") == 2).sum()))
    if number < 1:
        raise PropertyError(
            f"`contents`: expected at least one {ion}, but {content:g} for each of "
            f"{(atoms.get_array('slab') == 2).sum()} atoms is less than half of one; raise it, or `max_area`"
        )
    region = _region(atoms, settings)
    generator = np.random.default_rng(settings.seed)
    for _ in range(number):
        atoms = random_insertion(atoms, ion, region, settings.min_distance, generator)
    if settings.where == "gap":
        return with_labels(atoms)
    labels = atoms.get_array("slab")
    labels[inserted_ions(atoms)] = 2
    atoms.set_array("slab", labels)
    return atoms


def _region(atoms: Atoms, settings: InsertionPlan) -> Region | SurfaceShell:
    if settings.where == "surface":
        return insertion_region(atoms, "surface", *SHELL)
    labels, heights, top = atoms.get_array("slab"), atoms.positions[:, 2], float(atoms.cell[2, 2])
    low, high = heights[labels == 1].max(), heights[labels == 2].max()
    if settings.where == "gap":
        return Region(low / top, (low + gap_of(atoms)) / top)
    return Region((low + 0.5 * gap_of(atoms)) / top, high / top)


def num_ions(atoms: Atoms) -> int:
    """Number of ions that have been inserted."""
    return len(inserted_ions(atoms))
