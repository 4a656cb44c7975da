r"""Recipes of `mhdnn data sample`: each changes a structure at random by an amount."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from ase import Atoms
from ase.calculators.calculator import BaseCalculator
from ase.data import atomic_numbers, covalent_radii

from mhdnn.errors import ConfigError, NotFiniteError, PropertyError
from mhdnn.neighbors import nearest_ratio
from mhdnn.properties.calculators import resolve_calculator
from mhdnn.properties.elasticity_md import Dynamics
from mhdnn.properties.insertion import Region, random_insertion
from mhdnn.properties.interfaces import gap_of, moved_slab, particle_on_sheet, plane_of, with_gap
from mhdnn.properties.structures.crystals import CRYSTALS
from mhdnn.properties.structures.particles import nanoparticle
from mhdnn.properties.velocities import thermal_momenta
from mhdnn.typed import Range

VACUUM = 8.0
"""Around dimers, Å."""
INSERTION_DISTANCE = 1.5
"""Of an ion from all atoms, at least, Å."""
FRICTION = 0.02
"""Of the thermostat, 1/fs: runs are short."""
COLD, COOLING_STAGES = 300.0, 20
"""K, to which a melt is quenched, in so many stages."""
PARTICLE_GAPS, PARTICLE_SPACING, PARTICLE_VACUUM = (2.2, 3.6), 8.0, 16.0
"""Å."""

Change = Callable[[Atoms, float, np.random.Generator], Atoms]


class Amount(NamedTuple):
    """Between two limits, at random; the same for both: this one."""

    low: float
    high: float

    def drawn(self, generator: np.random.Generator, whole: bool) -> float:
        """One of them.

        :param whole: a whole number
        """
        if self.low == self.high:
            return self.low
        return float(generator.integers(int(self.low), int(self.high) + 1) if whole else generator.uniform(*self))

    def __str__(self) -> str:
        return f"{self.low:g}" if self.low == self.high else f"{self.low:g}..{self.high:g}"


class Step(NamedTuple):
    """What changes a structure, and by which amounts in turn."""

    name: str
    change: Change
    amounts: tuple[Amount, ...]


@dataclass(frozen=True)
class Recipe:
    """Changes one after the other."""

    steps: tuple[Step, ...]

    @property
    def num_amounts(self) -> int:
        """After so many structures the amounts begin anew."""
        return math.lcm(*(len(step.amounts) for step in self.steps))

    def amounts(self, turn: int) -> list[Amount]:
        """Of each step, for the structure of this number."""
        return [step.amounts[turn % len(step.amounts)] for step in self.steps]

    def group(self, turn: int) -> str:
        """As ``rattle/0.1`` or ``registry/1+gap:0.2``."""
        names = [f"{step.name}:{amount}" for step, amount in zip(self.steps, self.amounts(turn), strict=True)]
        return "+".join(names).replace(":", "/", 1)

    def moves_all_atoms(self) -> bool:
        """Or is of lengths that matter."""
        return any(step.name in UNRATTLED for step in self.steps)

    def change(self, atoms: Atoms, turn: int, generator: np.random.Generator) -> Atoms:
        """All changes, by amounts of this turn."""
        for step, amount in zip(self.steps, self.amounts(turn), strict=True):
            atoms = step.change(atoms, amount.drawn(generator, step.name in COUNTED), generator)
        return atoms


@dataclass(frozen=True)
class Ingredients:
    """What some recipes need.

    :param ion: element of insertion
    :param particle: element of particle
    :param calculator: of md and melt, as `resolve_calculator` takes it
    :param steps: of md; melt takes as many for melting and for cooling
    :param time_step: fs
    :raises ConfigError: for an element that there is not, or of which no particles are known
    """

    ion: str | None = None
    particle: str | None = None
    calculator: BaseCalculator | str | None = field(default=None, compare=False)
    steps: int = 200
    time_step: float = 1.0

    def __post_init__(self) -> None:
        if self.ion is not None and (self.ion not in atomic_numbers or self.ion == "X"):
            raise ConfigError(f"`ion`: expected the symbol of an element, got {self.ion!r}; as in ion=Li")
        if self.particle is not None and self.particle not in CRYSTALS:
            raise ConfigError(
                f"`particle`: expected one of {', '.join(CRYSTALS)}, got {self.particle!r}; as in particle=Si"
            )


def rattle(atoms: Atoms, amount: float, generator: np.random.Generator) -> Atoms:
    """Normal displacements; the amount is the standard deviation of each coordinate, Å."""
    atoms.positions += generator.normal(scale=amount, size=(len(atoms), 3))
    return atoms


def strain(atoms: Atoms, amount: float, generator: np.random.Generator) -> Atoms:
    """Lengths along x, y and z change by up to the amount, where the structure is periodic."""
    return _deformed(atoms, np.diag(generator.uniform(-amount, amount, 3)))


def shear(atoms: Atoms, amount: float, generator: np.random.Generator) -> Atoms:
    """Symmetric shear strains of up to the amount in each plane, without rotation."""
    yz, xz, xy = generator.uniform(-amount, amount, 3)
    return _deformed(atoms, np.array([[0.0, xy, xz], [xy, 0.0, yz], [xz, yz, 0.0]]))


def vacancy(atoms: Atoms, amount: float, generator: np.random.Generator) -> Atoms:
    """So many atoms are missing."""
    if not amount < len(atoms):
        raise PropertyError(f"`vacancy`: expected more than {amount:g} atoms, got {len(atoms)}; repeat the cell")
    del atoms[generator.permutation(len(atoms))[: int(amount)].tolist()]
    return atoms


def dimer(atoms: Atoms, amount: float, generator: np.random.Generator) -> Atoms:
    """Two of the elements, at the amount times the sum of their covalent radii."""
    pair = generator.choice(np.unique(atoms.numbers), 2)
    length = amount * covalent_radii[pair].sum()
    result = Atoms(pair, [[0.0, 0.0, 0.0], [0.0, 0.0, length]])
    result.center(vacuum=VACUUM)
    return result


def gap(atoms: Atoms, amount: float, generator: np.random.Generator) -> Atoms:
    """The gap of an interface (array ``slab``) grows by the amount, Å."""
    return with_gap(atoms, gap_of(atoms) + amount)


def registry(atoms: Atoms, amount: float, generator: np.random.Generator) -> Atoms:
    """Slab 2 slides by fractions of the vectors in the plane, up to the amount."""
    shift = generator.uniform(0.0, amount, 2) @ plane_of(atoms)
    return moved_slab(atoms, [*shift, 0.0])


RECIPES: dict[str, tuple[Change, tuple[float, ...]]] = {
    "rattle": (rattle, (0.03, 0.1, 0.2)),
    "strain": (strain, (0.02, 0.06)),
    "shear": (shear, (0.02, 0.06)),
    "vacancy": (vacancy, (1, 2)),
    "dimer": (dimer, (0.8, 0.9, 1.0, 1.2, 1.5, 2.0)),
    "gap": (gap, (-0.5, -0.2, 0.3, 0.8, 2.0)),
    "registry": (registry, (1.0,)),
}
"""What changes a structure, and the amounts in turn."""


def insertion_of(ingredients: Ingredients) -> Change:
    """So many ions at random free places of the cell."""

    def insertion(atoms: Atoms, amount: float, generator: np.random.Generator) -> Atoms:
        if atoms.cell.rank < 3:
            raise PropertyError("`insertion`: expected three cell vectors, got fewer; use Atoms.center(vacuum=...)")
        for _ in range(int(amount)):
            atoms = random_insertion(atoms, str(ingredients.ion), Region(0.0, 1.0), INSERTION_DISTANCE, generator)
        return atoms

    return insertion


def particle_of(ingredients: Ingredients) -> Change:
    """A ball of this diameter (Å), turned at random, over the structure, which is a sheet."""

    def particle(atoms: Atoms, amount: float, generator: np.random.Generator) -> Atoms:
        ball = nanoparticle(str(ingredients.particle), diameter=amount)
        axis = generator.normal(size=3)
        ball.rotate(float(generator.uniform(0.0, 360.0)), axis / np.linalg.norm(axis))
        gap = float(generator.uniform(*PARTICLE_GAPS))
        return particle_on_sheet(atoms, ball, gap, PARTICLE_SPACING, PARTICLE_VACUUM)

    return particle


def md_of(ingredients: Ingredients) -> Change:
    """The end of molecular dynamics at this temperature (K), from Maxwell and Boltzmann's momenta."""

    def md(atoms: Atoms, amount: float, generator: np.random.Generator) -> Atoms:
        return _run(atoms, ingredients, [amount], generator)

    return md


