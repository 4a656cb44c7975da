"""Quasi-static pulling: strain by strain, the atoms and what else is free relax; each step is kept in a journal."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import BaseCalculator
from ase.filters import StrainFilter
from ase.optimize import BFGS
from ase.stress import voigt_6_to_full_3x3_stress

from mhdnn.errors import NotFiniteError, PropertyError
from mhdnn.properties.elasticity import stress_with
from mhdnn.properties.fracture.bonds import Bonds, find_bonds
from mhdnn.properties.fracture.loading import GRIPS, LAYER, NORMAL, RELAXED, TENSION, Loading, PullSettings, load
from mhdnn.properties.journal import Journal, identity
from mhdnn.properties.points import Points
from mhdnn.properties.progress import tracked
from mhdnn.properties.relaxation import relaxed

WITHOUT_EFFECT = ("largest_strain", "stop_below", "bond_stretch")
"""Settings that change no step: a journal continues with others."""
MOST_FAILURES = 3
"""Steps in a row that fail before the pull ends."""


@dataclass
class Pull:
    """A pull to failure.

    :param loading: the structure at rest, in the axes of the load, and how it is loaded
    :param strains: nominal, elongation by length or tangent of the angle of shear, shape (num_steps,)
    :param energies: shape (num_steps,), eV
    :param stresses: Cauchy's (true) stress in the axes of the load, shape (num_steps, 3, 3), eV/Å³; of a layer times
        the cell's height, eV/Å²; of grips only the column of the normal, by the cell's area, eV/Å³
    :param structures: of the steps, in the axes of the load, without calculator
    :param bonds: of the structure at rest
    """

    loading: Loading
    strains: np.ndarray
    energies: np.ndarray
    stresses: np.ndarray
    structures: list[Atoms]
    bonds: Bonds

    @property
    def stress(self) -> np.ndarray:
        """The component that the load puts on, shape (num_steps,), eV/Å³, of a layer eV/Å²."""
        row, column = self.loading.component
        return self.stresses[:, row, column]

    @property
    def broken(self) -> np.ndarray:
        """Whether each bond is broken at each step, shape (num_steps, num_bonds)."""
        limit = self.loading.settings.bond_stretch
        return np.array([self.bonds.stretches(atoms) > limit for atoms in self.structures])


def pull_to_failure(
    atoms: Atoms,
    calculator: BaseCalculator,
    settings: PullSettings,
    journal: str | Path | None = None,
    points: Points | None = None,
) -> Pull:
    """Pull or shear a structure until its stress has passed the maximum and fallen, or the largest strain is reached.

    :param atoms: crystal, layer, or slab with vacuum along one cell vector; constraints of atoms hold
    :param calculator: with forces; with a stress unless a slab is pulled apart by grips and `lateral` is fixed
    :param journal: JSON file with each step, from which an interrupted pull continues; also with a larger strain
    :param points: keeps what failed; strains that fail are left out
    :raises ConfigError: if the settings don't suit the structure, or the calculator lacks forces or stress
    :raises PropertyError: if too few strains are left
    """
    points = points or Points()
    loading = load(atoms, settings)
    kept = Journal(journal, {} if journal is None else _identity(loading.atoms, calculator, settings))
    run = _Run(loading, calculator, kept)
    run.start()
    for step in tracked(range(1, int(round(settings.largest_strain / settings.strain_step)) + 1), "pulling"):
        strain = step * settings.strain_step
        found = points.get(f"strain {strain:g}", partial(run.advance, strain))
        run.failures = run.failures + 1 if found is None else 0
        if run.failures == MOST_FAILURES or run.has_failed:
            break
    points.check(len(run.steps), 4, "strains")
    return run.result()


class _Run:
    """The steps so far."""

    def __init__(self, loading: Loading, calculator: BaseCalculator, journal: Journal) -> None:
        self.loading = loading
        self.settings = loading.settings
        self.calculator = calculator
        self.journal = journal
        self.steps: list[tuple[float, dict[str, Any]]] = []
        self.failures = 0

    def start(self) -> None:
        """The structure at rest, from which strains count."""
        step = self.journal.get("rest", self._at_rest)
        resting = self._atoms_of(step)
        self.loading = Loading(
            resting, self.loading.kind, self.loading.axes, self.settings, self.loading.lower, self.loading.upper
        )
        self.steps.append((0.0, step))

    def advance(self, strain: float) -> dict[str, Any]:
        """One more step, from the last one that did not fail."""
        last, before = self.steps[-1]
        change = self.loading.deformation(strain) @ np.linalg.inv(self.loading.deformation(last))
        step = self.journal.get(f"strain {strain:.6f}", partial(self._relaxed, self._atoms_of(before), change))
        self.steps.append((strain, step))
        return step

    @property
    def has_failed(self) -> bool:
        """Whether the stress has passed its maximum and fallen below a part of it."""
        row, column = self.loading.component
        stress = self._stresses()[:, row, column]
        largest = float(stress.max())
        return largest > 0 and bool(stress[-1] < self.settings.stop_below * largest) and int(stress.argmax()) > 0

    def result(self) -> Pull:
        structures = [self._atoms_of(step) for _, step in self.steps]
        energies = np.array([step["energy"] for _, step in self.steps])
        strains = np.array(
            [self._strain(atoms, strain) for atoms, (strain, _) in zip(structures, self.steps, strict=True)]
        )
        return Pull(self.loading, strains + 0.0, energies, self._stresses(), structures, find_bonds(self.loading.atoms))

    def _strain(self, atoms: Atoms, put_on: float) -> float:
        """Of the cell as it has relaxed: rotations of second order in the other strains are none of it."""
        if self.loading.kind == GRIPS:
            return put_on
        gradient = np.linalg.solve(self.loading.atoms.cell[:], atoms.cell[:]).T
        if self.settings.mode == TENSION:
            return float(gradient[0, 0] - 1.0)
        return float(gradient[0, 1] / gradient[1, 1])

    def _at_rest(self) -> dict[str, Any]:
        loading, settings = self.loading, self.settings
        if not settings.relax_first:
            return self._result(loading.atoms)
        cell = loading.periodic if loading.kind != GRIPS or settings.lateral == RELAXED else False
        return self._result(relaxed(loading.atoms, self.calculator, settings.max_force, cell, settings.max_steps))

    def _relaxed(self, atoms: Atoms, change: np.ndarray) -> dict[str, Any]:
        settings = self.settings
        strained = self.loading.strained(atoms, change)
        if settings.rattle > 0:  # a perfect crystal stays on its path of high symmetry without
            strained.rattle(settings.rattle, seed=len(self.steps))
        free = self.loading.relaxing if any(self.loading.relaxing) else False
        if settings.relax_ions:
            strained.set_constraint([*strained.constraints, *self.loading.held()])
            strained = relaxed(strained, self.calculator, settings.max_force, free, settings.max_steps)
        elif free:
            strained = _with_clamped_ions(strained, self.calculator, settings, self.loading.relaxing)
        return self._result(strained)

    def _result(self, atoms: Atoms) -> dict[str, Any]:
        """What is kept of a step."""
        alone = atoms.copy()
        alone.set_constraint()
        alone.calc = self.calculator
        energy = float(alone.get_potential_energy())
        if not np.isfinite(energy):
            raise NotFiniteError(
                f"`calculator`: expected a finite energy of {atoms.get_chemical_formula()}, got {energy}; the strain "
                "is beyond what it knows"
            )
        if self.loading.kind == GRIPS:
            force = alone.get_forces()[self.loading.upper].sum(axis=0)
            stress = np.zeros((3, 3))
            stress[:, NORMAL] = -force / self.loading.area_of(alone)
        else:
            stress = voigt_6_to_full_3x3_stress(stress_with(alone))
        return {"energy": energy, "stress": stress, "positions": alone.positions, "cell": alone.cell[:]}

    def _atoms_of(self, step: dict[str, Any]) -> Atoms:
        result = self.loading.atoms.copy()
        result.set_cell(step["cell"])
        result.set_positions(step["positions"], apply_constraint=False)
        return result

    def _stresses(self) -> np.ndarray:
        found = np.array([step["stress"] for _, step in self.steps])
        return found * self.loading.height if self.loading.kind == LAYER else found


def _with_clamped_ions(atoms: Atoms, calculator: BaseCalculator, settings: PullSettings, relaxing: list[bool]) -> Atoms:
    """The cell alone relaxed, its atoms following: fractional coordinates stay."""
    result = atoms.copy()
    result.calc = calculator
    moving: Any = StrainFilter(result, mask=relaxing)  # its forces are virials of the cell, not of an atom
    if not BFGS(moving, logfile=None).run(fmax=settings.max_force * len(atoms), steps=settings.max_steps):
        raise PropertyError(
            f"`{atoms.get_chemical_formula()}`: expected the cell to relax within {settings.max_steps} steps, which it "
            "did not; allow a larger force"
        )
    return result


def _identity(atoms: Atoms, calculator: BaseCalculator, settings: PullSettings) -> dict[str, Any]:
    return identity(atoms, calculator) | {
        name: value for name, value in asdict(settings).items() if name not in WITHOUT_EFFECT
    }
