"""A training that meets a number that is none stops, names the structure and keeps its checkpoints."""

import dataclasses

import h5py
import pytest
import pytorch_lightning as pl
import torch
from hydra import compose, initialize_config_module

from mhdnn.data.dataset import StructureDataset, collate
from mhdnn.data.store import StoreReader
from mhdnn.data.writer import StoreWriter
from mhdnn.deploy.export import potential_from_checkpoint, read_checkpoint
from mhdnn.deploy.model_file import check_weights
from mhdnn.errors import ConfigError, DataError, NotFiniteError
from mhdnn.evaluation.command import evaluate
from mhdnn.evaluation.run import predict_structures
from mhdnn.prediction import predict
from mhdnn.training.guards import FiniteGuard
from mhdnn.training.run import train
from tests.builders import geometry_of, random_charge_potential, random_potential, structure_of, structures

ELEMENTS = [6, 14, 50]
SMALL = [
    "cutoff=4.5", "dtype=float64", "descriptor=legendre", "descriptor.radial.num=4",
    "descriptor.angular.legendre.max_degree=1",
    "descriptor.angular.legendre.radial.num=2", "network.hidden=[4]", "trainer.enable_progress_bar=false",
    "trainer.max_epochs=3", "trainer.accelerator=cpu", "report=false", "trainer.log_every_n_steps=1",
    "~logger.tensorboard", "data.batch_size=2",
]  # fmt: skip


def write_store(path, charges=False):
    """Twelve labelled structures; those with odd numbers validate."""
    potential = random_charge_potential(ELEMENTS) if charges else random_potential(ELEMENTS)
    with StoreWriter(path, {}) as writer:
        for number in range(12):
            atoms = structures()["tiny"]
            atoms.rattle(0.05, seed=number)
            made = predict(potential, geometry_of(atoms, total_charge=0.0))
            labels = {"charges": made.charges.numpy(), "total_charge": 0.0} if charges else {}
            split = "validation" if number % 3 == 0 else "train"
            labels |= {"energy": made.energy.item(), "forces": made.forces.numpy()}
            writer.append(structure_of(atoms, group=f"tiny/{number}", **labels), split=split)
    return path


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write_store(tmp_path_factory.mktemp("data") / "small.h5")


def run(store, folder, *overrides):
    """A training in this process, without Hydra's run folder."""
    paths = [f"callbacks.{name}.dirpath={folder}/checkpoints" for name in ("best", "last")]
    paths += [f"callbacks.interruption.path={folder}/checkpoints/interrupted.ckpt", f"logger.csv.save_dir={folder}"]
    with initialize_config_module("mhdnn.configs", version_base="1.3"):
        config = compose("train", overrides=[f"data.train={store}", *SMALL, *paths, *overrides])
    return train(config, folder)


def with_label(store, path, number, **labels):
    """The store with other labels for one structure."""
    reader = StoreReader(store)
    with StoreWriter(path, {}) as writer:
        for index, structure in enumerate(reader):
            changed = dataclasses.replace(structure, **labels) if index == number else structure
            writer.append(changed, split=reader.split[index])
    return path


class Spoil(pl.Callback):
    """At the start of an epoch something becomes NaN: a buffer (predictions), or the gradient of a weight."""

    def __init__(self, epoch: int, what: str) -> None:
        self.epoch, self.what = epoch, what

    def on_train_epoch_start(self, trainer, pl_module):
        if trainer.current_epoch != self.epoch:
            return
        if self.what == "prediction":
            pl_module.potential.short_range.network.output_scale.fill_(torch.nan)
        elif self.what == "gradient":
            weight = pl_module.potential.short_range.network.linear_weight
            weight.register_hook(lambda gradient: gradient * torch.nan)


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("prediction", r"small\.h5: structure \d+ \(group 'tiny/\d+', train\): its energy came out as NaN"),
        ("gradient", r"small\.h5: (structure|the loss or gradient of structures) .* came out as NaN"),
    ],
)
def test_training_stops_and_leaves_the_checkpoints(what, message, store, tmp_path):
    with pytest.raises(NotFiniteError, match=message):
        run(
            store,
            tmp_path,
            f"+callbacks.spoil={{_target_: tests.unit.test_training_guards.Spoil, epoch: 1, what: {what}}}",
        )
    left = {path.name for path in (tmp_path / "checkpoints").iterdir()}
    assert left == {"best.ckpt", "last.ckpt"}
    for name in left:
        checkpoint = read_checkpoint(tmp_path / "checkpoints" / name)
        assert checkpoint["epoch"] == 0
        check_weights(checkpoint["state_dict"], name)
        potential_from_checkpoint(checkpoint)
    assert not (tmp_path / "model.pt").exists()


