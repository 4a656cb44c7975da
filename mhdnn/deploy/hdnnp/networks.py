"""Sizes, activation functions and weights of n2p2's and RuNNer's networks."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from ase.data import atomic_numbers as atomic_number_of

from mhdnn.deploy.hdnnp.keywords import Entry, Keywords, as_number, first_columns
from mhdnn.deploy.hdnnp.scaling import Scaling
from mhdnn.descriptors.input_nn import named_line
from mhdnn.errors import DataError
from mhdnn.layered_network import LayeredNetwork

ACTIVATIONS = {
    "l": "linear", "t": "tanh", "s": "logistic", "p": "softplus", "r": "relu", "g": "gaussian", "c": "cosine",
    "S": "reverse_logistic", "e": "exponential", "h": "square",
}  # fmt: skip


class Layers(NamedTuple):
    """Of one element's network.

    :param sizes: nodes of all layers but the first
    :param functions: names of `mhdnn.layered_network.FUNCTIONS`
    """

    sizes: list[int]
    functions: list[str]


def read_layers(keywords: Keywords, network: str) -> dict[str, Layers]:
    """Layers of every element's network.

    :param network: short or electrostatic
    :raises DataError: if they are not complete, or contradict each other
    """
    return {symbol: _layers_of(keywords, network, symbol) for symbol in keywords.elements}


def _layers_of(keywords: Keywords, network: str, symbol: str) -> Layers:
    number = _chosen(keywords, f"hidden_layers_{network}", symbol)
    num_hidden = int(keywords.numbers(number[0], 1, number[1])[0])
    nodes: list[int] = []
    if num_hidden > 0:
        entry, first = _chosen(keywords, f"nodes_{network}", symbol)
        nodes = [int(value) for value in keywords.numbers(entry, len(entry.words) - first, first)]
        if len(nodes) != num_hidden or min(nodes) < 1:
            raise DataError(
                f"{keywords.where(entry)}: expected the nodes of the {num_hidden} hidden layers of {symbol}, got "
                f"{nodes}"
            )
    entry, first = _chosen(keywords, f"activation_{network}", symbol)
    letters = entry.words[first:]
    with named_line(keywords.path, entry.number, [entry.keyword, *entry.words]):
        for letter in letters:
            if letter not in ACTIVATIONS:
                known = ", ".join(f"{short} ({name})" for short, name in ACTIVATIONS.items())
                raise ValueError(f"expected activation functions {known}, got {letter!r}")
    if len(letters) != num_hidden + 1:
        raise DataError(
            f"{keywords.where(entry)}: expected a function for each of the {num_hidden} hidden layers of {symbol} and "
            f"the output, got {len(letters)}"
        )
    return Layers([*nodes, 1], [ACTIVATIONS[letter] for letter in letters])


def _chosen(keywords: Keywords, name: str, symbol: str) -> tuple[Entry, int]:
    """The line for an element, or else for all, and where its values begin."""
    own = keywords.of_elements(f"element_{name}").get(symbol)
    if own is not None:
        return own, 1
    entry = keywords.find(f"global_{name}")
    if entry is None:
        raise DataError(f"{keywords.path}: expected a line `global_{name}` (or `element_{name} {symbol}`), found none")
    return entry, 0


def network_settings(layers: dict[str, Layers], columns: dict[str, list[int]]) -> dict[str, Any]:
    """Settings of a `LayeredNetwork`."""
    own = {
        symbol: {"columns": columns[symbol], "sizes": of.sizes, "functions": of.functions}
        for symbol, of in layers.items()
    }
    return {"kind": "layers", "elements": own}


def set_weights(
    network: LayeredNetwork, keywords: Keywords, prefix: str, scaling: dict[str, Scaling], what: str
) -> None:
    """Weights of every element from its file, the scaling of the functions put into the first layer.

    :param prefix: weights or weightse
    :param what: for messages
    :raises DataError: if a file is missing, or its numbers are not as many as the layers need
    """
    divide = keywords.find("normalize_nodes") is not None
    for symbol, layers in zip(keywords.elements, network.linear_layers(), strict=True):
        path = keywords.path.parent / f"{prefix}.{atomic_number_of[symbol]:03d}.data"
        lines = first_columns(path, f"the weights of the {what} network of {symbol}")
        values = [as_number(path, number, words[0]) for number, words in lines]
        sizes = [layers[0].in_features, *(layer.out_features for layer in layers)]
        if len(values) != number_of_weights(sizes):
            fitting = _fitting_sizes(sizes, len(values))
            hint = f"that would fit {_text(fitting)}" if fitting else "the files belong to different potentials"
            raise DataError(
                f"{path}: expected {number_of_weights(sizes)} weights for the {what} network {_text(sizes)} of "
                f"{symbol} in {keywords.path.name}, got {len(values)}; {hint}. Correct the nodes or functions"
                + ("" if prefix != "weights" else ", or import charges alone (4G) with short_range=false")
            )
        _fill(layers, np.array(values), scaling[symbol], divide)


def number_of_weights(sizes: Sequence[int]) -> int:
    """Weights and biases of a network with layers of these sizes, the inputs first."""
    return sum((size_in + 1) * size_out for size_in, size_out in itertools.pairwise(sizes))


def _fitting_sizes(sizes: Sequence[int], count: int) -> list[int] | None:
    """Sizes with the same inputs and number of equal hidden layers that need so many weights, or None."""
    for nodes in range(1, 201):
        changed = [sizes[0], *([nodes] * (len(sizes) - 2)), 1]
        if number_of_weights(changed) == count:
            return changed
    return None


def _text(sizes: Sequence[int]) -> str:
    return "-".join(map(str, sizes))


def _fill(linear: Sequence[torch.nn.Linear], values: np.ndarray, scaling: Scaling, divide: bool) -> None:
    """Layer after layer: weights of each input to all nodes, then biases."""
    place = 0
    for depth, layer in enumerate(linear):
        size_in, size_out = layer.in_features, layer.out_features
        weight = values[place : place + size_in * size_out].reshape(size_in, size_out).T
        place += size_in * size_out
        bias = values[place : place + size_out]
        place += size_out
        if divide:
            weight, bias = weight / size_in, bias / size_in
        if depth == 0:
            count = len(scaling.factor)  # a charge after them is not scaled
            functions = weight[:, :count]
            bias = bias + functions @ (scaling.offset - scaling.factor * scaling.center)
            weight = np.concatenate([functions * scaling.factor, weight[:, count:]], 1)
        with torch.no_grad():
            layer.weight.copy_(torch.from_numpy(np.ascontiguousarray(weight)))
            layer.bias.copy_(torch.from_numpy(bias))
