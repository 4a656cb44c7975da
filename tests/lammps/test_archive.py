"""The C++ that verifies model files: against hashlib, zlib and zipfile, and as LAMMPS uses it."""

import ctypes
import hashlib
import random
import subprocess
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from ase.io import read

from mhdnn.compilation import compiler
from mhdnn.deploy.export import export_checkpoint
from mhdnn.deploy.lammps.plugin import CORE_FOLDER
from tests.lammps.runs import evaluate
from tests.lammps.test_errors import message, script_for

RELEASED = Path(__file__).parents[1] / "data" / "released"


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    if compiler() is None:
        pytest.skip("no C++ compiler")
    path = tmp_path_factory.mktemp("archive") / "archive.so"
    sources = [Path(__file__).parent / "archive_driver.cpp", CORE_FOLDER / "archive.cpp"]
    flags = ["-std=c++17", "-O1", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared", f"-I{CORE_FOLDER}"]
    subprocess.run([str(compiler()), *flags, *map(str, sources), "-o", str(path)], check=True)
    functions = ctypes.CDLL(str(path))
    for function in (functions.digest, functions.checksum):
        function.argtypes = [ctypes.c_char_p, ctypes.c_size_t] + [ctypes.c_char_p] * (function is functions.digest)
    functions.checksum.restype = ctypes.c_uint32
    functions.directory.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.c_size_t]
    return functions


def test_digest_and_checksum(library):
    """Lengths about the block of 64 bytes; the digest of `abc` is that of FIPS 180-4's example."""
    result = ctypes.create_string_buffer(65)
    for length in [0, 1, 3, 55, 56, 57, 63, 64, 65, 119, 120, 128, 1000, 100_003]:
        content = b"abc" if length == 3 else random.Random(length).randbytes(length)
        library.digest(content, len(content), result)
        assert result.value.decode() == hashlib.sha256(content).hexdigest()
        assert library.checksum(content, len(content)) == zlib.crc32(content)
    library.digest(b"abc", 3, result)
    assert result.value.startswith(b"ba7816bf8f01cfea414140de5dae2223")


def test_directory(library, tmp_path):
    result = ctypes.create_string_buffer(100_000)
    path = RELEASED / "short_format3.pt"
    library.directory(str(path).encode(), result, len(result))
    with zipfile.ZipFile(path) as archive:
        expected = [f"{entry.filename} {entry.CRC} {entry.file_size}" for entry in archive.infolist()]
    assert result.value.decode().splitlines() == expected
    content, other = path.read_bytes(), tmp_path / "other.pt"
    for end in [0, 10, 21, 22, 1000, len(content) - 1]:
        other.write_bytes(content[:end])
        library.directory(str(other).encode(), result, len(result))
        assert b"other.pt: not a model file of mhdnn, or cut short" in result.value
    library.directory(str(tmp_path).encode(), result, len(result))
    assert b"is a folder" in result.value


def test_damaged_model_files(short_range_model, tmp_path):
    sealed, unsealed = Path(short_range_model).read_bytes(), (RELEASED / "short_format3.pt").read_bytes()
    for content, sentence in ((sealed, "its SHA-256 differs"), (unsealed, "the CRC-32 of its record")):
        changed = bytearray(content)
        with zipfile.ZipFile(RELEASED / "short_format3.pt") as archive:
            largest = max(archive.infolist(), key=lambda entry: entry.compress_size)
        changed[largest.header_offset + 512] ^= 16
        (tmp_path / "broken.pt").write_bytes(changed)
        found = message(tmp_path, script_for(tmp_path, "broken.pt"))
        assert "broken.pt: is damaged" in found
        assert sentence in found
    (tmp_path / "broken.pt").write_bytes(sealed[:2000])
    assert "cut short" in message(tmp_path, script_for(tmp_path, "broken.pt"))
    assert "is a folder; expected a model file" in message(tmp_path, script_for(tmp_path, str(tmp_path)))


def released(name):
    """Atoms, what the version gave for them that wrote the model file, and keywords of the pair style."""
    atoms = read(RELEASED / f"{name}.extxyz")
    expected = dict(atoms.calc.results)
    if not atoms.pbc.any():
        atoms.center(8.0)
    return atoms, expected, "extrapolation off" + (" total_charge 1" if "charges" in name else "")


@pytest.mark.parametrize("name", ["short_format3", "charges_format3"])
def test_released_model_files(pair_style, name, tmp_path):
    """The numbers that the version gave which wrote the file, once it has been written again with plain weights."""
    atoms, expected, style = released(name)
    old = message(tmp_path, script_for(tmp_path, RELEASED / f"{name}.pt"))
    assert "has no plain weights" in old
    assert "`mhdnn export checkpoint=MODEL.pt output=NEW.pt`" in old
    assert "`mhdnn lammps build torch=true`" in old
    model = export_checkpoint(RELEASED / f"{name}.pt", tmp_path / "new.pt")
    found = evaluate(tmp_path / "run", atoms, model, charges="charges" in name, style=style)
    assert found.energy == pytest.approx(expected["energy"], abs=2e-5)
    np.testing.assert_allclose(found.forces, expected["forces"], atol=2e-5)


@pytest.mark.parametrize("name", ["short_format4", "charges_format4"])
def test_released_model_files_with_plain_weights(pair_style, name, tmp_path):
    """As they are: the plain weights have not changed."""
    atoms, expected, style = released(name)
    found = evaluate(tmp_path, atoms, RELEASED / f"{name}.pt", charges="charges" in name, style=style)
    assert found.energy == pytest.approx(expected["energy"], abs=1e-6)
    np.testing.assert_allclose(found.forces, expected["forces"], atol=1e-6)
