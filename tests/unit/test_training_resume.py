"""What a resumed training must share with the first one, and how the joint stage goes on with that of the energies."""

import re

import h5py
import numpy as np
import pytest
import pytorch_lightning as pl
import torch

from mhdnn.deploy.export import read_checkpoint, write_checkpoint
from mhdnn.deploy.model_file import load_model
from mhdnn.errors import ConfigError, ModelError
from mhdnn.training.optimization import carry_state, warmup_cosine
from mhdnn.training.resume import check_same_architecture, check_same_training
from tests.unit.test_training_guards import run, write_store


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write_store(tmp_path_factory.mktemp("data") / "small.h5")


@pytest.fixture(scope="module")
def trained(store, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    run(store, folder)
    return folder / "checkpoints/last.ckpt"


CHANGES = {
    "trainer.max_epochs=4": "trainer.max_epochs=4 (checkpoint: 3)",
    "seed=1": "seed=1 (checkpoint: 0)",
    "optimizer.lr=0.01": "optimizer.lr=0.01 (checkpoint: 0.005)",
    "data.batch_size=3": "data.batch_size=3 (checkpoint: 2)",
    "loss.force_weight=2.0": "loss.force_weight=2.0 (checkpoint: 1.0)",
    "callbacks.average.decay=0.9": "callbacks.average.decay=0.9 (checkpoint: 0.999)",
    "trainer.gradient_clip_val=null": "trainer.gradient_clip_val=null (checkpoint: 0.1)",
    "+trainer.precision=32": "trainer.precision=32 (checkpoint: none)",
}


def test_changed_settings_are_listed_and_refused(store, trained, tmp_path):
    with pytest.raises(ConfigError, match="resume_changed=true") as caught:
        run(store, tmp_path, f"resume={trained}", *CHANGES)
    for change in CHANGES.values():
        assert change in str(caught.value)


def test_they_are_accepted_when_told(store, trained, tmp_path):
    run(store, tmp_path, f"resume={trained}", "trainer.max_epochs=4", "resume_changed=true")
    assert read_checkpoint(tmp_path / "checkpoints/last.ckpt")["epoch"] == 3


def test_what_does_not_matter_may_change(store, trained, tmp_path):
    more = ["name=other", "data.num_workers=0", "data.cache_megabytes=1", "~callbacks.learning_rate", "weights=last"]
    run(store, tmp_path, f"resume={trained}", "trainer.log_every_n_steps=2", *more)
    assert (tmp_path / "model.pt").is_file()


def test_resumed_after_the_last_epoch_gives_the_same_model(store, trained, tmp_path):
    """Killed while the model file is written: the averaged weights are the model's, not those of the last step."""
    run(store, tmp_path, f"resume={trained}")
    first, second = (load_model(folder / "model.pt")[0].state_dict() for folder in (trained.parents[1], tmp_path))
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert torch.equal(value, second[name]), name


def test_other_data_are_refused(trained, tmp_path):
    other = write_store(tmp_path / "other.h5")
    with pytest.raises(ConfigError, match=re.escape("data train='other.h5' (checkpoint: 'small.h5')")):
        run(other, tmp_path, f"resume={trained}")


def test_other_labels_under_the_same_name_are_refused(store, trained, tmp_path):
    changed = tmp_path / store.name
    changed.write_bytes(store.read_bytes())
    with h5py.File(changed, "r+") as file:
        file["energy"][:] += 0.1
    with pytest.raises(ConfigError, match=r"digests train='\w+' \(checkpoint: '\w+'\)"):
        run(changed, tmp_path, f"resume={trained}")


def test_checkpoints_that_cannot_be_resumed(store, trained, tmp_path):
    checkpoint = read_checkpoint(trained)
    del checkpoint["loops"]
    write_checkpoint(checkpoint, tmp_path / "part.ckpt")
    with pytest.raises(ModelError, match="the checkpoint lacks loops; it can be exported, but not resumed"):
        run(store, tmp_path, f"resume={tmp_path / 'part.ckpt'}")
    (tmp_path / "bad.ckpt").write_text("nothing")
    with pytest.raises(ModelError, match="not a checkpoint"):
        run(store, tmp_path, f"resume={tmp_path / 'bad.ckpt'}")
    with pytest.raises(ModelError, match="another file"):
        check_same_architecture({}, {})


def test_checkpoints_of_older_versions_have_nothing_to_compare():
    check_same_training({"mhdnn": {"settings": {}}}, {"seed": 1}, {})


class Recorder(pl.Callback):
    """Learning rate (of the hidden layers), progress of the ramp, and the age of the moments, at each step."""

    records: list = []

    def on_before_optimizer_step(self, trainer, pl_module, optimizer):
        weight = pl_module.potential.short_range.network.perceptron[0].weight
        age = float(optimizer.state[weight]["step"]) if optimizer.state.get(weight) else 0.0
        rate = optimizer.param_groups[0]["lr"]
        self.records.append((pl_module.stage, rate, pl_module.progress(), age))


def test_the_joint_stage_goes_on(tmp_path):
    """Learning rate and ramp are those of one schedule over both stages; the moments of Adam stay."""
    Recorder.records.clear()
    recorder = f"+callbacks.recorder={{_target_: {__name__}.Recorder}}"
    epochs = ["charges.max_epochs=1", "trainer.max_epochs=3", "charges.joint_epochs=2", "scheduler.warmup_steps=0"]
    run(write_store(tmp_path / "charges.h5", charges=True), tmp_path, "charges=equilibration", *epochs, recorder)
    found = {
        stage: [record[1:] for record in Recorder.records if record[0] == stage] for stage in ("energies", "joint")
    }
    steps = [len(found["energies"]), len(found["joint"])]
    assert steps == [12, 8]
    rates, progress, ages = np.array(found["energies"] + found["joint"]).T
    number = np.arange(20)
    np.testing.assert_allclose(rates, 0.005 * 0.5 * (1 + np.cos(np.pi * number / 20)), rtol=1e-6)
    np.testing.assert_allclose(progress, number / 19)
    np.testing.assert_array_equal(ages, number)


def test_a_schedule_that_begins_in_the_middle():
    whole, part = (torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0) for _ in range(2))
    schedules = warmup_cosine(whole, 100, 0), warmup_cosine(part, 100, 0, first_step=60)
    for _ in range(60):
        whole.step()
        schedules[0].step()
    for _ in range(40):
        assert schedules[0].get_last_lr() == schedules[1].get_last_lr()
        for optimizer, schedule in zip((whole, part), schedules, strict=True):
            optimizer.step()
            schedule.step()


def test_moments_are_carried_to_the_parameters_of_both():
    shared, own = torch.nn.Parameter(torch.ones(3)), torch.nn.Parameter(torch.ones(2))
    first, second = torch.optim.AdamW([shared]), torch.optim.AdamW([{"params": [own]}, {"params": [shared]}])
    shared.grad = torch.tensor([1.0, -2.0, 3.0])
    first.step()
    carry_state(first, second)
    assert torch.equal(second.state[shared]["exp_avg"], first.state[shared]["exp_avg"])
    assert float(second.state[shared]["step"]) == 1.0
    assert own not in second.state
