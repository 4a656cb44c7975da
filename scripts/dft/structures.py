"""Seeded structures for the bundled set: graphene, tin, tin and lithium on graphene.

Every group holds a few variations of one parent (a height scan over one wrinkled sheet, one cell
under several rattles), so that a split by group never puts near-copies on both sides.
The group is called ``family/number``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.build import bulk, graphene
from ase.neighborlist import neighbor_list

LATTICE_GRAPHENE = 2.46
NUM_HOT_GROUPS = 66
NUM_BUNDLED = 342  # of the list; these were calculated
FIRST_WARM_GROUP = 50  # groups of a family from this number on are warm
CELL_HEIGHT = 15.0  # Å, cell length normal to a sheet
LAYER_DISTANCE = 3.35
SHORTEST_DISTANCE = {  # Å, pairs closer than this are drawn again
    ("C", "C"): 1.08,
    ("C", "Sn"): 1.75,
    ("C", "Li"): 1.6,
    ("Sn", "Sn"): 2.25,
    ("Li", "Sn"): 2.1,
    ("Li", "Li"): 2.0,
}


@dataclass(frozen=True)
class Candidate:
    """A structure to be labelled, with what the calculation needs to know about it."""

    name: str
    group: str
    atoms: Atoms
    k_points: tuple[int, int, int]


@dataclass(frozen=True)
class Regime:
    """How far structures are from rest: factors on displacements, strain and shortest distances."""

    displacement: float
    strain: float
    distance: float


HOT = Regime(displacement=1.0, strain=1.0, distance=1.0)  # forces up to 20 eV/Å
WARM = Regime(displacement=0.4, strain=0.6, distance=1.15)  # as in dynamics at some hundred kelvin

Builder = Callable[[np.random.Generator, int, Regime], list[Atoms]]


@dataclass(frozen=True)
class Family:
    """A kind of structure: ``build(rng, count, regime)`` gives ``count`` relatives of one parent.

    The k-point mesh belongs to the family (about 19 Å of supercell in every periodic direction, one
    point across vacuum), so that strain never changes it.
    """

    name: str
    k_points: tuple[int, int, int]
    num_hot: int
    num_warm: int
    group_size: int
    build: Builder


def sheet(repeat: int, rectangular: bool = False) -> Atoms:
    """Flat graphene in a cell of fixed height, sheet at a third of the height."""
    atoms = graphene(a=LATTICE_GRAPHENE, size=(repeat, repeat, 1), vacuum=CELL_HEIGHT / 2)
    if rectangular:
        width, depth = LATTICE_GRAPHENE, LATTICE_GRAPHENE * np.sqrt(3)
        fractions = [(0, 0), (0.5, 1 / 6), (0.5, 0.5), (0, 2 / 3)]
        positions = [(x * width, y * depth, 0.0) for x, y in fractions]
        atoms = Atoms("C4", positions=positions, cell=(width, depth, CELL_HEIGHT)).repeat((2, 1, 1))
    atoms.set_cell([*atoms.cell[:2], [0, 0, CELL_HEIGHT]])
    atoms.positions[:, 2] = CELL_HEIGHT / 3
    atoms.pbc = True
    return atoms


def strained(atoms: Atoms, rng: np.random.Generator, amount: float, planar: bool) -> Atoms:
    """Random symmetric strain, up to ``amount`` per component; in the plane only for sheets."""
    strain = rng.uniform(-amount, amount, (3, 3))
    strain = (strain + strain.T) / 2
    if planar:
        strain[2, :] = strain[:, 2] = 0
    result = atoms.copy()
    result.set_cell(atoms.cell @ (np.eye(3) + strain), scale_atoms=True)
    return result


def rattled(atoms: Atoms, rng: np.random.Generator, width: float, regime: Regime) -> Atoms:
    """Gaussian displacements of every atom, drawn again until no two atoms are too close."""
    for _ in range(200):
        result = atoms.copy()
        result.positions += regime.displacement * rng.normal(0, width, result.positions.shape)
        if not has_close_pair(result, regime):
            return result
    raise RuntimeError(f"no acceptable displacement of {atoms.symbols} at width {width} Å in 200 draws")


def has_close_pair(atoms: Atoms, regime: Regime) -> bool:
    """Whether any pair is closer than ``SHORTEST_DISTANCE`` times the regime's factor."""
    first, second, distance = neighbor_list("ijd", atoms, 2.4 * regime.distance)
    symbols = atoms.get_chemical_symbols()
    return any(
        d < regime.distance * SHORTEST_DISTANCE[tuple(sorted((symbols[i], symbols[j])))]
        for i, j, d in zip(first, second, distance, strict=True)
    )


