"""Expected errors in LAMMPS: those of the ASE calculator, on one and two processes; limits that warn, stop and dump."""

import warnings

import ase.io
import numpy as np
import pytest
import torch

from mhdnn import MHDNNCalculator
from mhdnn.prediction import SeenAtoms, predict
from mhdnn.training.uncertainty import fit_posterior
from tests.builders import (
    structures,
)
from tests.lammps.fitted import save_fitted_models
from tests.lammps.runs import Frame, run_lammps
from tests.lammps.test_errors import message, script_for

ZBL = {"1 1": "6 6", "1 2": "6 14", "2 2": "14 14"}
OUTPUT = """\
fix grade all pair 1 mhdnn grade 0
compute own all pair mhdnn
thermo_style custom step c_own[3]
run 0
print "LARGEST $(c_own[3]:%.17g)"
write_dump all custom grades.dump id f_grade modify sort id format float %.17g
"""


def give_errors(potential, batch) -> None:
    """A calibration by hand, in which everything counts."""
    model = potential.uncertainty
    model.largest_grade.fill_(torch.inf)
    model.radius.fill_(torch.inf)
    fit_posterior(potential, lambda: [batch])
    seen = SeenAtoms(potential, batch.geometry)
    features = model.features(seen.functions.detach())
    for element in range(3):
        model.landmarks[element] = features[seen.element_index == element][0, 1:]
    model.offset.copy_(torch.tensor([-2.0, -1.5, -1.0]))
    model.weights.copy_(torch.tensor([0.3, 0.2, 0.4, 0.25]))
    model.residual_weights.copy_(
        0.1 * torch.randn(model.residual_weights.shape, generator=torch.Generator().manual_seed(0))
    )
    generator = torch.Generator().manual_seed(1)
    model.kernel_weights.copy_(0.3 * torch.randn(model.kernel_weights.shape, generator=generator))
    model.kernel_rates.copy_(torch.tensor([0.02, 0.05, 0.01]))
    model.residual_limits.copy_(torch.tensor([[-0.3, -0.2, -0.4], [0.2, 0.4, 0.3]]))
    model.rigidity_power.fill_(0.7)
    model.force_floor.fill_(0.02)
    model.least_error.copy_(torch.tensor([0.05, 0.06, 0.07]))
    model.num_calibrated.fill_(1)
    largest = predict(potential, batch.geometry, uncertainty=True)
    model.largest_error.copy_(largest.force_errors.max())
    model.largest_grade.fill_(5.6)  # so that all of what follows occurs: within, a little and far beyond
    model.radius.fill_(2.8)


@pytest.fixture(scope="module")
def models(pair_style, tmp_path_factory):
    folder = tmp_path_factory.mktemp("graded")
    save_fitted_models(folder, give_errors)
    return folder


def cases():
    hot = structures()["triclinic"].repeat((2, 2, 1))
    hot.rattle(0.2, seed=1)
    return {"hot": hot, "tiny": structures()["tiny"], "slab": structures()["slab"]}


def in_ase(model, atoms):
    atoms = Frame(atoms, sorted(set(atoms.symbols))).as_lammps_has_it
    atoms.calc = MHDNNCalculator(model)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        atoms.get_forces()
    return atoms, atoms.calc.results


@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize(
    ("model", "name"), [("short", "hot"), ("short", "tiny"), ("short", "slab"), ("charges", "hot")]
)
def test_same_as_in_ase(models, tmp_path, model, name, ranks):
    atoms, expected = in_ase(models / f"{model}.pt", cases()[name])
    elements = " ".join(sorted(set(atoms.symbols)))
    script = script_for(tmp_path, models / f"{model}.pt", atoms=atoms, elements=elements, after=OUTPUT)
    output = run_lammps(tmp_path, script, ranks).stdout
    got = np.loadtxt(tmp_path / "grades.dump", skiprows=9, ndmin=2)[:, 1]
    np.testing.assert_allclose(got, expected["uncertainties"], rtol=1e-8)
    largest = next(line.split()[1] for line in output.splitlines() if line.startswith("LARGEST"))
    assert float(largest) == pytest.approx(expected["uncertainty"], rel=1e-8)


