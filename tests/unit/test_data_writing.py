"""Writing stores and reading them from several processes: all or nothing, with little memory."""

import errno
import multiprocessing
import pickle
import subprocess
import sys
import tracemalloc

import h5py
import numpy as np
import pytest

from mhdnn.data.store import StoreReader, StoreWriter
from mhdnn.errors import DataError
from tests.tolerances import HANG
from tests.unit.test_data_store import assert_same, make_structure, write


@pytest.fixture
def store(tmp_path):
    structures = [make_structure(seed, num_atoms=2 + seed % 3) for seed in range(7)]
    return write(tmp_path / "data.h5", structures), structures


class Interrupting:
    """Stands for a source that fails, or a user who presses Ctrl-C, when the structure is looked at."""

    def __init__(self, error):
        self.error = error

    def __getattr__(self, name):
        raise self.error


class TestAllOrNothing:
    @pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError, SystemExit])
    def test_interruption_leaves_the_old_file(self, store, error):
        path, structures = store
        before = path.read_bytes()
        with pytest.raises(error):
            write(path, [structures[0], Interrupting(error)])
        assert path.read_bytes() == before
        assert [p.name for p in path.parent.iterdir()] == ["data.h5"]

    @pytest.mark.parametrize("buffered", [1, 1000])  # fails while appending, or at the end
    def test_full_disk(self, store, monkeypatch, buffered):
        path, structures = store
        before = path.read_bytes()

        def full(*_):
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr("mhdnn.data.writer.BUFFERED_STRUCTURES", buffered)
        monkeypatch.setattr(h5py.Dataset, "__setitem__", full)
        with pytest.raises(DataError, match=r"data\.h5: can't be written.*No space left.*MB are free"):
            write(path, structures)
        monkeypatch.undo()
        assert path.read_bytes() == before
        assert [p.name for p in path.parent.iterdir()] == ["data.h5"]

    def test_a_real_limit_on_the_file_size(self, tmp_path):
        code = f"""
import resource, signal
import numpy as np
from mhdnn.data.store import StoreWriter
from mhdnn.errors import DataError
from mhdnn.structure import Structure
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # write() then fails as on a full disk
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
rng = np.random.default_rng(0)
try:
    with StoreWriter({str(tmp_path / "a.h5")!r}) as writer:
        for _ in range(3000):
            writer.append(Structure(np.full(5, 3), rng.normal(size=(5, 3)), np.zeros((3, 3)), np.zeros(3, bool), 1.0))
except DataError as error:
    print("refused:", error)
"""
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=HANG)
        assert done.returncode == 0, done.stderr
        assert "refused:" in done.stdout
        assert "can't be written" in done.stdout
        assert list(tmp_path.iterdir()) == []

    def test_unwritable_folder(self, tmp_path):
        (tmp_path / "file").write_text("")
        with pytest.raises(DataError, match="can't be written"), StoreWriter(tmp_path / "file" / "a.h5"):
            pass

    def test_invalid_structure_does_not_spoil_the_rest(self, tmp_path):
        with StoreWriter(tmp_path / "a.h5") as writer:
            writer.append(make_structure(0))
            with pytest.raises(DataError, match="structure 1: `forces` must be finite"):
                writer.append(make_structure(1, forces=np.full((3, 3), np.nan)))
            writer.append(make_structure(2))
        assert StoreReader(tmp_path / "a.h5").groups == ["family0/0", "family0/2"]

    def test_empty_store_is_refused(self, tmp_path):
        with pytest.raises(DataError, match="no structure was written"), StoreWriter(tmp_path / "a.h5"):
            pass
        assert list(tmp_path.iterdir()) == []


def first_energy(reader: StoreReader) -> float:
    return reader[0].energy


class TestProcesses:
    def test_pickled(self, store):
        reader = StoreReader(store[0])
        reader[0]
        copy = pickle.loads(pickle.dumps(reader))
        assert_same(copy[3], store[1][3])
        assert_same(reader[3], store[1][3])

    @pytest.mark.parametrize("method", ["fork", "spawn"])
    @pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")  # Python warns when threads exist
    def test_read_in_a_child_while_the_parent_has_it_open(self, store, method):
        reader = StoreReader(store[0])
        reader[5]
        with multiprocessing.get_context(method).Pool(2) as pool:
            energies = pool.map(first_energy, [reader] * 4)
        assert energies == [store[1][0].energy] * 4
        assert_same(reader[5], store[1][5])

    def test_inherited_handle_is_not_used(self, store, monkeypatch):
        reader = StoreReader(store[0])
        reader[0]
        inherited = reader._file
        monkeypatch.setattr("mhdnn.data.store.os.getpid", lambda: -2)  # as in a forked child
        assert_same(reader[1], store[1][1])
        assert reader._file is not inherited

    def test_twenty_thousand_structures_need_little_memory(self, tmp_path):
        path = tmp_path / "large.h5"
        structure = make_structure(0, num_atoms=40)  # 20000 of them: 40 MB of positions and forces
        tracemalloc.start()
        with StoreWriter(path) as writer:
            for _ in range(20_000):
                writer.append(structure)
        written = tracemalloc.get_traced_memory()[1]
        tracemalloc.reset_peak()
        reader = StoreReader(path)
        count = sum(1 for _ in reader)
        reader.composition([3, 6, 50])
        read = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert count == 20_000
        assert written < 20e6
        assert read < 60e6
