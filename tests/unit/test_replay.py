"""What a training that starts from a model sees of the data that the model knows."""

from pathlib import Path

import numpy as np
import pytest

from mhdnn.training.initial_model import InitialModel
from mhdnn.training.replay import replay_known
from tests.unit.test_datamodule import module, store


def model_of(names: str, number: int) -> InitialModel:
    training = {"data": {"train": names}, "num_structures": {"train": number}}
    return InitialModel(Path("model.pt"), None, {}, training)  # type: ignore[arg-type]


@pytest.fixture
def paths(tmp_path):
    sizes = {"old.h5": 400, "older.h5": 200, "new.h5": 100}
    return {name: store(tmp_path / name, ["x"] * size) for name, size in sizes.items()}


def test_of_known_files_an_epoch_sees_three_times_as_many_as_new_ones(paths, capsys):
    data = module(list(paths.values()), validation_fraction=0)
    replay_known(model_of("old.h5, older.h5", 600), data)
    assert data.fractions == [0.5, 0.5, 1.0]
    assert "of the 600 structures that model.pt was trained on an epoch sees 300" in capsys.readouterr().out
    assert data.mean_weight == (1.0, 1.0)
    drawn = [int(number) for batch in data.train_dataloader() for number in batch.geometry.dataset_index]
    assert np.bincount(np.searchsorted([400, 600], drawn, side="right")).tolist() == [200, 100, 100]


@pytest.mark.parametrize(
    ("names", "number", "used"),
    [
        ("", 0, ["old.h5", "new.h5"]),  # what the model was trained on isn't known
        ("old.h5", 390, ["old.h5", "new.h5"]),  # other structures, or more, than those of the model
        ("old.h5, older.h5", 600, ["old.h5", "new.h5"]),  # not all of it is given
        ("old.h5", 400, ["old.h5"]),  # nothing is new
        ("new.h5", 100, ["new.h5", "old.h5"]),  # what is known is less than three times what is new
    ],
)
def test_else_an_epoch_sees_everything(paths, names, number, used):
    data = module([paths[name] for name in used], validation_fraction=0)
    replay_known(model_of(names, number), data)
    assert data.fractions is None


def test_what_the_user_says_holds(paths):
    data = module([paths["old.h5"], paths["new.h5"]], validation_fraction=0, fractions=[0.5, 2.0])
    replay_known(model_of("old.h5", 400), data)
    assert data.fractions == [0.5, 2.0]


def test_few_new_structures_leave_enough_of_the_known_ones(paths, tmp_path):
    data = module([paths["old.h5"], store(tmp_path / "few.h5", ["x"] * 2)], validation_fraction=0)
    replay_known(model_of("old.h5", 400), data)
    assert data.fractions == [0.625, 1.0]
