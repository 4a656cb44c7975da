"""Cutoff functions: values by hand, smoothness at the cutoff."""

import math
from fractions import Fraction

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
    polynomials = {
        "polynomial3": [0, 0, -3, 2],
        "polynomial": [0, 0, 0, -10, 15, -6],
        "polynomial7": [0, 0, 0, 0, -35, 84, -70, 20],
        "polynomial9": [0, 0, 0, 0, 0, -126, 420, -540, 315, -70],
    }
    if kind in polynomials:
        return float(1 + sum(factor * Fraction(x) ** power for power, factor in enumerate(polynomials[kind])))  # exact
    if kind == "exponential":
        return math.exp(1 - 1 / (1 - x**2))
    if kind == "hard":
        return 1.0
    return math.tanh(1 - x) ** 3 / (math.tanh(1) ** 3 if kind == "tanh" else 1)


@pytest.mark.parametrize("kind", list(CUTOFF_FUNCTIONS))
@pytest.mark.parametrize("r", [0.0, 0.4, 2.0, 3.9, 4.0, 5.0])
def test_values(kind, r):
    value = cutoff_value(kind, torch.tensor([r], dtype=torch.float64), 4.0)
    assert value.item() == pytest.approx(by_hand(kind, r, 4.0), abs=1e-14)


@pytest.mark.parametrize("kind", ["cosine", "polynomial3", "polynomial", "polynomial7", "polynomial9", "exponential"])
@pytest.mark.parametrize("r", [0.0, 0.9, 1.0, 1.7, 3.9, 4.0, 5.0])
def test_inner_radius(kind, r):
    """One up to a quarter of the cutoff, and then the function of what is left."""
    value = cutoff_value(f"{kind}:0.25", torch.tensor([r], dtype=torch.float64), 4.0)
    assert value.item() == pytest.approx(by_hand(kind, max(r - 1.0, 0.0), 3.0), abs=1e-13)


@pytest.mark.parametrize(
    ("kind", "smooth_order"),
    [
        ("cosine", 1), ("polynomial3", 1), ("polynomial", 2), ("tanh", 2), ("tanh_unscaled", 2), ("polynomial7", 3),
        ("polynomial9", 4), ("exponential", 4), ("polynomial9:0.5", 4),
    ],
)  # fmt: skip
def test_derivatives_vanish_at_the_cutoff(kind, smooth_order):
    r = torch.tensor([4.0 - 1e-6], dtype=torch.float64, requires_grad=True)
    value = cutoff_value(kind, r, 4.0)
    for _ in range(smooth_order):
        (value,) = torch.autograd.grad(value.sum(), r, create_graph=True)
        assert abs(value.item()) < 1e-3


def test_unknown_kind_is_named():
    with pytest.raises(ConfigError, match="cosine"):
        check_cutoff("cubic", 4.0)
    with pytest.raises(ConfigError, match="positive"):
        check_cutoff("cosine", 0.0)
    for name in ("cosine:1.0", "cosine:-0.1", "cosine:x", "tanh:0.2"):
        with pytest.raises(ConfigError, match="expected an inner fraction of at least 0 and below 1 after the colon"):
            check_cutoff(name, 4.0)
