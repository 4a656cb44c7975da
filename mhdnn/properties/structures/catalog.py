"""The command ``structures``: every builder by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from ase import Atoms

from mhdnn.errors import ConfigError
from mhdnn.properties.report import Report
from mhdnn.properties.structure_figure import structure_figure
from mhdnn.properties.structures.crystals import compound_crystal, element_crystal
from mhdnn.properties.structures.defects import defective_graphene
from mhdnn.properties.structures.files import write_structure
from mhdnn.properties.structures.layers import dichalcogenide, graphene_sheet, lithium_cobalt_oxide
from mhdnn.properties.structures.molecules import MOLECULES, molecule
from mhdnn.properties.structures.mxenes import mxene
from mhdnn.properties.structures.octahedra import SHEAR_PHASES, shear_phase
from mhdnn.properties.structures.packing import pack_box
from mhdnn.properties.structures.particles import nanoparticle
from mhdnn.properties.structures.planar_oxides import molybdenum_vanadium_oxide, planar_oxide
from mhdnn.properties.structures.shares import named_shares, whole_shares
from mhdnn.units import GRAM_PER_CUBIC_CENTIMETER_PER_AMU_PER_CUBIC_ANGSTROM

BUILDERS: dict[str, Callable[..., Atoms]] = {
    "graphene": graphene_sheet,
    "defective_graphene": defective_graphene,
    "mos2": partial(dichalcogenide, "MoS2"),
    "ws2": partial(dichalcogenide, "WS2"),
    "ti2c": partial(mxene, "Ti2C"),
    "ti3c2": partial(mxene, "Ti3C2"),
    "licoo2": lithium_cobalt_oxide,
    "nanoparticle": nanoparticle,
    "crystal": element_crystal,
    **{formula.lower(): partial(shear_phase, formula) for formula in SHEAR_PHASES},
    "nb18w16o93": partial(planar_oxide, "Nb18W16O93"),
    "mo_v_o": molybdenum_vanadium_oxide,
    "lif": partial(compound_crystal, "LiF"),
    "li2o": partial(compound_crystal, "Li2O"),
    "li2co3": partial(compound_crystal, "Li2CO3"),
    "graphite": partial(compound_crystal, "graphite"),
    **{name.lower(): partial(molecule, name) for name in MOLECULES},
    "box": pack_box,
}

POSITIVE = ("vacuum", "concentration", "diameter", "density", "tolerance")
"""Options that are positive lengths, densities and fractions, whatever the builder."""


def structures_report(
    name: str,
    file: Path = Path("structure.extxyz"),
    size: list[int] | None = None,
    vacuum: float | None = None,
    defect: str | None = None,
    concentration: float | None = None,
    phase: str | None = None,
    layers: int | None = None,
    bulk: bool | None = None,
    termination: list[str] | None = None,
    site: str | None = None,
    element: str | None = None,
    num_atoms: int | None = None,
    diameter: float | None = None,
    shape: str | None = None,
    facets: list[str] | None = None,
    orientation: list[int] | None = None,
    passivated: bool | None = None,
    metals: list[str] | None = None,
    contents: list[str] | None = None,
    density: float | None = None,
    area: list[float] | None = None,
    tolerance: float | None = None,
    seed: int | None = None,
    order: str | None = None,
) -> Report:
    """Structures of electrodes and electrolytes: writes one to a file.

    Names: graphene, defective_graphene, mos2, ws2, ti2c, ti3c2, licoo2, nanoparticle, crystal, tinb2o7, nb12wo33,
    nb14w3o44, nb16w5o55, nb18w16o93, mo_v_o, lif, li2o, li2co3, graphite, ec, dmc, litfsi, h2o, box. Keys that are not
    given have the builder's default.

    :param name: of the structure
    :param file: structure file that is written, its suffix tells the format
    :param size: cells along the vectors
    :param vacuum: on each side, Å
    :param defect: defective_graphene: single_vacancy, double_vacancy or stone_wales
    :param concentration: defective_graphene: atoms missing or turned, as a fraction
    :param phase: mos2, ws2: 2H or 1T; mo_v_o: orthorhombic, trigonal or hexagonal
    :param layers: mos2, ws2: number of layers
    :param bulk: mos2, ws2: periodic across the layers
    :param termination: ti2c, ti3c2: O, F, OH, Cl or none; or shares of several, e.g. O:2,OH:1,F:1
    :param site: ti2c, ti3c2: fcc or hcp
    :param element: nanoparticle, crystal: Si, Ge, Sn, alpha-Sn, Li, Se (trigonal), monoclinic-Se or S
    :param num_atoms: nanoparticle: this many, or
    :param diameter: nanoparticle: Å
    :param shape: nanoparticle: sphere or faceted
    :param facets: nanoparticle: indices and relative distance of families of faces, e.g. 111:1.0,100:1.15
    :param orientation: nanoparticle: Miller indices of the plane that is turned upwards
    :param passivated: nanoparticle: hydrogen on cut bonds
    :param metals: mo_v_o, nb18w16o93: shares, e.g. Mo:3,V:1
    :param contents: box: molecules, e.g. EC:20,DMC:20,LiTFSI:2
    :param density: box: g/cm³
    :param area: box: lengths along x and y, Å
    :param tolerance: box: smallest distance of molecules, Å
    :param seed: of what is random
    :param order: nb12wo33 and so on: random, or central (tungsten in the middle of blocks); mo_v_o, nb18w16o93: random,
        or linking (the last metal outside of pentagonal columns)
    :raises ConfigError: for an unknown name, a key that it does not take, or values that it can't use
    """
    options = {key: value for key, value in locals().items() if key not in ("name", "file") and value is not None}
    atoms = build_structure(name, **options)
    write_structure(atoms, file, "file")
    values = {
        "structure": name,
        "file": str(file),
        "formula": atoms.get_chemical_formula(),
        "num_atoms": len(atoms),
        "cell_angstrom": atoms.cell.lengths(),
        "cell_angles_degree": atoms.cell.angles(),
        "periodic": atoms.pbc,
    }
    if atoms.pbc.all():
        density_amu = atoms.get_masses().sum() / atoms.get_volume()
        values["density_g_per_cm3"] = density_amu * GRAM_PER_CUBIC_CENTIMETER_PER_AMU_PER_CUBIC_ANGSTROM
    return Report("structures", values, structure_figure(atoms, f"{name}: {atoms.get_chemical_formula()}")[0])


def build_structure(name: str, **options: Any) -> Atoms:
    """A structure by name; the options are those of its builder in `BUILDERS`.

    ``facets``, ``metals`` and ``contents`` may also be words with colons (``["EC:20", "DMC:20"]``).

    :raises ConfigError: for an unknown name, an option that it does not take, or one that is missing
    """
    if name not in BUILDERS:
        raise ConfigError(f"`name`: expected one of {', '.join(BUILDERS)}, got {name!r}")
    builder = BUILDERS[name]
    known = inspect.signature(builder).parameters
    free = [key for key in known if key not in getattr(builder, "keywords", {})]
    unknown = [key for key in options if key not in free]
    if unknown:
        raise ConfigError(f"`{unknown[0]}`: {name} does not take it; its keys are {', '.join(free) or 'none'}")
    missing = [key for key in free if known[key].default is inspect.Parameter.empty and key not in options]
    if missing:
        raise ConfigError(f"`{missing[0]}`: {name} needs it; its keys are {', '.join(free)}")
    for key in POSITIVE:
        if options.get(key) is not None and not options[key] > 0:
            raise ConfigError(f"`{key}`: expected a positive number, got {options[key]}")
    if isinstance(options.get("facets"), list):
        shares = named_shares("facets", options["facets"])
        options["facets"] = {_indices(key): value for key, value in shares.items()}
    if isinstance(options.get("termination"), list):
        options["termination"] = _termination(options["termination"])
    for key in ("metals", "contents"):
        if isinstance(options.get(key), list):
            options[key] = whole_shares(key, options[key])
    return builder(**options)


def _termination(words: list[str]) -> str | dict[str, int] | None:
    if len(words) == 1 and ":" not in words[0]:
        return None if words[0] == "none" else words[0]
    return whole_shares("termination", words)


def _indices(text: str) -> tuple[int, int, int]:
    if len(text) != 3 or not text.isdigit():
        raise ConfigError(f"`facets`: expected three digits such as 111, got {text!r}")
    return int(text[0]), int(text[1]), int(text[2])
