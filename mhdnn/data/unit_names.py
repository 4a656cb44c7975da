"""Units by the names that files give them: ``[eV/angstrom]``, ``Ry/bohr**3``, ``kB``, ``a.u.``, ``kcal/(mol*Å)``.

Every reader of a file that names a unit asks here; a name that isn't known is an error, never a guess.
"""

from __future__ import annotations

import re
import unicodedata
from typing import NamedTuple

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


class Dimension(NamedTuple):
    """Powers of energy, length, charge and amount of substance."""

    energy: int = 0
    length: int = 0
    charge: int = 0
    amount: int = 0


QUANTITIES = {
    "energy": Dimension(energy=1),
    "length": Dimension(length=1),
    "forces": Dimension(energy=1, length=-1),
    "stress": Dimension(energy=1, length=-3),
    "virial": Dimension(energy=1),
    "charges": Dimension(charge=1),
}
"""What has units in a dataset; also the keys that `factor` takes."""

_ENERGY, _LENGTH, _PRESSURE, _CHARGE = (QUANTITIES[name] for name in ("energy", "length", "stress", "charges"))
_MOLAR = Dimension(energy=1, amount=1)
_GPA = 1 / GPA_PER_EV_PER_CUBIC_ANGSTROM
UNITS: dict[str, tuple[float, Dimension]] = {
    **dict.fromkeys(("ev", "electronvolt", "electronvolts"), (1.0, _ENERGY)),
    "mev": (1e-3, _ENERGY),
    "kev": (1e3, _ENERGY),
    **dict.fromkeys(("j", "joule"), (EV_PER_JOULE, _ENERGY)),
    "kcalmol": (EV_PER_KCAL_PER_MOL, _ENERGY),
    "kjmol": (EV_PER_KJ_PER_MOL, _ENERGY),
    **dict.fromkeys(("ha", "hartree", "hartrees", "eh", "e_h"), (HARTREE, _ENERGY)),
    **dict.fromkeys(("mha", "millihartree", "meh"), (HARTREE / 1000, _ENERGY)),
    **dict.fromkeys(("ry", "ryd", "rydberg", "rydbergs"), (RYDBERG, _ENERGY)),
    "kcal": (EV_PER_KCAL_PER_MOL, _MOLAR),
    "kj": (EV_PER_KJ_PER_MOL, _MOLAR),
    **dict.fromkeys(("mol", "mole"), (1.0, Dimension(amount=1))),
    **dict.fromkeys(("a", "aa", "ang", "angst", "angstrom", "angstroms", "angström"), (1.0, _LENGTH)),
    **dict.fromkeys(("bohr", "bohrs", "a0", "a_0", "bohrradius"), (BOHR, _LENGTH)),
    "nm": (10.0, _LENGTH),
    "pm": (0.01, _LENGTH),
    "m": (1e10, _LENGTH),
    "gpa": (_GPA, _PRESSURE),
    "mpa": (_GPA * 1e-3, _PRESSURE),
    "kpa": (_GPA * 1e-6, _PRESSURE),
    "pa": (_GPA * 1e-9, _PRESSURE),
    **dict.fromkeys(("kbar", "kb", "kilobar"), (_GPA * 0.1, _PRESSURE)),
    "bar": (_GPA * 1e-4, _PRESSURE),
    "megabar": (_GPA * 100, _PRESSURE),
    "atm": (_GPA * 1.01325e-4, _PRESSURE),
    **dict.fromkeys(("e", "|e|", "electron", "electrons", "elementarycharge", "elementary_charge"), (1.0, _CHARGE)),
    **dict.fromkeys(("c", "coulomb"), (EV_PER_JOULE, _CHARGE)),
}
ATOMIC_UNITS = ("au", "a.u.", "a.u", "atomic", "atomicunits", "atomic_units", "atomic units")
SYSTEMS = {
    **dict.fromkeys(("metal", "ase", "ev-angstrom", "ev/angstrom", "ev/a", "ev"), ("ev", "angstrom")),
    **dict.fromkeys((*ATOMIC_UNITS, "hartree-bohr", "hartree/bohr", "ha/bohr", "ha-bohr"), ("hartree", "bohr")),
    **dict.fromkeys(("hartree-angstrom", "hartree/angstrom", "ha/a", "hartree"), ("hartree", "angstrom")),
    **dict.fromkeys(("real", "kcal/mol", "kcal/mol/a", "kcal/mol/angstrom"), ("kcal/mol", "angstrom")),
}
"""Names of whole systems of units, with their units of energy and length."""

SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")
LONGEST_NAME = 60
TOKEN = re.compile(r"\s*(?:(\*\*|\^)|([*·⋅/()])|([-+]?\d+)|(\|e\||a\.u\.?|[^\W\d]+0?))\s*")


EXAMPLES = {
    "energy": "`eV`, `hartree` or `kcal/mol`",
    "length": "`angstrom` or `bohr`",
    "forces": "`eV/angstrom` or `hartree/bohr`",
    "stress": "`eV/angstrom^3`, `GPa` or `kbar`",
    "virial": "`eV` or `hartree`",
    "charges": "`e`",
}


