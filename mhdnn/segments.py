"""Sums over the atoms or pairs that belong together, by torch-scatter where it is installed."""

from __future__ import annotations

import importlib.util

import torch

HAS_TORCH_SCATTER = importlib.util.find_spec("torch_scatter") is not None


def sum_by_index(values: torch.Tensor, index: torch.Tensor, num_segments: int) -> torch.Tensor:
    """Sums of the rows with the same index in plain torch.

    :param values: shape (num_rows, ...)
    :param index: segment of each row, ascending, shape (num_rows,)
    :return: shape (num_segments, ...)
    """
    shape = [num_segments, *values.shape[1:]]
    return torch.zeros(shape, dtype=values.dtype, device=values.device).index_add(0, index, values)


def sum_by_index_scatter(values: torch.Tensor, index: torch.Tensor, num_segments: int) -> torch.Tensor:
    """The same by torch-scatter.

    Its reduction over sorted indices (``segment_coo``) loses the second derivative, which force training needs.
    """
    from torch_scatter import scatter_sum

    return scatter_sum(values, index, dim=0, dim_size=num_segments)


segment_sum = sum_by_index_scatter if HAS_TORCH_SCATTER else sum_by_index
