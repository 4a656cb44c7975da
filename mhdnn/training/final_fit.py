r"""The linear part of a trained network, fitted once more: gradient descent leaves it unfinished.

Functions of distances and angles are much alike, so that the steps of a training, which are small for the linear part,
hardly get along directions in which few structures differ: of rigid slabs that slide, say. What the rest of the
potential leaves over is linear in these weights; ridge regression finds their change :math:`w` at once,

.. math:: \min_w \sum_s\sum_k \frac{u_sn_k}{\sigma_{ks}^2 + \langle\Delta_{ks}^2\rangle}
          \bigl\langle(\Delta_{ks} - R_{ks}w)^2\bigr\rangle + \lambda|w|^2,

with the remaining errors :math:`\Delta` of the structures s in energy and virial per atom and in forces (k), means over
their components, the weights u of the structures, and energies and forces counting four times (:math:`n_k`). The noise
:math:`\sigma` is that of the structure's family (`mhdnn.structure.family_of`): its root mean square error before, drawn
towards that of all where a family is small. So hot structures, whose errors the functions can't mend, don't drown those
at rest, nor the worst of a family the others: it is a step towards the least :math:`\sum un\log(1 +
\langle\Delta^2\rangle/\sigma^2)` (Cauchy's loss; Holland and Welsch 1977,
https://doi.org/10.1080/03610927708827533). The penalty :math:`\lambda` is that for which this is least on the
validation set; without one it is that of the least weighted squares of parts of the training set that are left out in
turn. If no fit makes that less, nothing is changed. Labels whose weight in the loss is zero don't count, nor do errors
beyond its thresholds, if it has any.

The change stands in the network (`AtomicNetwork.linear_change`): a training that starts from the potential begins
without it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from rich.console import Console
from rich.progress import Progress

from mhdnn.data.datamodule import StoreDataModule
from mhdnn.potential import Potential
from mhdnn.prediction import predict
from mhdnn.structure import Batch
from mhdnn.training.least_squares import NUM_FOLDS, PENALTIES, LeastSquares, cross_validated, least_squares
from mhdnn.training.loss import Loss
from mhdnn.training.ridge import ElementBasis, Equations, change_linear_part, equations, left_over

console = Console()
MOST_ATOMS = 20_000
"""Of a part."""
MOST_DISPLACED = 1_500_000
"""Atoms times components of forces whose equations are used: what these cost."""
MOST_BYTES = 2**28
"""Of the equations."""
LEAST_NOISE = torch.tensor([1e-5, 1e-4, 1e-3], dtype=torch.float64)
"""Of energies and virials per atom, eV, and of forces, eV/Å: labels are hardly better."""
COUNTS = torch.tensor([4.0, 1.0, 4.0], dtype=torch.float64)
"""What energy, virial and forces of a structure count."""
OWN_NOISE = 3.0
"""Structures of a family whose noise is half its own, half that of all."""


def fit_linear_part_again(potential: Potential, data: StoreDataModule, loss: Loss) -> None:
    """Change the linear weights of a trained potential, if it has any, and say how much better it is.

    :param loss: labels that it gives no weight don't count, nor do errors beyond its thresholds
    """
    if not potential.short_range.network.linear_skip:
        return
    with Progress(console=console, transient=True) as progress:
        progress.add_task("fitting the linear part", total=None)
        basis = ElementBasis(potential.short_range.network)
        training, validation = (kept(potential, basis, data, part, loss) for part in ("train", "validation"))
        solution, left = best_change(training, validation)
        if solution is not None:
            change_linear_part(potential.short_range.network, basis.weights(solution))
    name = "the validation set" if validation else "parts of the training set, left out in turn,"
    console.print(f"linear part fitted anew: loss of {name} {left - 1:+.0%}")


@dataclass
class Kept:
    """Equations of a batch, of energies, virials and forces; the targets are what the potential leaves over.

    :param families: of the structures
    :param weight: of the structures, shape (num_structures,)
    """

    blocks: list[Equations]
    families: list[str]
    weight: torch.Tensor

    def mean_squares(self) -> torch.Tensor:
        """Of the targets, shape (num_structures, 3); NaN where there is none."""
        return torch.cat(self.left(torch.zeros(self.blocks[0].rows.shape[1], 1, dtype=torch.float64)), 1)

    def left(self, solutions: torch.Tensor) -> list[torch.Tensor]:
        """Mean squares of what solutions leave over, for each kind, shape (num_structures, num_solutions).

        :param solutions: shape (num_unknowns, num_solutions)
        """
        result = []
        for block in self.blocks:
            squares = (block.targets.unsqueeze(1) - block.rows.double() @ solutions).square()
            sums = squares.new_zeros(len(self.families), squares.shape[1]).index_add(0, block.structures, squares)
            result.append(sums / self.numbers(block).unsqueeze(1))
        return result

    def numbers(self, block: Equations) -> torch.Tensor:
        """Of equations of each structure."""
        return torch.bincount(block.structures, minlength=len(self.families))

    def weighted(self, noise: Noise) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Rows and targets times the square roots of their weights, and numbers of their structures."""
        variances, rows, targets = noise.of(self.families).square() + self.mean_squares().nan_to_num(0.0), [], []
        for kind, block in enumerate(self.blocks):
            weight = self.weight * COUNTS[kind] / (variances[:, kind] * self.numbers(block))
            root = torch.sqrt(weight[block.structures])
            rows.append(root.unsqueeze(1) * block.rows)
            targets.append(root * block.targets)
        return torch.cat(rows), torch.cat(targets), torch.cat([block.structures for block in self.blocks])

    def losses(self, noise: Noise, solutions: torch.Tensor) -> torch.Tensor:
        """Cauchy's loss of each solution."""
        ratios = torch.stack(self.left(solutions), 1) / noise.of(self.families).square().unsqueeze(2)
        logarithms = torch.log1p(ratios.nan_to_num(0.0))
        return torch.einsum("s,k,skn->n", self.weight.double(), COUNTS, logarithms)