def factor(text: str, quantity: str, place: str) -> float:
    """What a number in the named unit is multiplied by to be in the package's unit.

    Products, quotients and powers are understood: ``eV/Å^3``, ``kcal/(mol*angstrom)``, ``hartree bohr**-1``; ``a.u.``
    are Hartree's atomic units.

    :param quantity: a key of `QUANTITIES`
    :param place: what error messages call the place where the text stands
    :raises DataError: if a unit is not known or is one of another quantity
    """
    plain = _plain(text)
    expected = QUANTITIES[quantity]
    if plain in ATOMIC_UNITS:
        return HARTREE**expected.energy * BOHR**expected.length
    try:
        if len(plain) > LONGEST_NAME:
            raise ValueError(text)
        value, found = _Parser(plain).value()
    except (ValueError, KeyError, IndexError, OverflowError, ZeroDivisionError) as error:
        raise _unknown(text, quantity, place) from error
    if found != expected:
        raise _unknown(text, quantity, place)
    return value


def is_unit(text: str, quantity: str) -> bool:
    """Whether a text names a unit of a quantity (a key of `QUANTITIES`) and no whole system."""
    if text.strip().lower() in SYSTEMS:
        return False
    try:
        return factor(text, quantity, "") > 0
    except DataError:
        return False


def energy_unit(name: str, where: str) -> float:
    """One of this unit in eV; raises as `factor`."""
    return factor(name, "energy", where)


def length_unit(name: str, where: str) -> float:
    """One of this unit in Å; raises as `factor`."""
    return factor(name, "length", where)


def force_unit(name: str, where: str) -> float:
    """One of this unit in eV/Å; raises as `factor`."""
    return factor(name, "forces", where)


def stress_unit(name: str, where: str) -> float:
    """One of this unit in eV/Å³; raises as `factor`."""
    return factor(name, "stress", where)


def _unknown(text: str, quantity: str, place: str) -> DataError:
    return DataError(
        f"{place}: unknown unit `{text[:LONGEST_NAME]}` of {quantity}; expected one such as {EXAMPLES[quantity]}; "
        "convert the values to one of them"
    )


def _plain(text: str) -> str:
    text = text.strip().strip("[]{}\"'").strip()
    if text in ("Mbar", "MBar"):
        return "megabar"  # in lower case it would be a millibar, which nobody means
    plain = unicodedata.normalize("NFKC", text.translate(SUPERSCRIPTS)).lower()
    plain = re.sub(r"\b(elementary|electron)[ _]charges?\b", "e", plain)
    return plain.replace("ångström", "a").replace("å", "a")


class _Parser:
    """Products, quotients and powers of `UNITS`; raises ValueError, KeyError or IndexError."""

    def __init__(self, text: str) -> None:
        self.tokens: list[str] = []
        position = 0
        text = re.sub(r"\bper\b|_per_", "/", text)
        while position < len(text):
            match = TOKEN.match(text, position)
            if match is None or match.end() == position:
                raise ValueError(text[position:])
            self.tokens.append(next(group for group in match.groups() if group))
            position = match.end()
        self.next = 0

    def value(self) -> tuple[float, Dimension]:
        result = self._product()
        if self.next != len(self.tokens):
            raise ValueError(self.tokens[self.next])
        return result

    def _product(self) -> tuple[float, Dimension]:
        value, dimension = self._power()
        while self.next < len(self.tokens) and self.tokens[self.next] != ")":
            sign = 1
            if self.tokens[self.next] in ("*", "·", "⋅", "/"):
                sign = -1 if self.tokens[self.next] == "/" else 1
                self.next += 1
            other, powers = self._power()
            value *= other**sign
            dimension = Dimension(*(a + sign * b for a, b in zip(dimension, powers, strict=True)))
        return value, dimension

    def _power(self) -> tuple[float, Dimension]:
        token = self.tokens[self.next]
        self.next += 1
        if token == "(":
            value, dimension = self._product()
            if self.tokens[self.next] != ")":
                raise ValueError(token)
            self.next += 1
        elif token == "1":
            value, dimension = 1.0, Dimension()
        elif token in ("au", "a.u.", "a.u"):  # with another unit beside it, as in Ry/au
            value, dimension = (HARTREE, _ENERGY) if self.next == 1 else (BOHR, _LENGTH)
        else:
            value, dimension = UNITS[token]
        exponent = 1
        if self.next < len(self.tokens) and self.tokens[self.next] in ("**", "^"):
            self.next += 1
            exponent = self._integer()
        elif self.next < len(self.tokens) and re.fullmatch(r"[-+]?\d+", self.tokens[self.next]):
            exponent = self._integer()
        if abs(exponent) > 9:
            raise ValueError(exponent)
        return value**exponent, Dimension(*(power * exponent for power in dimension))

    def _integer(self) -> int:
        token = self.tokens[self.next]
        if token == "(":
            value = int(self.tokens[self.next + 1])
            if self.tokens[self.next + 2] != ")":
                raise ValueError(token)
            self.next += 3
            return value
        self.next += 1
        return int(token)


def system_factor(text: str, quantity: str, place: str) -> float:
    """As `factor`, from the name of a whole system of units, such as ``metal`` or ``hartree-bohr``."""
    units = SYSTEMS.get(text.strip().lower())
    if units is None:
        raise DataError(
            f"{place}: units {text!r} are not understood; expected one of {', '.join(SYSTEMS)}, or a unit of each "
            "label (`energy-unit`, `force-unit`, ...)"
        )
    dimension = QUANTITIES[quantity]
    energy, length = factor(units[0], "energy", place), factor(units[1], "length", place)
    return float(energy**dimension.energy * length**dimension.length)
