"""Symmetry functions given one by one for each element as centre: the descriptor of RuNNer's and n2p2's potentials.

A function that several elements have is one column of the descriptor; where the centre's element hasn't got it, the
column is zero and nothing is evaluated.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from ase.data import atomic_numbers as atomic_number_of
from ase.data import chemical_symbols
from torch import nn

from mhdnn.descriptors.basis import paired_gaussians
from mhdnn.descriptors.groups import (
    MAX_DEGREE,
    fewest_neighbors_for_moments,
    legendre_expansion,
)
from mhdnn.errors import ConfigError

KINDS = ("radial", "narrow", "wide")


class ListedFunction(NamedTuple):
    """A function of certain neighbours.

    :param kind: radial, narrow or wide
    :param neighbors: rows of the elements of the neighbours in the model, one or two, ascending
    :param eta: η, Å⁻²
    :param shift: r_s, Å
    :param cutoff: Å
    :param zeta: ζ of narrow and wide functions
    :param lambda_: λ, +1 or -1
    """

    kind: str
    neighbors: tuple[int, ...]
    eta: float
    shift: float
    cutoff: float
    zeta: int = 0
    lambda_: int = 0

    def name(self, symbols: Sequence[str]) -> str:
        """Readable name."""
        text = f"{self.kind} eta={self.eta:.4g} r_s={self.shift:.4g} r_c={self.cutoff:.4g}"
        if self.kind != "radial":
            text += f" zeta={self.zeta} lambda={self.lambda_:+d}"
        return f"{text} [{' '.join(symbols[row] for row in self.neighbors)}]"


def function_from_settings(settings: Mapping[str, Any], atomic_numbers: Sequence[int], cutoff: float) -> ListedFunction:
    """A function from its settings: kind, neighbors (symbols), eta, shift, cutoff; narrow and wide: zeta, lambda.

    :raises ConfigError: for what is out of range
    """
    kind, symbols = settings["kind"], list(settings["neighbors"])
    if kind not in KINDS:
        raise ConfigError(f"`descriptor.functions`: expected a kind of {', '.join(KINDS)}, got {kind!r}")
    number = 1 if kind == "radial" else 2
    if len(symbols) != number:
        raise ConfigError(f"`descriptor.functions`: expected {number} neighbours of a {kind} function, got {symbols}")
    rows = tuple(sorted(list(atomic_numbers).index(atomic_number_of[symbol]) for symbol in symbols))
    eta, shift, reach = (float(settings[key]) for key in ("eta", "shift", "cutoff"))
    if not (eta >= 0.0 and 0.0 < reach <= cutoff * (1.0 + 1e-12)):
        raise ConfigError(
            f"`descriptor.functions`: expected eta >= 0 and a cutoff up to that of the neighbour list, {cutoff} Å, got "
            f"{eta} and {reach} Å"
        )
    if kind == "radial":
        return ListedFunction(kind, rows, eta, shift, reach)
    zeta, lambda_ = float(settings["zeta"]), float(settings["lambda"])
    if zeta != int(zeta) or zeta < 1 or lambda_ not in (-1.0, 1.0):
        raise ConfigError(
            f"`descriptor.functions`: expected a positive whole zeta and a lambda of +1 or -1, got {zeta:g} and "
            f"{lambda_:g}; other exponents have no kernel here"
        )
    return ListedFunction(kind, rows, eta, shift, reach, int(zeta), int(lambda_))


class ListedGroup(nn.Module):
    """Functions of one kind and cutoff.

    :param functions: sorted by the elements of the neighbours
    :param cutoff_function: name of :math:`f_c`
    """

    etas: torch.Tensor
    shifts: torch.Tensor
    elements: list[int]
    radial_index: list[int]
    zetas: list[int]
    lambdas: list[int]

    def __init__(self, functions: Sequence[ListedFunction], cutoff_function: str) -> None:
        super().__init__()
        self.kind = functions[0].kind
        self.cutoff = functions[0].cutoff
        self.cutoff_function = cutoff_function
        self.num_functions = len(functions)
        if self.kind == "radial":
            gaussians = [(function.neighbors, function.eta, function.shift) for function in functions]
        else:
            gaussians = list(
                dict.fromkeys((function.neighbors, function.eta, function.shift) for function in functions)
            )
        basis = paired_gaussians([gaussian[1:] for gaussian in gaussians])
        self.register_buffer("etas", basis.etas)
        self.register_buffer("shifts", basis.shifts)
        self.elements = [row for gaussian in gaussians for row in gaussian[0]]
        is_angular = self.kind != "radial"
        of_function = [gaussians.index((function.neighbors, function.eta, function.shift)) for function in functions]
        self.radial_index = of_function if is_angular else []
        self.zetas = [function.zeta for function in functions] if is_angular else []
        self.lambdas = [function.lambda_ for function in functions] if is_angular else []

    def evaluate(
        self,
        pair_vectors: torch.Tensor,
        channel_table: torch.Tensor,
        first_pair: torch.Tensor,
        neighbor_element: torch.Tensor,
    ) -> torch.Tensor:
        """The operator with the functions of this group."""
        return torch.ops.mhdnn.symmetry_functions(
            pair_vectors,
            channel_table,
            first_pair,
            neighbor_element,
            self.etas,
            self.shifts,
            self.cutoff,
            self.cutoff_function,
            self.kind,
            0,
            False,
            self.radial_index,
            self.zetas,
            self.lambdas,
            self.elements,
        )

    def forward(
        self,
        pair_vectors: torch.Tensor,
        channel_table: torch.Tensor,
        first_pair: torch.Tensor,
        neighbor_element: torch.Tensor,
    ) -> torch.Tensor:
        """Shape (num_atoms, num_functions)."""
        return self.evaluate(pair_vectors, channel_table, first_pair, neighbor_element)


class ListedWideFunctions(ListedGroup):
    """Wide functions from moments, where there are enough neighbours: see `mhdnn.descriptors.groups.WideFunctions`.

    :param num_elements: of the model
    """

    coefficients: torch.Tensor
    moment_etas: torch.Tensor
    moment_shifts: torch.Tensor

    def __init__(self, functions: Sequence[ListedFunction], cutoff_function: str, num_elements: int) -> None:
        super().__init__(functions, cutoff_function)
        self.max_degree = max(self.zetas)
        gaussians = list(dict.fromkeys((function.eta, function.shift) for function in functions))
        basis = paired_gaussians(gaussians)
        self.register_buffer("moment_etas", basis.etas)
        self.register_buffer("moment_shifts", basis.shifts)
        num_pairs = num_elements * (num_elements + 1) // 2
        functions_of_a_pair = len(functions) / len({function.neighbors for function in functions})
        self.fewest_neighbors = fewest_neighbors_for_moments(len(gaussians), self.max_degree, functions_of_a_pair)
        shape = (num_pairs, len(gaussians), self.max_degree + 1, len(functions))
        coefficients = torch.zeros(shape, dtype=torch.float64)
        for column, function in enumerate(functions):
            first, second = function.neighbors
            pair = first * num_elements - first * (first - 1) // 2 + second - first
            n = gaussians.index((function.eta, function.shift))
            for degree, value in enumerate(legendre_expansion(function.zeta)):
                coefficients[pair, n, degree, column] = value * function.lambda_**degree
        flat = coefficients.flatten(0, 2) if self.max_degree <= MAX_DEGREE else coefficients.new_zeros(0)
        self.register_buffer("coefficients", flat.to(torch.get_default_dtype()))

    def forward(
        self,
        pair_vectors: torch.Tensor,
        channel_table: torch.Tensor,
        first_pair: torch.Tensor,
        neighbor_element: torch.Tensor,
    ) -> torch.Tensor:
        """Shape (num_atoms, num_functions)."""
        if pair_vectors.shape[0] < self.fewest_neighbors * (first_pair.shape[0] - 1):
            return self.evaluate(pair_vectors, channel_table, first_pair, neighbor_element)
        sums = torch.ops.mhdnn.symmetry_functions(
            pair_vectors,
            channel_table,
            first_pair,
            neighbor_element,
            self.moment_etas,
            self.moment_shifts,
            self.cutoff,
            self.cutoff_function,
            "degrees",
            self.max_degree,
            False,
            [],
            [],
            [],
            [],
        )
        return sums @ self.coefficients


class CenterFunctions(nn.Module):
    """All functions of centres of one element.

    :param functions: in any order; equal ones count once
    :param all_functions: of the descriptor, whose columns these are
    :param num_elements: of the model
    """

    columns: torch.Tensor

    def __init__(
        self,
        functions: Sequence[ListedFunction],
        all_functions: Sequence[ListedFunction],
        cutoff_function: str,
        num_elements: int,
    ) -> None:
        super().__init__()
        groups: list[nn.Module] = []
        order: list[ListedFunction] = []
        for kind, cutoff in dict.fromkeys((function.kind, function.cutoff) for function in functions):
            own = [f for f in dict.fromkeys(functions) if (f.kind, f.cutoff) == (kind, cutoff)]
            own.sort(key=lambda function: (function.neighbors, function.eta, function.shift))
            order += own
            if kind == "wide":
                groups.append(ListedWideFunctions(own, cutoff_function, num_elements))
            else:
                groups.append(ListedGroup(own, cutoff_function))
        self.groups = nn.ModuleList(groups)
        place = {function: column for column, function in enumerate(all_functions)}
        self.register_buffer("columns", torch.tensor([place[function] for function in order], dtype=torch.long))

    def forward(
        self,
        pair_vectors: torch.Tensor,
        channel_table: torch.Tensor,
        first_pair: torch.Tensor,
        neighbor_element: torch.Tensor,
    ) -> torch.Tensor:
        """Shape (num_atoms, len(columns))."""
        result = []
        for group in self.groups:
            result.append(group(pair_vectors, channel_table, first_pair, neighbor_element))
        return torch.cat(result, 1)


class ListedFunctions(nn.Module):
    """The functions of all elements as centres.

    :param functions: of each element of the model, in its order
    :param cutoff_function: name of :math:`f_c`
    :param symbols: of the elements
    :ivar functions: of the columns
    """

    def __init__(
        self, functions: Sequence[Sequence[ListedFunction]], cutoff_function: str, symbols: Sequence[str]
    ) -> None:
        super().__init__()
        different = list(dict.fromkeys(function for own in functions for function in own))
        self.num_functions = len(different)
        self.function_names = [function.name(symbols) for function in different]
        self.centers = nn.ModuleList(
            [CenterFunctions(own, different, cutoff_function, len(symbols)) for own in functions]
        )

    def forward(
        self,
        pair_vectors: torch.Tensor,
        channel_table: torch.Tensor,
        first_pair: torch.Tensor,
        center_element: torch.Tensor,
        neighbor_element: torch.Tensor,
    ) -> torch.Tensor:
        """Shape (num_atoms, num_functions); the channel table has a row and a column for each element."""
        counts = first_pair[1:] - first_pair[:-1]
        element_of_pair = center_element.repeat_interleave(counts)
        result = torch.zeros(
            (center_element.shape[0], self.num_functions), dtype=pair_vectors.dtype, device=pair_vectors.device
        )
        for element, center in enumerate(self.centers):
            columns: torch.Tensor = center.columns  # type: ignore[assignment]
            atoms = torch.nonzero(center_element == element).squeeze(1)
            if atoms.shape[0] > 0:
                pairs = torch.nonzero(element_of_pair == element).squeeze(1)
                first = torch.zeros(atoms.shape[0] + 1, dtype=torch.long, device=atoms.device)
                first[1:] = torch.cumsum(counts.index_select(0, atoms), 0)
                own = center(
                    pair_vectors.index_select(0, pairs), channel_table, first, neighbor_element.index_select(0, pairs)
                )
                rows = torch.zeros((atoms.shape[0], self.num_functions), dtype=own.dtype, device=own.device)
                result = result.index_copy(0, atoms, rows.index_copy(1, columns, own))
        return result

    @torch.jit.ignore
    def names(self, channels: list[str]) -> list[str]:
        """Readable name of every function, with the elements of the neighbours; the centre's is not in it."""
        return self.function_names


def listed_functions(settings: Mapping[str, Any], atomic_numbers: Sequence[int], cutoff: float) -> ListedFunctions:
    """From settings: ``functions``, a list for each element (symbol) as centre, and ``cutoff_function``.

    Functions of elements that the model hasn't got are left out.

    :raises ConfigError: if an element has no functions, or one is out of range
    """
    symbols = [chemical_symbols[number] for number in atomic_numbers]
    of_elements = []
    for symbol in symbols:
        lines = [line for line in settings["functions"].get(symbol, []) if set(line["neighbors"]) <= set(symbols)]
        if not lines:
            raise ConfigError(
                f"`descriptor.functions`: none for {symbol} as centre; expected at least one for each element of the "
                f"model ({', '.join(symbols)})"
            )
        of_elements.append([function_from_settings(line, atomic_numbers, cutoff) for line in lines])
    return ListedFunctions(of_elements, settings["cutoff_function"], symbols)
