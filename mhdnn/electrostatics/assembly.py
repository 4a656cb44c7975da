"""Which structures of a batch are treated together, and how."""

from __future__ import annotations

import math

import numpy as np
import torch

from mhdnn.electrostatics.background import Cell
from mhdnn.electrostatics.blocks import Block
from mhdnn.electrostatics.direct import DirectBlock
from mhdnn.electrostatics.ewald import choose_splitting, decay_length, mesh_smearing
from mhdnn.electrostatics.mesh import choose_resolution
from mhdnn.electrostatics.particle_mesh import ParticleMeshBlock
from mhdnn.electrostatics.periodic import PeriodicBlock
from mhdnn.electrostatics.slab import extended_cell
from mhdnn.errors import DataError
from mhdnn.neighbors import complete_cell

LARGEST_DENSE = 400
"""Atoms of a structure up to which the dense matrix is faster than the mesh (measured on two cores)."""


def build_blocks(
    positions: torch.Tensor,
    cell: torch.Tensor,
    pbc: torch.Tensor,
    structure_index: torch.Tensor,
    num_structures: int,
    widths: torch.Tensor,
    accuracy: float,
    solver: str,
    smearing: float | None,
) -> list[Block]:
    """Blocks of a batch; the arguments are those of `build_coulomb`."""
    check_shapes(positions, cell, pbc, structure_index, num_structures)
    counts = torch.bincount(structure_index, minlength=num_structures)
    num_periodic = pbc.sum(1).tolist()
    if 1 in num_periodic:
        structure = num_periodic.index(1)
        raise DataError(
            f"`pbc`: expected no, two or three periodic directions, got {pbc[structure].tolist()} for structure "
            f"{structure}; charges in a wire are not supported: make all directions periodic, with vacuum around it"
        )
    blocks: list[Block] = []
    limit = {"auto": LARGEST_DENSE, "dense": math.inf, "iterative": 0}[solver]
    for structures in structures_together(counts.tolist(), num_periodic, limit):
        chosen = torch.tensor(structures, device=positions.device)
        atoms, local = atoms_of(chosen, structure_index, num_structures)
        own_positions, own_widths = positions.index_select(0, atoms), widths.index_select(0, atoms)
        if len(atoms) > limit and len(structures) == 1:
            blocks.append(
                large_block(
                    atoms, own_positions, own_widths, cell[structures[0]], pbc[structures[0]], accuracy, smearing
                )
            )
            continue
        if num_periodic[structures[0]] == 0:
            blocks.append(DirectBlock(atoms, own_positions, own_widths, local, len(structures)))
            continue
        parts = zip(
            own_positions.split(counts[chosen].tolist()), own_widths.split(counts[chosen].tolist()), strict=True
        )
        cells, splittings = [], []
        for structure, (some_positions, some_widths) in zip(structures, parts, strict=True):
            largest = 2.0**0.5 * float(some_widths.detach().max())
            cells.append(periodic_cell(some_positions, cell[structure], pbc[structure], largest, accuracy))
            splittings.append(choose_splitting(float(cells[-1].volume.detach()), largest, accuracy, smearing))
        blocks.append(PeriodicBlock(atoms, own_positions, own_widths, local, cells, splittings))
    return blocks


def periodic_cell(
    positions: torch.Tensor, cell: torch.Tensor, pbc: torch.Tensor, largest_width: float, accuracy: float
) -> Cell:
    """The cell to sum over: the structure's own, or of a slab the extended one."""
    if bool(pbc.all()):
        complete_cell(cell.detach().cpu().numpy(), np.ones(3, dtype=bool))
        return Cell(cell)
    return extended_cell(positions, cell, pbc, largest_width, accuracy)


def large_block(
    atoms: torch.Tensor,
    positions: torch.Tensor,
    widths: torch.Tensor,
    cell: torch.Tensor,
    pbc: torch.Tensor,
    accuracy: float,
    smearing: float | None,
) -> ParticleMeshBlock:
    """Block of one structure for the iterative solver."""
    largest = 2.0**0.5 * float(widths.detach().max())
    low, high = positions.detach().aminmax(dim=0)
    extent = torch.ceil(high - low) + 1.0
    if bool(pbc.any()):
        box = periodic_cell(positions, cell, pbc, largest, accuracy)
        volume = float(box.volume.detach()) * float(extent_fraction(box))
    else:
        volume = float(extent.prod())
    eta = mesh_smearing(len(positions) / volume, largest, accuracy) if smearing is None else smearing
    splitting = choose_splitting(volume, largest, accuracy, eta)
    truncation = None
    if not bool(pbc.any()):
        margin = decay_length(accuracy) * eta
        truncation = float(torch.linalg.vector_norm(extent)) + margin
        box = Cell(torch.diag(extent + truncation + margin))
    return ParticleMeshBlock(atoms, positions, widths, box, splitting, choose_resolution(accuracy), truncation)


def extent_fraction(cell: Cell) -> float:
    """Part of a cell that is filled: all of it but the vacuum of a slab."""
    if cell.heights is None:
        return 1.0
    return min(1.0, (cell.thickness + 2.0) / cell.length)


def structures_together(counts: list[int], num_periodic: list[int], limit: float) -> list[list[int]]:
    """Structures that share a block: equally open or periodic, and of similar size, so that little is padded.

    :param limit: structures of more atoms have a block of their own
    """
    together: dict[tuple[bool, int], list[int]] = {}
    for structure, (count, periodic) in enumerate(zip(counts, num_periodic, strict=True)):
        if count > limit:
            together[(periodic > 0, -structure - 1)] = [structure]
        elif count:
            size_class = (count - 1).bit_length()
            together.setdefault((periodic > 0, size_class), []).append(structure)
    return list(together.values())


def atoms_of(
    structures: torch.Tensor, structure_index: torch.Tensor, num_structures: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Atoms of some structures, structure after structure, and their structure counted among these."""
    place = torch.full((num_structures,), -1, dtype=torch.int64, device=structure_index.device)
    place[structures] = torch.arange(len(structures), device=structures.device)
    local = place.index_select(0, structure_index)
    atoms = torch.nonzero(local >= 0).squeeze(1)
    order = torch.argsort(local[atoms], stable=True)
    return atoms[order], local[atoms][order]


def check_shapes(
    positions: torch.Tensor, cell: torch.Tensor, pbc: torch.Tensor, structure_index: torch.Tensor, num_structures: int
) -> None:
    """Raise if the arguments of `build_coulomb` don't fit together.

    :raises DataError: naming the one that doesn't
    """
    num_atoms = len(positions)
    expected = {
        "positions": (positions, (num_atoms, 3)),
        "cell": (cell, (num_structures, 3, 3)),
        "pbc": (pbc, (num_structures, 3)),
        "structure_index": (structure_index, (num_atoms,)),
    }
    for name, (tensor, shape) in expected.items():
        if tuple(tensor.shape) != shape:
            raise DataError(
                f"`{name}`: expected shape {shape}, got {tuple(tensor.shape)}; one row for each atom or structure"
            )
    if num_atoms == 0:
        raise DataError("`positions`: expected at least one atom, got none; leave empty structures out")
    if not bool(torch.isfinite(positions.detach()).all()):
        raise DataError("`positions`: expected finite numbers, got NaN or infinity; look for a broken structure")
