"""How many threads symmetry functions take, and torch beside them."""

import pytest
import torch

from mhdnn.errors import DataError
from mhdnn.kernels import load_operators
from mhdnn.kernels.threads import only_functions_in_parallel


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_torch_has_one_thread_within(two_threads):
    if load_operators().kind != "compiled":
        pytest.skip("the symmetry functions are not compiled")
    with only_functions_in_parallel():
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 2


def test_threads_are_given_back_after_an_error(two_threads):
    def fail():
        with only_functions_in_parallel():
            raise DataError("within")

    with pytest.raises(DataError, match="within"):
        fail()
    assert torch.get_num_threads() == 2
