"""Work shared by threads: each piece once, errors reach the caller, and neither a fork nor an end of use hangs."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mhdnn.compilation import compiler, compiler_flags
from mhdnn.deploy.lammps.plugin import CORE_FOLDER
from tests.tolerances import HANG

FLAGS = ["-std=c++17", "-fPIC", "-shared", "-Wall", "-Wextra", "-Werror", "-fvisibility=default", f"-I{CORE_FOLDER}"]


@pytest.fixture(scope="module")
def library(tmp_path_factory) -> Path:
    if compiler() is None:
        pytest.skip("no C++ compiler")
    path = tmp_path_factory.mktemp("threads") / "threads.so"
    sources = [str(Path(__file__).parent / "threads_driver.cpp"), str(CORE_FOLDER / "threads.cpp")]
    unloadable = ["-fno-gnu-unique"] if sys.platform == "linux" else []
    command = [str(compiler()), *compiler_flags(), *FLAGS, *unloadable, *sources, "-o", str(path)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return path


@pytest.fixture(scope="module")
def functions(library) -> ctypes.CDLL:
    loaded = ctypes.CDLL(str(library))
    loaded.count_nested.restype = ctypes.c_int64
    return loaded


def pointer(counts: np.ndarray):
    return counts.ctypes.data_as(ctypes.POINTER(ctypes.c_int))


@pytest.mark.parametrize("num_threads", [1, 2, 5])
@pytest.mark.parametrize("num_pieces", [0, 1, 3, 1000])
def test_each_piece_once(functions, num_pieces, num_threads):
    for rounds in (0, 100):
        for _ in range(50):
            counts = np.zeros(num_pieces, dtype=np.int32)
            had = functions.count_pieces(
                ctypes.c_int64(num_pieces), num_threads, ctypes.c_int64(rounds), pointer(counts)
            )
            assert had <= min(num_threads, num_pieces)
            assert (counts == 1).all()


@pytest.mark.parametrize("least", [1, 7, 1000])
@pytest.mark.parametrize("count", [0, 1, 6, 999])
def test_ranges_cover_everything_once(functions, count, least):
    counts = np.zeros(count, dtype=np.int32)
    functions.count_in_ranges(ctypes.c_int64(count), ctypes.c_int64(least), 3, pointer(counts))
    assert (counts == 1).all()


def test_helpers_help(functions):
    """Pieces that take long are done by all."""
    counts = np.zeros(200, dtype=np.int32)
    assert functions.count_pieces(ctypes.c_int64(200), 3, ctypes.c_int64(300_000), pointer(counts)) == 3


@pytest.mark.parametrize("num_threads", [1, 3])
def test_errors_reach_the_caller(functions, num_threads):
    for piece in (0, 57, 99):
        text = ctypes.create_string_buffer(100)
        assert functions.message(ctypes.c_int64(piece), num_threads, text, 100) > 0
        assert text.value.decode() == f"piece {piece}"
    assert functions.message(ctypes.c_int64(-1), num_threads, text, 100) == 0


def test_callers_within_and_beside_each_other(functions):
    assert functions.count_nested(3, 3, ctypes.c_int64(20)) == 3 * 50 * 20 * 20


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_fork_has_threads_of_its_own(functions):
    """Those of the process before are not there any more."""
    counts = np.zeros(1000, dtype=np.int32)
    functions.count_pieces(ctypes.c_int64(1000), 2, ctypes.c_int64(100), pointer(counts))
    child = os.fork()
    if child == 0:
        functions.count_pieces(ctypes.c_int64(1000), 2, ctypes.c_int64(100), pointer(counts))
        os._exit(0 if (counts == 2).all() else 1)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert (counts == 1).all()


UNLOAD = """
import ctypes, sys, threading
from _ctypes import dlclose

for _ in range(20):
    library = ctypes.CDLL(sys.argv[1])
    counts = (ctypes.c_int * 1000)()
    library.count_pieces(ctypes.c_int64(1000), 3, ctypes.c_int64(100), counts)
    assert list(counts) == [1] * 1000
    dlclose(library._handle)
    assert sys.argv[1] not in open("/proc/self/maps").read()
print("end")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc")
def test_a_library_that_is_unloaded_takes_its_threads_along(library):
    """As LAMMPS's `plugin unload` does."""
    command = [sys.executable, "-c", UNLOAD, str(library)]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=HANG)
    assert result.returncode == 0, result.stderr
    assert result.stdout == "end\n"
