"""Flags of compilers."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mhdnn.compilation import compile_library, compiler, only_one, shared_library_flags
from mhdnn.errors import BuildError

SOURCE = """
#include <sstream>
extern "C" int digits(long number) {
    std::ostringstream text;
    text << number;
    return int(text.str().size());
}
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_a_cache_that_cannot_be_written():
    """As /proc, which is nobody's to write, not even root's."""
    with (
        pytest.raises(BuildError, match=r"/proc/nowhere/.*: can't be written.*TORCH_EXTENSIONS_DIR=/a/folder"),
        only_one(Path("/proc/nowhere/mhdnn_core_1")),
    ):
        raise AssertionError("nothing may be built")
    with pytest.raises(BuildError, match=r"/proc: can't be written.*TORCH_EXTENSIONS_DIR=/a/folder"):
        compile_library(Path("/proc/library.so"), ["c++"], [], lambda _: None)


def test_what_fails_while_it_is_built_is_told_as_it_is(tmp_path):
    with pytest.raises(OSError, match="the disk is full"), only_one(tmp_path / "library"):
        raise OSError("the disk is full")


@pytest.mark.skipif(
    sys.platform != "linux" or compiler() is None or shutil.which("nm") is None, reason="needs a C++ compiler and nm"
)
def test_a_static_library_of_the_compiler_stays_inside(tmp_path):
    (tmp_path / "digits.cpp").write_text(SOURCE)

    def exported(*flags):
        command = [compiler(), "-shared", "-fPIC", "-static-libstdc++", *flags, "digits.cpp", "-o", "digits.so"]
        subprocess.run(command, cwd=tmp_path, check=True)
        names = subprocess.run(
            ["nm", "-D", "--defined-only", "digits.so"], cwd=tmp_path, capture_output=True, text=True, check=True
        )
        return [line.split()[-1] for line in names.stdout.splitlines()]

    assert any(name.startswith("_ZNSt") for name in exported())
    assert exported(*shared_library_flags()) == ["digits"]
