"""Stages of trainings with charges, and what the stage that learns functions sees of the potential."""

import numpy as np
import torch
from omegaconf import OmegaConf

from mhdnn.prediction import predict
from mhdnn.training.stages import stages_of
from mhdnn.training.without_charges import WithoutCharges
from tests.builders import geometry_of, random_charge_potential, structures
from tests.differences import assert_close, numerical_forces
from tests.tolerances import ROUND_OFF


def stages(kind, learns_functions, joint_epochs=0):
    charges = {"kind": kind, "max_epochs": 5, "joint_epochs": joint_epochs, "joint_charge_weight": 1.0}
    return stages_of(OmegaConf.create({"trainer": {"max_epochs": 10}, "charges": charges}), learns_functions)


def names(*arguments):
    return [stage.name for stage in stages(*arguments)]


def test_functions_are_learned_before_charges():
    assert names("none", True) == ["energies"]
    assert names("equilibration", False, 3) == ["charges", "energies", "joint"]
    assert names("equilibration", True) == ["functions", "charges", "energies"]
    first, charges, energies = stages("equilibration", True)
    assert (first.max_epochs, charges.max_epochs, energies.max_epochs) == (10, 5, 10)
    assert [stage.is_last for stage in (first, charges, energies)] == [False, False, True]
    assert energies.after_functions
    assert not stages("equilibration", False)[-1].after_functions


def test_each_parameter_has_its_stage():
    trained = {
        stage.name: [stage.trains(name) for name in ("descriptor.x", "charge_model.x", "short_range.x")]
        for stage in stages("equilibration", True, 3)
    }
    assert trained == {
        "functions": [True, False, True],
        "charges": [False, True, False],
        "energies": [False, False, True],
        "joint": [True, True, True],
    }


def test_without_charges_nothing_depends_on_them():
    potential = random_charge_potential([6, 14, 50])
    geometry = geometry_of(structures()["triclinic"], total_charge=0.0)
    before = predict(WithoutCharges(potential), geometry)
    with torch.no_grad():
        for parameter in potential.charge_model.parameters():
            parameter.add_(0.3)
    after = predict(WithoutCharges(potential), geometry)
    assert before.charges is None
    np.testing.assert_allclose(after.forces, before.forces, atol=ROUND_OFF)
    with_charges = predict(potential, geometry)
    assert (with_charges.forces - after.forces).abs().max() > 1e-3


def test_without_charges_forces_are_derivatives():
    potential = random_charge_potential([6, 14, 50])
    atoms = structures()["tiny"]

    def energy(moved):
        return predict(WithoutCharges(potential), geometry_of(moved)).energy.item()

    found = predict(WithoutCharges(potential), geometry_of(atoms)).forces
    assert_close(found.numpy(), numerical_forces(energy, atoms, range(len(atoms))))