@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize("model", ["short", "charges"])
def test_same_where_nothing_is_said_of_foreign_atoms(models, tmp_path, model, ranks):
    """`extrapolation off` neither warns nor counts; expected errors are as large."""
    atoms, expected = in_ase(models / f"{model}.pt", cases()["hot"])
    assert atoms.calc.outside_training.any()
    after = OUTPUT.replace("c_own[3]\n", "c_own[3] c_own[1]\n") + 'print "COUNT $(c_own[1])"\n'
    style = "extrapolation off"
    script = script_for(tmp_path, models / f"{model}.pt", style, atoms=atoms, elements="C Si", after=after)
    output = run_lammps(tmp_path, script, ranks).stdout
    assert "COUNT 0\n" in output
    assert "outside the range" not in output
    got = np.loadtxt(tmp_path / "grades.dump", skiprows=9, ndmin=2)[:, 1]
    np.testing.assert_allclose(got, expected["uncertainties"], rtol=1e-8)


def test_beside_another_pair_style_and_in_other_units(models, tmp_path):
    """Its own forces count, in eV/Å."""
    atoms, expected = in_ase(models / "short.pt", cases()["hot"])
    script = script_for(tmp_path, models / "short.pt", atoms=atoms, elements="C Si", after=OUTPUT)
    others = "".join(f"pair_coeff {types} zbl {numbers}\n" for types, numbers in ZBL.items())
    for old, new in (
        ("units metal", "units real"),
        ("pair_style mhdnn", "pair_style hybrid/overlay zbl 3 4 mhdnn"),
        ("pair_coeff * *", f"{others}pair_coeff * * mhdnn"),
    ):
        script = script.replace(old, new)
    run_lammps(tmp_path, script)
    got = np.loadtxt(tmp_path / "grades.dump", skiprows=9, ndmin=2)[:, 1]
    np.testing.assert_allclose(got, expected["uncertainties"], rtol=1e-6)


@pytest.mark.parametrize("ranks", [1, 2])
def test_limit_warns_and_dumps(models, tmp_path, ranks):
    atoms, expected = in_ase(models / "short.pt", cases()["hot"])
    style = "grade_limit 0.01 dump found.xyz"
    script = script_for(tmp_path, models / "short.pt", style, atoms=atoms, elements="C Si", after="run 0\nrun 0\n")
    assert "is above the limit 0.01 (1 such steps" in run_lammps(tmp_path, script, ranks).stdout
    (found,) = ase.io.read(tmp_path / "found.xyz", ":")
    order, own = (np.lexsort(np.round(each.get_scaled_positions(), 6).T) for each in (found, atoms))
    assert found.symbols[order].get_chemical_formula("reduce") == atoms.symbols[own].get_chemical_formula("reduce")
    np.testing.assert_allclose(found.cell, atoms.cell, atol=1e-9)
    np.testing.assert_allclose(found.arrays["grade"][order], expected["uncertainties"][own], rtol=1e-5)


def test_limit_stops(models, tmp_path):
    atoms, _ = in_ase(models / "short.pt", cases()["hot"])
    script = script_for(tmp_path, models / "short.pt", "grade_limit 0.01 stop", atoms=atoms, elements="C Si")
    assert "is above the limit 0.01; train on such structures" in message(tmp_path, script)


@pytest.mark.parametrize(
    ("style", "sentence"),
    [
        ("grade_limit -1 warn", "grade_limit: expected a positive number in eV/A, got -1"),
        ("grade_limit 1 beep", "grade_limit: expected warn or stop or dump, got beep"),
        ("grade_limit 1 warn", "doesn't know its errors"),
        ("grade_limit 1 warn grade off", "needs the grades"),
    ],
)
def test_wrong_limits(short_range_model, tmp_path, style, sentence):
    assert sentence in message(tmp_path, script_for(tmp_path, short_range_model, style))
