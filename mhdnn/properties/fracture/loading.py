r"""How a structure is loaded: its cell is strained, or its ends are held and moved apart.

Axes. A crystal or layer is turned so that it is pulled along x; sheared, so that planes across y slide along x; z is a
layer's normal. So the stress that counts is xx or xy, whatever the directions were. A slab that is pulled apart keeps z
as its normal: zz, or xz of a shear.

Cell. With the strain e the deformation gradient is :math:`F = 1 + e\,\hat x \otimes \hat x` (tension) or
:math:`F = 1 + e\,\hat x \otimes \hat y` (simple shear). All other components stay (``lateral=fixed``: uniaxial strain)
or relax until their stress vanishes (``relaxed``: free of Poisson's constraint, as in a thin bar).

Grips. Where there is vacuum along the pull, or across the sheared plane, the outermost atoms on both sides are held as
rigid bodies and moved by the displacement :math:`u = e L`, L being the distance of their means; the traction is the
force that they need, by the area of the cell.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.constraints import FixAtoms

from mhdnn.errors import ConfigError
from mhdnn.properties.fracture.directions import axes_with, turned, unit_vector
from mhdnn.structure import VOIGT

TENSION, SHEAR = "tension", "shear"
RELAXED, FIXED = "relaxed", "fixed"
CRYSTAL, LAYER, GRIPS = "crystal", "layer", "grips"
LEAST_VACUUM = 8.0
"""Å without nuclei from which on a periodic direction counts as vacuum."""
NORMAL = 2
"""Axis across the plane of a layer or slab."""
ALONG = 1e-6
INCLINED = 1e-3
"""Cosine between normal and direction of a shear: Miller indices of a relaxed cell are not quite perpendicular."""


@dataclass(frozen=True)
class PullSettings:
    """How a structure is pulled or sheared until it fails.

    :param direction: along which it is pulled, or across which planes slide
    :param frame: what its three numbers are: cartesian, direction ([uvw] of the cell) or plane ((hkl), its normal)
    :param mode: tension or shear
    :param shear_direction: along which planes slide, in the same frame ([uvw] if that is plane)
    :param lateral: whether other strains are relaxed (no Poisson constraint) or fixed (uniaxial strain)
    :param relax_ions: whether the atoms relax in each strained cell
    :param relax_first: whether the atoms are relaxed before, and the periodic cell, too, unless it holds a slab between
        grips with lateral=fixed
    :param strain_step: from one structure to the next
    :param largest_strain: where the pull ends at the latest
    :param stop_below: part of the largest stress; the pull ends where the stress has fallen below it
    :param grip: thickness of what is held on either side of a slab that is pulled apart, Å
    :param rattle: standard deviation of random displacements before each relaxation, Å, so that a perfect crystal may
        leave the path of its symmetry
    :param bond_stretch: of its length at rest, beyond which a bond is broken
    :param max_force: at the end of relaxations, eV/Å, and of the cell the virial per atom, eV
    :param max_steps: of each relaxation, at most
    """

    direction: tuple[float, float, float]
    frame: str = "cartesian"
    mode: str = TENSION
    shear_direction: tuple[float, float, float] | None = None
    lateral: str = RELAXED
    relax_ions: bool = True
    relax_first: bool = True
    strain_step: float = 0.02
    largest_strain: float = 0.6
    stop_below: float = 0.3
    grip: float = 2.5
    rattle: float = 0.0
    bond_stretch: float = 1.3
    max_force: float = 0.005
    max_steps: int = 2000

    def __post_init__(self) -> None:
        """Check.

        :raises ConfigError: for settings that exclude each other or have no meaning
        """
        for name, value, allowed in (
            ("mode", self.mode, (TENSION, SHEAR)),
            ("lateral", self.lateral, (RELAXED, FIXED)),
        ):
            if value not in allowed:
                raise ConfigError(f"`{name}`: expected {' or '.join(allowed)}, got {value!r}")
        if not 0 < self.strain_step <= self.largest_strain:
            raise ConfigError(
                f"`strain_step`: expected a number between 0 and `largest_strain` ({self.largest_strain:g}), got "
                f"{self.strain_step:g}"
            )
        if not 0 <= self.stop_below < 1:
            raise ConfigError(f"`stop_below`: expected a part of the largest stress from 0 to 1, got {self.stop_below}")
        for name, length in (("rattle", self.rattle), ("grip", self.grip)):
            if length < 0:
                raise ConfigError(f"`{name}`: expected a length that is not negative, Å, got {length:g}")
        if self.bond_stretch <= 1:
            raise ConfigError(f"`bond_stretch`: expected a number above 1, got {self.bond_stretch:g}")
        if (self.mode == SHEAR) != (self.shear_direction is not None):
            raise ConfigError(
                f"`shear_direction`: expected one for mode=shear and none for mode=tension, got "
                f"{self.shear_direction} with mode={self.mode}"
            )


@dataclass(frozen=True)
class Loading:
    """A structure in the axes of its load.

    :param atoms: turned
    :param kind: `CRYSTAL`, `LAYER` (its cell is strained in its plane) or `GRIPS` (a slab that is pulled apart)
    :param axes: x, y, z as rows in the frame of the file, shape (3, 3)
    :param settings: of the pull
    :param lower: numbers of the atoms of the lower grip
    :param upper: numbers of those of the upper one
    """

    atoms: Atoms
    kind: str
    axes: np.ndarray
    settings: PullSettings
    lower: np.ndarray
    upper: np.ndarray

    @property
    def component(self) -> tuple[int, int]:
        """Row and column of the deformation gradient, and of the stress, that the load is."""
        column = 2 if self.kind == GRIPS else 1
        if self.settings.mode == SHEAR:
            return 0, column
        return (2, 2) if self.kind == GRIPS else (0, 0)

    def deformation(self, strain: float) -> np.ndarray:
        """F, shape (3, 3)."""
        result = np.eye(3)
        result[self.component] += strain
        return result

    @property
    def relaxing(self) -> list[bool]:
        """For each strain of the cell (Voigt) whether it relaxes under load."""
        if self.settings.lateral == FIXED:
            return [False] * 6
        return [free and pair != self.component for free, pair in zip(self.periodic, VOIGT, strict=True)]

    @property
    def periodic(self) -> list[bool]:
        """For each strain of the cell (Voigt) whether there is matter that resists it."""
        if self.kind == CRYSTAL:
            return [True] * 6
        return [NORMAL not in pair for pair in VOIGT]

    def area_of(self, atoms: Atoms) -> float:
        """Of the cell across the normal of a layer or slab, Å²."""
        return float(atoms.get_volume() / self.height)

    @property
    def height(self) -> float:
        """Of the cell along this normal, Å."""
        return float(np.abs(self.atoms.cell[:, NORMAL]).max())

    def length_of(self, atoms: Atoms) -> float:
        """Distance between the means of the grips, Å."""
        heights = atoms.positions[:, NORMAL]
        return float(heights[self.upper].mean() - heights[self.lower].mean())

    def strained(self, atoms: Atoms, change: np.ndarray) -> Atoms:
        """A copy after a further deformation; what lies between grips follows, they stay rigid.

        :param atoms: of this loading
        :param change: deformation gradient from the atoms' state to the next, shape (3, 3)
        """
        result = atoms.copy()
        if self.kind != GRIPS:
            result.set_cell(atoms.cell[:] @ change.T)
            result.set_positions(atoms.positions @ change.T, apply_constraint=False)
            return result
        heights = atoms.positions[:, NORMAL]
        bottom, top = heights[self.lower].max(), heights[self.upper].min()
        part = np.clip((heights - bottom) / (top - bottom), 0.0, 1.0)
        shift = (change - np.eye(3))[:, NORMAL] * self.length_of(atoms)
        moved = atoms.positions + part[:, None] * shift
        result.set_positions(moved, apply_constraint=False)
        return result

    def held(self) -> list[FixAtoms]:
        """Constraints of the grips."""
        return [FixAtoms(np.concatenate([self.lower, self.upper]))] if self.kind == GRIPS else []


def load(atoms: Atoms, settings: PullSettings) -> Loading:
    """A structure in the axes of its load, and how it is loaded.

    :param atoms: a crystal, or a layer, slab or interface with vacuum along one cell vector
    :raises ConfigError: if the directions don't suit the structure, or nothing is between the grips
    """
    pull = unit_vector(atoms, settings.direction, settings.frame)
    vacuum = _vacuum_normal(atoms)
    slide = None
    if settings.shear_direction is not None:
        frame = "direction" if settings.frame == "plane" else settings.frame
        slide = unit_vector(atoms, settings.shear_direction, frame, "shear_direction")
    kind = CRYSTAL if vacuum is None else LAYER if abs(vacuum @ pull) < ALONG else GRIPS
    if kind == GRIPS and vacuum is not None and abs(vacuum @ pull) < 1.0 - ALONG:
        raise ConfigError(
            f"`direction`: expected one in the plane of the slab or along its normal {np.round(vacuum, 4).tolist()}, "
            f"got {list(settings.direction)} ({settings.frame})"
        )
    axes = _axes(pull, slide, vacuum, kind)
    result = turned(atoms, axes)
    empty = np.zeros(0, dtype=int)
    loading = Loading(result, kind, axes, settings, empty, empty)
    if kind != GRIPS:
        return loading
    return Loading(_unwrapped(result), kind, axes, settings, *_grips(loading))


def _axes(pull: np.ndarray, slide: np.ndarray | None, normal: np.ndarray | None, kind: str) -> np.ndarray:
    """x, y and z as rows.

    :param normal: of a layer or slab
    """
    if slide is not None and abs(slide @ pull) > INCLINED:
        raise ConfigError(
            "`shear_direction`: expected one in the plane across `direction`, got an angle of "
            f"{np.degrees(np.arccos(slide @ pull)):.3g}° between them"
        )
    if normal is not None and kind == GRIPS:
        return axes_with(normal, slide)
    if normal is not None and slide is not None and abs(normal @ slide) > INCLINED:
        raise ConfigError(
            f"`shear_direction`: expected one in the plane of the layer, whose normal is {np.round(normal, 4).tolist()}"
        )
    if slide is None:  # x along the pull
        across = axes_with(pull)[0] if normal is None else normal
        return np.stack([pull, np.cross(across, pull), across])
    x = axes_with(pull, slide)[0]
    return np.stack([x, pull, np.cross(x, pull)])


def _vacuum_normal(atoms: Atoms) -> np.ndarray | None:
    """Unit vector across the periodic plane of a layer or slab; None for a crystal.

    :raises ConfigError: if vacuum lies along more than one cell vector, or the cell has no volume
    """
    if atoms.cell.rank < 3:
        raise ConfigError(
            f"`structures`: expected three cell vectors, with vacuum along one of a layer (`atoms.center`), got "
            f"{atoms.cell[:].tolist()}"
        )
    empty = [axis for axis in range(3) if not atoms.pbc[axis] or _widest_gap(atoms, axis) > LEAST_VACUUM]
    if len(empty) > 1:
        raise ConfigError(
            f"`structures`: expected a crystal, or a layer or slab with vacuum along one cell vector, got vacuum along "
            f"{len(empty)} in {atoms.get_chemical_formula()}"
        )
    if not empty:
        return None
    normal = atoms.cell.reciprocal()[empty[0]]
    return normal / np.linalg.norm(normal)


def _widest_gap(atoms: Atoms, axis: int) -> float:
    """Of the heights over the plane of the other two cell vectors, periodic, Å."""
    fractions = np.sort(atoms.get_scaled_positions(wrap=True)[:, axis])
    gaps = np.diff(np.append(fractions, fractions[0] + 1.0))
    return float(gaps.max() / np.linalg.norm(atoms.cell.reciprocal()[axis]))


def _unwrapped(atoms: Atoms) -> Atoms:
    """Atoms on one side of the vacuum: in a periodic cell those above it are brought below, or the other way round."""
    vector = atoms.cell[:][np.argmax(np.abs(atoms.cell[:, NORMAL]))]
    heights = atoms.positions[:, NORMAL] / vector[NORMAL]
    order = np.sort(heights % 1.0)
    gaps = np.diff(np.append(order, order[0] + 1.0))
    start = order[(int(np.argmax(gaps)) + 1) % len(order)]
    result = atoms.copy()
    cells = np.floor(heights - start + 1e-9)
    result.positions -= cells[:, None] * vector
    return result


def _grips(loading: Loading) -> Sequence[np.ndarray]:
    settings = loading.settings
    heights = _unwrapped(loading.atoms).positions[:, NORMAL]
    lower = np.flatnonzero(heights < heights.min() + settings.grip)
    upper = np.flatnonzero(heights > heights.max() - settings.grip)
    if heights[lower].max() >= heights[upper].min():
        raise ConfigError(
            f"`grip`: expected grips that are apart, got a slab of {np.ptp(heights):.3g} Å that is held over "
            f"{settings.grip:g} Å on either side; choose thinner ones, or pull a single layer in its plane"
        )
    return lower, upper
