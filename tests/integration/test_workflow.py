"""Train, evaluate, export, ASE: the commands as a user types them."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from ase import Atoms, units
from ase.build import bulk
from ase.md.verlet import VelocityVerlet

from mhdnn import MHDNNCalculator
from mhdnn.data.store import StoreReader
from mhdnn.deploy.model_file import load_model
from mhdnn.errors import ModelError
from tests.integration.conftest import SMALL, run_mhdnn


def test_train_leaves_everything(trained):
    for name in ("model.pt", "errors.json", "report/report.html", "checkpoints/last.ckpt", "checkpoints/best.ckpt"):
        assert (trained / name).stat().st_size > 0, name
    assert list(trained.glob("logs/*/metrics.csv"))
    assert list(trained.glob("tensorboard/**/events*"))
    output = (trained / "output.txt").read_text()
    assert "validation" in output
    assert "test" in output
    assert str(trained / "model.pt") in output


def test_model_has_learned(trained, emt_test_store):
    errors = json.loads((trained / "errors.json").read_text())["test"]
    reader = StoreReader(emt_test_store)
    forces = np.concatenate([structure.forces.ravel() for structure in reader])
    assert errors["force_mae_ev_per_angstrom"] < 0.2 * np.abs(forces).mean()


def test_evaluate_gives_the_same_errors(trained, emt_test_store, tmp_path):
    output = tmp_path / "errors.json"
    run_mhdnn(
        "evaluate", f"model={trained / 'model.pt'}", f"data={emt_test_store}", f"output={output}",
        f"report={tmp_path / 'report'}", folder=tmp_path,
    )  # fmt: skip
    found = json.loads(output.read_text())
    assert found == pytest.approx(json.loads((trained / "errors.json").read_text())["test"], rel=1e-5)
    assert set(found) == {
        "num_structures", "num_atoms", "energy_mae_mev_per_atom", "energy_rmse_mev_per_atom",
        "force_mae_ev_per_angstrom", "force_rmse_ev_per_angstrom", "stress_mae_gpa", "stress_rmse_gpa",
        "uncertainty_spearman", "coverage_90", "energy_uncertainty_spearman", "energy_coverage_90",
    }  # fmt: skip
    assert (tmp_path / "report" / "report.html").exists()


def test_errors_are_those_of_the_ase_calculator(trained, emt_test_store):
    """The table's numbers, worked out again through ASE."""
    energy, force, stress = [], [], []
    for structure in StoreReader(emt_test_store):
        from mhdnn.data.ase_bridge import atoms_from_structure

        atoms = atoms_from_structure(structure)
        atoms.calc = MHDNNCalculator(trained / "model.pt")
        energy.append((atoms.get_potential_energy() - structure.energy) / len(atoms))
        force.append((atoms.get_forces() - structure.forces).ravel())
        stress.append(atoms.get_stress() - structure.stress)
    errors = json.loads((trained / "errors.json").read_text())["test"]
    assert 1000 * np.abs(energy).mean() == pytest.approx(errors["energy_mae_mev_per_atom"], rel=1e-3)
    assert np.sqrt(np.mean(np.concatenate(force) ** 2)) == pytest.approx(errors["force_rmse_ev_per_angstrom"], rel=1e-3)
    assert 160.2176634 * np.abs(stress).mean() == pytest.approx(errors["stress_mae_gpa"], rel=1e-3)


def test_uncertainties_of_the_model(trained, emt_test_store):
    """Expected errors of new structures are of the size of true ones."""
    errors = json.loads((trained / "errors.json").read_text())["test"]
    assert errors["coverage_90"] > 0.7
    told = load_model(trained / "model.pt")[1]["uncertainty"]
    assert 0.3 * errors["force_rmse_ev_per_angstrom"] < told["largest_error"]


def test_export_of_the_last_checkpoint_is_the_model_without_its_last_fit(emt_store, tmp_path):
    run = tmp_path / "run"
    settings = [f"data.train={emt_store}", f"hydra.run.dir={run}", "trainer.max_epochs=2", "final_fit=false"]
    run_mhdnn("train", *settings, *SMALL, folder=tmp_path)
    run_mhdnn(
        "export", f"checkpoint={run / 'checkpoints/last.ckpt'}", f"output={tmp_path / 'again.pt'}", folder=tmp_path
    )
    atoms = bulk("Cu", cubic=True)
    atoms.rattle(0.1, seed=3)
    energies = []
    for path in (run / "model.pt", tmp_path / "again.pt"):
        atoms.calc = MHDNNCalculator(path)
        energies.append(atoms.get_potential_energy())
    assert energies[0] == energies[1]


