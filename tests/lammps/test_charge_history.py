"""Charges begin from a polynomial through those of former steps: fewer iterations, the same numbers."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from mhdnn import MHDNNCalculator
from tests.lammps.runs import Frame, header, run_lammps

pytestmark = pytest.mark.slow
RELATIVE = 1e-6  # of charges and forces: what two starts leave of the residual at the model's accuracy of 1e-8

DYNAMICS = """\
pair_style mhdnn solver iterative extrapolation off
pair_coeff * * {model} {elements}
compute own all pair mhdnn
thermo_style custom step pe c_own[2]
velocity all create 300 4711
fix integrate all nve
timestep 0.0005
neigh_modify every 1 delay 0 check no
atom_modify sort 1 2.0
run 0
print "ITERATIONS $(c_own[2])"
run 12
print "ITERATIONS $(c_own[2])"
{change}
run 3
fix charge all pair 1 mhdnn charge 0
run 0
write_dump all custom atoms.dump id type x y z fx fy fz f_charge modify sort id format float %.17g
"""
CHANGES = {
    "nothing": "",
    "an atom is gone": "group gone id 5\ndelete_atoms group gone compress no",
    "IDs are new": "group gone id 5\ndelete_atoms group gone compress yes",
    "an atom is new": "create_atoms 1 single 3.9 3.9 3.9\nvelocity all scale 300",
    "a minimisation": "minimize 0 1e-3 4 8",
}


def crystal() -> Atoms:
    atoms = bulk("SiC", "zincblende", a=4.6, cubic=True).repeat(2)
    atoms.rattle(0.05, seed=1)
    return atoms


@pytest.mark.parametrize(("change", "ranks"), [("nothing", 1), *((change, 2) for change in CHANGES)])
def test_numbers_do_not_depend_on_the_past(charge_model, tmp_path, change, ranks):
    frame = Frame(crystal(), ["C", "Si"])
    script = header(frame, tmp_path) + DYNAMICS.format(
        model=charge_model, elements=" ".join(frame.elements), change=CHANGES[change]
    )
    output = run_lammps(tmp_path, script, ranks).stdout
    first, later = (float(line.split()[1]) for line in output.splitlines() if line.startswith("ITERATIONS"))
    assert later <= 0.6 * first
    table = np.loadtxt(tmp_path / "atoms.dump", skiprows=9)
    symbols = [frame.elements[int(kind) - 1] for kind in table[:, 1]]
    atoms = Atoms(symbols, positions=table[:, 2:5], cell=frame.cell, pbc=True)
    atoms.calc = MHDNNCalculator(charge_model, solver="dense")
    charges, forces = atoms.get_charges(), atoms.get_forces()
    np.testing.assert_allclose(table[:, 8], charges, rtol=0, atol=RELATIVE * np.abs(charges).max())
    np.testing.assert_allclose(table[:, 5:8], forces, rtol=0, atol=RELATIVE * np.abs(forces).max())
