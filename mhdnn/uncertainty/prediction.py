"""Expected errors of what was predicted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from mhdnn.uncertainty.model import ErrorModel

if TYPE_CHECKING:
    from mhdnn.prediction import SeenAtoms


def has_error_model(potential: Any) -> bool:
    """Whether a potential (scripted or not) knows its errors; those of older versions don't."""
    return bool(potential.uncertainty.is_fitted())


def explained_by(potential: Any, atoms: SeenAtoms, forces: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Regressors of `mhdnn.uncertainty.model.ErrorModel`, and how foreign they are, x, of all atoms.

    :param forces: predicted, shape (num_atoms, 3), eV/Å
    """
    model, geometry = potential.uncertainty, atoms.geometry
    grades = model.grades(atoms.functions.detach(), atoms.element_index)
    pairs = (atoms.vectors.detach(), geometry.center_index, geometry.neighbor_index)
    # the script in files of older versions raises errors by the excess of the atom alone, which stands in the grades
    foreign = model.foreignness(grades, *pairs) if hasattr(model, "foreignness") else grades
    return model.regressors(grades, forces.detach(), *pairs), foreign


def expected_errors(
    potential: Any, atoms: SeenAtoms, forces: torch.Tensor, outside: torch.Tensor | None = None
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Expected errors of forces, shape (num_atoms,), eV/Å, and of energies, shape (num_structures,), eV.

    Energies have none if there were too few for the calibration.

    :param potential: with an error model (`has_error_model`)
    :param atoms: that were predicted
    :param forces: predicted, shape (num_atoms, 3), eV/Å
    :param outside: the training data, where that was looked for, shape (num_atoms,), bool
    """
    model, geometry = potential.uncertainty, atoms.geometry
    with torch.no_grad():
        errors = model.errors_of(*explained_by(potential, atoms, forces), atoms.element_index)
        if outside is not None:
            errors = model.raised(errors, outside)
        if not model.knows_energies():
            return errors, None
        structures = (atoms.element_index, geometry.structure_index, geometry.num_structures)
        grades_of_structures = model.structure_grades(atoms.functions.detach(), *structures)
        of_energies = model.energy_errors(grades_of_structures, geometry.num_atoms_per_structure)
        return errors, ErrorModel.raised_energies(model, of_energies, errors, geometry.structure_index)
