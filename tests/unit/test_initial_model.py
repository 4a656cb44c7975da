"""What a training starts from is never replaced by it."""

import os
from contextlib import nullcontext
from types import SimpleNamespace

import pytest
from omegaconf import OmegaConf

from mhdnn.cli import main
from mhdnn.errors import ConfigError
from mhdnn.training.command import train_in
from mhdnn.training.initial_model import check_same_level, check_stays


@pytest.fixture
def folder(tmp_path):
    """Of a training that is done."""
    place = tmp_path / "run"
    (place / "checkpoints").mkdir(parents=True)
    for name in ("model.pt", "checkpoints/last.ckpt", "other.pt"):
        (place / name).write_bytes(b"precious")
    os.symlink(place / "model.pt", tmp_path / "model.pt")
    os.symlink(place, tmp_path / "link")
    return place


REPLACED = ("run/model.pt", "model.pt", "link/model.pt", "run/checkpoints/last.ckpt", "link/checkpoints/last.ckpt")


@pytest.mark.parametrize("start", REPLACED)
def test_command_refuses_before_anything_is_written(folder, monkeypatch, capsys, start):
    monkeypatch.chdir(folder.parent)
    before = sorted(folder.parent.rglob("*"))
    for arguments in ([f"init={start}", "hydra.run.dir=run"], ["++hydra.run.dir='run'", f'init="{start}"']):
        assert main(["train", *arguments, "data.train=none.h5"]) == 1
        assert f"expected another folder than run, where the training would replace {start}" in capsys.readouterr().err
    assert sorted(folder.parent.rglob("*")) == before


def test_training_refuses_wherever_its_folder_was_chosen(folder):
    """Sweeps and settings have folders that stand in no argument."""
    with pytest.raises(ConfigError, match=r"`hydra\.run\.dir`: expected another folder"):
        train_in(folder, [f"init={folder / 'model.pt'}", "data.train=none.h5"])
    assert (folder / "model.pt").read_bytes() == b"precious"


def test_other_starts_are_taken(folder):
    for start in ("model.pt", "checkpoints/last.ckpt"):
        check_stays(folder / start, folder / "further")
        check_stays(folder / start, folder.parent / "next")
    check_stays(folder / "other.pt", folder)


@pytest.mark.parametrize(
    ("of_data", "reference_energies", "is_refused"),
    [
        ("BLYP", "keep", True),
        ("PBE | BLYP", "keep", True),
        ("BLYP", "fit", False),
        ("PBE", "keep", False),
        ("PBE | unknown", "keep", False),
        (None, "keep", False),
    ],
)
def test_energies_on_another_level_need_other_reference_energies(of_data, reference_energies, is_refused):
    model = SimpleNamespace(path="model.pt", training={"attributes": {"functional": "PBE"}})
    attributes = {} if of_data is None else {"functional": of_data}
    data = SimpleNamespace(offsets=False, train_reader=SimpleNamespace(attributes=attributes))
    config = OmegaConf.create({"initialization": {"reference_energies": reference_energies}})
    with pytest.raises(ConfigError, match="reference_energies=fit") if is_refused else nullcontext():
        check_same_level(model, data, config)