def rippled(atoms: Atoms, rng: np.random.Generator, amplitude: float) -> Atoms:
    """One sine wave along a random lattice direction."""
    result = atoms.copy()
    direction = rng.choice([(1, 0), (0, 1), (1, 1)])
    phase = result.get_scaled_positions()[:, :2] @ direction + rng.uniform()
    result.positions[:, 2] += amplitude * np.sin(2 * np.pi * phase)
    return result


def with_vacancy(atoms: Atoms, rng: np.random.Generator) -> Atoms:
    result = atoms.copy()
    del result[int(rng.integers(len(result)))]
    return result


def bilayer(rng: np.random.Generator, repeat: int, distance: float) -> Atoms:
    """Two sheets at a random lateral shift or in AB registry."""
    lower, upper = sheet(repeat), sheet(repeat)
    cell = sheet(1).cell
    fraction = rng.choice([0.0, 1 / 3]) if rng.uniform() < 0.6 else rng.uniform()
    upper.positions += fraction * (cell[0] + cell[1]) + [0, 0, distance]
    return lower + upper


def sites(atoms: Atoms) -> dict[str, np.ndarray]:
    """Positions over the 2×2 sheet where an adsorbed atom may sit (in-plane coordinates)."""
    a, b = atoms.cell[0] / 2, atoms.cell[1] / 2
    top = atoms.positions[0]
    return {"top": top, "hollow": top + (2 * a + 2 * b) / 3, "bridge": top + (a + b) / 6}


def cluster(symbols: list[str], rng: np.random.Generator) -> np.ndarray:
    """Compact random cluster grown atom by atom at bonding distance; lowest atom at z = 0."""
    positions = [np.zeros(3)]
    while len(positions) < len(symbols):
        direction = rng.normal(size=3)
        direction /= np.linalg.norm(direction)
        trial = positions[int(rng.integers(len(positions)))] + direction * rng.uniform(2.55, 3.2)
        if min(np.linalg.norm(trial - p) for p in positions) > 2.5:
            positions.append(trial)
    result = np.array(positions)
    return result - [0, 0, result[:, 2].min()]


def adsorbed(symbols: list[str], heights: tuple[float, float]) -> Builder:
    """Builder: a cluster over one distorted sheet at several heights (Å above the mean plane)."""

    def build(rng: np.random.Generator, count: int, regime: Regime) -> list[Atoms]:
        base = strained(sheet(2), rng, 0.03 * regime.strain, planar=True)
        base = rippled(base, rng, rng.uniform(0, 0.2) * regime.displacement)
        site = sites(base)[rng.choice(["top", "hollow", "bridge"])]
        result = []
        for height in regime.distance * (np.linspace(*heights, count) + rng.uniform(-0.2, 0.2, count)):
            for _ in range(500):
                origin = np.array([*(site[:2] + rng.normal(0, 0.25, 2)), base.positions[:, 2].mean() + height])
                atoms = base + Atoms(symbols, positions=origin + cluster(symbols, rng))
                too_tall = np.ptp(atoms.positions[:, 2]) > CELL_HEIGHT - 6
                if not too_tall and not has_close_pair(atoms, regime):
                    break
            else:
                raise RuntimeError(f"no room for {symbols} at {height:.2f} Å over the sheet")
            result.append(rattled(atoms, rng, rng.uniform(0.01, 0.09), regime))
        return result

    return build


def tin_layer(bilayers: int, lattice: float) -> Atoms:
    """α-Sn(111): buckled hexagonal bilayers (one is stanene) with in-plane lattice constant."""
    bond = 2.95
    buckling = np.sqrt(bond**2 - lattice**2 / 3)
    cell = np.array([[lattice, 0, 0], [lattice / 2, lattice * np.sqrt(3) / 2, 0], [0, 0, CELL_HEIGHT]])
    shift = (cell[0] + cell[1]) / 3
    positions = []
    for layer in range(bilayers):
        origin = layer * (shift + [0, 0, buckling + bond])
        positions += [origin, origin + shift + [0, 0, buckling]]
    return Atoms(f"Sn{2 * bilayers}", positions=positions, cell=cell, pbc=True)


def tin_on_sheet(bilayers: int) -> Builder:
    """Builder: an α-Sn(111) slab in registry with 2×2 graphene, at several distances."""

    def build(rng: np.random.Generator, count: int, regime: Regime) -> list[Atoms]:
        lattice = 2 * LATTICE_GRAPHENE * rng.uniform(0.96, 1.01)
        base = sheet(2)
        cell = base.cell[:].copy()
        cell[:2] *= lattice / (2 * LATTICE_GRAPHENE)
        base.set_cell(cell, scale_atoms=True)
        shift = rng.uniform(size=2) @ cell[:2, :2]
        result = []
        for distance in np.linspace(2.6, 4.2, count):
            layer = tin_layer(bilayers, lattice)
            # both lattices are hexagonal; the sheet's second vector stands at 120°, the layer's at 60°
            layer.positions += [*shift, base.positions[:, 2].mean() + distance]
            atoms = base + layer
            result.append(rattled(atoms, rng, rng.uniform(0.02, 0.1), regime))
        return result

    return build


