"""Operators of training steps: against their formulas in torch, and finite differences."""

from typing import Any

import pytest
import torch

from mhdnn.kernels import load_operators
from mhdnn.potential import Potential
from mhdnn.prediction import Prediction
from mhdnn.structure import Geometry
from mhdnn.training import kept, loss
from mhdnn.training.loss import weighted_mean
from tests.unit.test_training_kept import charged_batch, potential_with_charges

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


def kept_of(potential: Potential, geometry: Geometry) -> kept.Kept:
    store = kept.KeptStructures(potential)
    store._structures = dict(enumerate(store.computed(geometry)))
    known = store.of(geometry)
    assert known is not None
    return known


def some_loss(prediction: Prediction) -> torch.Tensor:
    """Of everything, each atom with a weight of its own."""
    generator = torch.Generator().manual_seed(0)
    values = [prediction.energy, prediction.forces, prediction.virial, prediction.atomic_energies]
    if prediction.charges is not None and prediction.charges.requires_grad:
        values.append(30.0 * prediction.charges)
    return torch.stack([(v**2 * torch.rand(v.shape, generator=generator, dtype=DOUBLE)).sum() for v in values]).sum()


@pytest.mark.parametrize("screening", [None, {"inner": 0.5, "outer": 4.0, "function": "cosine"}])
@pytest.mark.parametrize("trained", [False, True])
def test_predictions_of_what_is_kept(trained: bool, screening: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    potential, geometry = potential_with_charges(trained, screening), charged_batch().geometry
    known = kept_of(potential, geometry)
    variables = {name: value for name, value in potential.named_parameters() if value.requires_grad}

    def found() -> tuple[Prediction, tuple[torch.Tensor, ...]]:
        prediction = kept.predict_kept(potential, geometry, known)
        loss_of_all = some_loss(prediction)
        given = [value for name, value in variables.items() if not name.startswith("descriptor.")]
        return prediction, torch.autograd.grad(loss_of_all, given, allow_unused=True, materialize_grads=True)

    own, own_gradients = found()
    in_torch(monkeypatch)
    formula, expected = found()
    for name in ("energy", "atomic_energies", "forces", "virial", "charges"):
        torch.testing.assert_close(getattr(own, name), getattr(formula, name), rtol=1e-12, atol=1e-12)
    largest = max(gradient.norm() for gradient in expected)
    for value, other in zip(own_gradients, expected, strict=True):
        assert (value - other).norm() < 1e-11 * other.norm() + 1e-13 * largest


def test_charges_of_what_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    potential, geometry = potential_with_charges(True, None), charged_batch().geometry
    known = kept_of(potential, geometry)
    variables = [value for value in potential.charge_model.parameters() if value.requires_grad]  # type: ignore[union-attr]
    weights = torch.linspace(-1.0, 1.0, geometry.num_atoms, dtype=DOUBLE)

    def found() -> tuple[torch.Tensor, torch.Tensor]:
        charges = kept.kept_charges(potential, geometry, known)
        return charges, torch.cat([g.flatten() for g in torch.autograd.grad(charges @ weights, variables)])

    own, own_gradients = found()
    in_torch(monkeypatch)
    formula, expected = found()
    torch.testing.assert_close(own, formula, rtol=1e-12, atol=1e-12)
    assert (own_gradients - expected).norm() < 1e-12 * expected.norm()


def test_what_is_kept_by_finite_differences() -> None:
    potential, geometry = potential_with_charges(True, None), charged_batch().geometry
    known = kept_of(potential, geometry)
    model = potential.charge_model
    assert model is not None
    variables = [model.raw_hardness, model.electronegativity_shift, *list(model.network.parameters())[-2:]]

    def loss_of(*_: torch.Tensor) -> torch.Tensor:
        return 1e-3 * some_loss(kept.predict_kept(potential, geometry, known))

    assert torch.autograd.gradcheck(loss_of, variables, fast_mode=True, rtol=1e-4)


def test_weights_that_changed_before_the_gradient_are_refused() -> None:
    potential, geometry = potential_with_charges(True, None), charged_batch().geometry
    loss_of = some_loss(kept.predict_kept(potential, geometry, kept_of(potential, geometry)))
    with torch.no_grad():
        next(potential.short_range.parameters()).add_(1.0)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss_of.backward()


def test_another_derivative_is_refused() -> None:
    prediction, label, weights = labels(0)
    prediction.requires_grad_()
    (gradient,) = torch.autograd.grad(weighted_mean(prediction, label, weights), prediction, create_graph=True)
    with pytest.raises(NotImplementedError, match="differentiated once"):
        torch.autograd.grad(gradient.sum(), prediction)
