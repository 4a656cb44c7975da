"""Constants against the digits that CODATA prints, and against each other."""

import pytest

from mhdnn import units


def test_coulomb_constant():
    """All digits: from the Hartree energy and the Bohr radius, too, to the digits that those have."""
    assert pytest.approx(14.399645478425668, rel=1e-15) == units.COULOMB_CONSTANT
    assert pytest.approx(units.HARTREE * units.BOHR, rel=1e-11) == units.COULOMB_CONSTANT
