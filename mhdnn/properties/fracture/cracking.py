r"""A crack in a crystal under growing and falling stress intensity: where it advances and where it heals.

The crystal is relaxed, its elastic constants and the cleavage energy of the plane are computed, with them Griffith's
:math:`K_G` (`crack_field`). A cylinder with the displacements of the field at :math:`K_G` relaxes inside its held rim.
From there :math:`K_I` rises step by step, the rim following the field and the atoms relaxing, until the first bond
breaks, at :math:`K_+`: ahead of the tip, and the crack advances, or beside the plane, and it is blunted. And it falls
until a bond across the crack forms again, at :math:`K_-`. Between both the lattice traps the crack (Thomson, Hsieh and
Rana, https://doi.org/10.1063/1.1660699); Griffith's value lies between them. The rim does not know of a tip that has
moved, so that K errs by about a row of bonds over twice the radius. Where within these bounds an advance costs nothing,
`crack_balance` finds.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator

from mhdnn.errors import ConfigError, PropertyError
from mhdnn.properties.elastic_tensor import rotated
from mhdnn.properties.elasticity import DEFAULT_STRAINS, elastic_constants
from mhdnn.properties.fracture.cleavage import Cleavage, cleave
from mhdnn.properties.fracture.crack_balance import INTENSITIES, Balance
from mhdnn.properties.fracture.crack_field import CrackField
from mhdnn.properties.fracture.cracked_crystal import CrackedCrystal, CrackSettings, crack_axes, cracked_crystal
from mhdnn.properties.fracture.planes import check_crystal
from mhdnn.properties.interface_stress import atomic_virials
from mhdnn.properties.journal import Journal, identity
from mhdnn.properties.points import Points
from mhdnn.properties.relaxation import relaxed

WITHOUT_EFFECT = ("largest_intensity", "smallest_intensity", "bond_stretch")
"""Settings that change no step: a journal continues with others."""
MOST_FAILURES = 3
ADVANCE, BLUNTING = "advance", "blunting"


@dataclass(frozen=True)
class Step:
    """The crack at a stress intensity.

    :param intensity: K_I, in parts of Griffith's
    :param tip: x of the crack's end, Å
    :param broken: whether each bond is, shape (num_bonds,)
    :param atoms: relaxed
    :param energy: of them, eV
    :param virials: component yy of each atom's share, shape (num_atoms,), eV; None if the calculator has none
    """

    intensity: float
    tip: float
    broken: np.ndarray
    atoms: Atoms
    energy: float
    virials: np.ndarray | None


@dataclass(frozen=True)
class Cracking:
    """Loading and unloading of a crack.

    :param settings: of it
    :param crystal: relaxed
    :param stiffness: in the axes of the crack, shape (6, 6), eV/Å³
    :param cleavage: of the plane
    :param field: of the crack
    :param griffith: K_G, eV/Å^2.5
    :param cracked: the cylinder
    :param loading: from the start upwards
    :param unloading: from the start downwards
    :param balance: costs of an advance; None if the crack did not stay where it was put
    """

    settings: CrackSettings
    crystal: Atoms
    stiffness: np.ndarray
    cleavage: Cleavage
    field: CrackField
    griffith: float
    cracked: CrackedCrystal
    loading: list[Step]
    unloading: list[Step]
    balance: Balance | None

    @property
    def initiation(self) -> float | None:
        """K₊ in parts of Griffith's: in the middle between the last step at which no bond broke and the next."""
        return _between(self.loading, _breaks)

    @property
    def healing(self) -> float | None:
        """K₋ in parts of Griffith's."""
        return _between(self.unloading, _heals)

    @property
    def new_bonds(self) -> np.ndarray:
        """Numbers of the bonds that broke first under load, shape (num_broken,)."""
        return np.flatnonzero(self.loading[-1].broken & ~self.loading[0].broken)

    @property
    def mode(self) -> str | None:
        """`ADVANCE` if bonds across the plane broke, `BLUNTING` if only others did; None if none did."""
        if not len(self.new_bonds):
            return None
        return ADVANCE if np.isin(self.new_bonds, self.cracked.crossing).any() else BLUNTING


def _breaks(start: Step, step: Step) -> bool:
    return bool((step.broken & ~start.broken).any())


def _heals(start: Step, step: Step) -> bool:
    return bool((start.broken & ~step.broken).any())


def _between(steps: list[Step], happens: Callable[[Step, Step], bool]) -> float | None:
    for before, after in itertools.pairwise(steps):
        if happens(steps[0], after):
            return 0.5 * (before.intensity + after.intensity)
    return None


def crack_crystal(
    atoms: Atoms,
    calculator: Calculator,
    settings: CrackSettings,
    relax_cell: bool = True,
    journal: str | Path | None = None,
    points: Points | None = None,
) -> Cracking:
    """Load and unload a crack until it advances and heals.

    :param atoms: crystal
    :param calculator: with a stress, for the elastic constants
    :param relax_cell: whether the crystal is relaxed first
    :param journal: JSON file of the steps, from which an interrupted calculation continues
    :param points: keeps what failed
    :raises ConfigError: if it is no crystal, or the settings don't suit it, or the calculator has no stress
    :raises PropertyError: if the crystal is unstable, or the first step fails
    """
    check_crystal(atoms)
    cracked_crystal(atoms, settings)  # wrong settings fail at once
    points = points or Points()
    kept = Journal(journal, {} if journal is None else _identity(atoms, calculator, settings))
    crystal = atoms.copy()
    if relax_cell:
        found = kept.get("crystal", partial(_resting, atoms, calculator, settings))
        crystal.set_cell(found["cell"])
        crystal.set_positions(found["positions"], apply_constraint=False)
    strain = Path(journal).with_stem(f"{Path(journal).stem}_elasticity") if journal else None
    constants = elastic_constants(crystal, calculator, DEFAULT_STRAINS, strain, points)
    stiffness = rotated(constants.stiffness, crack_axes(crystal, settings))
    opening = Path(journal).with_stem(f"{Path(journal).stem}_cleavage") if journal else None
    cleavage = cleave(
        crystal, calculator, settings.plane, settings.cut, settings.thickness, max_force=settings.max_force,
        journal=opening, points=points,
    )  # fmt: skip
    field = CrackField.of(stiffness)
    griffith = field.griffith(cleavage.energy)
    run = _Run(cracked_crystal(crystal, settings), field, griffith, calculator, settings, kept, points)
    start = run.start()
    up, down = run.ramp(start, 1.0), run.ramp(start, -1.0)
    balance = points.get("the cost of an advance", partial(run.balance, start))
    return Cracking(settings, crystal, stiffness, cleavage, field, griffith, run.cracked, up, down, balance)


