"""Molecules of electrolytes."""

from __future__ import annotations

from pathlib import Path

from ase import Atoms
from ase.build import molecule as g2_molecule
from ase.io import read

from mhdnn.errors import ConfigError

FILE = Path(__file__).with_name("molecules.xyz")
"""Made by scripts/dft/molecules.py with PySCF 2.14 and tblite; the method stands with each molecule."""

MOLECULES = ("EC", "DMC", "LiTFSI", "H2O")


def molecule(name: str) -> Atoms:
    """Ethylene carbonate (EC), dimethyl carbonate (DMC), LiTFSI as a contact ion pair, or water (H2O).

    Water is that of the G2 set in ASE (MP2); EC and DMC are relaxed with PBE0/def2-SVP, LiTFSI with
    GFN2-xTB, lithium held 1.87 Å from two oxygens, and sulfur 1.83 Å from carbon as in crystals.

    :return: the molecule around its centre of mass, without a cell
    :raises ConfigError: for another name
    """
    if name not in MOLECULES:
        raise ConfigError(f"`molecule`: expected one of {', '.join(MOLECULES)}, got {name!r}")
    if name == "H2O":
        atoms = g2_molecule(name)
    else:
        atoms = next(atoms for atoms in read(FILE, ":") if atoms.info["name"] == name)
    atoms = Atoms(atoms.symbols, atoms.positions)
    atoms.positions -= atoms.get_center_of_mass()
    return atoms
