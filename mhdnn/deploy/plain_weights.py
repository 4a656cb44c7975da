"""The weights and settings of a potential as plain text and numbers, which `mhdnn/core` reads without torch.

Two extra files of the model file, under its seal: ``weights.txt`` names, ``weights.bin`` holds the numbers. The first
line is ``mhdnn_weights VERSION``, the others are ``text NAME WORDS`` or ``array NAME TYPE OFFSET SHAPE``: numbers of
the type float32, float64 or int64, least significant byte first, the last index fastest, from a byte of
``weights.bin`` on that is a multiple of 8; a single number has no shape. ``docs/formats.md`` lists the names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from mhdnn.charge_model import ChargeModel
from mhdnn.descriptors.contracted import ContractedFunctions
from mhdnn.descriptors.groups import FunctionGroup, WideFunctions
from mhdnn.descriptors.listed import ListedFunctions, ListedGroup, ListedWideFunctions
from mhdnn.domain import TrainingDomain
from mhdnn.ensemble import EnsembleNetwork, StackedLinear
from mhdnn.layered_network import FUNCTIONS, LayeredNetwork
from mhdnn.networks import ACTIVATIONS, AtomicNetwork, PerElementNetwork, SharedNetwork
from mhdnn.potential import Potential

WEIGHTS_TEXT, WEIGHTS_NUMBERS = "weights.txt", "weights.bin"
WEIGHTS_VERSION = 1
ALIGNMENT = 8
TYPES = {"float32": "<f4", "float64": "<f8", "int64": "<i8"}
LAYER_FUNCTIONS = {module: name for name, module in FUNCTIONS.items() if module not in ACTIVATIONS.values()} | {
    nn.SiLU: "silu", nn.Tanh: "tanh", nn.Softplus: "softplus_to_20",
}  # fmt: skip
"""Names of functions; torch's own softplus is x above 20."""


class _Writer:
    """Collects lines and numbers; ``part`` gives the names a prefix."""

    def __init__(self) -> None:
        self.lines = [f"mhdnn_weights {WEIGHTS_VERSION}"]
        self.numbers = bytearray()

    def text(self, name: str, words: str) -> None:
        self.lines.append(f"text {name} {words}")

    def array(self, name: str, values: torch.Tensor | Sequence[float] | float) -> None:
        numbers = values.detach().cpu().numpy() if isinstance(values, torch.Tensor) else np.asarray(values)
        if not isinstance(values, torch.Tensor) and numbers.dtype != np.int64:
            numbers = numbers.astype(np.int64 if numbers.dtype == bool else np.float64)
        self.numbers += bytes(-len(self.numbers) % ALIGNMENT)
        shape = "".join(f" {size}" for size in numbers.shape)
        self.lines.append(f"array {name} {numbers.dtype.name} {len(self.numbers)}{shape}")
        self.numbers += np.ascontiguousarray(numbers, TYPES[numbers.dtype.name]).tobytes()

    def arrays(self, prefix: str, source: Any, *names: str) -> None:
        """Attributes of a module."""
        for name in names:
            self.array(f"{prefix}.{name}", getattr(source, name))

    def files(self) -> dict[str, str | bytes]:
        return {WEIGHTS_TEXT: "\n".join(self.lines) + "\n", WEIGHTS_NUMBERS: bytes(self.numbers)}


def plain_weights(potential: Potential, metadata: Mapping[str, Any]) -> dict[str, str | bytes]:
    """The two files of a potential, by name.

    :param metadata: of the model file
    """
    writer = _Writer()
    for name in ("mhdnn_version", "dtype", "dispersion_left_out"):
        writer.text(name, str(metadata[name]))
    writer.text("elements", " ".join(metadata["elements"]))
    writer.array("atomic_numbers", [int(number) for number in metadata["atomic_numbers"]])
    writer.array("cutoff", potential.cutoff)
    writer.arrays("energy", potential.short_range, "reference_energies")
    writer.arrays("scaling", potential, "function_mean", "function_scale")
    _write_descriptor(writer, potential)
    _write_network(writer, "network", potential.short_range.network)
    _write_domain(writer, potential.domain)
    if potential.repulsion is not None:
        names = ("strength", "length", "inner", "outer", "amplitudes", "decays")
        writer.arrays("repulsion", potential.repulsion, *names)
    if potential.uncertainty.is_fitted():
        _write_uncertainty(writer, potential)
    if potential.charge_model is not None:
        _write_charges(writer, potential.charge_model)
    return writer.files()


def _write_descriptor(writer: _Writer, potential: Potential) -> None:
    descriptor = potential.descriptor
    writer.array("descriptor.num_parts", len(descriptor.parts))
    writer.array("descriptor.channels", descriptor.channels.table)
    for number, part in enumerate(descriptor.parts):
        prefix = f"descriptor.{number}"
        if isinstance(part, ListedFunctions):
            _write_listed(writer, prefix, part)
        elif isinstance(part, ContractedFunctions):
            writer.text(f"{prefix}.kind", f"contracted_{part.kind}")
            writer.text(f"{prefix}.cutoff_function", part.cutoff_function)
            writer.arrays(prefix, part.basis, "etas", "shifts")
            names = ("cutoff", "max_degree", "four_body_degree", "four_body_densities", "coefficients")
            writer.arrays(prefix, part, *names)
        else:
            assert isinstance(part, FunctionGroup)
            writer.text(f"{prefix}.kind", part.kind)
            writer.text(f"{prefix}.cutoff_function", part.cutoff_function)
            writer.arrays(prefix, part.basis, "etas", "shifts")
            writer.arrays(prefix, part, "cutoff", "max_degree", "cross_terms")
            _write_list(writer, prefix, part)
            if isinstance(part, WideFunctions):
                writer.arrays(prefix, part, "fewest_neighbors", "coefficients")


