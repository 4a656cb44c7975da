"""Structures and sets of symmetry functions that benchmarks/descriptors.py measures."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from importlib import resources
from typing import Any

import numpy as np
import torch
import yaml
from ase import Atoms
from ase.build import bulk, molecule
from scipy.spatial.transform import Rotation
from timing import Timing

from mhdnn.data.dataset import collate
from mhdnn.neighbors import find_pairs
from mhdnn.structure import Batch, Geometry, Structure

LATTICE_CONSTANT = 5.469  # silicon with PBE, Å
MOLECULE_VOLUME = 29.9  # water at 1 g/cm³, Å³
CLOSEST_CONTACT = 1.7  # between atoms of different molecules, Å
ENERGY_AND_FORCES = "energy and forces"
FUNCTIONS_ONLY = "functions only"
SEARCH_AND_FUNCTIONS = "neighbour search and functions"
DIFFERENCES = "differences of functions"
SILICON_CUTOFF = 5.5
MIXTURE = [3, 6, 8, 9, 15, 16, 22, 41]
MIXTURE_SPACING = 2.073  # Å
MIXTURE_CUTOFF = 5.0
WATER_CUTOFF = 6.35

ANGULAR = {
    "silicon": {"etas": [0.01, 0.03, 0.08], "zetas": [1, 2, 4], "lambdas": [-1, 1]},
    "water": {"etas": [0.03], "zetas": [1, 2, 4], "lambdas": [-1, 1]},
}
"""Of wide and narrow functions alike: 3 · 3 · 2 = 18, and 3 · 2 for each of 3 pairs of elements = 18."""
NUM_RADIAL = {"silicon": 9, "water": 6}
LEGENDRE = {
    "silicon": {"num_radial": 12, "num_angular_radial": 2, "max_degree": 4},
    "water": {"num_radial": 6, "num_angular_radial": 1, "max_degree": 5},
}
"""12 + 3 · 5 = 27 functions for silicon, 2 · 6 + 3 · 6 = 30 for water."""


@dataclass
class System:
    """Atoms with the pairs within a cutoff.

    :param name: silicon or water; says which functions are measured
    :param cutoff: Å
    """

    name: str
    atoms: Atoms
    cutoff: float
    batch: Batch = field(init=False)

    def __post_init__(self) -> None:
        atoms = self.atoms
        structure = Structure(atoms.numbers.astype(np.int64), atoms.positions, atoms.cell[:], atoms.pbc)
        self.batch = collate([(0, structure, find_pairs(atoms.positions, atoms.cell[:], atoms.pbc, self.cutoff))])

    @property
    def geometry(self) -> Geometry:
        return self.batch.geometry

    @property
    def elements(self) -> list[int]:
        return sorted({int(number) for number in self.atoms.numbers})

    @property
    def num_neighbors(self) -> float:
        """Mean over the atoms."""
        return len(self.geometry.center_index) / len(self.atoms)

    @cached_property
    def vectors(self) -> torch.Tensor:
        """Pair vectors, shape (num_pairs, 3), Å, float64."""
        return self.geometry.pair_vectors()

    @property
    def element_index(self) -> torch.Tensor:
        """Position of each atom's element in ``elements``, shape (num_atoms,)."""
        return torch.searchsorted(torch.tensor(self.elements), self.geometry.atomic_numbers)


def silicon(repeats: int, cutoff: float = SILICON_CUTOFF, seed: int = 0) -> System:
    """Diamond crystal of 8 · repeats³ atoms, displaced as much as at room temperature.

    The fourth shell lies at 5.47 Å, so that within 5.5 Å atoms have between 28 and 34 neighbours.
    """
    atoms = bulk("Si", "diamond", a=LATTICE_CONSTANT, cubic=True).repeat(repeats)
    atoms.rattle(0.08, seed=seed)
    return System("silicon", atoms, cutoff)


def water(repeats: tuple[int, int, int], cutoff: float = WATER_CUTOFF, seed: int = 0) -> System:
    """Molecules in random orientations about the points of a body-centred lattice, at 1 g/cm³.

    Orientations are drawn again until no atom is closer than ``CLOSEST_CONTACT`` to another molecule.
    """
    rng = np.random.default_rng(seed)
    edge = (2.0 * MOLECULE_VOLUME) ** (1.0 / 3.0)
    cell = edge * np.array(repeats)
    corners = np.stack(np.meshgrid(*map(np.arange, repeats), indexing="ij"), -1).reshape(-1, 1, 3)
    centers = edge * (corners + np.array([[0.0, 0.0, 0.0], [0.5, 0.5, 0.5]])).reshape(-1, 3)
    centers = centers + rng.uniform(-0.15, 0.15, centers.shape)
    shape = molecule("H2O")
    relative = shape.positions - shape.positions[0]
    placed = np.empty((0, 3))
    for center in centers:
        placed = np.concatenate([placed, oriented(center, relative, placed, cell, rng)])
    atoms = Atoms(np.tile(shape.numbers, len(centers)), placed, cell=cell, pbc=True)
    return System("water", atoms, cutoff)


