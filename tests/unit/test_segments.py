"""Segment sums against a loop, with and without torch-scatter."""

import pytest
import torch

from mhdnn.segments import HAS_TORCH_SCATTER, sum_by_index, sum_by_index_scatter

PATHS = [
    sum_by_index,
    pytest.param(sum_by_index_scatter, marks=pytest.mark.skipif(not HAS_TORCH_SCATTER, reason="no torch-scatter")),
]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("shape", [(7,), (7, 3)])
def test_against_a_loop(path, shape):
    values = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    index = torch.tensor([0, 0, 1, 3, 3, 3, 4])
    found = path(values, index, 6)
    for segment in range(6):
        torch.testing.assert_close(found[segment], values[index == segment].sum(0))
    assert torch.autograd.gradcheck(lambda x: path(x, index, 6), values)
    assert torch.autograd.gradgradcheck(lambda x: path(x, index, 6) ** 2, values)


@pytest.mark.parametrize("path", PATHS)
def test_nothing_to_sum(path):
    assert path(torch.zeros(0, 3), torch.zeros(0, dtype=torch.long), 2).tolist() == [[0.0] * 3] * 2