def test_nve_energy_is_conserved(trained):
    """Less than 1e-5 eV/atom/ps at 0.5 fs (float32 model, fitted slope)."""
    atoms = bulk("Cu", cubic=True).repeat((2, 2, 2))
    atoms.numbers[::7] = 28
    rng = np.random.default_rng(0)
    atoms.calc = MHDNNCalculator(trained / "model.pt")
    momenta = rng.normal(size=(len(atoms), 3)) * np.sqrt(200 * units.kB * atoms.get_masses())[:, None]
    atoms.set_momenta(momenta - momenta.mean(0))
    dynamics = VelocityVerlet(atoms, 0.5 * units.fs)
    times, energies = [], []
    for step in range(400):
        dynamics.run(5)
        times.append(step * 5 * 0.5e-3)
        energies.append(atoms.get_total_energy() / len(atoms))
    assert abs(np.polyfit(times, energies, 1)[0]) < 1e-5
    assert 50 < atoms.get_temperature() < 200, "not a crystal in motion"
    assert np.ptp(atoms.get_forces()) > 0.1


@pytest.mark.parametrize("scale", [0.75, 3.0], ids=["above the ranges", "below the ranges"])
def test_crystals_out_of_the_ranges_of_training_are_refused(scale, trained, emt_store):
    """Atoms without any neighbour have functions that are zero, as none of the training set."""
    reader = StoreReader(emt_store)
    structure = reader[int(np.flatnonzero(reader.num_atoms == 8)[0])]
    atoms = Atoms(structure.atomic_numbers, structure.positions, cell=structure.cell, pbc=structure.pbc)
    atoms.calc = MHDNNCalculator(trained / "model.pt", extrapolation="stop")
    atoms.get_potential_energy()
    atoms.set_cell(atoms.cell[:] * scale, scale_atoms=True)
    with pytest.raises(ModelError):
        atoms.get_potential_energy()


@pytest.mark.parametrize("module", ["mhdnn.potential", "mhdnn", "mhdnn.deploy.export"])
def test_deployment_loads_no_training_framework(module):
    code = f"import sys, {module}; print([m for m in ('pytorch_lightning', 'hydra', 'matplotlib') if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_checkpoint_holds_no_code(trained):
    checkpoint = torch.load(trained / "checkpoints/last.ckpt", weights_only=True)
    assert checkpoint["mhdnn"]["settings"]["atomic_numbers"] == [28, 29]


def test_functions_of_input_nn(emt_store, tmp_path):
    """A list of symmetry functions as n2p2's users have it, trained, exported again, and used."""
    lines = [f"symfunction_short Cu 2 Ni {eta} 0.0 10.0" for eta in (0.01, 0.05, 0.2)]
    lines += [f"symfunction_short Ni 9 Cu Cu 0.02 {sign} 2 10.0" for sign in (-1, 1)]
    (tmp_path / "input.nn").write_text("\n".join(lines))
    output = run_mhdnn(
        "train", f"data.train={emt_store}", "descriptor=input_nn", f"descriptor.input_nn={tmp_path / 'input.nn'}",
        "network.hidden=[8]", "trainer.max_epochs=2", "trainer.enable_progress_bar=false", "report=false",
        f"hydra.run.dir={tmp_path / 'run'}", folder=tmp_path,
    )  # fmt: skip
    assert "cutoff: 5.2918 Å" in output
    run_mhdnn(
        "export", f"checkpoint={tmp_path / 'run/checkpoints/last.ckpt'}", f"output={tmp_path / 'm.pt'}", folder="."
    )
    calculator = MHDNNCalculator(tmp_path / "m.pt")
    assert calculator.cutoff == pytest.approx(10 * 0.529177210903)
    assert len(calculator.metadata["functions"]) == 3 + 2  # of copper and of nickel as centre
    atoms = bulk("Cu", cubic=True)
    atoms.calc = calculator
    assert np.isfinite(atoms.get_potential_energy())
