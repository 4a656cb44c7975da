"""A uniform field acts on the charges while they are equilibrated: energies and forces are those of one function."""

import numpy as np
import pytest
import torch

from mhdnn.deploy.model_file import load_model
from mhdnn.prediction import ChargedAtoms
from tests.builders import geometry_of, structures
from tests.lammps.runs import Frame, evaluate, header, run_lammps, run_many

FIELDS = {"molecule": (0.3, -0.2, 0.25), "slab": (0.0, 0.0, 0.4)}  # V/Å, along open directions
RELATIVE = 1e-8


def in_field(model, atoms, field, total_charge):
    """Energy and charges with E.r taken from the electronegativities, by the functions that models are trained with."""
    potential, metadata = load_model(model)
    geometry = geometry_of(atoms, cutoff=metadata["cutoff"], total_charge=total_charge)
    charged = ChargedAtoms(potential, geometry, "dense")
    charged.charges()
    external = -torch.as_tensor(atoms.positions @ np.array(field))
    hardness = charged.charge_model.hardness(charged.element_index)
    charges = charged.coulomb.equilibrate(charged.electronegativity + external, hardness, geometry.total_charge)
    energies = charged.energies(charges) + charged.screening(charges)
    energies = energies + (0.5 * charged.coulomb.potential(charges) + external) * charges
    return energies.sum().item(), charges.detach().numpy()


def style_for(field, **more):
    options = {"total_charge": 0.5, "extrapolation": "off", **more}
    return f"efield {' '.join(map(str, field))} " + " ".join(f"{key} {value}" for key, value in options.items())


@pytest.mark.parametrize("name", list(FIELDS))
def test_energy_and_charges(charge_model, tmp_path, name):
    atoms = structures()[name]
    frame = Frame(atoms, sorted(set(atoms.symbols)))
    expected, charges = in_field(charge_model, frame.as_lammps_has_it, FIELDS[name], 0.5)
    without, others = in_field(charge_model, frame.as_lammps_has_it, (0.0, 0.0, 0.0), 0.5)
    found = evaluate(tmp_path, atoms, charge_model, charges=True, style=style_for(FIELDS[name]))
    assert found.energy == pytest.approx(expected, rel=RELATIVE)
    assert found.energies.sum() == pytest.approx(expected, rel=RELATIVE)
    np.testing.assert_allclose(found.charges, charges, rtol=0, atol=RELATIVE)
    assert abs(expected - without) > 0.1
    assert np.abs(charges - others).max() > 0.01


NUMDIFF = """
fix differences all numdiff 1 1e-4
variable ex atom abs(fx-f_differences[1])
variable ey atom abs(fy-f_differences[2])
variable ez atom abs(fz-f_differences[3])
compute errors all reduce max v_ex v_ey v_ez
compute virials all stress/atom NULL virial
compute sums all reduce sum c_virials[1] c_virials[2] c_virials[3] c_virials[4] c_virials[5] c_virials[6]
thermo_style custom step pe c_errors[*] c_sums[*] pxx pyy pzz pxy pxz pyz vol
run 0
print "ERRORS $(c_errors[1]:%.17g) $(c_errors[2]:%.17g) $(c_errors[3]:%.17g)"
print "SUMS {sums}"
print "PRESSURES $(pxx*vol:%.17g) $(pyy*vol:%.17g) $(pzz*vol:%.17g) $(pxy*vol:%.17g) $(pxz*vol:%.17g) $(pyz*vol:%.17g)"
""".format(sums=" ".join(f"$(c_sums[{n}]:%.17g)" for n in range(1, 7)))


def numbers(output, label):
    return np.array(next(line for line in output.splitlines() if line.startswith(label)).split()[1:], dtype=float)


@pytest.mark.parametrize("name", list(FIELDS))
def test_forces_and_virial(charge_model, tmp_path, name):
    """Finite differences on one process and two; atoms' virials add up; the energy's derivative by a strain."""
    atoms = structures()[name]
    frame = Frame(atoms, sorted(set(atoms.symbols)))
    script = header(frame, tmp_path) + (
        f"pair_style mhdnn {style_for(FIELDS[name], solver='dense')}\n"
        f"pair_coeff * * {charge_model} {' '.join(frame.elements)}\n{NUMDIFF}"
    )
    outputs = [run_lammps(tmp_path, script, ranks).stdout for ranks in (1, 2)]
    for output in outputs:
        assert numbers(output, "ERRORS").max() < 1e-6
        np.testing.assert_allclose(numbers(output, "SUMS"), -numbers(output, "PRESSURES"), rtol=1e-8, atol=1e-4)
    np.testing.assert_allclose(numbers(outputs[1], "PRESSURES"), numbers(outputs[0], "PRESSURES"), rtol=1e-8, atol=1e-4)
    step = 1e-5
    stretched = {}
    for sign in (1, -1):
        stretch = f"variable new atom z*{1 + sign * step:.17g}\nset group all z v_new\n"
        plain = script.split("fix differences")[0].replace("pair_style", stretch + "pair_style", 1)
        stretched[str(sign)] = plain + "run 0\n"
    found = run_many(tmp_path, stretched)
    slope = (float(found["1"]) - float(found["-1"])) / (2.0 * step)  # dE/dε_zz, atoms move with z
    pressure = numbers(outputs[0], "PRESSURES")[2] / 1.6021765e6
    assert pressure == pytest.approx(-slope, rel=1e-5, abs=1e-6)


def test_energy_is_conserved(charge_model, tmp_path):
    """Charges flow in the field while atoms move; `fix efield` with them would wander."""
    atoms = structures()["molecule"]
    frame = Frame(atoms, sorted(set(atoms.symbols)))
    script = header(frame, tmp_path) + (
        f"pair_style mhdnn {style_for(FIELDS['molecule'], total_charge=0)}\n"
        f"pair_coeff * * {charge_model} {' '.join(frame.elements)}\ntimestep {{}}\nvelocity all create 300 4711\n"
        'fix move all nve\nrun 0\nprint "START $(etotal:%.17g)"\nrun {}\nprint "END $(etotal:%.17g) $(ke:%.17g)"\n'
    )
    drifts = []
    for steps in (20, 40):
        output = run_lammps(tmp_path, script.format(0.01 / steps, steps)).stdout
        drifts.append(abs(numbers(output, "END")[0] - numbers(output, "START")[0]))
    assert drifts[1] < 0.4 * drifts[0] or drifts[0] < 1e-9  # second order in the time step
    assert drifts[1] < 1e-4
