r"""What a potential was trained on: ranges of functions, distances and charges, and which atoms are outside.

An atom is outside if

- one of its symmetry functions leaves the range of its element (that of an element that was no centre is empty),
- a neighbour is closer than any two atoms of these elements were (for elements that were never within the cutoff of
  each other: any neighbour within it),
- it has fewer or more neighbours than any atom of its element, by the smooth count

  .. math:: n_i = \sum_j \bigl(1 - r_{ij}^2/r_c^2\bigr)^2,

- an element has a smaller or a larger share in this count than it had (a metal of which only alloys were trained on),
- its charge leaves the range of its element.

Another atom of the same kind exceeds the largest of N values with a probability of 1/(N+1): were the ranges those of
the training set, atoms of its own kind would be outside at each step of a large system. They are widened to where the
tail of the N values reaches the probability `FALSE_ALARM_RATE` for all tests of an atom together, but by no more than
`mhdnn.training.domain` says, which fits them: of a few hundred atoms no tail is known, and alarms are more frequent.
"""

import math
from collections.abc import Sequence
from typing import Any, Optional

import torch
from ase.data import chemical_symbols
from torch import nn

from mhdnn.neighbors import squared_lengths

FALSE_ALARM_RATE = 1e-7
"""Probability that an atom like those of the training set is outside."""
TOTAL_CHARGE_SLACK = 0.01
"""e; total charges of datasets are sums of rounded charges."""


def unlimited(*shape: int) -> torch.Tensor:
    """Lower limit, minimum, maximum and upper limit of ranges without end, shape (4, ...)."""
    result = torch.full((4, *shape), torch.inf, dtype=torch.float64)
    result[:2] = -torch.inf
    return result


