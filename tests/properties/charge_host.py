"""A host and a small charge model under which ions neither collapse nor fly away."""

from __future__ import annotations

from pathlib import Path

import torch
from ase import Atoms
from ase.build import fcc100
from ase.constraints import FixAtoms

from mhdnn.deploy.model_file import metadata_of, save_model
from tests.builders import charge_settings, random_charge_potential

ELEMENTS = [3, 14]
SCREENING = {"inner": 0.8, "outer": 2.5}
PAIR_WEIGHTS = {"r_s=1 ": 12.0, "r_s=1.875": 1.5, "r_s=2.75": -0.8}
"""Weights (eV) of Gaussians of the distance: a wall below 2 Å and a shallow well near 2.8 Å for all pairs."""


def write_charge_model(path: Path) -> Path:
    """Random small networks over a pair potential, charges by equilibration (lithium positive)."""
    potential = random_charge_potential(ELEMENTS, screening=SCREENING)
    names = potential.descriptor.names(ELEMENTS)
    with torch.no_grad():
        potential.short_range.network.output_scale.fill_(0.05)
        potential.charge_model.network.output_scale.fill_(0.5)
        potential.short_range.network.linear_weight.zero_()
        for number, name in enumerate(names):
            for words, weight in PAIR_WEIGHTS.items():
                if name.startswith("radial") and words in name:
                    potential.short_range.network.linear_weight[1 + number] = weight
    save_model(potential, path, metadata_of(potential, charge_settings(ELEMENTS, screening=SCREENING), {}))
    return path


def slab(layers: int = 3) -> Atoms:
    """A square slab with its lowest layer fixed."""
    atoms = fcc100("Si", (3, 3, layers), a=4.0, vacuum=9.0, periodic=True)
    atoms.pbc = (True, True, False)
    atoms.set_constraint(FixAtoms(atoms.get_tags() == layers))
    atoms.set_tags(0)
    atoms.info = {}
    return atoms
