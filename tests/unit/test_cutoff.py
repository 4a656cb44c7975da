"""Cutoff functions: values by hand, smoothness at the cutoff."""

import math

import pytest
import torch

from mhdnn.descriptors.cutoff import CUTOFF_FUNCTIONS, check_cutoff, cutoff_value
from mhdnn.errors import ConfigError


def by_hand(kind, r, cutoff):
    if r >= cutoff:
        return 0.0
    x = r / cutoff
    if kind == "cosine":
        return 0.5 * (1 + math.cos(math.pi * x))
    if kind == "polynomial":
        return 1 - 10 * x**3 + 15 * x**4 - 6 * x**5
    return (math.tanh(1 - x) / math.tanh(1)) ** 3


@pytest.mark.parametrize("kind", list(CUTOFF_FUNCTIONS))
@pytest.mark.parametrize("r", [0.0, 0.4, 2.0, 3.9, 4.0, 5.0])
def test_values(kind, r):
    value = cutoff_value(kind, torch.tensor([r], dtype=torch.float64), 4.0)
    assert value.item() == pytest.approx(by_hand(kind, r, 4.0), abs=1e-14)


@pytest.mark.parametrize(("kind", "smooth_order"), [("cosine", 1), ("polynomial", 2), ("tanh", 2)])
def test_derivatives_vanish_at_the_cutoff(kind, smooth_order):
    r = torch.tensor([4.0 - 1e-6], dtype=torch.float64, requires_grad=True)
    value = cutoff_value(kind, r, 4.0)
    for _ in range(smooth_order):
        (value,) = torch.autograd.grad(value.sum(), r, create_graph=True)
        assert abs(value.item()) < 1e-4


def test_unknown_kind_is_named():
    with pytest.raises(ConfigError, match="cosine"):
        check_cutoff("cubic", 4.0)
    with pytest.raises(ConfigError, match="positive"):
        check_cutoff("cosine", 0.0)
