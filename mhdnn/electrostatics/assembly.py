"""Which structures of a batch are treated together, and how."""

from __future__ import annotations

import math

import torch

from mhdnn.electrostatics.blocks import Block
from mhdnn.electrostatics.costs import available_memory, check_memory, dense_cost
from mhdnn.electrostatics.direct import DirectBlock
from mhdnn.electrostatics.ewald import choose_splitting
from mhdnn.electrostatics.particle_mesh import ParticleMeshBlock
from mhdnn.electrostatics.periodic import PeriodicBlock
from mhdnn.electrostatics.plan import MeshPlan, periodic_cell, plan_mesh
from mhdnn.errors import DataError

LARGEST_DENSE = 400
"""Atoms of a structure up to which the dense matrix is always faster than the mesh; with more `costs` decides."""

SMALL_MEMORY = 1e8
"""Bytes that are there."""


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
    largest_alone = {"auto": LARGEST_DENSE, "dense": math.inf, "iterative": 0}[solver]
    blocks: list[Block] = []
    for structures in structures_together(counts.tolist(), num_periodic, largest_alone):
        chosen = torch.tensor(structures, device=positions.device)
        atoms, local = atoms_of(chosen, structure_index, num_structures)
        own_positions, own_widths = positions.index_select(0, atoms), widths.index_select(0, atoms)
        first, count = structures[0], len(atoms)
        if len(structures) == 1 and count > largest_alone:
            plan = plan_mesh(own_positions, own_widths, cell[first], pbc[first], accuracy, smearing)
            if solver == "iterative" or prefers_mesh(plan, count, num_periodic[first] > 0, positions.device):
                plan.check_memory(count, positions.device)
                blocks.append(ParticleMeshBlock(atoms, own_positions, own_widths, plan))
                continue
        check_dense_memory(counts[chosen].tolist(), positions.device)
        if num_periodic[first] == 0:
            blocks.append(DirectBlock(atoms, own_positions, own_widths, local, len(structures)))
            continue
        blocks.append(
            periodic_block(atoms, own_positions, own_widths, local, cell[chosen], pbc[chosen], accuracy, smearing)
        )
    return blocks


def periodic_block(
    atoms: torch.Tensor,
    positions: torch.Tensor,
    widths: torch.Tensor,
    local: torch.Tensor,
    cell: torch.Tensor,
    pbc: torch.Tensor,
    accuracy: float,
    smearing: float | None,
) -> PeriodicBlock:
    """Block of structures with periodic directions.

    :param local: structure of each atom, counted within the block, ascending
    """
    counts = torch.bincount(local, minlength=len(cell)).tolist()
    cells, splittings = [], []
    for structure, (own, spread) in enumerate(zip(positions.split(counts), widths.split(counts), strict=True)):
        largest = 2.0**0.5 * float(spread.detach().max())
        cells.append(periodic_cell(own, cell[structure], pbc[structure], largest, accuracy))
        splittings.append(choose_splitting(float(cells[-1].volume.detach()), largest, accuracy, smearing))
    return PeriodicBlock(atoms, positions, widths, local, cells, splittings)


def prefers_mesh(plan: MeshPlan, num_atoms: int, periodic: bool, device: torch.device) -> bool:
    """Whether the mesh is faster than the dense matrix, or the only one that fits into memory."""
    mesh, dense, free = plan.cost(num_atoms), dense_cost(num_atoms, periodic), available_memory(device)
    if (mesh.bytes > free) != (dense.bytes > free):
        return mesh.bytes < dense.bytes
    return mesh.seconds < dense.seconds


def check_dense_memory(counts: list[int], device: torch.device) -> None:
    """Refuse dense matrices that don't fit.

    :param counts: atoms of the structures of a block
    :raises ElectrostaticsError: if there is less memory than they need
    """
    needed = len(counts) * dense_cost(max(counts), periodic=True).bytes
    if needed > SMALL_MEMORY:  # asking for the free memory takes longer than a small structure
        what = f"dense matrices of {len(counts)} structures with up to {max(counts)} atoms"
        check_memory(needed, what, "choose solver='iterative' or 'auto', or fewer structures in a batch", device)


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