def with_older_ranges(potential: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
    """Hook of `load_state_dict`: what older weights have, ranges of all elements together, as those of each element.

    Those that know no shares of elements among neighbours have no limits of them.
    """
    shape: torch.Size = potential.domain.share_range.shape  # type: ignore[union-attr, assignment]
    state.setdefault(f"{prefix}domain.share_range", unlimited(*shape[1:]))
    minimum, maximum = (state.pop(f"{prefix}function_{name}", None) for name in ("minimum", "maximum"))
    if minimum is None or maximum is None:
        return
    scale = state[f"{prefix}function_scale"].to(torch.float64)
    slack = torch.where(scale > 0, 1e-4 / scale, torch.inf)  # functions that don't vary were not looked at
    ranges = torch.stack([minimum - slack, minimum, maximum, maximum + slack]).to(torch.float64)
    domain: dict[str, torch.Tensor] = potential.domain.state_dict()  # type: ignore[union-attr]
    domain["function_range"] = ranges.unsqueeze(1).expand_as(domain["function_range"]).clone()
    state.update({f"{prefix}domain.{name}": values for name, values in domain.items()})


def rounded(value: float) -> str:
    """A number with four digits (TorchScript has no format for it)."""
    if value - value != 0.0:  # NaN or infinite; TorchScript of torch 2.6 fails at math.isinf
        return str(value)
    exponent = 0
    size = abs(value)
    if size > 0.0:
        exponent = int(math.floor(math.log10(size)))
    tail = ""
    if size > 0.0 and (exponent < -4 or exponent > 6):
        size = size / 10.0**exponent
        tail = "e" + str(exponent)
        exponent = 0
    num_decimals = max(0, min(3 - exponent, 7))
    digits = str(int(size * 10.0**num_decimals + 0.5)).zfill(num_decimals + 1)
    text = digits
    if num_decimals > 0:
        text = digits[: len(digits) - num_decimals] + "." + digits[len(digits) - num_decimals :]
    if value < 0.0:
        text = "-" + text
    return text + tail


class TrainingDomain(nn.Module):
    """Ranges of the training set; without end until they are fitted.

    :param atomic_numbers: elements of the potential, ascending
    :param function_names: of the symmetry functions
    :param cutoff: Å
    :ivar num_atoms: atoms of each element that the ranges rest on, shape (num_elements,); -1 if their number is unknown
        (imported potentials); all zero where the ranges are
        unknown, or are those of all elements together, as older versions wrote them
    :ivar function_range: lower limit, minimum, maximum and upper limit for each element as centre, shape
        (4, num_elements, num_functions)
    :ivar distance_range: limit and smallest distance of each pair of elements, shape
        (2, num_elements, num_elements), Å; the cutoff where none was within it
    :ivar count_range: of the smooth counts of neighbours, as `function_range`, shape (4, num_elements)
    :ivar share_range: of elements in these counts, shape (4, num_elements, num_elements): the second is the neighbour
    :ivar charge_range: as `count_range`, e
    :ivar total_charge_range: smallest and largest, shape (2,), e
    """

    num_atoms: torch.Tensor
    function_range: torch.Tensor
    distance_range: torch.Tensor
    count_range: torch.Tensor
    share_range: torch.Tensor
    charge_range: torch.Tensor
    total_charge_range: torch.Tensor

    def __init__(self, atomic_numbers: Sequence[int], function_names: Sequence[str], cutoff: float) -> None:
        super().__init__()
        self.symbols = [chemical_symbols[number] for number in atomic_numbers]
        self.function_names = list(function_names)
        self.cutoff = float(cutoff)
        self.total_charge_slack = TOTAL_CHARGE_SLACK  # TorchScript reads no globals
        num_elements = len(self.symbols)
        self.register_buffer("num_atoms", torch.zeros(num_elements, dtype=torch.long))
        self.register_buffer("function_range", unlimited(num_elements, len(self.function_names)))
        self.register_buffer("distance_range", torch.zeros(2, num_elements, num_elements, dtype=torch.float64))
        self.register_buffer("count_range", unlimited(num_elements))
        self.register_buffer("share_range", unlimited(num_elements, num_elements))
        self.register_buffer("charge_range", unlimited(num_elements))
        self.register_buffer("total_charge_range", torch.tensor([-torch.inf, torch.inf], dtype=torch.float64))

    @torch.jit.export
    def is_complete(self) -> bool:
        """Whether the ranges are those of the elements, with distances."""
        return bool((self.num_atoms != 0).any()) and bool(torch.isfinite(self.function_range[1]).any())

    @torch.jit.export
    def functions_outside(self, functions: torch.Tensor, element_index: torch.Tensor) -> torch.Tensor:
        """Whether a symmetry function leaves its range, shape (num_centers,), bool.

        :param functions: not scaled, shape (num_centers, num_functions)
        :param element_index: shape (num_centers,)
        """
        result = torch.zeros_like(element_index, dtype=torch.bool)
        for element in range(len(self.symbols)):
            rows = torch.nonzero(element_index == element).squeeze(1)
            if rows.numel() == 0:
                continue
            values = functions if rows.numel() == len(functions) else functions.index_select(0, rows)
            limits = self.function_range[:, element].to(values.dtype)
            # all together first, so that nothing as large as the functions is written while all is well; NaN fails
            if not bool(((values.amin(0) >= limits[0]) & (values.amax(0) <= limits[3])).all()):
                result[rows] = (values.clamp(limits[0], limits[3]) != values).any(1)
        return result

    @torch.jit.export
    def distances_outside(
        self,
        vectors: torch.Tensor,
        center_index: torch.Tensor,
        neighbor_index: torch.Tensor,
        element_index: torch.Tensor,
        num_centers: int,
    ) -> torch.Tensor:
        """Whether a neighbour is too close, or neighbours are too few, too many, or of unusual elements.

        :return: shape (num_centers,), bool

        :param vectors: from centre to neighbour, shape (num_pairs, 3), Å, all within the cutoff
        :param center_index: ascending, shape (num_pairs,)
        :param neighbor_index: shape (num_pairs,)
        :param element_index: of all atoms, centres first, shape (num_atoms,)
        """
        squares = squared_lengths(vectors)
        shares = squares.mul(-1.0 / self.cutoff**2).add_(1.0).square_()
        num_elements, own = len(self.symbols), element_index[:num_centers]
        rows = center_index
        if num_elements > 1:
            rows = center_index * num_elements + element_index.index_select(0, neighbor_index)
        parts = torch.zeros(num_centers * num_elements, dtype=shares.dtype, device=shares.device)
        parts = parts.index_add(0, rows, shares).view(num_centers, num_elements)
        counts, known = parts.sum(1), self.count_range.index_select(1, own)
        result = (counts < known[0]) | (counts > known[3])
        if num_elements > 1:
            parts = parts / counts.clamp(min=1e-30).unsqueeze(1)
            limits = self.share_range.index_select(1, own)
            result = result | ((parts < limits[0]) | (parts > limits[3])).any(1)
        limits = self.distance_range[0].square().flatten()
        suspects = torch.nonzero(squares < limits.max()).squeeze(1)  # few: the elements of the others need no look
        if suspects.numel() > 0:
            centers = center_index.index_select(0, suspects)
            neighbors = element_index.index_select(0, neighbor_index.index_select(0, suspects))
            pairs = element_index.index_select(0, centers) * len(self.symbols) + neighbors
            close = squares.index_select(0, suspects) < limits.index_select(0, pairs)
            result[centers[close]] = True
        return result

    @torch.jit.export
    def charges_outside(self, charges: torch.Tensor, element_index: torch.Tensor) -> torch.Tensor:
        """Whether a charge (e) leaves its range, shape (num_centers,), bool."""
        lower, upper = self.charge_range[0], self.charge_range[3]
        limited = charges.clamp(lower.index_select(0, element_index), upper.index_select(0, element_index))
        return limited != charges

    @torch.jit.export
    def why_outside(
        self,
        atom: int,
        functions: torch.Tensor,
        vectors: torch.Tensor,
        center_index: torch.Tensor,
        neighbor_index: torch.Tensor,
        element_index: torch.Tensor,
        charges: Optional[torch.Tensor] = None,
    ) -> str:
        """What of an atom is outside, in words; empty if nothing is.

        :param charges: of the centres, shape (num_centers,), e; the other arguments are those of the tests
        """
        chosen = torch.nonzero(center_index == atom).squeeze(1)
        distances = vectors.index_select(0, chosen).square().sum(1).sqrt()
        neighbors = element_index.index_select(0, neighbor_index.index_select(0, chosen))
        element = int(element_index[atom])
        text = self._words_of_distances(element, distances, neighbors)
        if len(text) == 0:
            text = self._words_of_functions(element, functions[atom].to(torch.float64))
        if len(text) == 0 and charges is not None:
            charge, known = float(charges[atom]), self.charge_range[:, element]
            if charge < float(known[0]) or charge > float(known[3]):
                text = "charge " + rounded(charge) + " e, of the training data "
                text += rounded(float(known[1])) + " to " + rounded(float(known[2])) + " e"
        return text

    def _words_of_distances(self, element: int, distances: torch.Tensor, neighbors: torch.Tensor) -> str:
        deficits = self.distance_range[0, element].index_select(0, neighbors) - distances
        if bool((deficits > 0.0).any()):
            pair = int(deficits.argmax())
            smallest = float(self.distance_range[1, element, neighbors[pair]])
            known = "at least " + rounded(smallest) + " Å"
            if smallest >= self.cutoff:
                known = "never within the cutoff"
            name = self.symbols[element] + "-" + self.symbols[int(neighbors[pair])]
            return name + " at " + rounded(float(distances[pair])) + " Å, of the training data " + known
        shares = (1.0 - (distances / self.cutoff).square()).square()
        count = float(shares.sum())
        ranges = self.count_range[:, element]
        if float(ranges[0]) <= count and count <= float(ranges[3]):
            return self._words_of_shares(element, shares, neighbors)
        if distances.numel() == 0:
            return "no neighbour within the cutoff"
        text = "neighbours (smooth count) " + rounded(count) + ", of the training data "
        return text + rounded(float(ranges[1])) + " to " + rounded(float(ranges[2]))

    def _words_of_shares(self, element: int, shares: torch.Tensor, neighbors: torch.Tensor) -> str:
        parts = torch.zeros(len(self.symbols), dtype=shares.dtype, device=shares.device)
        parts = parts.index_add(0, neighbors, shares)
        parts = parts / parts.sum().clamp(min=1e-30)
        limits = self.share_range[:, element]
        excess = torch.maximum(limits[0] - parts, parts - limits[3])
        if len(self.symbols) == 1 or not bool((excess > 0.0).any()):
            return ""
        number = int(excess.argmax())
        known = rounded(100.0 * float(limits[1, number])) + " to " + rounded(100.0 * float(limits[2, number])) + " %"
        part = "neighbours (smooth count) that are " + self.symbols[number] + " "
        return part + rounded(100.0 * float(parts[number])) + " %, of the training data " + known

    def _words_of_functions(self, element: int, values: torch.Tensor) -> str:
        limits = self.function_range[:, element]
        if not bool((limits[1] <= limits[2]).any()):
            return "no " + self.symbols[element] + " in the training data"
        excess = torch.maximum(limits[0] - values, values - limits[3]).nan_to_num(math.inf)
        if not bool((excess > 0.0).any()):
            return ""
        number = int((excess / (limits[3] - limits[0]).clamp(min=1e-30)).argmax())
        known = rounded(float(limits[1, number])) + " to " + rounded(float(limits[2, number]))
        return (
            "`"
            + self.function_names[number]
            + "` "
            + rounded(float(values[number]))
            + ", of the training data "
            + known
        )

    @torch.jit.export
    def total_charge_outside(self, total_charge: float) -> str:
        """In words what is outside of a total charge (e); empty if nothing is."""
        smallest, largest = float(self.total_charge_range[0]), float(self.total_charge_range[1])
        slack = self.total_charge_slack
        if smallest - slack <= total_charge and total_charge <= largest + slack:
            return ""
        known = rounded(smallest)
        if smallest != largest:
            known += " to " + rounded(largest)
        return "total charge " + rounded(total_charge) + " e, of the training data " + known + " e"

    @torch.jit.ignore
    def metadata(self) -> dict[str, Any]:
        """The ranges as plain values, with names; None where there is no limit."""
        symbols = self.symbols

        def by_element(values: torch.Tensor) -> dict[str, Any]:
            return {symbol: _finite(row) for symbol, row in zip(symbols, values, strict=True)}

        return {
            "complete": self.is_complete(),
            "false_alarm_rate": FALSE_ALARM_RATE,
            "num_atoms": dict(zip(symbols, self.num_atoms.tolist(), strict=True)),
            **{
                f"function_{name}": by_element(values)
                for name, values in zip(("lower", "minimum", "maximum", "upper"), self.function_range, strict=True)
            },
            "distance_limit": by_element(self.distance_range[0]),
            "distance_minimum": by_element(self.distance_range[1]),
            "neighbor_count_range": by_element(self.count_range.T),
            "neighbor_share_range": {
                symbol: by_element(rows.T) for symbol, rows in zip(symbols, self.share_range.unbind(1), strict=True)
            },
            "charge_range": by_element(self.charge_range.T),
            "total_charge_range": _finite(self.total_charge_range),
        }


def _finite(values: torch.Tensor) -> Any:
    """Numbers for JSON, which has no infinity."""
    numbers = values.tolist()
    if isinstance(numbers, list):
        return [number if math.isfinite(number) else None for number in numbers]
    return numbers if math.isfinite(numbers) else None
