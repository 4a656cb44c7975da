"""A model trained without dispersion, with LAMMPS's own D3: the same as in ASE, and a warning without it."""

import numpy as np
import pytest
from ase import Atoms

from mhdnn import MHDNNCalculator
from mhdnn.deploy.model_file import metadata_of, save_model
from mhdnn.dispersion import DispersionCorrection
from tests.builders import model_settings, random_potential, structures
from tests.lammps.conftest import ELEMENTS
from tests.lammps.runs import BAR_PER_EV_PER_CUBIC_ANGSTROM, Frame, header, run_lammps

pytestmark = pytest.mark.slow
CONSTANTS = 5e-6  # LAMMPS and dftd3 have constants of nature with different digits; relative to the correction
RUN = """
thermo_style custom step pe pxx pyy pzz pyz pxz pxy
run 0
print "RESULT $(pe:%.17g) $(pxx:%.17g) $(pyy:%.17g) $(pzz:%.17g) $(pyz:%.17g) $(pxz:%.17g) $(pxy:%.17g)"
write_dump all custom atoms.dump id fx fy fz modify sort id format float %.17g
"""
WARNING = "use `pair_style hybrid/overlay mhdnn dispersion/d3 bj pbe 30.0 20.0`"


@pytest.fixture(scope="module")
def model(pair_style, tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "without_dispersion.pt"
    settings = {**model_settings(ELEMENTS), "dispersion_left_out": "d3 bj pbe"}
    save_model(random_potential(ELEMENTS), path, metadata_of(random_potential(ELEMENTS), settings, {}))
    return path


def atoms_of_three_elements() -> Atoms:
    atoms = structures()["triclinic"]
    atoms.numbers[3] = 50
    return atoms


@pytest.mark.parametrize("ranks", [1, 2])
def test_overlay_is_the_calculator(model, tmp_path, ranks):
    pytest.importorskip("dftd3")
    atoms = atoms_of_three_elements()
    frame = Frame(atoms, sorted(set(atoms.symbols)))
    names = " ".join(frame.elements)
    script = header(frame, tmp_path) + (
        "neigh_modify one 20000 page 1000000\npair_style hybrid/overlay mhdnn dispersion/d3 bj pbe 30.0 20.0\n"
        f"pair_coeff * * mhdnn {model} {names}\npair_coeff * * dispersion/d3 {names}\n{RUN}"
    )
    output = run_lammps(tmp_path, script, ranks).stdout
    assert WARNING not in output
    numbers = next(line for line in output.splitlines() if line.startswith("RESULT")).split()[1:]
    energy, *pressure = map(float, numbers)
    forces = np.loadtxt(tmp_path / "atoms.dump", skiprows=9)[:, 1:] @ frame.rotation.T
    stress = frame.tensor_to_ase(-np.array(pressure) / BAR_PER_EV_PER_CUBIC_ANGSTROM)

    atoms.calc = MHDNNCalculator(model)
    part = DispersionCorrection("bj", "pbe").labels(atoms)
    assert energy == pytest.approx(atoms.get_potential_energy(), abs=CONSTANTS * abs(part.energy))
    np.testing.assert_allclose(forces, atoms.get_forces(), atol=CONSTANTS * np.abs(part.forces).max())
    np.testing.assert_allclose(stress, atoms.get_stress(), atol=CONSTANTS * np.abs(part.stress).max())


def test_warning_where_dispersion_is_missing(model, short_range_model, tmp_path):
    atoms = atoms_of_three_elements()
    frame = Frame(atoms, sorted(set(atoms.symbols)))
    for path, expected in ((model, True), (short_range_model, False)):
        style = f"pair_style mhdnn\npair_coeff * * {path} {' '.join(frame.elements)}\nrun 0\n"
        output = run_lammps(tmp_path, header(frame, tmp_path) + style).stdout
        assert (WARNING in output) == expected
