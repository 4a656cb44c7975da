"""A potential with charges as a user has it: trained in stages, resumed, evaluated, in ASE."""

import json

import numpy as np
import pytest
import torch
from ase import units
from ase.calculators.calculator import PropertyNotImplementedError
from ase.md.verlet import VelocityVerlet

from mhdnn import MHDNNCalculator
from mhdnn.data.ase_bridge import atoms_from_structure
from mhdnn.data.store import StoreReader
from mhdnn.data.writer import StoreWriter
from mhdnn.deploy.model_file import load_model
from mhdnn.errors import ModelError
from mhdnn.factory import build_potential
from mhdnn.prediction import predict
from mhdnn.units import COULOMB_CONSTANT
from tests.builders import geometry_of, random_charge_potential, structure_of, structures
from tests.integration.conftest import SMALL, run_mhdnn

ELEMENTS = [6, 14, 50]
CHARGES = ["charges=equilibration", "charges.max_epochs=3", "charges.network.hidden=[8]"]


def write_charge_store(path, count, with_total_charge=True):
    """Molecules and crystals with energies, forces and charges of a random potential."""
    potential = random_charge_potential(ELEMENTS)
    with StoreWriter(path, {"code": "test", "charge_scheme": "none", "source": "tests"}) as writer:
        for number in range(count):
            atoms = structures()["molecule" if number % 2 else "tiny"]
            atoms.rattle(0.05, seed=number)
            total_charge = float(number % 3 - 1) if number % 2 else 0.0
            prediction = predict(potential, geometry_of(atoms, total_charge=total_charge))
            labels = {"charges": prediction.charges.numpy()} if with_total_charge else {}
            if with_total_charge:
                labels["total_charge"] = total_charge
            writer.append(
                structure_of(
                    atoms,
                    energy=prediction.energy.item(),
                    forces=prediction.forces.numpy(),
                    group=f"{'molecule' if number % 2 else 'crystal'}/{number // 2}",
                    **labels,
                )
            )
    return path


@pytest.fixture(scope="module")
def charge_store(tmp_path_factory):
    return write_charge_store(tmp_path_factory.mktemp("data") / "charges.h5", 40)


def arguments(store, folder, *more):
    run = ["trainer.max_epochs=3", f"hydra.run.dir={folder}", "dtype=float64", "cutoff=4.5"]
    settings = [setting for setting in SMALL if not setting.startswith("cutoff")]
    return ["train", f"data.train={store}", *run, *settings, *CHARGES, *more]


