"""A cylinder of a crystal with a crack that ends in its axis; its rim is held where the field of the crack puts it."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.constraints import FixAtoms

from mhdnn.errors import ConfigError
from mhdnn.properties.fracture.bonds import Bonds, find_bonds
from mhdnn.properties.fracture.crack_field import MODE_I, CrackField
from mhdnn.properties.fracture.directions import turned
from mhdnn.properties.fracture.planes import advance_period, cut_height, shortest_translation, whole_indices

FEWEST_FREE = 30
"""Atoms that move."""
FEWEST_ROWS = 4
SAME_ROW = 0.05
"""Å"""
VACUUM = 8.0
"""Around the cylinder, Å."""


@dataclass(frozen=True)
class CrackSettings:
    """A crack, and how it is loaded.

    :param plane: Miller indices (hkl) of the plane that it opens, in the cell of the file
    :param front: Miller indices [uvw] of its front, in the plane
    :param cut: which gap between planes of atoms it runs in, 0 the widest
    :param radius: of the cylinder of atoms that move, Å
    :param rim: thickness of the atoms around that are held, Å; at least the range of forces
    :param front_repeats: periods of the crystal along the front
    :param intensity_step: of K_I from one structure to the next, in parts of Griffith's
    :param largest_intensity: where the loading ends at the latest, in parts of Griffith's
    :param smallest_intensity: where the unloading ends at the latest
    :param bond_stretch: of its length at rest, beyond which a bond is broken
    :param thickness: of the crystal whose cleavage gives the surface energy, Å
    :param max_force: at the end of relaxations, eV/Å
    :param max_steps: of each relaxation, at most
    """

    plane: tuple[float, float, float]
    front: tuple[float, float, float]
    cut: int = 0
    radius: float = 40.0
    rim: float = 8.0
    front_repeats: int = 1
    intensity_step: float = 0.02
    largest_intensity: float = 1.6
    smallest_intensity: float = 0.6
    bond_stretch: float = 1.4
    thickness: float = 15.0
    max_force: float = 0.01
    max_steps: int = 3000

    def __post_init__(self) -> None:
        """Check.

        :raises ConfigError: if indices are none, or numbers have no meaning
        """
        plane, front = whole_indices(self.plane, "plane"), whole_indices(self.front, "front")
        if plane @ front:
            raise ConfigError(
                f"`front`: expected a direction [uvw] in the plane {plane.tolist()}, got {front.tolist()}"
            )
        for name in ("radius", "rim", "intensity_step", "thickness", "max_force"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"`{name}`: expected a positive number, got {getattr(self, name):g}")
        if not 0 < self.smallest_intensity < 1 < self.largest_intensity:
            raise ConfigError(
                "`smallest_intensity`, `largest_intensity`: expected parts of Griffith's below and above 1, got "
                f"{self.smallest_intensity:g} and {self.largest_intensity:g}"
            )
        if self.front_repeats < 1 or self.bond_stretch <= 1:
            raise ConfigError(
                "`front_repeats`, `bond_stretch`: expected at least one period and a stretch above 1, got "
                f"{self.front_repeats} and {self.bond_stretch:g}"
            )


@dataclass(frozen=True)
class CrackedCrystal:
    """The cylinder before the crack is opened.

    :param atoms: of the perfect crystal, with x along the advance, y across the plane, z along the front; the tip in
        the middle of the cell, and between two rows of bonds across the plane; periodic along z
    :param axes: x, y, z as rows in the frame of the file, shape (3, 3)
    :param held: numbers of the atoms of the rim
    :param bonds: of first neighbours
    :param crossing: numbers of the bonds across the plane, shape (num_crossing,)
    :param rows: x of these from the middle, shape (num_crossing,), Å
    :param advance: distance between rows of bonds, Å
    :param period: by which the tip advances to an equivalent place, Å
    """

    atoms: Atoms
    axes: np.ndarray
    held: np.ndarray
    bonds: Bonds
    crossing: np.ndarray
    rows: np.ndarray
    advance: float
    period: float

    def displaced(self, field: CrackField, intensity: float, tip: float = 0.0) -> Atoms:
        """All atoms where the field puts them; the rim, which is held, where it does with the tip in the middle.

        :param intensity: K_I, eV/Å^2.5
        :param tip: of the field of the atoms that move, x from the middle, Å
        """
        result = self.atoms.copy()
        shifts = self.field(field, intensity, tip)
        shifts[self.held] = self.field(field, intensity)[self.held]
        result.positions += shifts
        result.set_constraint(FixAtoms(self.held))
        return result

    def field(self, field: CrackField, intensity: float, tip: float = 0.0) -> np.ndarray:
        """Displacements of all atoms by the field with its tip at x from the middle, shape (num_atoms, 3), Å."""
        intensities = np.zeros(3)
        intensities[MODE_I] = intensity
        places = (self.atoms.positions - middle_of(self.atoms))[:, :2] - [tip, 0.0]
        return field.displacements(places, intensities)

    def tip(self, broken: np.ndarray) -> float:
        """Where the crack ends: in the middle between its last broken and the first unbroken row, from the left, Å.

        :param broken: whether each bond is, shape (num_bonds,)
        """
        open_rows = self.rows[broken[self.crossing]]
        closed = self.rows[~broken[self.crossing]]
        if not len(closed):
            return float(self.rows.max())
        first = float(closed.min())
        before = open_rows[open_rows < first]
        return 0.5 * (first + float(before.max())) if len(before) else first - 0.5 * self.advance


def middle_of(atoms: Atoms) -> np.ndarray:
    """Of the cell in the plane of x and y, shape (3,), Å."""
    return 0.5 * (atoms.cell[0] + atoms.cell[1])


def crack_axes(atoms: Atoms, settings: CrackSettings) -> np.ndarray:
    """X along the advance, y across the plane, z along the front, as rows, shape (3, 3)."""
    normal = whole_indices(settings.plane, "plane") @ atoms.cell.reciprocal()[:]
    front = whole_indices(settings.front, "front") @ atoms.cell[:]
    y, z = normal / np.linalg.norm(normal), front / np.linalg.norm(front)
    return np.stack([np.cross(y, z), y, z])


def cracked_crystal(atoms: Atoms, settings: CrackSettings) -> CrackedCrystal:
    """The cylinder with its bonds.

    :param atoms: crystal at rest
    :raises ConfigError: if the cylinder is too small for a crack
    """
    axes = crack_axes(atoms, settings)
    period = float(np.linalg.norm(shortest_translation(atoms, whole_indices(settings.front, "front"))))
    height = cut_height(atoms, whole_indices(settings.plane, "plane"), settings.cut)
    crystal = turned(atoms, axes)
    crystal.positions[:, 1] -= height
    outer = settings.radius + settings.rim
    length = settings.front_repeats * period
    wide = _cylinder(crystal, outer + 2.0 * settings.rim, length)
    bonds = find_bonds(wide)  # of the wider one, where no atom that is kept lies at a surface
    _, places = _crossing(wide, bonds)
    rows = _rows_of(places, settings.radius)
    right = int(np.searchsorted(rows, 0.0))
    wide.positions[:, 0] -= 0.5 * (rows[right - 1] + rows[right])
    kept = np.flatnonzero(np.hypot(wide.positions[:, 0], wide.positions[:, 1]) < outer)
    cylinder, bonds = wide[kept], bonds.among(kept)
    held = np.flatnonzero(np.hypot(cylinder.positions[:, 0], cylinder.positions[:, 1]) > settings.radius)
    if len(cylinder) - len(held) < FEWEST_FREE:
        raise ConfigError(f"`radius`: expected at least {FEWEST_FREE} atoms that move, got {len(cylinder) - len(held)}")
    crossing, places = _crossing(cylinder, bonds)
    size = 2.0 * (outer + VACUUM)
    cylinder.set_cell([size, size, length])
    cylinder.positions += middle_of(cylinder)
    advance = float(rows[right] - rows[right - 1])
    shift = advance_period(atoms, whole_indices(settings.plane, "plane"), whole_indices(settings.front, "front"))
    return CrackedCrystal(cylinder, axes, held, bonds, crossing, places, advance, shift)


def _rows_of(places: np.ndarray, radius: float) -> np.ndarray:
    """Different x of bonds within the radius, ascending, Å.

    :raises ConfigError: if there are fewer than four
    """
    near = np.sort(places[np.abs(places) < radius])
    rows = near[np.diff(near, prepend=-np.inf) > SAME_ROW]
    if len(rows) < FEWEST_ROWS:
        raise ConfigError(
            f"`radius`: expected a cylinder with {FEWEST_ROWS} rows of bonds across the plane, got {len(rows)} within "
            f"{radius:g} Å; choose a larger one"
        )
    return rows


def _crossing(atoms: Atoms, bonds: Bonds) -> tuple[np.ndarray, np.ndarray]:
    """Numbers and x of the bonds from one side of the plane y = 0 to the other."""
    ends = atoms.positions[bonds.first, 1], atoms.positions[bonds.first, 1] + bonds.vectors(atoms)[:, 1]
    crossing = np.flatnonzero(ends[0] * ends[1] < 0)
    return crossing, bonds.centers(atoms)[crossing, 0]


def _cylinder(crystal: Atoms, radius: float, length: float) -> Atoms:
    """All atoms within a radius around z, over a length from z = 0 on that is a period of the crystal."""
    box = np.array(list(itertools.product((-radius, radius), (-radius, radius), (0.0, length))))
    fractions = crystal.cell.scaled_positions(box)
    own = crystal.cell.scaled_positions(crystal.positions)
    low = np.floor(fractions.min(axis=0) - own.max(axis=0)).astype(int)
    high = np.ceil(fractions.max(axis=0) - own.min(axis=0)).astype(int)
    cells = np.array(list(itertools.product(*(range(a, b + 1) for a, b in zip(low, high, strict=True)))))
    positions = (crystal.positions[None] + (cells @ crystal.cell[:])[:, None]).reshape(-1, 3)
    numbers = np.tile(np.arange(len(crystal)), len(cells))
    inside = np.hypot(positions[:, 0], positions[:, 1]) < radius
    inside &= np.floor(positions[:, 2] / length + 1e-6) == 0
    result = crystal[numbers[inside]]
    result.positions = positions[inside]
    result.set_constraint()
    result.set_cell([2.0 * radius, 2.0 * radius, length])
    result.pbc = (False, False, True)
    return result
