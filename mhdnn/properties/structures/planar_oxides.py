r"""Oxides whose metals lie in one plane: Mo–V–O with pentagonal columns, and the tungsten bronze Nb18W16O93.

Octahedra share corners in the plane z = 0 and, through oxygens half a cell above their metals, along c. A pentagonal
column is a pentagonal bipyramid that shares its five edges in the plane with octahedra, :math:`\{M_6O_{21}\}`.

What is published and what is ideal. Cells, space groups and compositions are measured, except the cell of Nb18W16O93,
which has the common values of its family. The coordinates are not: they are derived here.

* Mo–V–O: the octahedra sit on the edges of a net of three-connected points with five-, six- and seven-membered rings,
  columns in the rings of five. In Pba2, with four rings of each kind in the cell, there are four nets; the one taken
  has a/b = 0.798 where its edges are equal (measured 0.793; the others 0.57, 0.36 and 0.32) and gives
  :math:`M_{40}O_{112}`. In P3 with three, two and three rings there is one, :math:`M_{27}O_{75}`.
* Nb18W16O93: the tetragonal bronze, tripled along b, four of whose twelve pentagonal tunnels hold columns that stand
  6 Å from no other and 9 Å from one (Iijima and Allpress; Krumeich, https://doi.org/10.3390/cryst11121514): there
  is one such arrangement, with the group Pbam, :math:`M_{34}O_{94}`. One oxygen of a column is left out.

Places in the plane minimise the deviations of bond valence sums (Brown and Altermatt, Acta Cryst. B 41, 244 (1985),
https://doi.org/10.1107/S0108768185002063; of metals 5.6 or 5.47, of oxygen 2) and of bonds from 1.92 and 2.02 Å. Metals
stay in the plane, a mirror that the crystals may lack: relax before use.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.geometry import cellpar_to_cell

from mhdnn.errors import ConfigError
from mhdnn.properties.structures.layers import checked_size
from mhdnn.properties.structures.octahedra import (
    CENTRALITY,
    OCTAHEDRAL,
    OXYGEN,
    tunnel_bronze,
    with_metals,
)

Places = tuple[tuple[float, float], ...]
STRING = "of_string"
COLUMN_RADIUS = 3.7
"""Å; octahedra nearer to the middle of a column share an edge with it."""


@dataclass(frozen=True)
class PlanarOxide:
    """An oxide of one plane of metals.

    :param cell: a, b, c in Å and angles in degrees
    :param operations: x, y of equivalent places: rows of a matrix and a shift
    :param middles: metals in the middle of pentagonal columns
    :param octahedral: other metals
    :param oxygens: in the plane
    :param metals: and their number in a cell
    :param absent: oxygens of columns that a cell lacks
    """

    cell: tuple[float, float, float, float, float, float]
    operations: tuple[tuple[tuple[int, int], tuple[int, int], tuple[float, float]], ...]
    middles: Places
    octahedral: Places
    oxygens: Places
    metals: Mapping[str, int]
    absent: int = 0

    def images(self, places: Places) -> np.ndarray:
        """All equivalent places, shape (num_places, 2)."""
        found: list[np.ndarray] = []
        for place in places:
            orbit: list[np.ndarray] = []
            for first, second, shift in self.operations:
                image = (np.array([first, second]) @ place + shift) % 1.0
                if all(np.abs(image - other - np.round(image - other)).max() > 1e-3 for other in orbit):
                    orbit.append(image)
            found += orbit
        return np.array(found)


ROTATION, GLIDES = ((-1, 0), (0, -1), (0.0, 0.0)), (((1, 0), (0, -1), (0.5, 0.5)), ((-1, 0), (0, 1), (0.5, 0.5)))
SAME = ((1, 0), (0, 1), (0.0, 0.0))
THREEFOLD = (SAME, ((0, -1), (1, -1), (0.0, 0.0)), ((-1, 1), (-1, 0), (0.0, 0.0)))

PLANAR_OXIDES = {
    "Mo29V11O112": PlanarOxide(
        (21.134, 26.658, 4.0146, 90, 90, 90),
        (SAME, ROTATION, *GLIDES),
        middles=((0.3603, 0.8135),),
        octahedral=(
            (0.0000, 0.0000), (0.1155, 0.1011), (0.1694, 0.9730), (0.6596, 0.0563), (0.5052, 0.1328),
            (0.5000, 0.0000), (0.7854, 0.1576), (0.5397, 0.2812), (0.3801, 0.2249), (0.7156, 0.2959)
        ),
        oxygens=(
            (0.0441, 0.0584), (0.0843, 0.9671), (0.1649, 0.0412), (0.5868, 0.1109), (0.5917, 0.0144),
            (0.4769, 0.0665), (0.7338, 0.0250), (0.8280, 0.1005), (0.7070, 0.1196), (0.5584, 0.2028),
            (0.4285, 0.1638), (0.4570, 0.2590), (0.6314, 0.2787), (0.5452, 0.3466), (0.6895, 0.3639),
            (0.7171, 0.2142), (0.8399, 0.2121), (0.7991, 0.3080)
        ),
        metals={"Mo": 29, "V": 11},
    ),
    "Mo20V7O75": PlanarOxide(
        (21.433, 21.433, 4.0045, 90, 90, 120),
        THREEFOLD,
        middles=((0.3888, 0.3894),),
        octahedral=(
            (0.1034, 0.7945), (0.9994, 0.8954), (0.9025, 0.6904), (0.9997, 0.4429), (0.8422, 0.4681),
            (0.8202, 0.2901), (0.1790, 0.4672), (0.1584, 0.6252)
        ),
        oxygens=(
            (0.0804, 0.8601), (0.9978, 0.7213), (0.9400, 0.8027), (0.9318, 0.4794), (0.9177, 0.3505),
            (0.8045, 0.3665), (0.0776, 0.4316), (0.0680, 0.5488), (0.1937, 0.5590), (0.2823, 0.5093),
            (0.1777, 0.3758), (0.3216, 0.4117), (0.9378, 0.9238), (0.9091, 0.5863), (0.8136, 0.6284),
            (0.7719, 0.4912)
        ),
        metals={"Mo": 20, "V": 7},
    ),
    "Nb18W16O93": PlanarOxide(
        (12.25, 36.66, 3.94, 90, 90, 90),
        (SAME, ROTATION, *GLIDES),
        middles=((0.1796, 0.8882),),
        octahedral=(
            (0.9881, 0.8288), (0.0932, 0.7316), (0.8002, 0.6951), (0.9369, 0.9332), (0.2213, 0.9781),
            (0.7299, 0.8589), (0.4494, 0.8978), (0.5000, 0.0000)
        ),
        oxygens=(
            (0.2854, 0.9224), (0.2273, 0.7593), (0.8090, 0.9044), (0.3409, 0.6805), (0.0226, 0.7797),
            (0.6590, 0.9911), (0.0135, 0.8844), (0.4838, 0.9483), (0.1589, 0.8347), (0.1285, 0.6815),
            (0.9392, 0.7142), (0.8725, 0.9803), (0.0915, 0.9493), (0.6007, 0.8889), (0.3579, 0.8565)
        ),
        metals={"Nb": 18, "W": 16},
        absent=1,
    ),
}  # fmt: skip
"""Mo29V11O112 (orthorhombic Mo3VOx, the M1 phase, Pba2): cell of DeSanto et al., Z. Kristallogr. 219, 152 (2004),
https://doi.org/10.1524/zkri.219.3.152.29091. Mo20V7O75 (trigonal Mo3VOx, P3): Sadakane et al., Angew. Chem. Int. Ed.
46, 1493 (2007), https://doi.org/10.1002/anie.200603923. Both, and the tetragonal form, which is not built here because
no net of it could be told from others: Konya et al., Catal. Sci. Technol. 3, 380 (2013),
https://doi.org/10.1039/C2CY20444D. Nb18W16O93: Stephenson, Acta Cryst. B 24, 637 (1968)."""
MOLYBDENUM_VANADIUM = {"orthorhombic": "Mo29V11O112", "trigonal": "Mo20V7O75"}


