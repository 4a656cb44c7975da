"""What the tests of kernels share."""

import pytest

from tests.kernels.emulation.library import compile_library


@pytest.fixture(scope="session")
def library(tmp_path_factory):
    """The emulated CUDA kernels."""
    return compile_library(tmp_path_factory.mktemp("emulation"))
