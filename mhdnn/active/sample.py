r"""`mhdnn data sample`: candidate structures without a trained model, by recipes that stand in their groups.

A recipe changes a structure at random by an amount, and takes the next of its amounts for the next structure; the group
says both (``rattle/0.1``). Changes may follow each other (``registry/1+gap:-0.5..2``), and amounts be drawn from a
range. The numbers depend on the seed and the position in the pool only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from ase import Atoms
from rich.console import Console

from mhdnn.active.label import read_settings
from mhdnn.active.recipes import Ingredients, Recipe, has_run, nearest_of, parse, rattle
from mhdnn.arguments import Structures
from mhdnn.data.ase_bridge import bare, structure_from_atoms
from mhdnn.data.writer import StoreWriter
from mhdnn.errors import ConfigError, PropertyError
from mhdnn.files import refuse_to_overwrite
from mhdnn.properties.calculators import resolve_calculator
from mhdnn.properties.progress import tracked
from mhdnn.structure import Structure

ATTEMPTS = 50
"""Of a structure, before a recipe is given up."""


def sample(
    source: Structures,
    output: Path,
    num: int = 100,
    seed: int = 0,
    recipe: list[str] = ["rattle", "strain", "shear", "vacancy", "dimer"],  # noqa: B006 (never changed)
    ion: str | None = None,
    particle: str | None = None,
    calculator: str | None = None,
    settings: Path | None = None,
    steps: int = 200,
    time_step: float = 1.0,
    rattled: float = 0.02,
    nearest: float = 0.7,
) -> list[str]:
    """Candidates for labelling, from structures; recipes and structures take turns.

    :param source: structures; of interfaces (`mhdnn properties interface`) for gap and registry, sheets for particle
    :param output: dataset without labels
    :param num: number of structures
    :param seed: of everything random
    :param recipe: rattle, strain, shear, vacancy, dimer, insertion, gap, registry, particle, md, melt; an amount of
        one's own, or a range, after a colon, several joined, as in rattle:0.05 or registry:1+gap:-0.5..2
    :param ion: element of insertion, one to three at a time
    :param particle: element of particle
    :param calculator: of md and melt: `module:name` of what makes an ASE calculator, or a model file
    :param settings: YAML file, keyword arguments of what makes the calculator
    :param steps: of md; melt takes as many for melting and for cooling
    :param time_step: of md and melt, fs
    :param rattled: standard deviation by which strained, sheared and defective structures are rattled, too, Å
    :param nearest: smallest distance of two atoms, in sums of their covalent radii
    :raises ConfigError: for an unknown recipe, values out of range, or an output that is read
    :raises PropertyError: if a recipe brings atoms too close each time
    """
    _check_numbers(num, seed, nearest, rattled, steps, time_step)
    _check_source(source)
    refuse_to_overwrite([*getattr(source, "files", ()), settings, Path(calculator) if calculator else None], output)
    running = any(map(has_run, recipe))
    made = resolve_calculator(calculator, read_settings(settings)) if running and calculator is not None else None
    recipes = [parse(text, Ingredients(ion, particle, made, steps, time_step)) for text in recipe]
    groups = []
    with StoreWriter(output, {"source": f"mhdnn data sample, seed {seed}"}) as writer:
        for structure in candidates(source, num, seed, recipes, rattled, nearest):
            groups.append(structure.group)
            writer.append(structure)
    counts = ", ".join(f"{group} {count}" for group, count in sorted(Counter(groups).items()))
    Console(soft_wrap=True, highlight=False).print(f"{output}: {num} structures: {counts}", markup=False)
    return groups


def _check_source(source: Structures) -> None:
    """:raises ConfigError: if there is no structure, or one without atoms"""
    empty = [number for number, atoms in enumerate(source) if len(atoms) == 0]
    if empty or not source:
        found = f"none in number {empty[0]}; leave it out" if empty else "no structure; give a file that has some"
        raise ConfigError(f"`source`: expected structures with atoms, got {found}")


def _check_numbers(num: int, seed: int, nearest: float, rattled: float, steps: int, time_step: float) -> None:
    """:raises ConfigError: if one of the arguments of `sample` is out of range"""
    if num < 1 or not nearest >= 0 or not rattled >= 0:
        raise ConfigError(
            f"`num`, `nearest`, `rattled`: expected 1 or more, 0 or more, got {num}, {nearest}, {rattled}"
        )
    if steps < 1 or not time_step > 0:
        raise ConfigError(f"`steps`, `time_step`: expected 1 or more, more than 0 fs, got {steps}, {time_step}")
    if seed < 0:
        raise ConfigError(f"`seed`: expected 0 or more, got {seed}; as in seed=1")


def candidates(
    source: Sequence[Atoms], num: int, seed: int, recipes: Sequence[Recipe], rattled: float, nearest: float
) -> Iterator[Structure]:
    """The structures of `sample`; arguments and errors as there."""
    for number in tracked(range(num), "sampling"):
        recipe, turn = recipes[number % len(recipes)], number // len(recipes)
        start = source[turn // recipe.num_amounts % len(source)]
        small = 0.0 if recipe.moves_all_atoms() else rattled
        generator = np.random.default_rng([seed, number])
        atoms = _candidate(start, recipe, turn, small, nearest, generator)
        yield structure_from_atoms(bare(atoms), group=recipe.group(turn))


def _candidate(
    start: Atoms, recipe: Recipe, turn: int, small: float, nearest: float, generator: np.random.Generator
) -> Atoms:
    for _ in range(ATTEMPTS):
        copy = start.copy()
        copy.set_constraint()
        atoms = recipe.change(copy, turn, generator)
        if small:
            atoms = rattle(atoms, small, generator)
        if nearest_of(atoms, nearest) >= nearest:
            return atoms
    raise PropertyError(
        f"`recipe`: {recipe.group(turn)} gave atoms closer than {nearest:g} sums of covalent radii {ATTEMPTS} times; "
        "choose a smaller amount, or lower `nearest`"
    )
