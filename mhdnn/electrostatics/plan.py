"""How a structure is to be treated: its mesh, what that costs in time and memory, or the dense matrix."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch

from mhdnn.electrostatics.background import Cell
from mhdnn.electrostatics.costs import Cost, check_memory, mesh_cost
from mhdnn.electrostatics.ewald import (
    SMEARING_STEP,
    Splitting,
    choose_splitting,
    mesh_smearing,
    neighborhood_edge,
)
from mhdnn.electrostatics.mesh import MeshResolution, choose_resolution, mesh_shape
from mhdnn.electrostatics.open_kernel import OpenBox
from mhdnn.electrostatics.slab import extended_cell
from mhdnn.neighbors import complete_cell

SPACE_ABOVE = 2.0
"""What a layer of atoms takes up, above its thickness, Å."""


@dataclass
class MeshPlan:
    """One structure on a mesh.

    :param cell: of the mesh; of an open structure a box around it
    :param box: of an open structure
    :param shape: points along each cell vector
    """

    cell: Cell
    box: OpenBox | None
    splitting: Splitting
    resolution: MeshResolution
    shape: tuple[int, int, int]

    def cost(self, num_atoms: int) -> Cost:
        """Time and memory."""
        return mesh_cost(num_atoms, math.prod(self.shape), self.resolution.order)

    def check_memory(self, num_atoms: int, device: torch.device) -> None:
        """Refuse a mesh that doesn't fit.

        :raises ElectrostaticsError: if there is less memory than it needs
        """
        points = " x ".join(map(str, self.shape))
        remedy = "ask for less accuracy, leave vacuum out of a periodic cell, or take a machine with more memory"
        check_memory(self.cost(num_atoms).bytes, f"{num_atoms} atoms on a mesh of {points} points", remedy, device)


def periodic_cell(
    positions: torch.Tensor, cell: torch.Tensor, pbc: torch.Tensor, largest_width: float, accuracy: float
) -> Cell:
    """The cell to sum over: the structure's own, or of a slab the extended one."""
    if bool(pbc.all()):
        complete_cell(cell.detach().cpu().numpy(), np.ones(3, dtype=bool))
        return Cell(cell)
    return extended_cell(positions, cell, pbc, largest_width, accuracy)


def plan_mesh(
    positions: torch.Tensor,
    widths: torch.Tensor,
    cell: torch.Tensor,
    pbc: torch.Tensor,
    accuracy: float,
    smearing: float | None,
) -> MeshPlan:
    """The mesh of one structure; arguments as those of `build_coulomb`."""
    largest = 2.0**0.5 * float(widths.detach().max())
    if bool(pbc.any()):
        return _plan_periodic(
            periodic_cell(positions, cell, pbc, largest, accuracy), len(positions), largest, accuracy, smearing
        )
    low, high = positions.detach().aminmax(dim=0)
    extents = (torch.ceil(high - low) + 1.0).tolist()
    edge = neighborhood_edge(len(positions), math.prod(extents), extents)
    eta = mesh_smearing(edge, largest, accuracy) if smearing is None else smearing
    splitting = choose_splitting(0.0, largest, accuracy, eta)
    box = OpenBox((extents[0], extents[1], extents[2]), splitting.cutoff)
    vectors = torch.diag(positions.new_tensor(box.periods))
    resolution = choose_resolution(accuracy)
    return MeshPlan(Cell(vectors), box, splitting, resolution, mesh_shape(vectors, eta, resolution))


def _plan_periodic(cell: Cell, num_atoms: int, largest: float, accuracy: float, smearing: float | None) -> MeshPlan:
    """The mesh of a structure with two or three periodic directions."""
    volume, heights, most = float(cell.volume.detach()), [], math.inf
    if cell.heights is not None:
        heights = [min(cell.length, cell.thickness + SPACE_ABOVE)]
        volume *= heights[0] / cell.length
        # pairs must not reach through the vacuum, also after rounding to a step
        most = cell.vacuum * (4.0 * math.pi / 3.0) ** (1.0 / 3.0) / SMEARING_STEP**0.5
    edge = min(neighborhood_edge(num_atoms, volume, heights), most)
    eta = mesh_smearing(edge, largest, accuracy) if smearing is None else smearing
    splitting = choose_splitting(volume, largest, accuracy, eta)
    resolution = choose_resolution(accuracy)
    return MeshPlan(cell, None, splitting, resolution, mesh_shape(cell.vectors, eta, resolution))
