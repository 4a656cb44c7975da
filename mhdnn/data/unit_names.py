"""Units by the names that files give them: ``[eV/angstrom]``, ``Ry/bohr**3``, ``kB``, ``a.u.``, ....

Every reader of a file that names a unit asks here; a name that isn't known is an error, never a guess.
"""

from __future__ import annotations

import re

from mhdnn.errors import DataError
from mhdnn.units import (
    BOHR,
    EV_PER_JOULE,
    EV_PER_KCAL_PER_MOL,
    EV_PER_KJ_PER_MOL,
    GPA_PER_EV_PER_CUBIC_ANGSTROM,
    HARTREE,
    RYDBERG,
)

ENERGY = {
    "ev": 1.0,
    "electronvolt": 1.0,
    "mev": 1e-3,
    "kev": 1e3,
    "ha": HARTREE,
    "eh": HARTREE,
    "hartree": HARTREE,
    "hartrees": HARTREE,
    "ry": RYDBERG,
    "ryd": RYDBERG,
    "rydberg": RYDBERG,
    "kj/mol": EV_PER_KJ_PER_MOL,
    "kjmol": EV_PER_KJ_PER_MOL,
    "kcal/mol": EV_PER_KCAL_PER_MOL,
    "kcalmol": EV_PER_KCAL_PER_MOL,
    "j": EV_PER_JOULE,
    "joule": EV_PER_JOULE,
}
LENGTH = {
    "angstrom": 1.0,
    "angstroms": 1.0,
    "ang": 1.0,
    "a": 1.0,
    "å": 1.0,
    "bohr": BOHR,
    "a0": BOHR,
    "au": BOHR,
    "nm": 10.0,
    "pm": 0.01,
    "m": 1e10,
}
GPA = {
    "gpa": 1.0,
    "mpa": 1e-3,
    "pa": 1e-9,
    "bar": 1e-4,
    "kbar": 0.1,
    "kb": 0.1,
    "megabar": 100.0,
    "atm": 1.01325e-4,
}
ATOMIC = ("au", "atomic")
"""Names of the unit of whatever is measured, in Hartree atomic units; among Rydbergs ``au`` is the bohr."""


def energy_unit(name: str, where: str) -> float:
    """One of this unit in eV.

    :param where: what error messages call the place
    :raises DataError: if the unit is unknown
    """
    unit = _plain(name)
    value = HARTREE if unit in ATOMIC else ENERGY.get(unit)
    return _known(value, name, where, "an energy such as eV, hartree, Ry, kcal/mol")


def length_unit(name: str, where: str) -> float:
    """One of this unit in Å.

    :raises DataError: if the unit is unknown
    """
    unit = _plain(name)
    return _known(BOHR if unit in ATOMIC else LENGTH.get(unit), name, where, "a length such as angstrom, bohr, nm")


def force_unit(name: str, where: str) -> float:
    """One of this unit in eV/Å, from names such as ``eV/angstrom``, ``hartree*bohr^-1``, ``Ry/au``, ``a.u.``.

    :raises DataError: if the unit is unknown
    """
    unit = _plain(name)
    value = HARTREE / BOHR if unit in ATOMIC else _ratio(unit, 1)
    return _known(value, name, where, "a force such as eV/angstrom, hartree/bohr, Ry/bohr")


def stress_unit(name: str, where: str) -> float:
    """One of this unit in eV/Å³, from names such as ``GPa``, ``kbar``, ``eV/A**3``, ``Ry/bohr**3``.

    :raises DataError: if the unit is unknown
    """
    unit = _plain(name)
    value = HARTREE / BOHR**3 if unit in ATOMIC else _ratio(unit, 3)
    if unit in GPA:
        value = GPA[unit] / GPA_PER_EV_PER_CUBIC_ANGSTROM
    return _known(value, name, where, "a stress such as GPa, kbar, eV/A^3, hartree/bohr^3")


def _plain(name: str) -> str:
    name = name.strip().strip("[]()").strip()
    if name in ("Mbar", "MBar"):
        return "megabar"  # in lower case it would be a millibar
    if name == "mbar":
        return name  # not known: who writes stresses so?
    unit = name.lower().replace(" ", "").replace("a.u.", "au").replace("ångström", "angstrom")
    unit = unit.replace("³", "^3").replace("**", "^")
    return re.sub(r"\*([a-zå0]+)\^-(\d)", r"/\1^\2", unit)


def _ratio(unit: str, power: int) -> float | None:
    """Energy over a power of a length."""
    energy, slash, length = unit.rpartition("/")
    length, _, exponent = length.partition("^")
    if length.endswith("3") and power == 3 and not exponent:
        length, exponent = length[:-1], "3"
    if not slash or (exponent or "1") != str(power):
        return None
    value, scale = (HARTREE if energy in ATOMIC else ENERGY.get(energy)), LENGTH.get(length)
    return None if value is None or scale is None else value / scale**power


def _known(value: float | None, name: str, where: str, expected: str) -> float:
    if value is None:
        raise DataError(f"{where}: unknown unit `{name}`; expected {expected}; convert the values to one of them")
    return value
