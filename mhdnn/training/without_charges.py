"""A potential with charges as it is without them, for the stage that learns its symmetry functions."""

from __future__ import annotations

from typing import Any

import torch

from mhdnn.potential import Potential
from mhdnn.training.module import PotentialModule


class WithoutCharges:
    """A potential without its electrostatics; its network sees every charge at the mean of the element.

    What is not said here is the potential's own.

    :param potential: with charges
    """

    charge_model = None

    def __init__(self, potential: Potential) -> None:
        self._potential = potential

    def __getattr__(self, name: str) -> Any:
        return getattr(self._potential, name)

    def scaled(self, functions: torch.Tensor) -> torch.Tensor:
        """What the network sees."""
        return self._potential.linear_inputs(self._potential.scaled(functions))

    def energies_of(
        self, inputs: torch.Tensor, element_index: torch.Tensor, charges: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Short-range energies, shape (num_atoms,), eV; inputs from `scaled`."""
        return self._potential.short_range(inputs, element_index)


class FunctionModule(PotentialModule):
    """Trains a potential as it is without its charges."""

    @property
    def evaluated(self) -> Any:
        return WithoutCharges(self.potential)
