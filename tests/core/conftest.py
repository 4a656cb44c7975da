"""The compiled core, once for all tests."""

import pytest

from mhdnn.compilation import compiler
from mhdnn.deploy.core_library import build
from tests.core.library import Library


@pytest.fixture(scope="session")
def core() -> Library:
    if compiler() is None:
        pytest.skip("no C++ compiler")
    return Library(build())
