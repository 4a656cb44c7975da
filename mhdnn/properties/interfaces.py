r"""Interfaces of two slabs, or of a sheet and a nanoparticle: builders, labels, gap and registry.

Slab 1 lies below slab 2; ``atoms.arrays["slab"]`` says to which an atom belongs (1 or 2). The first two cell vectors
lie in the plane of x and y, so that z is the normal. The gap is the distance between the highest nucleus of slab 1 and
the lowest of slab 2.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms
from ase.build import make_supercell
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.spatial import Delaunay, QhullError

from mhdnn.errors import ConfigError, DataError
from mhdnn.evaluation.plots import PALETTE, label_axes, style_axes
from mhdnn.files import write_text_atomically
from mhdnn.properties.coincidence import Coincidence, find_coincidences
from mhdnn.properties.report import Report
from mhdnn.properties.structure_figure import mark_distance, structure_figure

FLAT = 1e-6
"""Å by which a cell vector may leave the plane of x and y."""
SLIVER = 0.25
"""Triangles of a facet that are smaller than this part of their median don't count."""


def plane_of(atoms: Atoms) -> np.ndarray:
    """The first two cell vectors, shape (2, 2), Å.

    :raises DataError: if they don't span the plane of x and y, or are left-handed
    """
    cell = atoms.cell[:]
    if np.abs(cell[:2, 2]).max() > FLAT or not np.linalg.det(cell[:2, :2]) > FLAT:
        raise DataError(
            f"`cell`: expected the first two vectors in the plane of x and y, the second to the left of the first, got "
            f"{cell[:2].tolist()}; turn the slab so that z is its normal (`ase.build.surface`, "
            "`Atoms.rotate(..., rotate_cell=True)`), or exchange the vectors"
        )
    return cell[:2, :2].copy()


def area_of(atoms: Atoms) -> float:
    """Area of the cell across z, Å²."""
    return float(np.linalg.det(plane_of(atoms)))


def interface_area(atoms: Atoms, given: float | None) -> float:
    """The area that an energy is divided by: what is given, or the cell's, Å².

    :raises ConfigError: for particles, whose box has nothing to do with their contact, unless it is given
    """
    if given is not None:
        return given
    if not atoms.pbc[:2].all():
        raise ConfigError(
            "`area`: expected the area of contact of structures that are not periodic along x and y, got none; "
            "`mhdnn properties particle` prints it, `contact_area` computes it"
        )
    return area_of(atoms)


def build_interface(
    slab_1: Atoms,
    slab_2: Atoms,
    coincidence: Coincidence,
    gap: float,
    vacuum: float,
    strained_part: float = 1.0,
    periodic_normal: bool = False,
) -> Atoms:
    """Slab 2 on slab 1 in a common supercell.

    ``info["registry_cell"]`` holds the vectors of a cell of slab 1 in the plane, by which slab 2 can be moved without a
    change.

    :param coincidence: of the two slabs (`coincidences_of`)
    :param gap: Å
    :param vacuum: half of it below, half above both slabs, Å; with ``periodic_normal`` the distance to the next images
    :param strained_part: part of the strain that slab 2 takes; slab 1 takes the rest
    :param periodic_normal: whether z is periodic, too
    :raises ConfigError: if a length is not positive or the part not between 0 and 1
    """
    for name, value in (("gap", gap), ("vacuum", vacuum)):
        if not value > 0:
            raise ConfigError(f"`{name}`: expected a positive length in Å, got {value}")
    if not 0 <= strained_part <= 1:
        raise ConfigError(f"`strained_part`: expected a number from 0 to 1, got {strained_part}")
    plane = common_plane(plane_of(slab_1), plane_of(slab_2), coincidence, strained_part)
    lower = _supercell(slab_1, coincidence.matrix_1, plane)
    upper = _supercell(slab_2, coincidence.matrix_2, plane)
    atoms = _stacked(lower, upper, gap, vacuum, periodic_normal)
    atoms.info["registry_cell"] = np.linalg.inv(coincidence.matrix_1) @ plane
    return atoms