class Noise:
    r"""Root mean squares of what a potential leaves over, by families: of energies and virials per atom, eV, and of
    components of forces, eV/Å.

    Their logarithms are means of those of the structures of a family and, as `OWN_NOISE` structures, of those of all.
    """

    def __init__(self, parts: Iterable[Kept]) -> None:
        squares: dict[str, list[torch.Tensor]] = {}
        for part in parts:
            for family, values in zip(part.families, part.mean_squares(), strict=True):
                squares.setdefault(family, []).append(values)
        every = torch.stack([values for rows in squares.values() for values in rows])
        self.of_all = torch.maximum(every.nanmean(0).nan_to_num(1.0).sqrt(), LEAST_NOISE)
        self._of_families = {}
        for family, rows in squares.items():
            own = torch.stack(rows).nanmean(0).sqrt()
            own = torch.maximum(torch.where(own.isnan(), self.of_all, own), LEAST_NOISE)
            share = len(rows) / (len(rows) + OWN_NOISE)
            self._of_families[family] = own**share * self.of_all ** (1 - share)

    def of(self, families: Sequence[str]) -> torch.Tensor:
        """Of each structure, shape (num_structures, 3); of a family that was not seen: that of all."""
        return torch.stack([self._of_families.get(family, self.of_all) for family in families])


def kept(potential: Potential, basis: ElementBasis, data: StoreDataModule, part: str, loss: Loss) -> list[Kept]:
    """Equations of structures of a part that count; none if there is no such part."""
    if part not in data.indices or len(data.indices[part]) == 0:
        return []
    chosen, batches = data.chosen(MOST_ATOMS, part), list(data.thinned(MOST_ATOMS, part)())
    families = data.families(part)[chosen]
    num_atoms = sum(batch.geometry.num_atoms for batch in batches)
    bytes_of_a_row = 4 * basis.coordinates.shape[1] * (1 + len(potential.function_scale))
    most = max(1, min(MOST_DISPLACED // num_atoms, MOST_BYTES // (bytes_of_a_row * len(families))))
    generator, first, result = np.random.default_rng(0), 0, []
    for batch in (left_over(batch, predict(potential, batch.geometry)) for batch in batches):
        last = first + batch.geometry.num_structures
        blocks = []
        for block, most_error in zip(
            equations(potential, basis, batch, generator, most), largest_errors(loss, batch), strict=True
        ):
            known = block.targets.abs() <= most_error[block.structures]  # not of NaN
            blocks.append(Equations(block.rows[known].float(), block.targets[known], block.structures[known]))
        result.append(Kept(blocks, families[first:last].tolist(), batch.labels.weight))
        first = last
    return result


def largest_errors(loss: Loss, batch: Batch) -> list[torch.Tensor]:
    """Of energies, virials and forces of each structure, in the units of `Kept`, up to which they count."""
    weights = loss.energy_weight.end, loss.stress_weight, loss.force_weight
    ones = torch.ones(batch.geometry.num_structures, dtype=torch.float64)
    limits = [ones * (torch.inf if weight > 0 else -1.0) for weight in weights]
    if loss.thresholds is not None:
        given = loss.thresholds
        volume = batch.geometry.volume / batch.geometry.num_atoms_per_structure
        own = ones * given.energy, given.stress * volume, ones * given.force
        limits = [torch.minimum(limit, least) for limit, least in zip(limits, own, strict=True)]
    return limits


def best_change(training: list[Kept], validation: list[Kept]) -> tuple[torch.Tensor | None, float]:
    """Change of the unknowns, and the share of the loss that it leaves of the validation set, or of parts of the
    training set that are left out in turn.

    :return: None and one if no change makes it smaller
    """
    noise = Noise(training)
    system = system_of(training, noise)
    if not any(system.squares(fold) > 0 for fold in range(NUM_FOLDS)):
        return None, 1.0
    if not validation:
        penalty, share = cross_validated(system)
        return (system.solve(penalty), share) if share < 1 else (None, 1.0)
    found = [system.solve(penalty) for penalty in PENALTIES]
    solutions = torch.stack([torch.zeros_like(found[0]), *found], 1)
    losses = sum(part.losses(noise, solutions) for part in validation)
    assert isinstance(losses, torch.Tensor)
    best = int(np.nanargmin(losses))
    return (None, 1.0) if best == 0 else (solutions[:, best], float(losses[best] / losses[0]))


def system_of(training: list[Kept], noise: Noise) -> LeastSquares:
    """The weighted equations; structures in turn are of one fold and the next."""
    system, first = least_squares(training[0].blocks[0].rows.shape[1]), 0
    for part in training:
        rows, targets, structures = part.weighted(noise)
        folds = (first + structures) % NUM_FOLDS
        for fold in range(NUM_FOLDS):
            system.add(rows[folds == fold], targets[folds == fold], fold)
        if system.is_full():
            break
        first += len(part.families)
    return system
