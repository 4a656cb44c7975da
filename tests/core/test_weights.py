"""The reader of plain weights: what is wrong with a file is said, and nothing is read beyond its end."""

import shutil
import zipfile

import pytest

from mhdnn.deploy.core_library import CoreError
from mhdnn.deploy.export import export_checkpoint
from tests.core.plain import with_record
from tests.core.test_models import compare, model_with
from tests.unit.test_archive import RELEASED


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return model_with(tmp_path_factory.mktemp("weights") / "model.pt", {})


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
        ("weights.txt", lambda text: text + b"text dtype float64\n", "have `dtype` twice"),
        ("weights.txt", lambda text: text + b"array more float64\n", "`more` of its .* has no type and place"),
        ("weights.txt", lambda text: text + b"array more float64 -8 1\n", "`more` of its .* lies beyond their end"),
        ("weights.txt", lambda text: text[: len(text) // 2], "lack `|lies beyond|has no type|of unknown kind"),
        ("weights.txt", lambda text: b"", "has no plain weights"),
        ("weights.txt", lambda text: None, "has no plain weights"),
        ("format_version.txt", lambda text: b"99", "format version 99, this pair style reads 3 to 5"),
        ("format_version.txt", lambda text: None, "TorchScript without mhdnn's metadata"),
        ("weights.bin", lambda numbers: numbers[:-8], "lies beyond their end"),
        ("weights.bin", lambda numbers: b"", "lies beyond their end"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(core, model, tmp_path, name, change, sentence):
    with pytest.raises(CoreError, match=sentence):
        core.model(with_record(model, tmp_path, {name: change}))


@pytest.mark.parametrize(
    ("shape", "sentence"),
    [
        ("9223372036854775807 9223372036854775807", "has the size 9223372036854775807, expected 0 to 999999999"),
        ("-1 -1", "has the size -1, expected 0 to"),
        ("4294967297", "has the size 4294967297, expected 0 to"),
        ("99999999999999999999999", "has the size 99999999999999999999999, expected 0 to"),
        ("3.5", "has the size 3.5, expected 0 to"),
        ("999999999 999999999 999999999", "lies beyond their end"),
        ("0 999999999 999999999", "lies beyond their end"),
        ("100000", "lies beyond their end"),
    ],
)
def test_sizes_that_overflow(core, model, tmp_path, shape, sentence):
    def enlarge(text: bytes) -> bytes:
        lines = text.decode().splitlines()
        lines = [line + f" {shape}" if line.startswith("array energy.reference_energies") else line for line in lines]
        return "\n".join(lines).encode()

    with pytest.raises(CoreError, match=sentence):
        core.model(with_record(model, tmp_path, {"weights.txt": enlarge}))


def test_an_unchanged_copy_is_read(core, model, tmp_path):
    core.close(core.model(with_record(model, tmp_path, {})))


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
