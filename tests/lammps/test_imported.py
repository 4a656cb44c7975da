"""Imported potentials of n2p2 in LAMMPS: the numbers of ASE, on any number of ranks."""

import numpy as np
import pytest
from ase import Atoms

from mhdnn.deploy.calculator import MHDNNCalculator
from mhdnn.deploy.hdnnp.importing import import_potential
from tests.hdnnp import OwnPotential
from tests.lammps.runs import evaluate
from tests.tolerances import ROUND_OFF


def water() -> Atoms:
    """Eight distorted molecules in a skewed cell."""
    rng = np.random.default_rng(3)
    molecule = np.array([[0.0, 0.0, 0.0], [0.76, 0.59, 0.0], [-0.76, 0.59, 0.0]])
    corners = 3.1 * np.array([[i, j, k] for i in range(2) for j in range(2) for k in range(2)])
    positions = np.concatenate([corner + molecule for corner in corners]) + 0.1 * rng.normal(size=(24, 3))
    return Atoms("OHH" * 8, positions, cell=[[6.3, 0, 0], [0.4, 6.2, 0], [-0.3, 0.5, 6.4]], pbc=True)


@pytest.mark.parametrize("charges", [False, True])
def test_pair_style_is_the_calculator(pair_style, tmp_path, charges):
    keywords = {"scale_symmetry_functions": ""}
    if charges:
        keywords["screen_electrostatics"] = "2.0 8.0"
    potential = OwnPotential(charges=charges, keywords=keywords)
    model = import_potential(potential.write(tmp_path / "potential"), tmp_path / "model.pt")
    atoms = water()
    atoms.calc = MHDNNCalculator(model, extrapolation="off")
    stress = atoms.get_stress()
    for ranks in (1, 2):
        found = evaluate(tmp_path / str(ranks), atoms, model, charges=charges, ranks=ranks, style="extrapolation off")
        assert found.energy == pytest.approx(atoms.get_potential_energy(), rel=ROUND_OFF)
        for name, expected in (("forces", atoms.get_forces()), ("stress", stress)):
            scale = np.abs(expected).max()
            np.testing.assert_allclose(getattr(found, name), expected, rtol=0, atol=1e-8 * scale, err_msg=name)
        if charges:
            np.testing.assert_allclose(found.charges, atoms.get_charges(), rtol=0, atol=1e-9)
