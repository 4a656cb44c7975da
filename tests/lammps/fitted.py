"""Models that know the structures of the tests as their training data."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from mhdnn.deploy.model_file import metadata_of, save_model
from mhdnn.potential import Potential
from mhdnn.structure import Batch
from mhdnn.training.domain import fit_charge_range, fit_domain
from tests.builders import (
    batch_of,
    charge_settings,
    model_settings,
    random_charge_potential,
    random_potential,
    structures,
)
from tests.lammps.conftest import ELEMENTS


def save_fitted_models(folder: Path, complete: Callable[[Potential, Batch], None] | None = None) -> None:
    """Write short.pt and charges.pt, random models whose ranges are those of the structures.

    :param complete: called with each model and the structures before they are written
    """
    short, charges = random_potential(ELEMENTS), random_charge_potential(ELEMENTS)
    batch = batch_of(*(atoms for atoms in structures().values() if atoms.pbc.sum() != 1), total_charge=0.0)
    for potential in (short, charges):
        fit_domain(potential, [batch])
        if complete is not None:
            complete(potential, batch)
    fit_charge_range(charges, [batch])
    save_model(short, folder / "short.pt", metadata_of(short, model_settings(ELEMENTS), {}))
    save_model(charges, folder / "charges.pt", metadata_of(charges, charge_settings(ELEMENTS), {}))
