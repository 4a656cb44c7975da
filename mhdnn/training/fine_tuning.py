"""What is fitted before a training that starts from a model: little, and nothing that the model has decided."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from ase.data import atomic_numbers as atomic_number_of
from ase.data import chemical_symbols
from rich.console import Console

from mhdnn.data.datamodule import StoreDataModule
from mhdnn.errors import ConfigError, DataError
from mhdnn.potential import Potential
from mhdnn.structure import Batch
from mhdnn.training.initial_model import InitialModel
from mhdnn.training.initialization import ROTATION, ROUND_OFF_MARGIN, Initialization, unscaled_functions
from mhdnn.training.offsets import SourceOffsets, fit_to_residuals
from mhdnn.training.transplant import Elements, FunctionMap, scale_functions, transplant

console = Console()


@dataclass
class FineTuning(Initialization):
    """The same for a training that starts from a model, with its weights.

    Ranges are those of the training set; nuclei repel each other below the distances of this and of the model's data.

    :param model: that it starts from
    """

    model: InitialModel

    @cached_property
    def elements(self) -> Elements:
        """Those of the model and of the training."""
        numbers = sorted(int(atomic_number_of[symbol]) for symbol in self.config.elements)
        return Elements(self.model.atomic_numbers, numbers)

    def scale_functions(self) -> None:
        """With the weights of the model."""
        functions = transplant(self.model.potential, self.potential, self.elements)
        if self.elements.added:
            console.print(f"new elements: {self.elements.words()}, to begin with", soft_wrap=True)
        scale_new_functions(self.potential, functions, self.scaling_sample())

    def known_distances(self) -> torch.Tensor | None:
        """Those of the model's data."""
        return known_distances(self.model.potential, self.elements)

    def charges(self) -> None:
        """Mean charges of new elements."""
        model = self.potential.charge_model
        if self.elements.added and model is not None:
            kept, mean, scale = self.elements.kept, model.charge_mean.clone(), model.charge_scale.clone()
            super().charges()
            model.charge_mean[kept] = mean[kept]
            model.charge_scale.copy_(scale)

    def fit_energies(self) -> None:
        """Reference energies alone."""
        choice = self.config.initialization.reference_energies
        set_reference_energies(self.potential, self.data, choice, self.elements, self.offsets)


def known_distances(old: Potential, elements: Elements) -> torch.Tensor | None:
    """Shortest distances in the data of the model, by the new elements, infinite where it had none; None: not known."""
    if not old.domain.is_complete():
        return None
    shortest = old.domain.distance_range[1]
    result = torch.full((len(elements.new),) * 2, torch.inf, dtype=torch.float64)
    rows = torch.tensor(elements.kept)
    result[rows.unsqueeze(1), rows] = torch.where(shortest < old.cutoff, shortest, torch.inf)
    return result


def scale_new_functions(potential: Potential, functions: FunctionMap, batches: Iterable[Batch]) -> None:
    """Functions of new elements in units of their root mean square where they are not zero.

    Those of the model that did not vary in its data, and vary now, come into play with weights of zero.
    """
    silent = functions.is_old & (potential.function_scale == 0)
    if bool(functions.is_old.all()) and not bool(silent.any()):
        return
    squares = torch.zeros(len(silent), dtype=torch.float64)
    noise, count = torch.zeros_like(squares), torch.zeros_like(squares)
    mean = potential.function_mean.double()
    for batch in batches:
        values, turned = (unscaled_functions(potential, batch.geometry, rotation) for rotation in (None, ROTATION))
        squares += ((values - mean) ** 2).sum(0)
        noise += ((values - turned) ** 2).sum(0)
        count += (values != mean).sum(0)
    size, margin = torch.sqrt(squares / count.clamp(min=1)), torch.sqrt(noise / count.clamp(min=1))
    varies = size > torch.clamp(ROUND_OFF_MARGIN * margin, min=torch.finfo(potential.function_scale.dtype).tiny ** 0.5)
    own = torch.where(varies, 1.0 / torch.where(varies, size, 1.0), 0.0).to(potential.function_scale)
    # of silent functions the old scale is zero, and so the weights become
    scale_functions(potential, torch.where(functions.is_old & ~silent, potential.function_scale, own))


def set_reference_energies(
    potential: Potential, data: StoreDataModule, choice: Any, elements: Elements, offsets: SourceOffsets | None
) -> None:
    """Least squares of what the model, which knows no reference energies of new elements, leaves over.

    :param choice: ``keep``: those of the model stay, new elements get theirs; ``fit``: all change; or the new ones'
    :raises ConfigError: if energies are given for elements that the model knows, or not for all new ones
    """
    rows = elements.added if choice == "keep" else list(range(len(elements.new)))
    if choice not in ("keep", "fit"):
        rows = []
        set_given(potential, choice, elements)
    if (not rows and offsets is None) or "energy" not in data.train_reader.labels:
        return
    solution = fit_to_residuals(potential, data, rows, offsets)
    if solution is None:
        raise DataError(
            f"{data.train_reader.path}: no structure with an energy has the new elements; give their reference "
            "energies, as in 'initialization.reference_energies={Li: -1.9}'"
        )
    potential.short_range.reference_energies[rows] += solution


def set_given(potential: Potential, energies: Any, elements: Elements) -> None:
    """Reference energies of new elements as the user gives them.

    :raises ConfigError: naming elements for which there are too many or too few
    """
    new = [chemical_symbols[elements.new[row]] for row in elements.added]
    if set(energies) != set(new):
        raise ConfigError(
            f"`initialization.reference_energies`: expected those of the new elements, {new}, got {sorted(energies)}; "
            "the others are the model's"
        )
    for symbol, row in zip(new, elements.added, strict=True):
        potential.short_range.reference_energies[row] = float(energies[symbol])