def planar_oxide(
    formula: str = "Nb18W16O93",
    metals: Mapping[str, int] | None = None,
    order: str = "random",
    seed: int = 0,
    size: Sequence[int] = (1, 1, 1),
) -> Atoms:
    """One of `PLANAR_OXIDES`: derived coordinates in its cell.

    :param metals: and their shares; None: those of the formula
    :param order: ``random``, or ``linking``: the last metal in octahedra outside of pentagonal columns, as far as
        these go; vanadium is found there
    :param seed: of the metals' places, and of the columns that lack an oxygen
    :param size: cells along the three vectors
    :raises ConfigError: for another formula or order, or shares that don't fit the number of metals
    """
    if formula not in PLANAR_OXIDES:
        raise ConfigError(f"`formula`: expected one of {', '.join(PLANAR_OXIDES)}, got {formula!r}")
    if order not in ("random", "linking"):
        raise ConfigError(f"`order`: expected random or linking, got {order!r}")
    data = PLANAR_OXIDES[formula]
    atoms = _with_places(data)
    atoms = atoms.repeat(checked_size(size, 3))
    strings = np.flatnonzero(atoms.arrays.pop(STRING))
    absent = np.random.default_rng(seed).choice(strings, data.absent * int(np.prod(size)), replace=False)
    del atoms[absent]
    return with_metals(atoms, metals or data.metals, seed, "central" if order == "linking" else "random")