def coincidences_of(
    slab_1: Atoms, slab_2: Atoms, max_area: float, max_strain: float, twist: tuple[float, float] | None = None
) -> list[Coincidence]:
    """Coincidences of two slabs; arguments and order as in `find_coincidences`.

    :raises ConfigError: if there is none within the limits
    """
    found = find_coincidences(plane_of(slab_1), plane_of(slab_2), max_area, max_strain, twist)
    if not found:
        raise ConfigError(
            f"`max_strain`: expected slabs that coincide within {100 * max_strain:g} % on at most {max_area:g} Å², got "
            "none; raise `max_strain` or `max_area`, or allow other twists"
        )
    return found


def common_plane(
    plane_1: np.ndarray, plane_2: np.ndarray, coincidence: Coincidence, strained_part: float
) -> np.ndarray:
    """Vectors (rows) of the supercell that both slabs are strained to, shape (2, 2), Å.

    With the part s it is R (1 + s (U - 1)) L₂: L₁ itself for s = 1, L₂ turned for s = 0.
    """
    columns_1 = (np.array(coincidence.matrix_1) @ plane_1).T
    columns_2 = (np.array(coincidence.matrix_2) @ plane_2).T
    left, stretches, right = np.linalg.svd(columns_1 @ np.linalg.inv(columns_2))
    partial = left @ np.diag(1.0 + strained_part * (stretches - 1.0)) @ right
    return (partial @ columns_2).T


def particle_on_sheet(
    sheet: Atoms, particle: Atoms, gap: float, spacing: float, vacuum: float, periodic_normal: bool = False
) -> Atoms:
    """A nanoparticle, as it is turned, over the middle of a sheet that is repeated until its images are apart.

    :param sheet: cell of slab 1
    :param particle: slab 2, without periodic directions
    :param gap: Å
    :param spacing: distance between the spheres around the particle and its images, at least, Å
    :param vacuum: as in `build_interface`
    :raises ConfigError: if a length is not positive
    """
    for name, value in (("gap", gap), ("spacing", spacing), ("vacuum", vacuum)):
        if not value > 0:
            raise ConfigError(f"`{name}`: expected a positive length in Å, got {value}")
    plane = plane_of(sheet)
    flat = particle.positions[:, :2] - 0.5 * (particle.positions[:, :2].max(0) + particle.positions[:, :2].min(0))
    extent = 2.0 * np.linalg.norm(flat, axis=1).max() + spacing
    # a vector's distance to its neighbour line: the area over the length of the other vector
    widths = area_of(sheet) / np.linalg.norm(plane[::-1], axis=1)
    repeats = np.ceil(extent / widths).astype(int)
    matrix = ((int(repeats[0]), 0), (0, int(repeats[1])))
    large = np.array(matrix) @ plane
    lower = _supercell(sheet, matrix, large)
    upper = Atoms(particle.numbers, particle.positions)
    upper.positions[:, :2] = flat + 0.5 * large.sum(0)
    upper.set_cell([*np.pad(large, ((0, 0), (0, 1))), [0, 0, 1]])
    atoms = _stacked(lower, upper, gap, vacuum, periodic_normal)
    atoms.info["registry_cell"] = plane
    return atoms


def _supercell(slab: Atoms, matrix: Sequence[Sequence[int]], plane: np.ndarray) -> Atoms:
    """A slab repeated by a matrix, strained to a plane; z stays as it is."""
    flat = Atoms(slab.numbers, slab.positions)
    flat.set_cell([*np.pad(plane_of(slab), ((0, 0), (0, 1))), [0, 0, 1]])
    whole = np.eye(3, dtype=int)
    whole[:2, :2] = matrix
    large = make_supercell(flat, whole, wrap=False)
    large.set_cell([*np.pad(plane, ((0, 0), (0, 1))), [0, 0, 1]], scale_atoms=True)
    return large


