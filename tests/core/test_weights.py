"""The reader of plain weights: what is wrong with a file is said, and nothing is read beyond its end."""

import shutil
import zipfile
from pathlib import Path

import pytest

from mhdnn.archive import write_archive
from mhdnn.deploy.core_library import CoreError
from mhdnn.deploy.export import export_checkpoint
from tests.core.test_models import compare, model_with
from tests.unit.test_archive import RELEASED


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return model_with(tmp_path_factory.mktemp("weights") / "model.pt", {})


def changed(model: Path, folder: Path, name: str, change) -> Path:
    """The model with another record of this name, and a seal that holds."""
    bare, result = folder / "bare.zip", folder / "changed.pt"
    with zipfile.ZipFile(model) as old, zipfile.ZipFile(bare, "w", zipfile.ZIP_STORED) as new:
        for entry in old.infolist():
            content = old.read(entry)
            if entry.filename.endswith(f"/extra/{name}"):
                content = change(content)
            if content is not None:
                new.writestr(entry.filename, content)
    write_archive(result, bare.read_bytes())
    return result


@pytest.mark.parametrize(
    ("name", "change", "sentence"),
    [
        ("weights.txt", lambda text: text.replace(b"mhdnn_weights 1", b"mhdnn_weights 7"), "have version 7, this"),
        ("weights.txt", lambda text: text.replace(b"mhdnn_weights", b"weights"), "have no version"),
        ("weights.txt", lambda text: text.replace(b"text dtype", b"word dtype"), "a line of unknown kind `word`"),
        ("weights.txt", lambda text: text.replace(b"cutoff float64", b"cutoff float16"), "unknown type float16"),
        ("weights.txt", lambda text: text.replace(b"array cutoff", b"array reach"), "lack `cutoff`"),
        ("weights.txt", lambda text: text.replace(b"kind shared", b"kind strange"), "unknown kind of network: strange"),
        ("weights.txt", lambda text: text.replace(b"silu", b"sine"), "unknown function of a network's layer: sine"),
        ("weights.txt", lambda text: None, "has no plain weights"),
        ("weights.bin", lambda numbers: numbers[:-8], "lies beyond their end"),
        ("weights.bin", lambda numbers: b"", "lies beyond their end"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(core, model, tmp_path, name, change, sentence):
    with pytest.raises(CoreError, match=sentence):
        core.model(changed(model, tmp_path, name, change))


@pytest.mark.parametrize("shape", ["9223372036854775807 9223372036854775807", "-1 -1", "4294967296 4294967296"])
def test_sizes_that_overflow(core, model, tmp_path, shape):
    def enlarge(text: bytes) -> bytes:
        lines = text.decode().splitlines()
        lines = [line + f" {shape}" if line.startswith("array energy.reference_energies") else line for line in lines]
        return "\n".join(lines).encode()

    with pytest.raises(CoreError, match="lies beyond their end|has a negative size"):
        core.model(changed(model, tmp_path, "weights.txt", enlarge))


def test_an_unchanged_copy_is_read(core, model, tmp_path):
    core.close(core.model(changed(model, tmp_path, "nothing", lambda content: content)))


def test_damage_is_noticed(core, model, tmp_path):
    content = bytearray(model.read_bytes())
    with zipfile.ZipFile(model) as archive:
        place = next(entry.header_offset for entry in archive.infolist() if entry.filename.endswith("weights.bin"))
    content[place + 1000] ^= 4
    (tmp_path / "damaged.pt").write_bytes(content)
    with pytest.raises(CoreError, match="is damaged"):
        core.model(tmp_path / "damaged.pt")


def test_an_older_file_is_written_again(core, tmp_path):
    from ase.io import read

    old = shutil.copy(RELEASED / "short_format3.pt", tmp_path / "old.pt")
    with pytest.raises(CoreError, match="has no plain weights.*`mhdnn export checkpoint=MODEL.pt output=NEW.pt`"):
        core.model(old)
    atoms = read(RELEASED / "short_format3.extxyz")
    compare(core, export_checkpoint(old, tmp_path / "new.pt"), atoms, 1e-5)