def _with_places(data: PlanarOxide) -> Atoms:
    """A cell with one metal for all; arrays tell octahedra of columns, and the oxygens between their middles."""
    middles, octahedral, oxygens = (data.images(places) for places in (data.middles, data.octahedral, data.oxygens))
    plane = np.vstack([middles, octahedral])
    places = np.vstack([plane, oxygens, plane])
    heights = np.repeat([0.0, 0.5], [len(plane) + len(oxygens), len(plane)])
    is_metal = np.arange(len(places)) < len(plane)
    atoms = Atoms(
        np.where(is_metal, next(iter(data.metals)), "O").tolist(),
        scaled_positions=np.column_stack([places, heights]),
        cell=cellpar_to_cell(data.cell),
        pbc=True,
        tags=np.where(is_metal, OCTAHEDRAL, OXYGEN),
    )
    distances = atoms.get_all_distances(mic=True)[: len(middles), : len(plane)].min(axis=0)
    outside = np.where(distances > COLUMN_RADIUS, 0.0, 1.0)
    # the last metal of a formula goes to the lowest numbers
    atoms.set_array(CENTRALITY, np.append(outside, np.full(len(places) - len(plane), -1.0)))
    atoms.set_array(
        STRING, (heights > 0) & np.isin(np.arange(len(places)) - len(plane) - len(oxygens), range(len(middles)))
    )
    return atoms


def molybdenum_vanadium_oxide(
    phase: str = "orthorhombic",
    metals: Mapping[str, int] | None = None,
    order: str = "linking",
    seed: int = 0,
    size: Sequence[int] = (1, 1, 1),
) -> Atoms:
    """Mo–V–O: orthorhombic (Mo29V11O112) or trigonal (Mo20V7O75) with pentagonal columns, or hexagonal tunnels alone.

    :param phase: orthorhombic, trigonal, or hexagonal (`tunnel_bronze`)
    :param metals: and their shares; None: those of the formula, of hexagonal two Mo for one V
    :param order: of orthorhombic and trigonal, as in `planar_oxide`
    :param seed: of the metals' places
    :param size: cells along the three vectors
    :raises ConfigError: for another phase or order, or shares that don't fit the number of metals
    """
    if phase == "hexagonal":
        return tunnel_bronze(metals, seed=seed, size=size)
    if phase not in MOLYBDENUM_VANADIUM:
        raise ConfigError(
            f"`phase`: expected one of {', '.join([*MOLYBDENUM_VANADIUM, 'hexagonal'])}, got {phase!r}; the tetragonal "
            "phase needs measured coordinates, read them from a CIF"
        )
    return planar_oxide(MOLYBDENUM_VANADIUM[phase], metals, order, seed, size)
