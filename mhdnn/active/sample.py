r"""`mhdnn data sample`: candidate structures without a trained model, by recipes that stand in their groups.

A recipe changes a structure at random by an amount, and takes the next of its amounts for the next structure; the group
says both (``rattle/0.1``). The numbers depend on the seed and the position in the pool only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.data import covalent_radii
from rich.console import Console

from mhdnn.data.ase_bridge import structure_from_atoms
from mhdnn.data.writer import StoreWriter
from mhdnn.errors import ConfigError, PropertyError
from mhdnn.neighbors import find_pairs
from mhdnn.properties.insertion import Region, random_insertion
from mhdnn.properties.interfaces import gap_of, moved_slab, plane_of, with_gap

ATTEMPTS = 50
"""Of a structure, before a recipe is given up."""
VACUUM = 8.0
"""Around dimers, Å."""
INSERTION_DISTANCE = 1.5
"""Of an ion from all atoms, at least, Å."""


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


RECIPES: dict[str, tuple[Callable[[Atoms, float, np.random.Generator], Atoms], tuple[float, ...]]] = {
    "rattle": (rattle, (0.03, 0.1, 0.2)),
    "strain": (strain, (0.02, 0.06)),
    "shear": (shear, (0.02, 0.06)),
    "vacancy": (vacancy, (1, 2)),
    "dimer": (dimer, (0.8, 0.9, 1.0, 1.2, 1.5, 2.0)),
    "gap": (gap, (-0.5, -0.2, 0.3, 0.8, 2.0)),
    "registry": (registry, (1.0,)),
}
"""What changes a structure, and the amounts in turn."""


def sample(
    source: list[Atoms],
    output: Path,
    num: int = 100,
    seed: int = 0,
    recipe: list[str] = ["rattle", "strain", "shear", "vacancy", "dimer"],  # noqa: B006 (never changed)
    ion: str | None = None,
    rattled: float = 0.02,
    nearest: float = 0.7,
) -> list[str]:
    """Candidates for labelling, from structures; recipes and structures take turns.

    :param source: structures; of interfaces (`mhdnn properties interface`) for gap and registry
    :param output: dataset without labels
    :param num: number of structures
    :param seed: of everything random
    :param recipe: rattle, strain, shear, vacancy, dimer, insertion, gap, registry; an amount of one's own after a
        colon, as in rattle:0.05
    :param ion: element of insertion, one to three at a time
    :param rattled: standard deviation by which strained, sheared and defective structures are rattled, too, Å
    :param nearest: smallest distance of two atoms, in sums of their covalent radii
    :raises ConfigError: for an unknown recipe, or values out of range
    :raises PropertyError: if a recipe brings atoms too close each time
    """
    if num < 1 or not nearest >= 0 or not rattled >= 0:
        raise ConfigError(
            f"`num`, `nearest`, `rattled`: expected 1 or more, 0 or more, got {num}, {nearest}, {rattled}"
        )
    recipes = [parse(text, ion) for text in recipe]
    groups = []
    with StoreWriter(output, {"source": f"mhdnn data sample, seed {seed}"}) as writer:
        for number in range(num):
            (name, change, amounts), turn = recipes[number % len(recipes)], number // len(recipes)
            amount = amounts[turn % len(amounts)]
            start = source[turn // len(amounts) % len(source)]
            small = 0.0 if name in ("rattle", "dimer") else rattled
            generator = np.random.default_rng([seed, number])
            atoms = _candidate(start, name, change, amount, small, nearest, generator)
            groups.append(f"{name}/{amount:g}")
            writer.append(structure_from_atoms(atoms, group=groups[-1]))
    counts = ", ".join(f"{group} {count}" for group, count in sorted(Counter(groups).items()))
    Console(soft_wrap=True, highlight=False).print(f"{output}: {num} structures: {counts}", markup=False)
    return groups


def parse(
    text: str, ion: str | None
) -> tuple[str, Callable[[Atoms, float, np.random.Generator], Atoms], tuple[float, ...]]:
    """Name, function and amounts of a recipe.

    :raises ConfigError: for an unknown one, or an amount that is no number
    """
    name, _, amount = text.partition(":")
    known = dict(RECIPES)
    if ion is not None:
        known["insertion"] = (insertion_of(ion), (1, 2, 3))
    if name == "insertion" and ion is None:
        raise ConfigError("`ion`: expected an element for the recipe insertion, got nothing; for example ion=Li")
    if name not in known:
        raise ConfigError(f"`recipe`: expected some of {', '.join([*RECIPES, 'insertion'])}, got {name!r}")
    change, amounts = known[name]
    try:
        return name, change, (float(amount),) if amount else amounts
    except ValueError as error:
        raise ConfigError(f"`recipe`: expected a number after the colon, got {text!r}; as in rattle:0.05") from error


def insertion_of(ion: str) -> Callable[[Atoms, float, np.random.Generator], Atoms]:
    """So many ions at random free places of the cell."""

    def insertion(atoms: Atoms, amount: float, generator: np.random.Generator) -> Atoms:
        if atoms.cell.rank < 3:
            raise PropertyError("`insertion`: expected three cell vectors, got fewer; use Atoms.center(vacuum=...)")
        for _ in range(int(amount)):
            atoms = random_insertion(atoms, ion, Region(0.0, 1.0), INSERTION_DISTANCE, generator)
        return atoms

    return insertion


def smallest_distance(atoms: Atoms) -> float:
    """Of two atoms or images, in sums of their covalent radii; infinite if none are near."""
    radii = covalent_radii[atoms.numbers]
    pairs = find_pairs(atoms.positions, atoms.cell[:], atoms.pbc, 2.0 * float(radii.max()))
    first, second = pairs.center_index, pairs.neighbor_index
    vectors = atoms.positions[second] - atoms.positions[first] + pairs.cell_shifts
    return float((np.linalg.norm(vectors, axis=1) / (radii[first] + radii[second])).min(initial=np.inf))


def _candidate(
    start: Atoms,
    name: str,
    change: Callable[[Atoms, float, np.random.Generator], Atoms],
    amount: float,
    small: float,
    nearest: float,
    generator: np.random.Generator,
) -> Atoms:
    for _ in range(ATTEMPTS):
        copy = start.copy()
        copy.set_constraint()
        atoms = change(copy, amount, generator)
        if small:
            atoms = rattle(atoms, small, generator)
        if smallest_distance(atoms) >= nearest:
            return atoms
    raise PropertyError(
        f"`recipe`: {name} by {amount:g} gave atoms closer than {nearest:g} sums of covalent radii {ATTEMPTS} times; "
        "choose a smaller amount, or lower `nearest`"
    )


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