def melt_of(ingredients: Ingredients) -> Change:
    """Molten at this temperature (K), then cooled to 300 K as fast."""

    def melt(atoms: Atoms, amount: float, generator: np.random.Generator) -> Atoms:
        cooling = np.linspace(amount, COLD, COOLING_STAGES + 1)[1:].tolist()
        return _run(_run(atoms, ingredients, [amount], generator), ingredients, cooling, generator, warm=True)

    return melt


NEEDING: dict[str, tuple[Callable[[Ingredients], Change], tuple[float, ...], str, str]] = {
    "insertion": (insertion_of, (1, 2, 3), "ion", "Li"),
    "particle": (particle_of, (8.0, 10.0), "particle", "Si"),
    "md": (md_of, (300, 600, 1000), "calculator", "module:name"),
    "melt": (melt_of, (2000, 3000), "calculator", "module:name"),
}
"""What makes a recipe of ingredients, its amounts, the ingredient that it can't do without, and an example of it."""
RUNS = ("md", "melt")
"""Recipes that ask the calculator in every step."""
UNRATTLED = ("rattle", "dimer", *RUNS)
"""Recipes that move all atoms, or whose lengths matter."""
COUNTED = ("vacancy", "insertion")
"""Recipes whose amounts are numbers of atoms."""
MOST_ATOMS = 1_000_000
"""That a recipe takes away or adds: more than any structure for labelling has."""
RANGES: dict[str, Range] = {
    **dict.fromkeys(COUNTED, Range(least=1, most=MOST_ATOMS)),
    "strain": Range(least=0, below=1),
    "shear": Range(least=0, below=0.5),  # all three at 1/2 leave the cell no volume
    "dimer": Range(above=0),
    "particle": Range(above=0),
    "md": Range(above=0),
    "melt": Range(above=0),
    "gap": Range(),
}
"""In which amounts have a meaning; of all other recipes from zero."""
JOINT, RANGE = "+", ".."


