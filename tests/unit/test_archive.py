"""Damaged, cut and foreign files are refused; files of released versions give the numbers they gave then."""

import hashlib
import io
import json
import random
import re
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from ase.io import read

from mhdnn import MHDNNCalculator
from mhdnn.archive import check, is_sealed, seal, write_archive
from mhdnn.deploy.export import export_checkpoint, potential_from_checkpoint, read_checkpoint, write_checkpoint
from mhdnn.deploy.model_file import METADATA_FILE, load_model, metadata_of, save_model
from mhdnn.errors import ModelError
from tests.builders import model_settings, random_potential

ELEMENTS = [6, 14, 50]
RELEASED = Path(__file__).parents[1] / "data" / "released"


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A model file and a checkpoint, with what reads them."""
    folder, potential, settings = tmp_path_factory.mktemp("files"), random_potential(ELEMENTS), model_settings(ELEMENTS)
    save_model(potential, folder / "model.pt", metadata_of(potential, settings, {}))
    state = {f"potential.{name}": value for name, value in potential.state_dict().items()}
    write_checkpoint({"state_dict": state, "mhdnn": {"settings": settings}}, folder / "last.ckpt")
    return {"model": (folder / "model.pt", load_model), "checkpoint": (folder / "last.ckpt", read_checkpoint)}


def flipped(content, seed):
    changed, choice = bytearray(content), random.Random(seed)
    changed[choice.randrange(len(changed))] ^= 1 << choice.randrange(8)
    return bytes(changed)


def numbers_of(loaded):
    """All weights and buffers of a model file or checkpoint."""
    state = loaded[0].state_dict() if isinstance(loaded, tuple) else loaded["state_dict"]
    return {name: value.numpy().tobytes() for name, value in state.items()}


def test_the_seal_is_the_digest_and_changes_nothing(files):
    path, _ = files["model"]
    content = path.read_bytes()
    assert is_sealed(content)
    assert hashlib.sha256(content[:-77]).hexdigest().encode() == content[-64:]
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        assert archive.comment == content[-77:]
    assert torch.jit.load(path).state_dict().keys() == random_potential(ELEMENTS).state_dict().keys()
    assert torch.load(files["checkpoint"][0], weights_only=True)["mhdnn"]["settings"] == model_settings(ELEMENTS)


@pytest.mark.parametrize("kind", ["model", "checkpoint"])
def test_no_flipped_bit_is_accepted(kind, files, tmp_path):
    path, reader = files[kind]
    content, broken = path.read_bytes(), tmp_path / "broken"
    for seed in range(400):
        broken.write_bytes(flipped(content, seed))
        with pytest.raises(ModelError, match="broken: "):
            reader(broken)


@pytest.mark.parametrize("name", ["short_format3.pt", "short_format3.ckpt"])
def test_files_without_a_seal_never_give_another_number(name, tmp_path):
    """Bits between the records are all that may change."""
    reader = load_model if name.endswith(".pt") else read_checkpoint
    content, broken, accepted = (RELEASED / name).read_bytes(), tmp_path / "broken", 0
    expected = numbers_of(reader(RELEASED / name))
    for seed in range(300):
        broken.write_bytes(flipped(content, seed))
        try:
            found = reader(broken)
        except ModelError:
            continue
        assert numbers_of(found) == expected
        accepted += 1
    assert accepted < 60


@pytest.mark.parametrize("kind", ["model", "checkpoint"])
def test_cut_and_foreign_files(kind, files, tmp_path):
    path, reader = files[kind]
    content, other = path.read_bytes(), tmp_path / "other"
    foreign = io.BytesIO()
    torch.save({"weights": torch.ones(3)}, foreign)
    pickled = io.BytesIO()
    torch.save({"model": torch.nn.Linear(1, 1)}, pickled)
    scripted = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(torch.nn.Linear(1, 1)), scripted)
    many = [b"", b"nothing", content[:1000], content[:-1], content[:-77], content + b"x", content[5:]]
    many += [stream.getvalue() for stream in (foreign, pickled, scripted)]
    for number, bad in enumerate(many):
        other.write_bytes(bad)
        with pytest.raises(ModelError, match="other: ") as caught:
            reader(other)
        assert "weights_only" not in str(caught.value), number
        assert "\n" not in str(caught.value), number
    with pytest.raises(ModelError, match="is a folder"):
        reader(tmp_path)
    with pytest.raises(ModelError, match="no such"):
        reader(tmp_path / "nowhere")


def with_metadata(content, change):
    """An unsealed archive with other metadata."""
    result = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(result, "w") as new:
        for entry in old.infolist():
            data = old.read(entry)
            new.writestr(entry.filename, change(data) if entry.filename.endswith(METADATA_FILE) else data)
    return result.getvalue()


def without(key):
    return lambda text: json.dumps({k: v for k, v in json.loads(text).items() if k != key}).encode()


def replaced(**changes):
    return lambda text: json.dumps(json.loads(text) | changes).encode()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text[:-1], "metadata are no JSON"),
        (lambda text: b"\xff\xfe{", "metadata are no JSON"),
        (lambda text: b"[" * 100_000, "metadata are no JSON"),
        (lambda text: b"[1]", "format version None"),
        (without("format_version"), "format version None"),
        (without("cutoff"), "`cutoff`"),
        (replaced(cutoff="5"), "`cutoff`"),
        (replaced(charges=0), "`charges`"),
        (replaced(training=None), "`training`"),
        (replaced(elements=["Si", "C", "Sn"]), "contradict"),
        (replaced(elements=["C", "Xx", "Sn"]), "contradict"),
    ],
)
def test_broken_metadata(change, message, files, tmp_path):
    (tmp_path / "changed.pt").write_bytes(with_metadata(files["model"][0].read_bytes(), change))
    with pytest.raises(ModelError, match=re.escape(message)):
        load_model(tmp_path / "changed.pt")


def test_checkpoints_whose_parts_do_not_fit(files):
    checkpoint = read_checkpoint(files["checkpoint"][0])
    settings = model_settings(ELEMENTS)
    for change in ({}, model_settings([6]), settings | {"network": 3}):
        with pytest.raises(ModelError, match="don't fit together"):
            potential_from_checkpoint({**checkpoint, "mhdnn": {"settings": change}})


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_weights_that_are_no_numbers_are_neither_written_nor_read(value, files, tmp_path):
    potential, settings = random_potential(ELEMENTS), model_settings(ELEMENTS)
    with torch.no_grad():
        potential.short_range.network.linear_weight[3] = value
    state = {f"potential.{name}": tensor for name, tensor in potential.state_dict().items()}
    with pytest.raises(ModelError, match="linear_weight"):
        save_model(potential, tmp_path / "model.pt", metadata_of(potential, settings, {}))
    path = tmp_path / "last.ckpt"
    path.write_bytes(files["checkpoint"][0].read_bytes())
    with pytest.raises(ModelError, match="linear_weight"):
        write_checkpoint({"state_dict": state, "mhdnn": {"settings": settings}}, path)
    assert path.read_bytes() == files["checkpoint"][0].read_bytes()
    content = io.BytesIO()
    torch.save({"state_dict": state, "mhdnn": {"settings": settings}}, content)
    write_archive(path, content.getvalue())  # as an older version would have
    with pytest.raises(ModelError, match="linear_weight"):
        export_checkpoint(path, tmp_path / "model.pt")
    assert not (tmp_path / "model.pt").exists()


@pytest.mark.parametrize("name", ["short_format3", "charges_format3", "short_format4", "charges_format4"])
def test_released_model_files(name):
    """Energies, forces and charges that the version gave which wrote the file (tests/data/released/make*.py)."""
    atoms = read(RELEASED / f"{name}.extxyz")
    total_charge = 1.0 if "charges" in name else 0.0
    expected = dict(atoms.calc.results)
    atoms.calc = MHDNNCalculator(RELEASED / f"{name}.pt", total_charge=total_charge, extrapolation="off")
    assert atoms.get_potential_energy() == pytest.approx(expected["energy"], abs=2e-5)  # of float32 sums of 4000 eV
    np.testing.assert_allclose(atoms.get_forces(), expected["forces"], atol=2e-5)
    if "charges" in name:
        np.testing.assert_allclose(atoms.get_charges(), atoms.arrays.get("charge", expected.get("charges")), atol=1e-6)


def test_released_checkpoint(tmp_path):
    """Exported today, it gives what its model file gave."""
    export_checkpoint(RELEASED / "short_format3.ckpt", tmp_path / "model.pt")
    atoms = read(RELEASED / "short_format3.extxyz")
    expected = dict(atoms.calc.results)
    atoms.calc = MHDNNCalculator(tmp_path / "model.pt", extrapolation="off")
    assert atoms.get_potential_energy() == pytest.approx(expected["energy"], abs=2e-5)
    np.testing.assert_allclose(atoms.get_forces(), expected["forces"], atol=2e-5)


def test_only_archives_are_sealed():
    with pytest.raises(ValueError, match="ZIP archive"):
        seal(b"nothing")
    with pytest.raises(ModelError, match=r"x\.pt: not a model file"):
        check(b"nothing", "x.pt")