def _write_list(writer: _Writer, prefix: str, group: FunctionGroup | ListedGroup) -> None:
    """Radial function, ζ and λ of each angular function."""
    for name in ("radial_index", "zetas", "lambdas"):
        writer.array(f"{prefix}.{name}", torch.tensor(getattr(group, name), dtype=torch.long))


def _write_listed(writer: _Writer, prefix: str, part: ListedFunctions) -> None:
    writer.text(f"{prefix}.kind", "listed")
    writer.array(f"{prefix}.num_functions", part.num_functions)
    for element, center in enumerate(part.centers):
        own = f"{prefix}.{element}"
        writer.arrays(own, center, "columns")
        groups = list(center.groups)  # type: ignore[arg-type]
        writer.array(f"{own}.num_groups", len(groups))
        for number, group in enumerate(groups):
            assert isinstance(group, ListedGroup)
            place = f"{own}.{number}"
            writer.text(f"{place}.kind", group.kind)
            writer.text(f"{place}.cutoff_function", group.cutoff_function)
            writer.arrays(place, group, "cutoff", "etas", "shifts")
            writer.array(f"{place}.elements", torch.tensor(group.elements, dtype=torch.long))
            _write_list(writer, place, group)
            if isinstance(group, ListedWideFunctions):
                names = ("max_degree", "fewest_neighbors", "moment_etas", "moment_shifts", "coefficients")
                writer.arrays(place, group, *names)


def _write_network(writer: _Writer, prefix: str, network: AtomicNetwork) -> None:
    """Kinds: shared (several members: their mean), per_element and layers."""
    writer.arrays(prefix, network, "output_scale")
    if isinstance(network, LayeredNetwork):
        writer.text(f"{prefix}.kind", "layers")
        for element, own in enumerate(network.networks):
            writer.array(f"{prefix}.{element}.columns", own.columns)  # type: ignore[arg-type]
            _write_layers(writer, f"{prefix}.{element}", own.layers)  # type: ignore[arg-type]
        return
    if isinstance(network, SharedNetwork):
        writer.text(f"{prefix}.kind", "shared")
        writer.array(f"{prefix}.species", network.species_feature.table)
        num_members = network.num_members if isinstance(network, EnsembleNetwork) else 1
        writer.array(f"{prefix}.num_members", num_members)
        for member in range(num_members):
            _write_layers(writer, f"{prefix}.{member}", network.perceptron, member)
    else:
        assert isinstance(network, PerElementNetwork)
        writer.text(f"{prefix}.kind", "per_element")
        for element, perceptron in enumerate(network.perceptrons):
            _write_layers(writer, f"{prefix}.{element}", perceptron)  # type: ignore[arg-type]
    if network.linear_skip:
        writer.array(f"{prefix}.linear_table", network.linear_table())
        writer.array(f"{prefix}.linear_weight", network.linear_blocks())


def _write_layers(writer: _Writer, prefix: str, layers: nn.Sequential, member: int = 0) -> None:
    """Weights, biases (if there are any) and functions; a layer without a function is linear."""
    weights: list[nn.Linear | StackedLinear] = []
    functions: list[str] = []
    for layer in layers:
        if isinstance(layer, (nn.Linear, StackedLinear)):
            weights.append(layer)
            functions.append("linear")
        else:
            functions[-1] = LAYER_FUNCTIONS[type(layer)]
    writer.text(f"{prefix}.functions", " ".join(functions))
    for number, own in enumerate(weights):
        stacked = isinstance(own, StackedLinear)  # members side by side
        writer.array(f"{prefix}.{number}.weight", own.weight[member] if stacked else own.weight)
        bias: torch.Tensor | None = own.bias  # the last layer has none
        if bias is not None:
            writer.array(f"{prefix}.{number}.bias", bias[member] if stacked else bias)


def _write_domain(writer: _Writer, domain: TrainingDomain) -> None:
    for number, name in enumerate(domain.function_names):
        writer.text(f"function.{number}", name)
    names = ("num_atoms", "function_range", "distance_range", "count_range", "share_range", "charge_range")
    writer.arrays("domain", domain, *names, "total_charge_range", "total_charge_slack")


def _write_uncertainty(writer: _Writer, potential: Potential) -> None:
    """What expected errors of forces need."""
    names = ("axes", "atomic_factor", "inverse_penalty", "residual_weights", "residual_limits", "kernel_weights",
             "kernel_rates", "rigidity_power", "offset", "weights", "force_floor", "least_error", "landmarks",
             "radius", "largest_grade", "largest_error", "outside_factor", "alone", "foreign_from",
             "steepness")  # fmt: skip
    writer.arrays("uncertainty", potential.uncertainty, *names)


def _write_charges(writer: _Writer, model: ChargeModel) -> None:
    _write_network(writer, "electronegativity", model.network)
    writer.text("charges.screening_function", model.screening_function)
    names = ("electronegativity_shift", "widths", "charge_mean", "charge_scale", "accuracy", "inner_radius",
             "outer_radius", "screens_self_terms", "coulomb_constant")  # fmt: skip
    writer.arrays("charges", model, *names)
    writer.array("charges.hardness", model.hardness(torch.arange(len(model.widths), device=model.widths.device)))
