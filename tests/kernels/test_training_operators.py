"""Operators of training steps: against their formulas in torch, and finite differences."""

from typing import Any

import pytest
import torch

from mhdnn.kernels import load_operators
from mhdnn.training import kept, loss
from mhdnn.training.loss import weighted_mean
from tests.unit.test_training_kept import charged_batch, gradients, potential_with_charges

DOUBLE = torch.float64
THRESHOLDS = {"none": None, "one": 0.7, "each": torch.linspace(0.0, 2.0, 9, dtype=DOUBLE)}


@pytest.fixture(autouse=True)
def compiled() -> None:
    if load_operators().kind != "compiled":
        pytest.skip("there are no compiled operators")


def in_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (kept, loss):
        monkeypatch.setattr(module, "compiled_for", lambda tensor: False)


def labels(width: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Predictions, labels of which two rows are missing, weights."""
    generator = torch.Generator().manual_seed(0)
    shape = (9, width) if width else (9,)
    prediction, label = torch.randn(2, *shape, generator=generator, dtype=DOUBLE)
    label[[2, 5]] = torch.nan
    return prediction, label, torch.rand(9, generator=generator, dtype=DOUBLE)


@pytest.mark.parametrize("threshold", list(THRESHOLDS))
@pytest.mark.parametrize("width", [0, 3])
def test_weighted_mean(width: int, threshold: str, monkeypatch: pytest.MonkeyPatch) -> None:
    prediction, label, weights = labels(width)
    prediction.requires_grad_()
    limit = THRESHOLDS[threshold]

    def mean(values: torch.Tensor) -> torch.Tensor:
        return weighted_mean(values, label, weights, 1.3, limit)

    assert torch.autograd.gradcheck(mean, (prediction,))
    own = mean(prediction)
    (gradient,) = torch.autograd.grad(3.0 * own, prediction)
    in_torch(monkeypatch)
    formula = mean(prediction)
    torch.testing.assert_close(own, formula, rtol=1e-14, atol=0)
    torch.testing.assert_close(gradient, torch.autograd.grad(3.0 * formula, prediction)[0], rtol=1e-13, atol=1e-15)


def test_of_single_precision_is_the_same() -> None:
    prediction, label, weights = labels(3)
    single = prediction.float().requires_grad_()
    mean = weighted_mean(single, label, weights)
    assert mean.dtype == DOUBLE
    (gradient,) = torch.autograd.grad(mean, single)
    assert gradient.dtype == torch.float32
    torch.testing.assert_close(mean, weighted_mean(prediction, label, weights), rtol=1e-6, atol=0)


@pytest.mark.parametrize("screening", [None, {"inner": 0.5, "outer": 4.0, "function": "cosine"}])
@pytest.mark.parametrize("trained", [False, True])
def test_kept_forces(trained: bool, screening: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    potential, geometry = potential_with_charges(trained, screening), charged_batch().geometry
    store = kept.KeptStructures(potential)
    store._structures = dict(enumerate(store.computed(geometry)))
    known = store.of(geometry)
    assert known is not None
    own = kept.predict_kept(potential, geometry, known)
    own_gradients = gradients(potential, own)
    in_torch(monkeypatch)
    formula = kept.predict_kept(potential, geometry, known)
    for name in ("forces", "virial"):
        torch.testing.assert_close(getattr(own, name), getattr(formula, name), rtol=1e-12, atol=1e-12)
    expected = gradients(potential, formula)
    assert (own_gradients - expected).norm() < 1e-12 * expected.norm()


def test_kept_forces_by_finite_differences() -> None:
    generator = torch.Generator().manual_seed(0)

    def some(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=DOUBLE)

    center, neighbor = torch.tensor([0, 1, 2, 4]), torch.tensor([1, 0, 3, 3])
    structure = torch.tensor([0, 0, 1, 1, 1])
    responses = [some(3 * 2 + 6, 2 * 4), some(3 * 3 + 6, 3 * 4)]
    constant = (some(5, 3), some(2, 6), some(4, 10), center, neighbor, structure, responses)
    variables = [tensor.requires_grad_() for tensor in (some(5, 4), some(5, 3), some(2, 3, 3), some(4))]
    assert torch.autograd.gradcheck(lambda *given: torch.ops.mhdnn.kept_forces(*given, *constant), variables)


def test_another_derivative_is_refused() -> None:
    prediction, label, weights = labels(0)
    prediction.requires_grad_()
    (gradient,) = torch.autograd.grad(weighted_mean(prediction, label, weights), prediction, create_graph=True)
    with pytest.raises(NotImplementedError, match="differentiated once"):
        torch.autograd.grad(gradient.sum(), prediction)
