r"""Fits the ranges of `mhdnn.domain.TrainingDomain`, in one pass over the training set.

The largest values :math:`u_1 \ge u_2 \ge \dots` of each quantity are kept. Through k of N goes the tail

.. math:: P(X > x) = \frac kN\, e^{-(x - u_k)/\beta_k}, \qquad \beta_k = \frac1{k-1}\sum_{i<k} (u_i - u_k)

(excesses over a threshold, Pickands 1975, https://doi.org/10.1214/aos/1176343003, of shape zero: what is bounded or
Gaussian falls off faster). The limit is where P is the rate of false alarms divided by the number of tests of an atom;
of several k the one with the farthest limit counts, because values that are rare, or follow each other in time, need
others than those of a crystal. Functions that are zero but for a few atoms fall off more slowly than this: the same
tail through the logarithms of their values may lead farther, to `LARGEST_RATIO` times the largest.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from rich.progress import Progress

from mhdnn.data.datamodule import StoreDataModule
from mhdnn.domain import FALSE_ALARM_RATE, TrainingDomain, unlimited
from mhdnn.errors import DataError
from mhdnn.neighbors import squared_lengths
from mhdnn.potential import Potential
from mhdnn.prediction import SeenAtoms, has_charges, predict_charges
from mhdnn.structure import Batch

THRESHOLDS = (10, 30, 100)
"""Numbers k of largest values that tails go through."""
LARGEST_WIDENING = 1.0
"""Of the range of a function or charge, on each side, in its width; also where there are too few values for a tail."""
LEAST_WIDENING = 0.2
"""Of the range of a function: where the largest values are those of equal atoms of a perfect crystal, their excesses
vanish, and the tail would end at the extreme itself. Chosen on rattled silicon, of which 0.05 left a mark."""
LARGEST_RATIO = 5.0
DISTANCE_SLACK = 0.1, 0.01
"""At most and at least, of a smallest distance."""
COUNT_SLACK = 0.2, 0.01
"""At most and at least, of the smallest and the largest count of neighbours, and share of an element in it."""
ROUND_OFF = 3e-5
"""Of the largest of all functions: what is below it counts as zero."""
CHARGE_ROUND_OFF = 1e-5
"""e"""


class LargestValues:
    """The largest values of some columns, for each element.

    :ivar held: descending, shape (num_elements, num_held, num_columns)
    :ivar num_rows: that were added, shape (num_elements,)
    """

    def __init__(self, num_elements: int, num_columns: int, num_held: int = max(THRESHOLDS)) -> None:
        self.held = torch.full((num_elements, num_held, num_columns), -torch.inf, dtype=torch.float64)
        self.num_rows = torch.zeros(num_elements, dtype=torch.long)

    def add(self, values: torch.Tensor, element_index: torch.Tensor) -> None:
        """Rows of values, shape (num_rows, num_columns), of elements, shape (num_rows,)."""
        for element in torch.unique(element_index).tolist():
            rows = values[element_index == element]
            self.num_rows[element] += len(rows)
            held = self.held[element]
            rows = rows[(rows > held[-1]).any(1)]
            if len(rows):
                self.held[element] = torch.cat([held, rows]).topk(len(held), dim=0).values

    def limits(self, num_tests: int, of_logarithms: bool = False) -> torch.Tensor:
        """What is exceeded at the rate of false alarms, shape (num_elements, num_columns).

        Infinite where there are too few values; in logarithms the largest value, also where tails reach below zero.

        :param num_tests: of an atom
        :param of_logarithms: whether the tail goes through the logarithms
        """
        held = self.held.clamp(min=1e-300).log() if of_logarithms else self.held
        result = self.held[:, 0].clone()
        if not of_logarithms:
            result[~torch.isfinite(self.held[:, min(THRESHOLDS) - 1])] = torch.inf
        for k in THRESHOLDS:
            threshold = held[:, k - 1]
            scale = held[:, : k - 1].mean(1) - threshold
            rarity = k * num_tests / (self.num_rows.clamp(min=1) * FALSE_ALARM_RATE)
            limit = threshold + scale * torch.log(rarity).clamp(min=0.0).unsqueeze(1)
            known = torch.isfinite(limit)
            if of_logarithms:
                limit, known = limit.exp(), known & (self.held[:, k - 1] > 0)
            result = torch.where(known, torch.maximum(result, limit), result)
        return result


def widened_ranges(
    largest: LargestValues,
    negative: LargestValues,
    num_tests: int,
    round_off: float,
    largest_ratio: float = 1.0,
    least_widening: float = 0.0,
) -> torch.Tensor:
    """Lower limit, minimum, maximum and upper limit, shape (4, num_elements, num_columns).

    :param largest: of some columns
    :param negative: of the same columns with their signs changed
    :param num_tests: of an atom
    :param round_off: that is added to the limits
    :param largest_ratio: to which a tail of logarithms may lead
    :param least_widening: of the range on each side, in its width
    """
    maximum, minimum = largest.held[:, 0], -negative.held[:, 0]
    seen = maximum >= minimum
    width = torch.where(seen, maximum - minimum, 0.0)
    limits = []
    for values in (negative, largest):
        extreme = values.held[:, 0]
        limit = torch.clamp(
            values.limits(num_tests), extreme + least_widening * width, extreme + LARGEST_WIDENING * width
        )
        of_logarithms = torch.minimum(values.limits(num_tests, True), largest_ratio * extreme)
        limit = torch.where(extreme > 0, torch.maximum(limit, of_logarithms), limit)
        limits.append(torch.where(seen, limit + round_off, extreme))
    return torch.stack([-limits[0], minimum, maximum, limits[1]])


class ChargeRanges:
    """Ranges of atomic charges, gathered batch by batch."""

    def __init__(self, num_elements: int) -> None:
        self.above, self.below = LargestValues(num_elements, 1), LargestValues(num_elements, 1)

    def add(self, charges: torch.Tensor, element_index: torch.Tensor) -> None:
        """Charges, shape (num_atoms,), e; those that are not known are left out."""
        known = torch.isfinite(charges)
        values, element = charges[known].unsqueeze(1), element_index[known]
        self.above.add(values, element)
        self.below.add(-values, element)

    def fitted(self) -> torch.Tensor:
        """As `TrainingDomain.charge_range`; without end for elements without charges."""
        ranges = widened_ranges(self.above, self.below, 2, CHARGE_ROUND_OFF)[:, :, 0]
        return torch.where(self.above.num_rows > 0, ranges, unlimited(len(self.above.num_rows)))


def fit_domain(potential: Potential, batches: Iterable[Batch]) -> None:
    """Set the ranges of functions and distances; with charges those of the labels and of total charges.

    :param batches: of the whole training set
    :raises DataError: if there is no atom
    """
    domain, num_elements = potential.domain, len(potential.domain.symbols)
    above, below = (LargestValues(num_elements, potential.descriptor.num_functions) for _ in range(2))
    near, many = LargestValues(num_elements, 2 * num_elements + 1), LargestValues(num_elements, num_elements + 1)
    charges, totals = ChargeRanges(num_elements), [torch.zeros(0, dtype=torch.float64)]
    for batch in batches:
        with torch.no_grad():
            atoms = SeenAtoms(potential, batch.geometry)
            functions, element = atoms.symmetry_functions.to(torch.float64), atoms.element_index
        above.add(functions, element)
        below.add(-functions, element)
        distances = distances_and_counts(atoms)
        near.add(-distances, element)
        many.add(distances[:, num_elements:], element)
        charges.add(batch.labels.charges, element)
        totals.append(batch.geometry.total_charge)
    if not bool(above.num_rows.any()):
        raise DataError("training set: expected at least one atom, got none")
    num_tests = 2 * above.held.shape[2] + near.held.shape[2] + many.held.shape[2]
    largest = float(torch.maximum(above.held[:, 0], below.held[:, 0]).max())
    domain.num_atoms.copy_(above.num_rows)
    ranges = widened_ranges(above, below, num_tests, ROUND_OFF * largest, LARGEST_RATIO, LEAST_WIDENING)
    domain.function_range.copy_(ranges)
    set_distances(domain, near, num_tests)
    set_counts(domain, near, many, num_tests)
    if has_charges(potential):
        domain.charge_range.copy_(charges.fitted())
        known = torch.cat(totals)
        known = known[torch.isfinite(known)]
        if len(known):
            domain.total_charge_range.copy_(torch.stack([known.min(), known.max()]))


def fit_charge_range(potential: Potential, batches: Iterable[Batch]) -> None:
    """Set the ranges of atomic charges to those that the potential gives the training set.

    They are what is compared when it is used, and may leave those of the labels, which not every structure has.
    """
    charges = ChargeRanges(len(potential.domain.symbols))
    for batch in batches:
        element = potential.element_index(batch.geometry.atomic_numbers)
        charges.add(predict_charges(potential, batch.geometry).detach(), element)
    potential.domain.charge_range.copy_(charges.fitted())


def complete_domain(potential: Potential, data: StoreDataModule, charges_changed: bool) -> None:
    """After training, set the ranges that only the last weights have: functions that are learned, charges.

    :param charges_changed: whether the last stage trained what determines the charges
    """
    with Progress(transient=True) as progress:
        complete = potential.domain.is_complete()
        if not complete:
            fit_domain(potential, training_set(data, progress))
        if has_charges(potential) and (charges_changed or not complete):
            fit_charge_range(potential, training_set(data, progress))


def training_set(data: StoreDataModule, progress: Progress) -> Iterator[Batch]:
    """All training structures, with a bar."""
    task = progress.add_task("ranges of the training set", total=len(data.indices["train"]))
    for batch in data.batches("train"):
        yield batch
        progress.advance(task, batch.geometry.num_structures)
    progress.remove_task(task)


def forget_functions(potential: Potential) -> None:
    """Take the limits of functions away that training is going to change."""
    if potential.descriptor.is_learned():
        potential.domain.function_range.copy_(unlimited(*potential.domain.function_range.shape[1:]))


def distances_and_counts(atoms: SeenAtoms) -> torch.Tensor:
    """Distance of the nearest neighbour of each element (infinite: none), smooth count, shares of elements in it.

    :return: shape (num_atoms, 2 · num_elements + 1)
    """
    num_elements, num_atoms = len(atoms.potential.domain.symbols), atoms.geometry.num_atoms
    vectors, center, neighbor = atoms.pairs
    distances = squared_lengths(vectors.detach()).sqrt()
    rows = center * num_elements + atoms.element_index.index_select(0, neighbor)
    nearest = torch.full((num_atoms * num_elements,), torch.inf, dtype=torch.float64)
    nearest = nearest.scatter_reduce(0, rows, distances, "amin").view(num_atoms, num_elements)
    shares = (1.0 - (distances / atoms.potential.cutoff).square()).square()
    parts = torch.zeros(num_atoms * num_elements, dtype=torch.float64).index_add(0, rows, shares)
    counts = parts.view(num_atoms, num_elements)
    total = counts.sum(1, keepdim=True)
    return torch.cat([nearest, total, counts / total.clamp(min=1e-30)], 1)


def set_distances(domain: TrainingDomain, near: LargestValues, num_tests: int) -> None:
    """Limits of distances, from the largest of their negatives; as far as the rarer element of a pair tells."""
    num_elements = len(domain.symbols)
    smallest, tails = -near.held[:, 0, :num_elements], -near.limits(num_tests)[:, :num_elements]
    limits = torch.clamp(tails, *((1.0 - slack) * smallest for slack in DISTANCE_SLACK))
    known = torch.stack([limits, smallest])
    known = torch.minimum(known, known.transpose(1, 2))
    domain.distance_range.copy_(torch.where(torch.isfinite(known), known, domain.cutoff))


def set_counts(domain: TrainingDomain, near: LargestValues, many: LargestValues, num_tests: int) -> None:
    """Limits of counts of neighbours and of shares, from the largest ones and the largest of their negatives."""
    number = len(domain.symbols)
    minimum, maximum = -near.held[:, 0, number:], many.held[:, 0]
    lower = torch.clamp(-near.limits(num_tests)[:, number:], *((1.0 - slack) * minimum for slack in COUNT_SLACK))
    upper = torch.clamp(many.limits(num_tests), *((1.0 + slack) * maximum for slack in reversed(COUNT_SLACK)))
    seen = near.num_rows > 0  # the functions of other elements as centres are outside anyway
    ranges = torch.stack([lower, minimum, maximum, upper])
    ranges = torch.where(seen.unsqueeze(1), ranges, unlimited(*ranges.shape[1:]))
    domain.count_range.copy_(ranges[:, :, 0])
    domain.share_range.copy_(ranges[:, :, 1:])