def mixture(num_elements: int, edge: int = 10, seed: int = 0) -> System:
    """Elements at random on a displaced simple cubic lattice, 59 neighbours within 5 Å."""
    rng = np.random.default_rng(seed)
    numbers = np.array(MIXTURE[:num_elements])[rng.integers(num_elements, size=edge**3)]
    points = np.stack(np.meshgrid(*3 * [np.arange(edge)], indexing="ij"), -1).reshape(-1, 3)
    positions = MIXTURE_SPACING * points + rng.normal(scale=0.08, size=points.shape)
    return System(
        f"{num_elements} elements", Atoms(numbers, positions, cell=3 * [MIXTURE_SPACING * edge], pbc=True), 5.0
    )


def oriented(
    center: np.ndarray, relative: np.ndarray, placed: np.ndarray, cell: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Positions of a molecule in an orientation that keeps away from the atoms already placed."""
    for _ in range(1000):
        positions = center + Rotation.random(rng=rng).apply(relative)
        offsets = positions[:, None] - placed
        offsets -= cell * np.round(offsets / cell)
        if np.all((offsets**2).sum(-1) > CLOSEST_CONTACT**2):
            return positions
    raise RuntimeError("water: no orientation without close contacts; choose another seed")


def gaussians(num: int, cutoff: float) -> dict[str, list[float]]:
    """Gaussians at equal distances from 1 Å on, 0.8 spacings wide, the last one spacing inside the cutoff."""
    spacing = (cutoff - 1.0) / num
    return {"etas": [0.5 / (0.8 * spacing) ** 2], "shifts": [1.0 + spacing * index for index in range(num)]}


def descriptor_settings(name: str, method: str, cutoff: float, max_degree: int | None = None) -> dict[str, Any]:
    """Settings of the group ``descriptor``.

    :param name: silicon or water
    :param method: wide, narrow or legendre
    :param max_degree: of the legendre functions, instead of the one in ``LEGENDRE``
    """
    num_radial = NUM_RADIAL[name]
    angular: dict[str, Any]
    if method == "legendre":
        sizes = LEGENDRE[name]
        num_radial = sizes["num_radial"]
        radial = gaussians(sizes["num_angular_radial"], cutoff)
        angular = {"radial": radial, "max_degree": max_degree or sizes["max_degree"], "cross_terms": True}
    else:
        chosen = ANGULAR[name]
        radial = {"etas": chosen["etas"], "shifts": [0.0]}
        angular = {"radial": radial, "zetas": chosen["zetas"], "lambdas": chosen["lambdas"]}
    return {
        "cutoff_function": "cosine",
        "channels": "resolved",
        "num_channels": 1,
        "radial": gaussians(num_radial, cutoff),
        "angular": {method: {"kind": method, **angular}},
    }


def default_settings(group: str, name: str) -> dict[str, Any]:
    """Settings as they are shipped, of a group of the configuration."""
    settings = yaml.safe_load((resources.files("mhdnn.configs") / group / f"{name}.yaml").read_text())
    assert isinstance(settings, dict)
    return settings


def network_settings() -> dict[str, Any]:
    """Two hidden layers of 20 nodes, without the linear part."""
    return {
        "kind": "shared",
        "species_feature": "atomic_number",
        "embedding_dimension": 1,
        "hidden": [20, 20],
        "activation": "silu",
        "linear_skip": False,
    }


def record_of(
    system: System, program: str, method: str, dtype: str, num_functions: int, timing: Timing, what: str, **values: Any
) -> dict[str, Any]:
    """What all records have, and ``values``; times are microseconds for each atom.

    :param what: is timed
    """
    return {
        "system": system.name,
        "program": program,
        "method": method,
        "dtype": dtype,
        "threads": torch.get_num_threads() if program != "dscribe" else 1,
        "num_atoms": len(system.atoms),
        "num_neighbors": round(system.num_neighbors, 1),
        "num_functions": num_functions,
        "us_per_atom": 1e6 * timing.median / len(system.atoms),
        "fastest_us_per_atom": 1e6 * timing.fastest / len(system.atoms),
        "what": what,
        **values,
    }
