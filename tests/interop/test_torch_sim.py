"""torch-sim with a model against the ASE calculator, and energy conserved by its own integrator."""

import numpy as np
import pytest
import torch

from mhdnn import MHDNNCalculator
from mhdnn.deploy.model_file import metadata_of, save_model
from mhdnn.errors import ConfigError, ModelError
from tests.builders import model_settings, random_potential, structures

torch_sim = pytest.importorskip("torch_sim")
pytestmark = [pytest.mark.filterwarnings("ignore:.*:DeprecationWarning:torch_sim.*")]

from torch_sim.models.interface import validate_model_outputs  # noqa: E402

from mhdnn.interop.torch_sim import TorchSimModel  # noqa: E402

PERIODIC = [atoms for atoms in structures().values() if atoms.pbc.all()]
MOLECULES = [atoms for atoms in structures().values() if not atoms.pbc.any()]


def state_of(many):
    return torch_sim.io.atoms_to_state(many, torch.device("cpu"), torch.float64)


@pytest.mark.parametrize("model", ["short_model", "charge_model"])
def test_a_batch_of_crystals_is_as_one_by_one(model, request):
    path = request.getfixturevalue(model)
    totals = [0.5 * number for number in range(len(PERIODIC))] if model == "charge_model" else 0.0
    found = TorchSimModel(path, total_charge=totals)(state_of(PERIODIC))
    first = 0
    for number, atoms in enumerate(PERIODIC):
        atoms = atoms.copy()
        atoms.info["total_charge"] = totals[number] if isinstance(totals, list) else totals
        atoms.calc = MHDNNCalculator(path, extrapolation="off")
        own = slice(first, first := first + len(atoms))
        assert float(found["energy"][number]) == pytest.approx(atoms.get_potential_energy(), rel=1e-12)
        np.testing.assert_allclose(found["forces"][own], atoms.get_forces(), rtol=0, atol=1e-9)
        np.testing.assert_allclose(found["stress"][number], atoms.get_stress(voigt=False), rtol=0, atol=1e-11)
        if isinstance(totals, list):
            np.testing.assert_allclose(found["charges"][own], atoms.get_charges(), rtol=0, atol=1e-9)


def test_molecules(short_model):
    found = TorchSimModel(short_model)(state_of(MOLECULES))
    expected = [MHDNNCalculator(short_model, extrapolation="off").get_potential_energy(atoms) for atoms in MOLECULES]
    np.testing.assert_allclose(found["energy"], expected, rtol=1e-12)


def test_the_interface_as_torch_sim_checks_it(tmp_path):
    elements = [14, 26]  # those of its own structures
    potential = random_potential(elements)
    save_model(potential, tmp_path / "model.pt", metadata_of(potential, model_settings(elements), {}))
    validate_model_outputs(TorchSimModel(tmp_path / "model.pt"), torch.device("cpu"), torch.float64)


def total_energy(state):
    kinetic = torch_sim.calc_kinetic_energy(masses=state.masses, momenta=state.momenta, system_idx=state.system_idx)
    return state.energy + kinetic


def test_its_dynamics_keep_the_energy(short_model):
    """Of two crystals at a time, by its velocity Verlet: twice the step loses four times as much."""
    model, lost = TorchSimModel(short_model), []
    for timestep in (0.002, 0.004):
        start, step = torch_sim.nve(model, dt=torch.tensor(timestep), kT=torch.tensor(0.02))
        state = start(state_of(PERIODIC[:2]), seed=1)
        before = total_energy(state)
        for _ in range(round(0.2 / timestep)):
            state = step(state)
        lost.append(total_energy(state) - before)
    np.testing.assert_allclose(lost[1] / lost[0], 4.0, rtol=0.1)


def test_what_cannot_be_is_refused(short_model, charge_model):
    foreign = PERIODIC[0].copy()
    foreign.symbols[0] = "U"
    with pytest.raises(ModelError, match=r"does not know the atomic numbers \[92\]"):
        TorchSimModel(short_model)(state_of([foreign]))
    with pytest.raises(ConfigError, match=r"`total_charge`: expected one for each structure \(1\), .* got 2"):
        TorchSimModel(charge_model, total_charge=[0.0, 1.0])(state_of(PERIODIC[:1]))
