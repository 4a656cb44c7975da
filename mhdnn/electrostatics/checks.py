"""What the arguments of electrostatics must be."""

from __future__ import annotations

import torch

from mhdnn.errors import DataError
from mhdnn.neighbors import complete_cell


def check_positive(name: str, values: torch.Tensor, num_atoms: int, unit: str) -> None:
    """Raise unless there is a positive number for each atom.

    :raises DataError: naming the first atom whose number isn't positive
    """
    if values.shape != (num_atoms,):
        raise DataError(f"`{name}`: expected shape ({num_atoms},), one for each atom, got {tuple(values.shape)}")
    smallest, largest = values.detach().aminmax() if num_atoms else (1.0, 1.0)
    if not (smallest > 0 and largest < torch.inf):
        wrong = torch.nonzero(~(values.detach() > 0) | ~torch.isfinite(values.detach()))
        atom = int(wrong[0])
        raise DataError(
            f"`{name}`: expected positive numbers in {unit}, got {float(values[atom])} for atom {atom}; "
            f"set a positive value for its element"
        )


def check_total_charge(total_charge: torch.Tensor | None, num_structures: int) -> torch.Tensor:
    """The total charges in double precision.

    :raises DataError: if one is missing
    """
    remedy = "give the total charge of each structure in e (0 for a neutral one)"
    if total_charge is None:
        raise DataError(f"`total_charge`: expected one number for each structure, got None; {remedy}")
    if total_charge.shape != (num_structures,):
        raise DataError(
            f"`total_charge`: expected shape ({num_structures},), got {tuple(total_charge.shape)}; {remedy}"
        )
    missing = torch.nonzero(~torch.isfinite(total_charge.detach()))
    if len(missing):
        structure = int(missing[0])
        value = float(total_charge[structure])
        raise DataError(f"`total_charge`: expected a finite number, got {value} for structure {structure}; {remedy}")
    return total_charge.to(torch.float64)


def check_geometry(
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
    num_periodic = pbc.sum(1).tolist()
    if 1 in num_periodic:
        structure = num_periodic.index(1)
        raise DataError(
            f"`pbc`: expected no, two or three periodic directions, got {pbc[structure].tolist()} for structure "
            f"{structure}; charges in a wire are not supported: make all directions periodic, with vacuum around it"
        )


def check_variables(cell: torch.Tensor, widths: torch.Tensor) -> None:
    """Raise if a gradient is wanted that would be missing.

    :raises DataError: naming the tensor
    """
    for name, tensor in (("cell", cell), ("widths", widths)):
        if tensor.requires_grad and torch.is_grad_enabled():
            raise DataError(
                f"`{name}`: expected a tensor without gradient, got one that requires it; detach it, and give `strain` "
                "for the stress"
            )


def check_cells(cell: torch.Tensor, pbc: torch.Tensor) -> None:
    """Raise if the vectors of periodic directions are zero or dependent: structure by structure, which takes time.

    :raises DataError: with the cell
    """
    for vectors, directions in zip(cell.detach().cpu().numpy(), pbc.cpu().numpy(), strict=True):
        complete_cell(vectors, directions)
