import pytest

from mhdnn.data.unit_names import energy_unit, force_unit, length_unit, stress_unit
from mhdnn.errors import DataError

HARTREE, BOHR = 27.211386245988, 0.529177210903  # written out: an independent copy of the constants
GPA = 1 / 160.2176634


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("eV", 1),
        ("[eV]", 1),
        ("a.u.", HARTREE),
        ("hartree", HARTREE),
        ("Ha", HARTREE),
        ("Ry", HARTREE / 2),
        ("kcal/mol", 0.0433641042),
        ("kjmol", 0.0103642697),
    ],
)
def test_energies(name, value):
    assert energy_unit(name, "here") == pytest.approx(value, rel=1e-8)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("eV/angstrom", 1),
        ("eV/Ang", 1),
        ("eV/Å", 1),
        ("meV/A", 1e-3),
        ("hartree/bohr", HARTREE / BOHR),
        ("hartree*bohr^-1", HARTREE / BOHR),
        ("eV*angstrom^-1", 1),
        ("a.u.", HARTREE / BOHR),
        ("Ha/bohr", HARTREE / BOHR),
        ("Ry/au", HARTREE / 2 / BOHR),
        ("Ry/bohr", HARTREE / 2 / BOHR),
        ("kcal/mol/angstrom", 0.0433641042),
    ],
)
def test_forces(name, value):
    assert force_unit(name, "here") == pytest.approx(value, rel=1e-8)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GPa", GPA),
        ("MPa", GPA / 1000),
        ("bar", GPA * 1e-4),
        ("kbar", GPA / 10),
        ("kB", GPA / 10),
        ("Mbar", GPA * 100),
        ("atm", GPA * 1.01325e-4),
        ("eV/A**3", 1),
        ("eV/Ang^3", 1),
        ("eV/Å³", 1),
        ("Ry/bohr**3", HARTREE / 2 / BOHR**3),
        ("hartree*bohr^-3", HARTREE / BOHR**3),
        ("a.u.", HARTREE / BOHR**3),
    ],
)
def test_stresses(name, value):
    assert stress_unit(name, "here") == pytest.approx(value, rel=1e-8)


def test_lengths():
    names = ("angstrom", "A", "bohr", "a.u.", "nm")
    assert [length_unit(name, "here") for name in names] == pytest.approx([1, 1, BOHR, BOHR, 10])


@pytest.mark.parametrize(
    ("unit", "name"),
    [
        (energy_unit, "furlong"),
        (energy_unit, "eV/angstrom"),
        (force_unit, "eV"),
        (force_unit, "eV/angstrom^2"),
        (force_unit, "parsec/bohr"),
        (stress_unit, "eV/A"),
        (stress_unit, "mbar"),
        (length_unit, "eV"),
    ],
)
def test_unknown_units_are_refused(unit, name):
    with pytest.raises(DataError, match="here: unknown unit"):
        unit(name, "here")
