import pytest
from ase import units

from mhdnn.data.unit_names import energy_unit, factor, force_unit, length_unit, stress_unit, system_factor
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


@pytest.mark.parametrize(
    ("text", "quantity", "expected"),
    [
        *((text, "energy", 1.0) for text in ("eV", "ev", "[eV]", "electronvolt")),
        *((text, "energy", 27.211386245988) for text in ("Ha", "Hartree", "hartrees", "Eh", "E_h", "a.u.", "au", "AU")),
        *((text, "energy", 13.605693122994) for text in ("Ry", "rydberg")),
        *((text, "energy", units.kcal / units.mol) for text in ("kcal/mol", "kcal mol^-1", "kcal*mol**-1", "KCAL/MOL")),
        *((text, "energy", units.kJ / units.mol) for text in ("kJ/mol", "kJ mol⁻¹", "kj per mol")),
        ("meV", "energy", 1e-3),
        *((text, "length", 1.0) for text in ("A", "Å", "Å", "Ang", "angstrom", "Angstroms")),
        *((text, "length", 0.529177210903) for text in ("bohr", "a0", "au")),
        ("nm", "length", 10.0),
        *(
            (text, "forces", 1.0)
            for text in ("eV/A", "eV/Å", "eV/Ang", "eV/angstrom", "eV Å^-1", "eV*A**(-1)", "eV·Å⁻¹")
        ),
        *(
            (text, "forces", 51.42206747632594)
            for text in ("Ha/bohr", "hartree/bohr", "hartree bohr^-1", "a.u.", "Eh/a0")
        ),
        ("kcal/mol/A", "forces", units.kcal / units.mol),
        ("kcal/(mol*angstrom)", "forces", units.kcal / units.mol),
        ("Ry/bohr", "forces", 25.71103373816297),
        ("kJ/mol/nm", "forces", units.kJ / units.mol / 10),
        *((text, "stress", 1.0) for text in ("eV/A^3", "eV/A3", "eV/Å³", "eV/angstrom**3", "eV/Ang^3", "eV/(A*A*A)")),
        ("GPa", "stress", GPA),
        *((text, "stress", 0.1 * GPA) for text in ("kbar", "kB", "kilobar")),
        ("MPa", "stress", 1e-3 * GPA),
        ("Pa", "stress", 1e-9 * GPA),
        ("bar", "stress", 1e-4 * GPA),
        ("Ha/bohr^3", "stress", 27.211386245988 / 0.529177210903**3),
        ("hartree", "virial", 27.211386245988),
        ("GPa*A^3", "virial", GPA),
        *((text, "charges", 1.0) for text in ("e", "elementary_charge", "elementary charge")),
        ("C", "charges", 1 / 1.602176634e-19),
    ],
)
def test_factors(text, quantity, expected):
    assert factor(text, quantity, "place") == pytest.approx(expected, rel=1e-6)  # ASE has CODATA 2014


@pytest.mark.parametrize(
    ("text", "quantity"),
    [
        ("eV/A", "energy"), ("eV", "forces"), ("kcal", "energy"), ("eV/atom", "energy"), ("furlong", "length"),
        ("", "energy"), ("eV/", "forces"), ("eV/A^", "forces"), ("(eV", "energy"), ("eV)", "energy"),
        ("mbar", "stress"),
        ("eV/A^99999999", "forces"), ("1e3", "energy"), ("eV" * 5000, "energy"), ("(" * 50, "energy"),
    ],
)  # fmt: skip
def test_no_units_of_the_quantity(text, quantity):
    with pytest.raises(DataError, match="place: "):
        factor(text, quantity, "place")


def test_systems():
    assert system_factor("metal", "forces", "place") == 1.0
    assert system_factor("atomic", "forces", "place") == pytest.approx(51.42206747632594, rel=1e-9)
    assert system_factor("Hartree-Angstrom", "forces", "place") == pytest.approx(27.211386245988)
    with pytest.raises(DataError, match="units .cgs. are not understood"):
        system_factor("cgs", "energy", "place")