def crystal(
    make: Callable[[], Atoms], strain: float, widths: tuple[float, float], volume: tuple[float, float]
) -> Builder:
    """Builder: one bulk cell under random strain, volume change and displacements."""

    def build(rng: np.random.Generator, count: int, regime: Regime) -> list[Atoms]:
        result = []
        for _ in range(count):
            atoms = strained(make(), rng, strain * regime.strain, planar=False)
            atoms.set_cell(
                atoms.cell[:] * (1 + regime.strain * (rng.uniform(*volume) - 1)) ** (1 / 3), scale_atoms=True
            )
            result.append(rattled(atoms, rng, rng.uniform(*widths), regime))
        return result

    return build


def flat(make: Callable[[np.random.Generator], Atoms], strain: float, widths: tuple[float, float]) -> Builder:
    """Builder: one sheet-like parent under in-plane strain and displacements."""

    def build(rng: np.random.Generator, count: int, regime: Regime) -> list[Atoms]:
        parent = make(rng)
        return [
            rattled(strained(parent, rng, strain * regime.strain, planar=True), rng, rng.uniform(*widths), regime)
            for _ in range(count)
        ]

    return build


def lithium_in_bilayer(rng: np.random.Generator) -> Atoms:
    atoms = bilayer(rng, 2, rng.uniform(3.4, 4.0))
    lower = sites(sheet(2))["hollow"]
    middle = atoms.positions[:, 2].mean()
    return atoms + Atoms("Li", positions=[[lower[0], lower[1], middle]])


def tin_alpha() -> Atoms:
    return bulk("Sn", "diamond", a=6.6)


def tin_alpha_orthorhombic() -> Atoms:
    return bulk("Sn", "diamond", a=6.6, orthorhombic=True)


def tin_beta_conventional() -> Atoms:
    fractions = [(0, 0, 0), (0.5, 0, 0.25), (0.5, 0.5, 0.5), (0, 0.5, 0.75)]
    return Atoms("Sn4", scaled_positions=fractions, cell=[5.93, 5.93, 3.23], pbc=True)


def tin_beta() -> Atoms:
    a, c = 5.93, 3.23
    cell = np.array([[-a, a, c], [a, -a, c], [a, a, -c]]) / 2
    return Atoms("Sn2", positions=[[0, 0, 0], [a / 2, 0, c / 4]], cell=cell, pbc=True)


def lithium_tin() -> Atoms:
    return bulk("LiSn", "cesiumchloride", a=3.45)


def lithium_tin_rich() -> Atoms:
    """Li3Sn in the D0_3 structure."""
    atoms = bulk("Sn", "fcc", a=6.72)
    a = 6.72
    positions = [[a / 4] * 3, [a / 2] * 3, [3 * a / 4] * 3]
    return atoms + Atoms("Li3", positions=positions)


