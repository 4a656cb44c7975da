"""A disk that is full: a sentence with the path and the free space; what was there before is still there."""

import resource
import sys
from contextlib import contextmanager

import pytest
import torch
from matplotlib.figure import Figure

from mhdnn.cli import main
from mhdnn.deploy.export import read_checkpoint, write_checkpoint
from mhdnn.deploy.model_file import metadata_of, save_model
from mhdnn.errors import OutputError
from mhdnn.evaluation.plots import save_figure
from mhdnn.files import write_text_atomically
from tests.builders import model_settings, random_potential
from tests.unit.test_training_guards import SMALL, write_store

ELEMENTS = [6, 14, 50]


@contextmanager
def files_at_most(num_bytes):
    """No file of this process can become larger, as if the disk were full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def checkpoint_of(potential):
    state = {f"potential.{name}": value for name, value in potential.state_dict().items()}
    return {"state_dict": state, "mhdnn": {"settings": model_settings(ELEMENTS)}}


def write_model(path):
    potential = random_potential(ELEMENTS)
    save_model(potential, path, metadata_of(potential, model_settings(ELEMENTS), {}))


WRITERS = {
    "model": write_model,
    "checkpoint": lambda path: write_checkpoint(checkpoint_of(random_potential(ELEMENTS)), path),
    "errors": lambda path: write_text_atomically(path, "{}" * 5000),
    "figure": lambda path: save_figure(Figure(), path),
}


@pytest.mark.parametrize("kind", WRITERS)
def test_the_old_file_stays(kind, tmp_path):
    path = tmp_path / "folder" / "file"
    WRITERS[kind](path)
    before = path.read_bytes()
    with (
        files_at_most(2000),
        pytest.raises(OutputError, match=r"file: can't be written \(File too large\); .* MB are free"),
    ):
        WRITERS[kind](path)
    assert path.read_bytes() == before
    assert [entry.name for entry in path.parent.iterdir()] == ["file"]


def test_checkpoints_never_leave_their_folder(tmp_path, monkeypatch):
    """Not even for a moment: the folder of temporary files may be another file system, or gone."""
    monkeypatch.setenv("TMPDIR", str(tmp_path / "nowhere"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "nowhere"))
    write_checkpoint(checkpoint_of(random_potential(ELEMENTS)), tmp_path / "last.ckpt")
    assert torch.is_tensor(read_checkpoint(tmp_path / "last.ckpt")["state_dict"]["potential.function_mean"])


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write_store(tmp_path_factory.mktemp("data") / "small.h5")


def train(store, folder, capsys, *more):
    """Exit status and what was printed as an error, of a training as a command."""
    with pytest.raises(SystemExit) as caught:
        sys.exit(main(["train", f"data.train={store}", f"hydra.run.dir={folder}", *SMALL, *more]))
    printed = capsys.readouterr().err
    return caught.value.code, printed + (caught.value.code if isinstance(caught.value.code, str) else "")


@pytest.mark.parametrize(("size", "name"), [(20_000, "best.ckpt"), (300, "run")])
def test_training_on_a_full_disk(size, name, store, tmp_path, capsys):
    with files_at_most(size):
        status, text = train(store, tmp_path / "run", capsys)
    assert status not in (0, None)
    assert name in text
    assert "can't be written (File too large)" in text
    assert len(text.strip().splitlines()) == 1
    assert not list((tmp_path / "run").rglob("*.part"))


def test_training_where_nothing_can_be_written(store, tmp_path, capsys):
    (tmp_path / "file").write_text("not a folder")
    status, text = train(store, tmp_path / "file" / "run", capsys)
    assert status not in (0, None)
    assert "can't be written (Not a directory)" in text
    assert len(text.strip().splitlines()) == 1


def test_the_failure_of_a_logger_is_told(store, tmp_path, capsys):
    logs = f"logger.csv.save_dir={tmp_path / 'file'}"
    (tmp_path / "file").write_text("not a folder")
    status, text = train(store, tmp_path / "run", capsys, logs)
    assert status not in (0, None)
    assert "can't be written (Not a directory)" in text
    assert len(text.strip().splitlines()) == 1
