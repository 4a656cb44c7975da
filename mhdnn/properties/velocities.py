"""Momenta at a temperature."""

from __future__ import annotations

import numpy as np
from ase import Atoms, units


def thermal_momenta(atoms: Atoms, temperature: float, generator: np.random.Generator) -> np.ndarray:
    """Maxwell and Boltzmann's: normal with the variance m k T; ASE's function of this name depends on ASE's version.

    :param temperature: K
    :return: shape (num_atoms, 3), in ASE's unit of momenta
    """
    spread = np.sqrt(units.kB * temperature * atoms.get_masses())[:, None]
    return spread * generator.normal(size=(len(atoms), 3))