@pytest.mark.parametrize(("number", "label", "value"), [(0, "forces", 1e200), (1, "forces", -1e9), (1, "energy", 1e12)])
def test_labels_that_no_calculation_gives(number, label, value, store, tmp_path):
    """In training and in validation."""
    labels = {"energy": value}
    if label == "forces":
        labels = {"forces": StoreReader(store)[number].forces.copy()}
        labels["forces"][0, 0] = value
    path = with_label(store, tmp_path / "huge.h5", number, **labels)
    with pytest.raises(DataError, match=rf"huge\.h5: structure {number} \(group 'tiny/{number}'\): `{label}` reaches"):
        run(path, tmp_path)
    assert not (tmp_path / "checkpoints/best.ckpt").exists()


def test_a_loss_that_is_infinite(store, tmp_path):
    """Without a prediction that is: the structure is searched for."""

    class Data:
        readers, paths = {"train": StoreReader(store)}, lambda self: {"train": store}
        train_reader = readers["train"]

        def reader_of(self, part):
            return self.train_reader

        def dataset(self, part):
            return StructureDataset(self.train_reader, [2, 5, 7], 4.5)

    data = Data()
    batch = collate([data.dataset("train")[index] for index in range(3)])
    guard = FiniteGuard(lambda some: torch.where(some.geometry.dataset_index == 5, torch.inf, 1.0).sum())
    assert guard.look_at({}, torch.tensor(1.0), batch, data, "train") == 1.0
    guard.stop(distributed=False)
    assert torch.isnan(guard.look_at({}, torch.tensor(torch.inf), batch, data, "train"))
    with pytest.raises(NotFiniteError, match=r"structure 5 \(group 'tiny/5', train\): its loss or a gradient of it"):
        guard.stop(distributed=False)


@pytest.mark.parametrize("charges", [False, True])
def test_atoms_at_the_same_place_are_refused_when_read(charges, store, tmp_path):
    path = with_label(write_store(tmp_path / "all.h5", charges), tmp_path / "same.h5", 4)
    with h5py.File(path, "r+") as file:
        file["positions"][9] = file["positions"][8]
    overrides = ["charges=equilibration", "charges.max_epochs=1"] if charges else []
    with pytest.raises(DataError, match=r"same\.h5: structure 4 \(group 'tiny/4'\): atoms 0 and 1 are 0 Å apart"):
        run(path, tmp_path, *overrides)
    model = run(store, tmp_path / "good")
    with pytest.raises(DataError, match="structure 4"):
        evaluate(model, path)


@pytest.mark.parametrize("stage", ["charges", "energies", "joint"])
def test_every_stage_is_watched(stage, tmp_path):
    store = write_store(tmp_path / "charges.h5", charges=True)
    spoil = f"+callbacks.spoil={{_target_: {__name__}.SpoilStage, stage: {stage}}}"
    more = ["charges=equilibration", "charges.max_epochs=1", "charges.joint_epochs=1", "trainer.max_epochs=1"]
    message = r"charges\.h5: structures? \d.*(validation|train)\): (its energy came out|`hardness`)"
    with pytest.raises((NotFiniteError, DataError), match=message):
        run(store, tmp_path, *more, spoil)
    names = ["charges", "energies", "joint"]
    done = names[: names.index(stage)]
    expected = {f"{name}_{kind}.ckpt" for name in done for kind in ("best", "last")}
    folder = tmp_path / "checkpoints"
    assert {path.name for path in folder.iterdir()} == expected if folder.exists() else not expected


class SpoilStage(pl.Callback):
    """In one stage a network gives NaN from the first validation on."""

    def __init__(self, stage: str) -> None:
        self.stage = stage

    def on_validation_epoch_start(self, trainer, pl_module):
        if pl_module.stage == self.stage:
            potential = pl_module.potential
            if self.stage == "charges":
                with torch.no_grad():
                    potential.charge_model.raw_hardness.fill_(torch.inf)
            else:
                potential.short_range.network.output_scale.fill_(torch.nan)


def test_evaluation_names_the_structure(store):
    potential, reader = random_potential(ELEMENTS), StoreReader(store)
    potential.short_range.network.output_scale.fill_(torch.nan)
    items = StructureDataset(reader, [7], 4.5)
    with pytest.raises(NotFiniteError, match=r"small\.h5: structure 7: its energy came out as NaN or infinite"):
        predict_structures(potential, [items[0]], ELEMENTS, str(store))


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("callbacks.best.monitor=nothing", r"`trainer` or `callbacks`: .*monitor='nothing'"),
        ("scheduler._target_=torch.optim.lr_scheduler.StepLR", r"`scheduler`: .*StepLR"),
        ("optimizer._target_=nowhere.x", r"`optimizer`: .*nowhere"),
        ("+callbacks.best.save_top_k=x", r"`callbacks.best`: "),
        ("trainer.strategy=abc", r"`trainer`: .*abc"),
    ],
)
def test_what_lightning_and_torch_refuse_is_a_sentence(override, message, store, tmp_path):
    with pytest.raises(ConfigError, match=message):
        run(store, tmp_path, override)
