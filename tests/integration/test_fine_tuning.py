"""Training from a model: new elements and data, what contradicts it, and sources on several levels."""

import json

import numpy as np
import pytest
import torch
from ase.build import bulk
from ase.calculators.emt import EMT

from mhdnn.data.store import StoreReader
from mhdnn.data.writer import StoreWriter
from mhdnn.deploy.model_file import load_model
from tests.builders import structure_of
from tests.integration.conftest import SMALL, run_mhdnn
from tests.integration.test_resume import assert_same, state

QUIET = ["trainer.enable_progress_bar=false", "report=false"]


def write_alloys(path, count, seed, numbers, **attributes):
    rng = np.random.default_rng(seed)
    with StoreWriter(path, {"code": "EMT", **attributes}) as writer:
        for number in range(count):
            atoms = bulk("Cu", cubic=True)
            atoms.numbers[:] = rng.choice(numbers, len(atoms))
            atoms.numbers[0] = numbers[-1]
            atoms.rattle(rng.uniform(0.03, 0.15), seed=seed + number)
            atoms.set_cell(atoms.cell[:] * rng.uniform(0.98, 1.06), scale_atoms=True)
            atoms.calc = EMT()
            labels = {"forces": atoms.get_forces(), "stress": atoms.get_stress()}
            writer.append(structure_of(atoms, energy=float(atoms.get_potential_energy()), group="x", **labels))
    return path


def shifted(source, path, energies):
    """The same structures on another level: so much more energy for each atom of an element, by atomic number."""
    with StoreWriter(path, {"functional": "other"}) as writer:
        for structure in StoreReader(source):
            structure.energy += sum(energies[int(number)] for number in structure.atomic_numbers)
            writer.append(structure)
    return path


@pytest.fixture(scope="module")
def with_silver(tmp_path_factory):
    return write_alloys(tmp_path_factory.mktemp("data") / "silver.h5", 20, 500, [28, 29, 47])


def fine_tune(folder, init, stores, *more, expect=0):
    data = f"data.train=[{','.join(map(str, stores))}]"
    return run_mhdnn(
        "train", f"init={init}", data, f"hydra.run.dir={folder}", *QUIET, *more, folder=folder.parent, expect=expect
    )


def test_a_new_element(trained, emt_store, with_silver, tmp_path):
    output = fine_tune(tmp_path / "run", trained / "model.pt", [emt_store, with_silver], "trainer.max_epochs=12")
    assert "new elements: Ag like Cu" in output
    assert "optimizer.lr=0.001" in output
    _, metadata = load_model(tmp_path / "run/model.pt")
    _, before = load_model(trained / "model.pt")
    assert metadata["elements"] == ["Ni", "Cu", "Ag"]
    assert metadata["reference_energies"][:2] == before["reference_energies"]
    assert metadata["training"]["init"] == "model.pt"
    assert metadata["uncertainty"]["num_atoms"] > 0
    errors = json.loads((tmp_path / "run/forgotten.json").read_text())
    old, new = errors["validation, emt.h5"], errors["validation, silver.h5"]
    assert old["after"]["force_mae_ev_per_angstrom"] < 1.3 * old["before"]["force_mae_ev_per_angstrom"]
    assert "before" not in new
    forces = np.concatenate([structure.forces for structure in StoreReader(with_silver)])
    assert new["all"]["force_mae_ev_per_angstrom"] < 0.5 * np.abs(forces).mean()


def test_without_a_step_the_model_is_what_gradient_descent_left(trained, emt_store, with_silver, tmp_path):
    """Ranges and errors are those of the new data, energies and forces of the old structures are not touched; a model
    file begins without its last fit, as the checkpoint.
    """
    more = [
        "trainer.max_epochs=1",
        "optimizer.lr=1e-12",
        "optimizer.linear_lr=1e-12",
        "dtype=float32",
        "final_fit=false",
    ]
    starts, errors = {"checkpoint": trained / "checkpoints/last.ckpt", "model": trained / "model.pt"}, {}
    for name, start in starts.items():
        fine_tune(tmp_path / name, start, [emt_store, with_silver], *more)
        errors[name] = json.loads((tmp_path / name / "forgotten.json").read_text())["validation, emt.h5"]
    for key in ("energy_mae_mev_per_atom", "force_mae_ev_per_angstrom"):
        assert errors["checkpoint"]["after"][key] == pytest.approx(errors["checkpoint"]["before"][key], rel=1e-3)
        assert errors["model"]["after"][key] == pytest.approx(errors["checkpoint"]["after"][key], rel=1e-3)
    assert errors["model"]["before"] != errors["model"]["after"]


