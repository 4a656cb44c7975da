"""A training stops at the first number that is none, and names the structure."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch

from mhdnn.data.datamodule import StoreDataModule
from mhdnn.data.dataset import collate
from mhdnn.errors import NotFiniteError
from mhdnn.finite import first_not_finite
from mhdnn.structure import Batch

REMEDY = (
    "look at the structure and its labels (`mhdnn data check`), or lower optimizer.lr; the checkpoints of the "
    "epochs before are as they were"
)


SECONDS_FOR_THE_FIRST = 3.0


class FiniteGuard:
    """Remembers what was not finite until all processes of a training have come to the same place, and stops them.

    :param find_loss: the loss of a batch as a stage computes it
    """

    def __init__(self, find_loss: Callable[[Batch], torch.Tensor]) -> None:
        self.find_loss = find_loss
        self.problem: str | None = None

    def look_at(
        self,
        predicted: Mapping[str, torch.Tensor | None],
        loss: torch.Tensor,
        batch: Batch,
        data: StoreDataModule,
        part: str,
    ) -> torch.Tensor:
        """The loss, made NaN (which reaches the gradients of all processes) if it or a prediction is not finite.

        :param predicted: fields of a `mhdnn.prediction.Prediction`
        :param part: train or validation
        """
        found = first_not_finite(predicted, batch.geometry)
        if found is None and bool(torch.isfinite(loss)):
            return loss
        if self.problem is None:
            if found is not None:
                where = named(data, part, int(batch.geometry.dataset_index[found[0]]))
                self.problem = f"{where}: its {found[1]} came out as NaN or infinite"
            else:
                self.problem = self.search(batch, data, part, [])
        return loss * torch.nan

    def search(self, batch: Batch, data: StoreDataModule, part: str, parameters: Sequence[torch.Tensor]) -> str:
        """Which structure of a batch has a loss, or a gradient of it, that is not finite."""
        numbers = batch.geometry.dataset_index.tolist()
        for number in numbers:
            dataset = data.dataset(part)
            row = int(np.flatnonzero(dataset.indices == number)[0])
            single = collate([dataset[row]]).to(batch.geometry.positions.device)
            with torch.enable_grad():
                loss = self.find_loss(single)
                values = [loss.detach().reshape(1)]
                if parameters and loss.requires_grad:
                    gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
                    values += [gradient for gradient in gradients if gradient is not None]
            if not all(bool(torch.isfinite(value).all()) for value in values):
                return f"{named(data, part, number)}: its loss or a gradient of it came out as NaN or infinite"
        path = data.paths()[part]
        return f"{path}: the loss or gradient of structures {', '.join(map(str, numbers))} came out as NaN or infinite"

    def stop_at_gradients(
        self, parameters: Sequence[torch.Tensor], batch: Batch, data: StoreDataModule, distributed: bool
    ) -> None:
        """Before a step of the optimiser whose gradients, the same in all processes, are not finite.

        :raises NotFiniteError: naming the structure; the weights are those before the step
        """
        if not _gathered(self.problem, distributed):
            self.problem = self.search(batch, data, "train", parameters)
        self.stop(distributed)

    def stop(self, distributed: bool) -> None:
        """End the training of all processes if one of them has found something.

        :raises NotFiniteError: naming the structure
        """
        problems = _gathered(self.problem, distributed)
        if problems and distributed and torch.distributed.get_rank() > 0:
            time.sleep(SECONDS_FOR_THE_FIRST)  # else it may find the connection closed before it has heard everything
        if problems:
            raise NotFiniteError(f"{problems[0]}; {REMEDY}")


def named(data: StoreDataModule, part: str, number: int) -> str:
    """A structure as messages name it: store, index, group."""
    reader = data.reader_of(part)
    return f"{reader.name_of(number)} (group {reader.groups[number]!r}, {part})"


def _gathered(problem: str | None, distributed: bool) -> list[str]:
    """What all processes have found."""
    if not distributed:
        return [problem] if problem else []
    everything: list[str | None] = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(everything, problem)
    return [found for found in everything if found]
