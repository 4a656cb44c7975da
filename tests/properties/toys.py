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


class CountingCalculator(Calculator):
    """Counts its calculations, and is interrupted after so many."""

    def __init__(self, most_calculations=None, **parameters):
        super().__init__(**parameters)
        self.num_calculations, self.most_calculations = 0, most_calculations

    def calculate(self, atoms=None, properties=None, system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        self.num_calculations += 1
        if self.most_calculations is not None and self.num_calculations > self.most_calculations:
            raise KeyboardInterrupt


class CosinePotential(CountingCalculator):
    """The last atom in a sum of cosines along x, y, z; all others rest where they are.

    Minima are at multiples of the periods; a hop by one period along an axis has the barrier of that axis, exactly.

    :ivar barriers: eV
    :ivar periods: Å
    """

    implemented_properties = ["energy", "forces"]
    barriers, periods = (0.3, 0.5, 0.8), (3.0, 3.5, 4.0)

    def calculate(self, atoms=None, properties=None, system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        wave, heights = 2.0 * np.pi / np.array(self.periods), 0.5 * np.array(self.barriers)
        phase = wave * self.atoms.positions[-1]
        forces = np.zeros((len(self.atoms), 3))
        forces[-1] = -heights * wave * np.sin(phase)
        self.results = {"energy": float((heights * (1.0 - np.cos(phase))).sum()), "forces": forces}
