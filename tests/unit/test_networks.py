"""The networks against their formulas written out in numpy-like steps."""

import pytest
import torch

from mhdnn.factory import build_network

NUM_FUNCTIONS, NUM_ELEMENTS = 7, 3


def network_of(**changes):
    settings = {
        "kind": "shared",
        "species_feature": "embedding",
        "embedding_dimension": 4,
        "hidden": [5, 6],
        "activation": "silu",
        "linear_skip": True,
    }
    torch.manual_seed(0)
    network = build_network({**settings, **changes}, [3, 8, 27], NUM_FUNCTIONS).double()
    with torch.no_grad():
        network.linear_weight.normal_()
        network.output_scale.fill_(1.7)
    return network


def inputs():
    generator = torch.Generator().manual_seed(1)
    return torch.randn(20, NUM_FUNCTIONS, generator=generator, dtype=torch.float64), torch.arange(20) % NUM_ELEMENTS


def perceptron(network, values):
    for layer in network:
        values = layer(values)
    return values[:, 0]


@pytest.mark.parametrize("feature", ["embedding", "atomic_number"])
def test_shared_network(feature):
    """s MLP(G, x) + w · [1, x] ⊗ [1, G], with the inputs joined and the products formed."""
    network = network_of(species_feature=feature)
    functions, element = inputs()
    species = network.species_feature.table[element]
    one = torch.ones(len(functions), 1, dtype=torch.float64)
    products = torch.cat([one, species], 1)[:, :, None] * torch.cat([one, functions], 1)[:, None, :]
    expected = 1.7 * perceptron(network.perceptron, torch.cat([functions, species], 1))
    expected = expected + products.flatten(1) @ network.linear_weight
    torch.testing.assert_close(network(functions, element), expected, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(torch.jit.script(network)(functions, element), expected, rtol=1e-12, atol=1e-12)


def test_network_of_each_element():
    network = network_of(kind="per_element")
    functions, element = inputs()
    weight = network.linear_weight.view(NUM_ELEMENTS, 1 + NUM_FUNCTIONS)
    for atom, number in enumerate(element.tolist()):
        row = functions[atom : atom + 1]
        expected = (
            1.7 * perceptron(network.perceptrons[number], row)[0] + weight[number, 0] + weight[number, 1:] @ row[0]
        )
        torch.testing.assert_close(network(functions, element)[atom], expected, rtol=1e-12, atol=1e-12)


def test_without_linear_part():
    network = network_of(linear_skip=False)
    functions, element = inputs()
    joined = torch.cat([functions, network.species_feature.table[element]], 1)
    torch.testing.assert_close(network(functions, element), 1.7 * perceptron(network.perceptron, joined))
