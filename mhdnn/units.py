"""Constants and unit conversions; the only place in the package where units are converted.

Inside the package: Å, eV, e, eV/Å, eV/Å³, amu, fs. Values are CODATA 2018.
"""

import math

ELEMENTARY_CHARGE = 1.602176634e-19
"""C."""

VACUUM_PERMITTIVITY = 8.8541878128e-12
"""F/m."""

COULOMB_CONSTANT = 1e10 * ELEMENTARY_CHARGE / (4.0 * math.pi * VACUUM_PERMITTIVITY)
r"""Coulomb constant :math:`k_e = e^2/4\pi\epsilon_0`, eV·Å/e²."""

GPA_PER_EV_PER_CUBIC_ANGSTROM = 160.2176634
"""1 eV/Å³ in GPa."""

MEV_PER_EV = 1000.0

HARTREE = 27.211386245988
"""1 Ha in eV."""

BOHR = 0.529177210903
"""1 bohr in Å."""

JOULE_PER_SQUARE_METER_PER_EV_PER_SQUARE_ANGSTROM = 16.02176634
"""1 eV/Å² in J/m²."""

GPA_PER_JOULE_PER_SQUARE_METER_PER_ANGSTROM = 10.0
"""1 J/m² per Å in GPa."""

SQUARE_ANGSTROM_PER_SQUARE_NANOMETER = 100.0

GRAM_PER_CUBIC_CENTIMETER_PER_AMU_PER_CUBIC_ANGSTROM = 1.66053906660
"""1 amu/Å³ in g/cm³."""

FARADAY_MAH_PER_MOL = 96485.33212 / 3.6
"""Charge of a mole of electrons, mAh/mol."""

RYDBERG = HARTREE / 2
"""1 Ry in eV."""

EV_PER_JOULE = 1 / 1.602176634e-19

EV_PER_KJ_PER_MOL = 1e3 / 96485.33212
"""1 kJ/mol in eV."""

EV_PER_KCAL_PER_MOL = 4.184 * EV_PER_KJ_PER_MOL

SQUARE_CENTIMETER_PER_SECOND_PER_SQUARE_ANGSTROM_PER_PICOSECOND = 1e-4
"""Diffusion coefficients."""
