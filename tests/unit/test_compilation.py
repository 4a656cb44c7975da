"""Flags of compilers."""

import shutil
import subprocess
import sys

import pytest

from mhdnn.compilation import compiler, shared_library_flags

SOURCE = """
#include <sstream>
extern "C" int digits(long number) {
    std::ostringstream text;
    text << number;
    return int(text.str().size());
}
"""


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