# fmt: off
FAMILIES = [
    Family("graphene_primitive", (8, 8, 1), 4, 0, 4, flat(lambda rng: sheet(1), 0.06, (0.01, 0.08))),
    Family("graphene_rattled", (4, 4, 1), 8, 5, 3, flat(lambda rng: sheet(2), 0.05, (0.02, 0.1))),
    Family("graphene_rippled", (4, 4, 1), 5, 3, 3,
        flat(lambda rng: rippled(sheet(2), rng, rng.uniform(0.1, 0.6)), 0.04, (0.01, 0.07))),
    Family("graphene_rectangular", (4, 5, 1), 3, 1, 3,
        flat(lambda rng: sheet(1, rectangular=True), 0.04, (0.02, 0.09))),
    Family("graphene_vacancy", (4, 4, 1), 5, 3, 3,
        flat(lambda rng: with_vacancy(sheet(2), rng), 0.03, (0.02, 0.09))),
    Family("graphene_vacancy_large", (3, 3, 1), 3, 0, 2,
        flat(lambda rng: with_vacancy(sheet(3), rng), 0.02, (0.02, 0.09))),
    Family("bilayer", (8, 8, 1), 6, 3, 4,
        flat(lambda rng: bilayer(rng, 1, rng.uniform(2.7, 4.5)), 0.03, (0.01, 0.08))),
    Family("bilayer_large", (4, 4, 1), 3, 0, 2,
        flat(lambda rng: bilayer(rng, 2, rng.uniform(2.9, 3.8)), 0.02, (0.02, 0.08))),
    Family("tin_alpha", (4, 4, 4), 7, 3, 4, crystal(tin_alpha, 0.06, (0.0, 0.2), (0.82, 1.2))),
    Family("tin_alpha_orthorhombic", (4, 4, 3), 5, 2, 3,
        crystal(tin_alpha_orthorhombic, 0.05, (0.05, 0.3), (0.85, 1.15))),
    Family("tin_beta", (4, 4, 4), 6, 3, 4, crystal(tin_beta, 0.06, (0.0, 0.2), (0.82, 1.2))),
    Family("tin_beta_conventional", (3, 3, 6), 6, 3, 3,
        crystal(tin_beta_conventional, 0.05, (0.05, 0.35), (0.85, 1.15))),
    Family("tin_layer", (4, 4, 1), 5, 1, 3,
        flat(lambda rng: tin_layer(int(rng.integers(1, 3)), rng.uniform(4.5, 4.85)), 0.03, (0.03, 0.15))),
    Family("tin_atom_on_graphene", (4, 4, 1), 14, 7, 4, adsorbed(["Sn"], (1.9, 5.0))),
    Family("tin_dimer_on_graphene", (4, 4, 1), 9, 5, 4, adsorbed(["Sn"] * 2, (2.0, 4.6))),
    Family("tin_trimer_on_graphene", (4, 4, 1), 4, 3, 3, adsorbed(["Sn"] * 3, (2.1, 4.2))),
    Family("tin_tetramer_on_graphene", (4, 4, 1), 4, 2, 3, adsorbed(["Sn"] * 4, (2.1, 4.0))),
    Family("tin_layer_on_graphene", (4, 4, 1), 4, 3, 3, tin_on_sheet(1)),
    Family("tin_slab_on_graphene", (4, 4, 1), 4, 0, 2, tin_on_sheet(2)),
    Family("lithium_on_graphene", (4, 4, 1), 5, 4, 4, adsorbed(["Li"], (1.5, 4.0))),
    Family("lithium_and_tin_on_graphene", (4, 4, 1), 5, 3, 3, adsorbed(["Li", "Sn"], (1.9, 3.6))),
    Family("lithium_in_bilayer", (4, 4, 1), 2, 0, 2, flat(lithium_in_bilayer, 0.02, (0.02, 0.08))),
    Family("lithium_tin", (6, 6, 6), 5, 1, 2, crystal(lithium_tin, 0.05, (0.02, 0.2), (0.85, 1.2))),
    Family("lithium_tin_rich", (4, 4, 4), 4, 1, 2, crystal(lithium_tin_rich, 0.05, (0.02, 0.25), (0.85, 1.2))),
]
# fmt: on


def candidates(seed: int) -> list[Candidate]:
    """All structures of the set; groups in random order so that any beginning is balanced.

    Of the hot groups the first ``NUM_HOT_GROUPS`` are taken.
    """
    rng = np.random.default_rng(seed)
    hot, warm = (list(groups_of(FAMILIES, 0, seed, regime)) for regime in (HOT, WARM))
    rng.shuffle(hot)
    rng.shuffle(warm)
    return [candidate for group in hot[:NUM_HOT_GROUPS] + warm for candidate in group]


def groups_of(families: list[Family], first_index: int, seed: int, regime: Regime) -> Iterator[list[Candidate]]:
    """The structures of each group.

    :param first_index: number of the first family; with the seed and the group's number it seeds the group
    """
    for family_index, family in enumerate(families, start=first_index):
        hot = range(family.num_hot)
        warm = range(FIRST_WARM_GROUP, FIRST_WARM_GROUP + family.num_warm)
        for number in hot if regime == HOT else warm:
            rng = np.random.default_rng([seed, family_index, number])
            relatives = family.build(rng, family.group_size, regime)
            group = f"{family.name}/{number:02d}"
            yield [
                Candidate(f"{group.replace('/', '-')}-{k}", group, atoms, family.k_points)
                for k, atoms in enumerate(relatives)
            ]


def charged(seed: int) -> list[Candidate]:
    """Those of the bundled set that get charges: sheets, and tin and lithium on them; groups in random order."""
    families = ("graphene", "bilayer", "lithium")
    bundled = candidates(seed)[:NUM_BUNDLED]
    chosen = [c for c in bundled if c.group.startswith(families) or "_on_graphene" in c.group]
    groups = sorted({candidate.group for candidate in chosen})
    np.random.default_rng(seed).shuffle(groups)
    return sorted(chosen, key=lambda candidate: groups.index(candidate.group))