@pytest.fixture(scope="module")
def trained(charge_store, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    run_mhdnn(*arguments(charge_store, folder, "charges.joint_epochs=2"), folder=folder)
    return folder


def test_all_stages_leave_checkpoints_and_one_model(trained):
    checkpoints = {path.name for path in (trained / "checkpoints").iterdir()}
    assert {"charges_last.ckpt", "energies_last.ckpt", "last.ckpt"} <= checkpoints
    stages = {
        name: torch.load(trained / f"checkpoints/{name}.ckpt", weights_only=True)["mhdnn"]["stage"]
        for name in ("charges_last", "energies_last", "last")
    }
    assert stages == {"charges_last": "charges", "energies_last": "energies", "last": "joint"}
    errors = json.loads((trained / "errors.json").read_text())["validation"]
    assert {"charge_mae_e", "charge_rmse_e", "energy_mae_mev_per_atom"} <= errors.keys()
    report = (trained / "report/report.html").read_text()
    assert "Charge" in report
    assert (trained / "report/plots/validation_parity_charge.png").is_file()


def test_energies_are_trained_at_fixed_charges(charge_store, tmp_path):
    """The second stage leaves what determines the charges untouched."""
    run_mhdnn(*arguments(charge_store, tmp_path / "run", "report=false"), folder=tmp_path)
    states = [
        torch.load(tmp_path / f"run/checkpoints/{name}.ckpt", weights_only=True)["state_dict"]
        for name in ("charges_last", "last")
    ]
    for name, value in states[0].items():
        if "charge_model" in name:
            assert torch.equal(value, states[1][name]), name
    changed = [name for name, value in states[0].items() if not torch.equal(value, states[1][name])]
    assert any("short_range.network.perceptron" in name for name in changed)


def test_resumed_from_the_first_stage(charge_store, trained, tmp_path):
    resume = f"resume={trained / 'checkpoints/charges_last.ckpt'}"
    changed = arguments(charge_store, tmp_path / "run", "charges.max_epochs=4", resume)
    output = run_mhdnn(*changed, folder=tmp_path, expect=1)
    assert "charges.joint_epochs=0 (checkpoint: 2), charges.max_epochs=4 (checkpoint: 3); resume with those" in output
    run_mhdnn(*changed, "resume_changed=true", folder=tmp_path)
    first = torch.load(tmp_path / "run/checkpoints/charges_last.ckpt", weights_only=True)
    assert first["epoch"] == 3
    assert (tmp_path / "run/model.pt").is_file()


def test_resuming_a_stage_that_the_run_lacks_is_refused(charge_store, trained, tmp_path):
    resume = f"resume={trained / 'checkpoints/last.ckpt'}"
    output = run_mhdnn(*arguments(charge_store, tmp_path / "run", resume), folder=tmp_path, expect=1)
    assert "the checkpoint is of the stage joint, this run has the stages charges, energies" in output


def test_learned_functions_come_from_energies(charge_store, tmp_path):
    """They stay as the first stage leaves them, also when the training is resumed in the second."""
    contracted = [
        "descriptor=contracted", "descriptor.radial.num=4", "descriptor.radial.num_functions=3",
        "descriptor.angular.contracted.num_densities=2", "descriptor.angular.contracted.max_degree=1",
        "descriptor.angular.contracted.radial.num=3", "descriptor.angular.contracted.four_body=null",
    ]  # fmt: skip
    run = [
        "train", f"data.train={charge_store}", "trainer.max_epochs=3", "cutoff=4.5", "network.hidden=[8]",
        "trainer.enable_progress_bar=false", "report=false", *contracted, *CHARGES,
    ]  # fmt: skip
    run_mhdnn(*run, f"hydra.run.dir={tmp_path}/run", folder=tmp_path)
    folder = tmp_path / "run/checkpoints"

    def coefficients(named):
        return torch.cat([value.flatten() for name, value in named if name.endswith(".coefficients")])

    def of_checkpoint(name):
        return coefficients(torch.load(folder / name, weights_only=True)["state_dict"].items())

    model, metadata = load_model(tmp_path / "run/model.pt")
    exported = coefficients(model.named_parameters())
    assert (folder / "functions_last.ckpt").is_file()
    assert torch.equal(exported, of_checkpoint("charges_last.ckpt"))
    assert torch.equal(exported, of_checkpoint("last.ckpt"))
    first = coefficients(build_potential(metadata["settings"]).named_parameters())
    assert (exported - first).abs().max() > 1e-3
    run_mhdnn(*run, f"hydra.run.dir={tmp_path}/again", f"resume={folder}/charges_last.ckpt", folder=tmp_path)
    assert torch.equal(coefficients(load_model(tmp_path / "again/model.pt")[0].named_parameters()), exported)


def test_evaluate(charge_store, trained, tmp_path):
    output = tmp_path / "errors.json"
    printed = run_mhdnn(
        "evaluate", f"model={trained / 'model.pt'}", f"data={charge_store}", f"output={output}", folder=tmp_path
    )
    assert "Charge RMSE" in printed
    assert {"charge_mae_e", "charge_rmse_e"} <= json.loads(output.read_text()).keys()


def test_evaluate_without_total_charge(trained, tmp_path):
    store = write_charge_store(tmp_path / "without.h5", 4, with_total_charge=False)
    run = ["evaluate", f"model={trained / 'model.pt'}", f"data={store}"]
    assert "`total_charge`: structure 0 has none" in run_mhdnn(*run, folder=tmp_path, expect=1)
    run_mhdnn(*run, "total_charge=0", folder=tmp_path)


def test_training_without_charges_is_refused(tmp_path):
    store = write_charge_store(tmp_path / "without.h5", 12, with_total_charge=False)
    output = run_mhdnn(*arguments(store, tmp_path / "run", "data.total_charge=0"), folder=tmp_path, expect=1)
    assert "`charges`: no atom of the training set has one" in output


def test_calculator(charge_store, trained):
    calculator = MHDNNCalculator(trained / "model.pt")
    atoms = atoms_from_structure(StoreReader(charge_store)[1])
    atoms.calc = calculator
    for total_charge in (0.0, 1.0):
        calculator.total_charge = total_charge
        calculator.reset()
        atoms.info.pop("total_charge", None)
        charges = atoms.get_charges()
        assert charges.sum() == pytest.approx(total_charge, abs=1e-8)
        np.testing.assert_allclose(atoms.get_dipole_moment(), charges @ atoms.positions)
        assert calculator.results["energies"].sum() == pytest.approx(atoms.get_potential_energy())


def test_potential_on_a_line(charge_store, trained):
    """Far from a charged molecule it is that of its total charge; of none before a calculation."""
    calculator = MHDNNCalculator(trained / "model.pt", total_charge=1.0)
    with pytest.raises(ModelError, match="nothing has been calculated"):
        calculator.electrostatic_potential(np.zeros((1, 3)))
    atoms = atoms_from_structure(StoreReader(charge_store)[1])
    atoms.info.pop("total_charge", None)
    atoms.calc = calculator
    charges = atoms.get_charges()
    center = charges @ atoms.positions  # of charge, so that no dipole is left
    distances = np.array([100.0, 200.0, 400.0])
    found = calculator.electrostatic_potential(center + distances[:, None] * np.array([[0.0, 0.6, 0.8]]))
    np.testing.assert_allclose(found, COULOMB_CONSTANT / distances, rtol=1e-3)


def test_calculator_without_charges_says_so(emt_store, tmp_path):
    run_mhdnn(
        "train", f"data.train={emt_store}", "trainer.max_epochs=1", f"hydra.run.dir={tmp_path}", "report=false", *SMALL,
        folder=tmp_path,
    )  # fmt: skip
    calculator = MHDNNCalculator(tmp_path / "model.pt")
    assert "charges" not in calculator.implemented_properties
    with pytest.raises(ModelError, match="the model has no charges"):
        calculator.electrostatic_potential(np.zeros((1, 3)))
    atoms = structures()["tiny"]
    atoms.numbers[:] = [28, 29]
    with pytest.raises(PropertyNotImplementedError):
        calculator.get_property("charges", atoms)


def test_energy_is_conserved_while_charges_move(trained):
    """The forces are the derivatives of the energy with the charges that follow: no drift beyond the integrator's."""
    atoms = structures()["tiny"].repeat((2, 2, 1))
    atoms.calc = MHDNNCalculator(trained / "model.pt")
    spread = np.sqrt(atoms.get_masses() * units.kB * 100.0)
    atoms.set_momenta(np.random.default_rng(0).normal(size=(len(atoms), 3)) * spread[:, None])
    dynamics = VelocityVerlet(atoms, 0.25 * units.fs)
    energies, charges = [], []
    for _ in range(40):
        energies.append(atoms.get_total_energy() / len(atoms))
        charges.append(atoms.get_charges())
        dynamics.run(5)
    slope = np.polyfit(np.arange(40) * 5 * 0.25e-3, energies, 1)[0]
    assert np.ptp(charges, axis=0).max() > 1e-4, "the charges did not move"
    assert abs(slope) < 1e-3, f"drift {slope} eV/atom/ps"
    assert np.ptp(energies) < 1e-4
