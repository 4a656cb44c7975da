"""What is damaged: a sample of each format that is read, a dataset, model files, checkpoints; and how each is used."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from ase.build import bulk

from mhdnn.archive import SEAL_LENGTH, is_sealed, seal
from mhdnn.data.check import check
from mhdnn.data.convert import convert
from mhdnn.data.readers import READERS
from mhdnn.data.store import StoreReader
from mhdnn.deploy.export import (
    CHECKPOINT_KEY,
    STATE_PREFIX,
    potential_from_checkpoint,
    read_checkpoint,
    write_checkpoint,
)
from mhdnn.deploy.model_file import load_model, metadata_of, save_model
from mhdnn.prediction import predict
from tests.builders import geometry_of, model_settings, random_potential
from tests.unit.data.samples import SAMPLES, options_for

ELEMENTS = [6, 14]


@dataclass(frozen=True)
class Target:
    """One kind of file.

    :param name: in the table
    :param make: writes a sound sample into an empty folder and returns its path
    :param use: does with it what a user would; the number that it returns tells results apart
    :param is_sealed: whether a damaged file that is accepted must give the number of the sound one
    """

    name: str
    make: Callable[[Path], Path]
    use: Callable[[Path], float]
    is_sealed: bool = False


def targets() -> list[Target]:
    """All of them.

    :raises SystemExit: if a reader has no sample
    """
    missing = sorted(set(READERS) - set(SAMPLES))
    if missing:
        raise SystemExit(f"no sample for the readers {', '.join(missing)}: add them to tests/unit/data/samples.py")
    return [
        *(Target(f"reader {form}", SAMPLES[form], partial(_converted, form)) for form in READERS),
        Target("dataset", SAMPLES["mhdnn"], _gone_through),
        Target("model file", _model, _energy_of_model, is_sealed=True),
        Target("model file, unsealed", _unsealed_model, _energy_of_model, is_sealed=True),
        Target("checkpoint", _checkpoint, _energy_of_checkpoint, is_sealed=True),
        Target("metadata of a model", _metadata, _energy_with_metadata),
    ]


def _converted(form: str, source: Path) -> float:
    destination = source.parent.parent / "converted.h5"
    return float(convert([source], destination, options_for(form)).num_structures)


def _gone_through(path: Path) -> float:
    """As `mhdnn data check` and a training do."""
    report = check(path)
    reader = StoreReader(path)
    reader.elements(), reader.energies(), reader.split  # noqa: B018
    return float(report.num_structures)


def _model(folder: Path) -> Path:
    potential = random_potential(ELEMENTS)
    save_model(potential, folder / "model.pt", metadata_of(potential, model_settings(ELEMENTS), {}))
    return folder / "model.pt"


def _unsealed_model(folder: Path) -> Path:
    """As of the time before there were seals: checked by the checksums of its records."""
    path = _model(folder)
    path.write_bytes(_without_seal(path.read_bytes()))
    return path


def _without_seal(content: bytes) -> bytes:
    assert is_sealed(content)
    return content[: -SEAL_LENGTH - 2] + b"\0\0"


def _batch() -> object:
    atoms = bulk("Si")
    atoms.rattle(0.1, seed=0)
    return geometry_of(atoms)


def _energy_of_model(path: Path) -> float:
    potential, metadata = load_model(path)
    sums = float(sum(metadata["reference_energies"])) + float(metadata["cutoff"])
    return float(predict(potential, _batch()).energy) + sums


def _checkpoint(folder: Path) -> Path:
    potential = random_potential(ELEMENTS)
    state = {STATE_PREFIX + name: value for name, value in potential.state_dict().items()}
    own = {"settings": model_settings(ELEMENTS), "training": {}, "stage": "energies"}
    write_checkpoint({"state_dict": state, CHECKPOINT_KEY: own, "epoch": 3}, folder / "last.ckpt")
    return folder / "last.ckpt"


def _energy_of_checkpoint(path: Path) -> float:
    potential, _ = potential_from_checkpoint(read_checkpoint(path))
    return float(predict(potential, _batch()).energy)


def _metadata(folder: Path) -> Path:
    """The text alone; it is put into a sound archive, which is sealed: written by another program."""
    extra = {"metadata.json": ""}
    torch.jit.load(str(_model(folder)), _extra_files=extra)
    (folder / "model.pt").rename(folder.parent / "sound.pt")
    text = extra["metadata.json"]
    path = folder / "metadata.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def _energy_with_metadata(path: Path) -> float:
    damaged = path.parent.parent / "damaged.pt"
    script = torch.jit.load(str(path.parent.parent / "sound.pt"))
    torch.jit.save(script, str(damaged), _extra_files={"metadata.json": path.read_bytes()})
    damaged.write_bytes(seal(damaged.read_bytes()))
    return _energy_of_model(damaged)
