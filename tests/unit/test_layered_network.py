"""Networks given layer by layer: values by hand, and what is refused."""

import math

import pytest
import torch

from mhdnn.errors import ConfigError
from mhdnn.layered_network import FUNCTIONS, LayeredNetwork

BY_HAND = {
    "linear": lambda x: x,
    "tanh": math.tanh,
    "logistic": lambda x: 1 / (1 + math.exp(-x)),
    "softplus": lambda x: math.log1p(math.exp(x)),
    "relu": lambda x: max(x, 0.0),
    "gaussian": lambda x: math.exp(-x * x / 2),
    "cosine": math.cos,
    "reverse_logistic": lambda x: 1 - 1 / (1 + math.exp(-x)),
    "exponential": lambda x: math.exp(-x),
    "square": lambda x: x * x,
}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("x", [-3.0, -0.4, 0.7, 25.0])
def test_functions(name, x):
    value = FUNCTIONS[name]()(torch.tensor([x], dtype=torch.float64)).item()
    assert value == pytest.approx(BY_HAND[name](x), rel=1e-13, abs=1e-15)


def test_each_element_has_its_own_inputs_and_layers():
    network = LayeredNetwork([[2, 0], [1]], [[2, 1], [1]], [["square", "linear"], ["tanh"]]).double()
    first, second, other = (layer for layers in network.linear_layers() for layer in layers)
    with torch.no_grad():
        for layer, weight, bias in (
            (first, [[1.0, 2.0], [0.0, -1.0]], [0.5, 0.0]),
            (second, [[2.0, 3.0]], [0.1]),
            (other, [[0.5]], [-0.2]),
        ):
            layer.weight.copy_(torch.tensor(weight))
            layer.bias.copy_(torch.tensor(bias))
    inputs = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [-1.0, 0.0, 1.0]], dtype=torch.float64)
    found = network(inputs, torch.tensor([0, 1, 0]))
    by_hand = [
        2 * (3 + 2 * 1 + 0.5) ** 2 + 3 * 1 + 0.1,
        math.tanh(0.5 * 5 - 0.2),
        2 * (1 - 2 + 0.5) ** 2 + 3 * 1 + 0.1,
    ]
    torch.testing.assert_close(found.detach(), torch.tensor(by_hand, dtype=torch.float64), rtol=1e-7, atol=0)


@pytest.mark.parametrize(
    ("sizes", "functions", "words"),
    [
        ([2, 1], ["tanh"], "a function for each layer and one output"),
        ([2, 2], ["tanh", "linear"], "one output"),
        ([2, 1], ["tanh", "sine"], "`network.functions`: expected linear, tanh"),
    ],
)
def test_refused(sizes, functions, words):
    with pytest.raises(ConfigError, match=words):
        LayeredNetwork([[0]], [sizes], [functions])