def _stacked(lower: Atoms, upper: Atoms, gap: float, vacuum: float, periodic_normal: bool) -> Atoms:
    """Slab 2 over slab 1 with labels; half the vacuum lies below."""
    lower.positions[:, 2] += 0.5 * vacuum - lower.positions[:, 2].min()
    upper.positions[:, 2] += lower.positions[:, 2].max() + gap - upper.positions[:, 2].min()
    atoms = lower + upper
    atoms.set_array("slab", np.repeat([1, 2], [len(lower), len(upper)]))
    cell = lower.cell[:].copy()
    cell[2] = [0, 0, upper.positions[:, 2].max() + 0.5 * vacuum]
    atoms.set_cell(cell)
    atoms.pbc = (True, True, periodic_normal)
    return atoms


def label_slabs(atoms: Atoms, elements_2: Sequence[str]) -> Atoms:
    """A copy with labels: slab 2 are the atoms of some elements.

    :raises DataError: if a slab has no atoms
    """
    labelled = atoms.copy()
    labelled.set_array("slab", np.where(np.isin(atoms.get_chemical_symbols(), elements_2), 2, 1))
    check_labels(labelled)
    return labelled


def check_labels(atoms: Atoms) -> np.ndarray:
    """The labels, shape (num_atoms,).

    :raises DataError: unless every atom has the label 1 or 2, and both occur
    """
    labels = np.asarray(atoms.arrays.get("slab", []))
    if set(labels.tolist()) != {1, 2}:
        raise DataError(
            f"`slab`: expected an array of labels 1 (lower) and 2 (upper slab) in the atoms, got "
            f"{sorted(set(labels.tolist())) or 'none'}; build the interface with `build_interface`, or label it with "
            "`label_slabs` (`elements_2=` of a command)"
        )
    return labels


def slabs_of(atoms: Atoms) -> tuple[Atoms, Atoms]:
    """The two slabs as they stand in the cell of the interface, without calculator and, each, without charge."""
    labels = check_labels(atoms)
    parts = atoms[labels == 1], atoms[labels == 2]
    for part in parts:
        part.info.pop("total_charge", None)
    return parts


def gap_of(atoms: Atoms) -> float:
    """Distance of the slabs along z, Å."""
    labels, heights = check_labels(atoms), atoms.positions[:, 2]
    return float(heights[labels == 2].min() - heights[labels == 1].max())


def with_gap(atoms: Atoms, gap: float) -> Atoms:
    """A copy with slab 2 moved along z until the gap is this one, Å.

    :raises DataError: if z is periodic and slab 2 would come as close to the next image of slab 1
    """
    moved = moved_slab(atoms, [0.0, 0.0, gap - gap_of(atoms)])
    if moved.pbc[2]:
        heights = moved.positions[:, 2]
        above = float(moved.cell[2, 2] - np.ptp(heights))
        if above < gap:
            raise DataError(
                f"`gap`: expected less than the vacuum above slab 2, got {gap:g} Å with {above:g} Å left; "
                "make the cell higher"
            )
    return moved


def moved_slab(atoms: Atoms, shift: Sequence[float] | np.ndarray) -> Atoms:
    """A copy with slab 2 moved.

    :param shift: shape (3,), Å
    """
    moved = atoms.copy()
    moved.positions[check_labels(atoms) == 2] += np.asarray(shift, dtype=float)
    return moved