def parse(text: str, ingredients: Ingredients) -> Recipe:
    """The recipe of a text as ``rattle``, ``rattle:0.05``, ``gap:-0.5..2`` or ``registry:1+gap:-0.5..2``.

    :raises ConfigError: for an unknown one, one that lacks what it needs, or an amount that is no number or has no
        meaning
    """
    return Recipe(tuple(_parse_step(step, ingredients) for step in text.split(JOINT)))


def has_run(text: str) -> bool:
    """Whether a recipe asks the calculator in every step."""
    return any(step.partition(":")[0] in RUNS for step in text.split(JOINT))


def _parse_step(text: str, ingredients: Ingredients) -> Step:
    name, colon, amount = text.partition(":")
    if name in NEEDING:
        make, amounts, key, example = NEEDING[name]
        if getattr(ingredients, key) is None:
            what = "a calculator" if name in RUNS else "an element"
            raise ConfigError(f"`{key}`: expected {what} for the recipe {name}, got nothing; as in {key}={example}")
        change = make(ingredients)
    elif name in RECIPES:
        change, amounts = RECIPES[name]
    else:
        raise ConfigError(f"`recipe`: expected some of {', '.join([*RECIPES, *NEEDING])}, got {name!r}")
    if colon:
        return Step(name, change, (_parse_amount(text, amount, name, amounts[0]),))
    return Step(name, change, tuple(Amount(value, value) for value in amounts))


def _parse_amount(text: str, amount: str, name: str, usual: float) -> Amount:
    """The amount of a recipe.

    :param usual: one that it has by itself, for messages
    """
    low, between, high = amount.partition(RANGE)
    try:
        result = Amount(float(low), float(high if between else low))
    except ValueError:
        result = Amount(math.nan, math.nan)
    if not -math.inf < result.low <= result.high < math.inf:
        raise ConfigError(
            f"`recipe`: expected a number after the colon, or two from the smaller to the larger, got {text!r}; as in "
            "rattle:0.05 or gap:-0.5..2"
        )
    if name in COUNTED and not (result.low.is_integer() and result.high.is_integer()):
        raise ConfigError(f"`recipe`: expected whole numbers of atoms after the colon, got {text!r}; as in vacancy:1")
    allowed = RANGES.get(name, Range(least=0))
    if not (allowed.holds(result.low) and allowed.holds(result.high)):
        raise ConfigError(f"`recipe`: expected amounts of {name} {allowed}, got {text!r}; as in {name}:{usual:g}")
    return result


def nearest_of(atoms: Atoms, limit: float) -> float:
    """`nearest_ratio` of them; no distance is below a limit of zero."""
    return 0.0 if limit == 0 else nearest_ratio(atoms.numbers, atoms.positions, atoms.cell[:], atoms.pbc, limit)


def _run(
    atoms: Atoms,
    ingredients: Ingredients,
    temperatures: list[float],
    generator: np.random.Generator,
    warm: bool = False,
) -> Atoms:
    """After the steps, in equal stages of these temperatures.

    :param warm: whether the atoms move already
    :raises NotFiniteError: if atoms leave all bounds
    """
    assert ingredients.calculator is not None  # `parse` sees to it
    atoms.calc = resolve_calculator(ingredients.calculator)
    if not warm:
        atoms.set_momenta(thermal_momenta(atoms, temperatures[0], generator))
    for number, temperature in enumerate(temperatures):
        first, last = (ingredients.steps * place // len(temperatures) for place in (number, number + 1))
        dynamics = Dynamics(temperature, time_step=ingredients.time_step, friction=FRICTION)
        dynamics.integrator(atoms, generator).run(last - first)
    if not np.isfinite(atoms.positions).all():
        raise NotFiniteError(f"`time_step`: atoms left all bounds at {temperatures[0]:g} K; take a shorter one")
    atoms.calc = None
    return atoms


def _deformed(atoms: Atoms, tensor: np.ndarray) -> Atoms:
    """The cell times (1 + strain), with the atoms; nothing changes along directions that are not periodic."""
    periodic = atoms.cell[:][atoms.pbc]
    if not len(periodic):
        raise PropertyError(
            "`strain`, `shear`: expected a periodic structure, got a molecule; leave them out of `recipe`"
        )
    # rows of the deformation act within the space of the periodic vectors only
    basis = np.linalg.svd(periodic)[2][: len(periodic)]
    projector = basis.T @ basis
    atoms.set_cell(atoms.cell[:] @ (np.eye(3) + projector @ tensor @ projector), scale_atoms=False)
    atoms.positions = atoms.positions @ (np.eye(3) + projector @ tensor @ projector)
    return atoms