class _Run:
    def __init__(
        self,
        cracked: CrackedCrystal,
        field: CrackField,
        griffith: float,
        calculator: Calculator,
        settings: CrackSettings,
        journal: Journal,
        points: Points,
    ) -> None:
        self.cracked = cracked
        self.field = field
        self.griffith = griffith
        self.unit = cracked.field(field, griffith)
        self.calculator = calculator
        self.settings = settings
        self.journal = journal
        self.points = points

    def start(self) -> Step:
        """The crack at Griffith's stress intensity."""
        return self._step(1.0, self.cracked.displaced(self.field, self.griffith))

    def ramp(self, start: Step, sign: float) -> list[Step]:
        """Steps from the start until a bond breaks or heals, the limit is reached, or several fail in a row."""
        settings, steps, failures = self.settings, [start], 0
        limit = settings.largest_intensity if sign > 0 else settings.smallest_intensity
        number = 0
        while failures < MOST_FAILURES:
            number += 1
            intensity = 1.0 + sign * number * settings.intensity_step
            if sign * (intensity - limit) > 1e-9:
                break
            last = steps[-1]
            moved = last.atoms.copy()
            moved.set_positions(last.atoms.positions + (intensity - last.intensity) * self.unit, apply_constraint=False)
            step = self.points.get(f"K = {intensity:g} K_G", partial(self._step, intensity, moved))
            failures = failures + 1 if step is None else 0
            if step is None:
                continue
            steps.append(step)
            if (_breaks if sign > 0 else _heals)(start, step):
                break
        return steps

    def balance(self, start: Step) -> Balance:
        """What an advance costs.

        :param start: the crack with its tip in the middle
        :raises PropertyError: if the crack leaves the place where it was put
        """
        period, front = self.cracked.period, float(self.cracked.atoms.cell[2, 2])
        costs = []
        for intensity in INTENSITIES:
            behind, ahead = (self._elsewhere(start, intensity, shift) for shift in (-period, period))
            costs.append((ahead.energy - behind.energy) / (2.0 * period * front))
        return Balance(np.array(INTENSITIES), np.array(costs))

    def _elsewhere(self, start: Step, intensity: float, shift: float) -> Step:
        """The crack with its tip shifted along x, Å, under the same rim."""
        opened = self.cracked.displaced(self.field, intensity * self.griffith, shift)
        step = self._step(intensity, opened, f" with the tip at {shift:.4f}")
        beside = np.ones(len(step.broken), dtype=bool)
        beside[self.cracked.crossing] = False
        is_blunted = (step.broken & beside).sum() > (start.broken & beside).sum()
        if is_blunted or abs(step.tip - start.tip - shift) > 0.5 * self.cracked.advance:
            raise PropertyError(
                f"`radius`: expected a crack that stays {shift:.3g} Å from the middle at {intensity:g} K_G, got "
                f"{'one that is blunted' if is_blunted else f'its tip at {step.tip - start.tip:.3g} Å'}; the lattice "
                "does not hold it there, a larger radius may"
            )
        return step

    def _step(self, intensity: float, start: Atoms, where: str = "") -> Step:
        result = self.journal.get(f"intensity {intensity:.6f}{where}", self._relaxation(start))
        atoms = start.copy()
        atoms.set_positions(result["positions"], apply_constraint=False)
        virials = None if result["virials"] is None else np.array(result["virials"])
        broken = self.cracked.bonds.stretches(atoms) > self.settings.bond_stretch
        return Step(intensity, self.cracked.tip(broken), broken, atoms, result["energy"], virials)

    def _relaxation(self, start: Atoms) -> Callable[[], dict[str, Any]]:
        def compute() -> dict[str, Any]:
            found = relaxed(start, self.calculator, self.settings.max_force, max_steps=self.settings.max_steps)
            energy = float(found.get_potential_energy())
            return {"positions": found.positions, "energy": energy, "virials": _virials(found, self.calculator)}

        return compute


def _virials(atoms: Atoms, calculator: Calculator) -> np.ndarray | None:
    free = atoms.copy()
    free.set_constraint()
    try:
        return atomic_virials(free, calculator)[:, 1]
    except ConfigError:  # many calculators have none
        return None


def _resting(atoms: Atoms, calculator: Calculator, settings: CrackSettings) -> dict[str, Any]:
    # elastic constants and the field need a crystal without stress
    force = min(settings.max_force, DEFAULT_STRAINS.max_force)
    found = relaxed(atoms, calculator, force, True, settings.max_steps)
    return {"cell": found.cell[:], "positions": found.positions}


def _identity(atoms: Atoms, calculator: Calculator, settings: CrackSettings) -> dict[str, Any]:
    return identity(atoms, calculator) | {
        name: value for name, value in asdict(settings).items() if name not in WITHOUT_EFFECT
    }
