"""Damaged files: whatever is read, only the package's own errors come out, and nothing hangs.

The mutations are few here; scripts/robustness.sh makes many.
"""

import random
import struct

import h5py
import numpy as np
import pytest

from mhdnn.cli import main
from mhdnn.data.hdf5_heaps import check_heaps
from mhdnn.data.readers import READERS, read_frames
from mhdnn.data.store import StoreReader
from mhdnn.errors import DataError, MHDNNError
from tests.unit.data.format_samples import FORMAT_SAMPLES, dataset, molecules
from tests.unit.data.samples import options_for

MUTATIONS = 25
INSERTED = (
    b"\0",
    b"\xff\xfe",
    b"[red]",
    b"999999999999999999",
    b"-1",
    b"nan",
    b'"',
    b"\n\n3\n",
    b"_JSON [[",
    b"9" * 400,
)


def mutated(data: bytes, generator: random.Random) -> bytes:
    """Cut, some bits flipped, a piece doubled or left out, or something strange inserted."""
    first = generator.randrange(len(data))
    last = min(len(data), first + generator.randint(1, 60))
    flipped = bytearray(data)
    for _ in range(generator.randint(1, 4)):
        flipped[generator.randrange(len(data))] ^= 1 << generator.randrange(8)
    inserted = data[:first] + generator.choice(INSERTED) + data[first:]
    doubled = data[:last] + data[first:]
    return generator.choice([data[:first], bytes(flipped), data[:first] + data[last:], doubled, inserted])


@pytest.mark.parametrize("form", FORMAT_SAMPLES)
def test_only_own_errors(tmp_path, form):
    source = FORMAT_SAMPLES[form](tmp_path)
    files = {path: path.read_bytes() for path in sorted(tmp_path.rglob("*")) if path.is_file()}
    generator = random.Random(form)
    for _ in range(MUTATIONS):
        damaged = generator.choice(list(files))
        damaged.write_bytes(mutated(files[damaged], generator))
        try:
            for frame in read_frames(source, options_for(form)):
                try:
                    frame()
                except MHDNNError:
                    continue
        except MHDNNError:
            continue
        finally:
            damaged.write_bytes(files[damaged])


def test_every_error_of_a_reader_becomes_the_packages(tmp_path, monkeypatch):
    def frame():
        raise ZeroDivisionError("by parser")

    def reader(path, options):
        yield frame
        raise RecursionError("too deep")

    monkeypatch.setitem(READERS, "extxyz", reader)
    (tmp_path / "a.xyz").write_text("")
    frames = read_frames(tmp_path / "a.xyz", options_for("extxyz"))
    with pytest.raises(DataError, match=r"a\.xyz: frame 0: can't be read \(ZeroDivisionError: by parser\)"):
        next(frames)()
    with pytest.raises(DataError, match=r"frame 1: can't be read \(RecursionError"):
        next(frames)


class TestDataset:
    def damage(self, tmp_path, change):
        path = dataset(tmp_path)
        with h5py.File(path, "r+") as file:
            change(file)
        return path

    @pytest.mark.parametrize(
        ("name", "array"),
        [
            ("offsets", np.array([0, 2, 2**62])),
            ("offsets", np.array([b"0", b"2", b"4"])),
            ("group", np.array([1, 2])),
            ("group", np.array([b"\xff\xfe", b"salt/1"])),
            ("split", np.array([b"\xff\xfe", b"test"])),
            ("positions", np.array([["a"] * 3] * 4, dtype="S")),
            ("energy", np.array([1 + 2j, 0])),
        ],
    )
    def test_arrays_of_other_types(self, tmp_path, name, array):
        def change(file):
            del file[name]
            file[name] = array

        path = self.damage(tmp_path, change)

        def read():
            reader = StoreReader(path)
            return list(reader.frames()), reader.groups, reader.split

        with pytest.raises(DataError, match="salt"):
            read()

    def test_references_instead_of_texts(self, tmp_path):
        def change(file):
            del file["group"]
            file.create_dataset("group", (2,), dtype=h5py.ref_dtype)

        with pytest.raises(DataError, match="`group`"):
            print(StoreReader(self.damage(tmp_path, change)).groups)

    @pytest.mark.parametrize("name", ["offsets", "positions"])
    def test_sizes_beyond_the_file(self, tmp_path, name):
        def change(file):
            row = file[name].shape[1:]
            del file[name]
            file.create_dataset(name, (10**12, *row), chunks=(1024, *row), dtype="i8" if name == "offsets" else "f8")

        with pytest.raises(DataError, match=f"`{name}`: expected"):
            StoreReader(self.damage(tmp_path, change))

    def test_markup_in_names_is_printed_as_it_is(self, tmp_path, capsys):
        path = dataset(tmp_path).rename(tmp_path / "[red]b.h5")
        with h5py.File(path, "r+") as file:
            file.attrs["functional"] = "[/]PBE[bold]"
        assert main(["data", "check", str(path)]) == 0
        assert "[/]PBE[bold]" in capsys.readouterr().out
        assert main(["data", "convert", str(path), str(tmp_path / "[bold]c.h5")]) == 0
        assert "[red]b.h5: 2 structures" in capsys.readouterr().out


class TestHeaps:
    """Strings of HDF5 whose heap leads nowhere: its library would loop for ever."""

    @pytest.mark.parametrize("make", [dataset, molecules])
    def test_damaged_heap_is_refused(self, tmp_path, make):
        path = make(tmp_path)
        check_heaps(path)
        data = bytearray(path.read_bytes())
        heap = data.index(b"GCOL")
        first = heap + 16
        struct.pack_into("<HHIQ", data, first, 0, 0, 0, 0)  # an object of no length: never a next one
        path.write_bytes(data)
        with pytest.raises(DataError, match=rf"strings of this HDF5 file are damaged \(heap at byte {heap}\)"):
            list(read_frames(path, options_for("molecules")))
        with pytest.raises(DataError, match="are damaged"):
            StoreReader(path)

    def test_text_that_looks_like_a_heap(self, tmp_path):
        (tmp_path / "a").write_bytes(b"GCOL\x01\0\0\0" + struct.pack("<Q", 10**9))
        check_heaps(tmp_path / "a")  # longer than the file: the library says so