def test_energies_without_weight_do_not_count(trained, emt_store, tmp_path):
    """Nor in the fits at the end: wrong ones leave the forces as they are."""
    wrong, rng, errors = tmp_path / "wrong.h5", np.random.default_rng(0), []
    source = StoreReader(emt_store)
    with StoreWriter(wrong, source.attributes) as writer:
        for number, structure in enumerate(source):
            structure.energy += rng.normal()
            writer.append(structure, split=None if source.split is None else source.split[number])
    more = ["trainer.max_epochs=1", "loss.energy_weight.start=0", "loss.energy_weight.end=0"]
    for store in (emt_store, wrong):
        fine_tune(tmp_path / store.stem, trained / "model.pt", [store], *more)
        found = json.loads((tmp_path / store.stem / "errors.json").read_text())["validation"]
        errors.append(found["force_mae_ev_per_angstrom"])
    assert errors[0] == pytest.approx(errors[1], rel=1e-6)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["cutoff=6.0"], "cutoff=6.0 (the model: 5.5)"),
        (["network.hidden=[9]", "dtype=float64"], "network.hidden=[9] (the model: [8])"),
        (["descriptor=wide"], "descriptor.angular.wide.kind='wide' (the model: no such setting)"),
        (["repulsion=none"], "repulsion.kind='none' (the model: 'zbl')"),
        (["ensemble.size=2"], "ensemble.size=2 (the model: 1)"),
        (["charges=equilibration"], "charges.kind='equilibration' (the model: 'none')"),
        (["elements=[Cu]"], "the model of `init` has Ni, too"),
    ],
)
def test_settings_that_contradict_the_model(settings, message, trained, emt_store, tmp_path):
    output = fine_tune(tmp_path / "run", trained / "model.pt", [emt_store], *settings, expect=1)
    assert message in output
    assert "Traceback" not in output


def test_resumed_equals_uninterrupted(trained, emt_store, with_silver, tmp_path):
    stores, more = [emt_store, with_silver], ["trainer.max_epochs=4", "data.fractions=[0.2,2.0]"]
    fine_tune(tmp_path / "straight", trained / "model.pt", stores, *more)
    crash = "+callbacks.crash={_target_: tests.integration.crash.InterruptAtEpoch, epoch: 2}"
    fine_tune(tmp_path / "stopped", trained / "model.pt", stores, *more, crash, expect=130)
    checkpoint = tmp_path / "stopped/checkpoints/last.ckpt"
    assert torch.load(checkpoint, weights_only=True)["epoch"] < 3
    fine_tune(tmp_path / "resumed", trained / "model.pt", stores, *more, f"resume={checkpoint}")
    for first, second in zip(state(tmp_path / "straight")[:2], state(tmp_path / "resumed")[:2], strict=True):
        assert_same(first, second)


def test_keep_is_for_a_model_to_start_from(emt_store, tmp_path):
    arguments = ["train", f"data.train={emt_store}", "initialization.reference_energies=keep", *SMALL, *QUIET]
    assert "is for a training that starts from a model" in run_mhdnn(*arguments, folder=tmp_path, expect=1)


OFFSETS = {28: -2.1, 29: 1.3}


@pytest.mark.slow
@pytest.mark.parametrize("descriptor", ["legendre", "contracted"])
def test_offsets_of_a_source_are_found(descriptor, tmp_path):
    """Known shifts of half of the data: the same errors as without, and the shifts come out."""
    stores = [write_alloys(tmp_path / f"{name}.h5", 40, seed, [28, 29]) for name, seed in (("a", 0), ("b", 1000))]
    other = shifted(stores[1], tmp_path / "other.h5", OFFSETS)
    held_out = write_alloys(tmp_path / "test.h5", 20, 5000, [28, 29])
    own = SMALL if descriptor == "legendre" else ["cutoff=5.5", "descriptor=contracted", "network.hidden=[8]"]
    common = [f"data.test={held_out}", "trainer.max_epochs=20", *own, *QUIET]
    errors, folder = {}, tmp_path
    for name, second, more in (("plain", stores[1], []), ("offsets", other, ["data.offsets=true"])):
        arguments = ["train", f"data.train=[{stores[0]},{second}]", f"hydra.run.dir={folder / name}", *common, *more]
        run_mhdnn(*arguments, folder=folder)
        errors[name] = json.loads((folder / name / "errors.json").read_text())
    _, metadata = load_model(folder / "offsets/model.pt")
    (found,) = metadata["training"]["offsets"].values()
    plain, level = (errors[name]["test"] for name in ("plain", "offsets"))
    error = 1e-3 * plain["energy_mae_mev_per_atom"]
    assert error < 0.02  # what follows is about something: cohesive energies of the structures differ by more
    assert found["Ni"] == pytest.approx(-2.1, abs=error + 5e-4)
    assert found["Cu"] == pytest.approx(1.3, abs=error + 5e-4)
    assert level["energy_mae_mev_per_atom"] < 1.2 * plain["energy_mae_mev_per_atom"] + 0.5
    assert level["force_mae_ev_per_angstrom"] < 1.2 * plain["force_mae_ev_per_angstrom"]
    both = errors["offsets"]["validation"]["energy_mae_mev_per_atom"]
    assert both < 1.5 * errors["plain"]["validation"]["energy_mae_mev_per_atom"] + 0.5