def contact_area(atoms: Atoms, depth: float = 1.0) -> float:
    """Area of the facet with which a nanoparticle (slab 2) lies on a sheet, Å².

    Number of nuclei in the facet times the area for each of them: twice the mean triangle of their Delaunay
    triangulation, as a plane lattice has two triangles for each nucleus. So a facet of n atoms has n cells of its
    lattice, its rim included, which the hull of nuclei leaves out (three atoms: six times too little).

    :param depth: over the particle's lowest nucleus, up to which nuclei belong to the facet, Å
    :raises DataError: if these nuclei don't span an area
    """
    upper = slabs_of(atoms)[1].positions
    facet = upper[upper[:, 2] <= upper[:, 2].min() + depth, :2]
    try:
        triangles = facet[Delaunay(facet).simplices]
    except (QhullError, ValueError) as error:
        raise DataError(
            f"`depth`: expected a facet of three atoms or more that are not in line, got {len(facet)} atoms within "
            f"{depth} Å; turn the particle with a facet down, or raise `depth`"
        ) from error
    areas = 0.5 * np.abs(np.linalg.det(triangles[:, 1:] - triangles[:, :1]))
    # a rim that is not quite straight has slivers outside of it
    return 2.0 * len(facet) * float(areas[areas > SLIVER * np.median(areas)].mean())


def interface_report(
    slab_1: Atoms,
    slab_2: Atoms,
    max_area: float = 150.0,
    max_strain: float = 0.03,
    min_twist: float = -180.0,
    max_twist: float = 180.0,
    choice: int = 0,
    gap: float = 3.0,
    vacuum: float = 15.0,
    strained_part: float = 1.0,
    periodic_normal: bool = False,
    structure: Path = Path("interface.extxyz"),
) -> Report:
    """Coincidence lattices of two slabs, and the structure of one.

    :param max_area: Å²
    :param max_strain: largest principal strain (0.03 is 3 %)
    :param min_twist: degrees
    :param max_twist: degrees
    :param choice: which of the list is built, 0 is the smallest
    :param gap: Å
    :param vacuum: half of it below, half above both slabs, Å
    :param strained_part: part of the strain that slab 2 takes
    :param periodic_normal: whether the cell is periodic across the interface, too
    :param structure: file that the interface is written to
    :raises ConfigError: if there is none within the limits, or the choice is not in the list
    """
    found = coincidences_of(slab_1, slab_2, max_area, max_strain, (min_twist, max_twist))
    if not 0 <= choice < len(found):
        raise ConfigError(f"`choice`: expected a number from 0 to {len(found) - 1}, got {choice}")
    atoms = build_interface(slab_1, slab_2, found[choice], gap, vacuum, strained_part, periodic_normal)
    text = io.StringIO()
    ase.io.write(text, atoms, format="extxyz")
    write_text_atomically(structure, text.getvalue())
    values = {
        **found[choice].report(),
        "num_atoms": len(atoms),
        "structure": structure,
        "coincidences": [one.report() for one in found],
    }
    return Report("interface", values, interface_figure(atoms, found, choice))


def interface_figure(atoms: Atoms, found: Sequence[Coincidence], choice: int) -> Figure:
    """The interface from above and from the side with its gap; beside it all coincidences, if there are several."""
    title = f"{atoms.get_chemical_formula()}: {found[choice].area:.1f} Å², {100 * found[choice].largest_strain:.2f} %"
    figure, panels = interface_views(atoms, title, int(len(found) > 1))
    if len(found) > 1:
        axes = panels[2]
        style_axes(axes)
        strains = [100 * one.largest_strain for one in found]
        axes.scatter([one.area for one in found], strains, s=14, color="0.6", label="others")
        axes.scatter([found[choice].area], strains[choice], s=40, color=PALETTE[1], label="built")
        axes.legend(frameon=False, fontsize=9)
        label_axes(axes, "area, Å²", "largest strain, %")
    return figure


def interface_views(atoms: Atoms, title: str, more_panels: int = 0) -> tuple[Figure, list[Axes]]:
    """Both views of an interface, its gap marked; arguments and result as of `structure_figure`."""
    figure, panels = structure_figure(atoms, title, more_panels)
    labels, heights = check_labels(atoms), atoms.positions[:, 2]
    mark_distance(panels[1], heights[labels == 1].max(), heights[labels == 2].min(), f"{gap_of(atoms):.2f} Å")
    return figure, panels
