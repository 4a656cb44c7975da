"""The network as one operator: against its formula in torch, and finite differences."""

from typing import Any

import pytest
import torch

from mhdnn.factory import build_network
from mhdnn.kernels import load_operators
from mhdnn.networks import SharedNetwork

NUM_FUNCTIONS = 5
SHAPES = [
    {"activation": "silu", "hidden": [6, 4], "species_feature": "embedding"},
    {"activation": "tanh", "hidden": [3], "species_feature": "atomic_number"},
    {"activation": "softplus", "hidden": [4, 3, 5], "species_feature": "embedding"},
]


@pytest.fixture(autouse=True)
def compiled() -> None:
    if load_operators().kind != "compiled":
        pytest.skip("there are no compiled operators")


def network_of(linear_skip: bool, dtype: torch.dtype = torch.float64, **shape: Any) -> SharedNetwork:
    torch.manual_seed(0)
    settings = {"kind": "shared", "embedding_dimension": 3, "linear_skip": linear_skip, **shape}
    network = build_network(settings, [3, 8, 27], NUM_FUNCTIONS).to(dtype)
    assert isinstance(network, SharedNetwork)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(0.5 * torch.randn_like(parameter))
        network.output_scale.fill_(1.7)
    return network


def inputs(dtype: torch.dtype = torch.float64) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(7, NUM_FUNCTIONS, generator=generator, dtype=dtype), torch.arange(7) % 2


def trained_on_forces(network: Any, parameters: Any, functions: torch.Tensor, element: torch.Tensor) -> Any:
    """Energies, their derivatives, and the gradients of a loss of both."""
    functions = functions.clone().requires_grad_()
    energies = network(functions, element)
    (by_functions,) = torch.autograd.grad((energies**2).sum(), functions, create_graph=True)
    loss = (energies**3).mean() + (by_functions**2).sum() + energies.sum() * by_functions.sum()
    chosen = [functions, *(parameter for parameter in parameters if parameter.numel())]
    return energies, by_functions, *torch.autograd.grad(loss, chosen)


@pytest.mark.parametrize("linear_skip", [True, False])
@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape["activation"])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 2e-5)])
def test_equals_the_formula(shape: Any, linear_skip: bool, dtype: torch.dtype, tolerance: float) -> None:
    network = network_of(linear_skip, dtype, **shape)
    script = torch.jit.script(network)  # the formula in torch's own operations
    own = trained_on_forces(network, list(network.parameters()), *inputs(dtype))
    formula = trained_on_forces(script, list(script.parameters()), *inputs(dtype))
    for value, expected in zip(own, formula, strict=True):
        torch.testing.assert_close(value, expected, rtol=tolerance, atol=tolerance)
    assert own[0].grad_fn.name() != formula[0].grad_fn.name()  # these are two implementations


@pytest.mark.parametrize("linear_skip", [True, False])
@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape["activation"])
def test_finite_differences(shape: Any, linear_skip: bool) -> None:
    network = network_of(linear_skip, **shape)
    functions, element = inputs()
    names = [name for name, parameter in network.named_parameters() if parameter.numel()]
    weights = torch.linspace(0.5, 1.5, len(functions), dtype=torch.float64)

    def energies(functions: torch.Tensor, *values: torch.Tensor) -> torch.Tensor:
        for name, value in zip(names, values, strict=True):
            owner, _, own = name.rpartition(".")
            setattr_of(network.get_submodule(owner), own, value)
        return network(functions, element)

    def derivatives(functions: torch.Tensor, weights: torch.Tensor, *values: torch.Tensor) -> torch.Tensor:
        total = (weights * energies(functions, *values)).sum()
        return torch.autograd.grad(total, functions, create_graph=True)[0]

    values = [network.get_parameter(name).detach().clone().requires_grad_() for name in names]
    functions.requires_grad_()
    assert torch.autograd.gradcheck(energies, (functions, *values))
    assert torch.autograd.gradcheck(derivatives, (functions, weights.requires_grad_(), *values))


def setattr_of(module: torch.nn.Module, name: str, value: torch.Tensor) -> None:
    """In place of a parameter a tensor of which autograd knows where it is from."""
    module._parameters[name] = value  # type: ignore[assignment]


def test_a_third_derivative_is_refused() -> None:
    network = network_of(True, **SHAPES[0])
    functions, element = inputs()
    functions.requires_grad_()
    (first,) = torch.autograd.grad(network(functions, element).sum(), functions, create_graph=True)
    (second,) = torch.autograd.grad((first**2).sum(), functions, create_graph=True)
    with pytest.raises(NotImplementedError, match="MHDNN_KERNELS=torch"):
        torch.autograd.grad(second.sum(), functions)
