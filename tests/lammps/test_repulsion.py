"""The repulsion of nuclei in LAMMPS: that of the ASE calculator, and LAMMPS's own."""

import numpy as np
import pytest
import torch
from ase import Atoms

from mhdnn import MHDNNCalculator
from mhdnn.deploy.model_file import metadata_of, save_model
from tests.builders import charge_settings, model_settings, random_charge_potential, random_potential, structures
from tests.lammps.conftest import ELEMENTS
from tests.lammps.runs import Frame, evaluate, header, run_lammps
from tests.lammps.test_pair_style import assert_same

pytestmark = pytest.mark.slow
SETTINGS = {"inner": 0.5, "outer": 1.0}


def model_with_repulsion(path, charges=False, inner=0.5, network=True):
    build, settings = (random_charge_potential, charge_settings) if charges else (random_potential, model_settings)
    potential = build(ELEMENTS, repulsion=SETTINGS)
    potential.repulsion.set_radii(torch.full((3, 3), 4.2, dtype=torch.float64), inner, 1.0)
    if not network:
        with torch.no_grad():
            potential.short_range.network.linear_weight.zero_()
        potential.short_range.network.output_scale.zero_()
    save_model(potential, path, metadata_of(potential, settings(ELEMENTS, repulsion=SETTINGS), {}))
    return path


@pytest.mark.parametrize("charges", [False, True])
def test_is_that_of_the_calculator(pair_style, tmp_path, charges):
    model = model_with_repulsion(tmp_path / "model.pt", charges)
    atoms = structures()["triclinic"]
    one = evaluate(tmp_path / "one", atoms, model, charges=charges)
    assert_same(one, atoms, model)
    two = evaluate(tmp_path / "two", atoms, model, charges=charges, ranks=2)
    np.testing.assert_allclose(two.forces, one.forces, atol=1e-9 * np.abs(one.forces).max())


def test_forces_are_those_of_zbl(pair_style, tmp_path):
    """Below the inner radius, where neither is switched off; the network of the model is silent."""
    model = model_with_repulsion(tmp_path / "model.pt", inner=0.99, network=False)
    atoms = Atoms("CSiSn", positions=[[0, 0, 0], [1.1, 0.2, 0], [0.3, 1.4, 0.5]])
    frame = Frame(atoms, ["C", "Si", "Sn"])
    lines = [f"pair_coeff {a} {b} {frame.atoms.numbers[a - 1]} {frame.atoms.numbers[b - 1]}"
             for a in (1, 2, 3) for b in range(a, 4)]  # fmt: skip
    script = header(frame, tmp_path) + "pair_style zbl 5.0 6.0\n" + "\n".join(lines)
    run_lammps(
        tmp_path, script + "\nrun 0\nwrite_dump all custom zbl.dump id fx fy fz modify sort id format float %.17g\n"
    )
    expected = np.loadtxt(tmp_path / "zbl.dump", skiprows=9)[:, 1:] @ frame.rotation.T
    atoms.calc = MHDNNCalculator(model, extrapolation="off")
    # LAMMPS rounds e²/4πε0 to 14.399645
    np.testing.assert_allclose(atoms.get_forces(), expected, rtol=1e-6, atol=1e-6 * np.abs(expected).max())
