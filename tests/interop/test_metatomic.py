"""metatomic's own calculator with an exported model against mhdnn's."""

import numpy as np
import pytest

from mhdnn import MHDNNCalculator
from mhdnn.errors import ConfigError
from tests.builders import structures

pytest.importorskip("metatomic.torch")
metatomic_ase = pytest.importorskip("metatomic_ase")
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*:DeprecationWarning:metatomic.*"),
]

from mhdnn.interop.metatomic import metatomic_model, save_metatomic  # noqa: E402


@pytest.fixture(scope="module")
def exported(short_model, tmp_path_factory):
    path = save_metatomic(short_model, tmp_path_factory.mktemp("metatomic") / "model.pt")
    return metatomic_ase.MetatomicCalculator(str(path), device="cpu")


@pytest.mark.parametrize("name", list(structures()))
def test_energies_forces_and_stress_are_equal(name, exported, short_model):
    atoms = structures()[name]
    expected = MHDNNCalculator(short_model, extrapolation="off")
    periodic = atoms.pbc.all()
    found = exported
    assert found.get_potential_energy(atoms) == pytest.approx(expected.get_potential_energy(atoms), rel=1e-12)
    np.testing.assert_allclose(found.get_forces(atoms), expected.get_forces(atoms), rtol=0, atol=1e-10)
    if periodic:
        np.testing.assert_allclose(found.get_stress(atoms), expected.get_stress(atoms), rtol=0, atol=1e-12)


def test_atoms_have_energies(exported, short_model):
    atoms = structures()["tiny"]
    expected = MHDNNCalculator(short_model, extrapolation="off")
    found = exported.get_property("energies", atoms)
    np.testing.assert_allclose(found, expected.get_property("energies", atoms), rtol=1e-12)


def test_charges_are_refused(charge_model):
    with pytest.raises(ConfigError, match="`model`: expected a short-range potential, got one with charges"):
        metatomic_model(charge_model)
