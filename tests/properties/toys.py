"""Tiny calculators and slabs with properties that can be worked out by hand."""

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes


class CosineRegistry(Calculator):
    """A toy interface: a cosine of slab 2's place along x, and a parabola of the gap about 3 Å.

    :ivar amplitude: eV
    :ivar period: Å
    """

    implemented_properties = ["energy"]
    amplitude, period, spring, depth = 0.7, 2.5, 0.4, 1.1

    def calculate(self, atoms=None, properties=None, system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        lower, upper = (self.atoms.numbers == number for number in (6, 14))
        energy = 0.0
        if lower.any() and upper.any():
            place = self.atoms.positions[upper, 0].mean() - self.atoms.positions[lower, 0].mean()
            gap = self.atoms.positions[upper, 2].min() - self.atoms.positions[lower, 2].max()
            energy = self.amplitude * np.cos(2 * np.pi * place / self.period) - self.depth
            energy += 0.5 * self.spring * (gap - 3.0 - 0.1 * np.cos(2 * np.pi * place / self.period)) ** 2
        self.results["energy"] = energy


def square_pair(gap: float = 3.0, height: float = 40.0, length: float = 2.5) -> Atoms:
    """Two planes of one atom each per square cell, labelled."""
    atoms = Atoms("CSi", positions=[[0, 0, 5], [0.3, 0.2, 5 + gap]], cell=[length, length, height], pbc=(1, 1, 0))
    atoms.set_array("slab", np.array([1, 2]))
    return atoms
