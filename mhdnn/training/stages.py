"""Stages of a training: what each trains, by which loss, what is fitted directly before it, and how long it takes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from omegaconf import DictConfig

from mhdnn.potential import Potential
from mhdnn.prediction import has_charges
from mhdnn.training.charges import ChargeModule
from mhdnn.training.initialization import Initialization
from mhdnn.training.loss import build_loss
from mhdnn.training.module import PotentialModule, StageModule
from mhdnn.training.offsets import SourceOffsets
from mhdnn.training.without_charges import FunctionModule

CHARGE_PARAMETERS = ("charge_model.", "descriptor.")
"""Beginnings of the names of what determines the charges."""


@dataclass(frozen=True)
class Stage(ABC):
    """A part of a training with an optimiser of its own.

    :cvar name: stands in checkpoints, and before the names of those of all stages but the last
    :cvar continues: whether the optimiser goes on with the moments of the stage before
    :cvar trains_charges: whether it trains what determines the charges
    :param max_epochs: how long it takes at most
    :param span: begin and end as fractions of the schedule that it may share with other stages
    :param is_last: whether it ends the training
    """

    name: ClassVar[str]
    continues: ClassVar[bool] = False
    trains_charges: ClassVar[bool] = False

    max_epochs: int
    span: tuple[float, float] = (0.0, 1.0)
    is_last: bool = True

    @abstractmethod
    def trains(self, parameter: str) -> bool:
        """Whether a parameter of a potential with charges, given by its name, belongs to the stage."""

    @abstractmethod
    def initialize(self, initialization: Initialization) -> None:
        """Fit what needs no gradient descent."""

    @abstractmethod
    def module(self, options: dict[str, Any], loss: Mapping[str, Any], offsets: SourceOffsets | None) -> StageModule:
        """The Lightning module.

        :param options: of every `StageModule`
        :param loss: the group ``loss`` of the configuration
        :param offsets: reference energies of the sources
        """

    def choose_parameters(self, potential: Potential) -> None:
        """Let those be trained that belong to the stage; of a potential without charges all do."""
        if has_charges(potential):
            for name, parameter in potential.named_parameters():
                is_there = parameter.numel() > 0  # without linear part there is an empty one
                parameter.requires_grad_(is_there and self.trains(name))


class ChargeStage(Stage):
    """The charge model, from atomic charges; symmetry functions stay as they are."""

    name = "charges"
    trains_charges = True

    def trains(self, parameter: str) -> bool:
        return parameter.startswith("charge_model.")

    def initialize(self, initialization: Initialization) -> None:
        initialization.charges()

    def module(self, options: dict[str, Any], loss: Mapping[str, Any], offsets: SourceOffsets | None) -> StageModule:
        return ChargeModule(**options)


@dataclass(frozen=True)
class EnergyStage(Stage):
    """Everything else, from energies, forces and stress; charges stay as they are.

    :param charge_weight: of the charges in the loss, eV²/e²
    :param after_functions: whether a stage before has trained the network for the sake of the functions: it begins anew
    """

    name = "energies"

    charge_weight: float = 0.0
    after_functions: bool = False

    def trains(self, parameter: str) -> bool:
        return not parameter.startswith(CHARGE_PARAMETERS)

    def initialize(self, initialization: Initialization) -> None:
        if self.after_functions:
            initialization.renew_network()
        initialization.energies()

    def module(self, options: dict[str, Any], loss: Mapping[str, Any], offsets: SourceOffsets | None) -> StageModule:
        own = build_loss(loss, self.charge_weight, options["mean_weight"])
        return PotentialModule(loss=own, offsets=offsets, **options)


class FunctionStage(EnergyStage):
    """Learned functions, from energies, forces and stress of the potential without its charges.

    Functions that are learned from the charges, of which there are few, give twice the errors of forces, and so does
    learning everything together (docs/benchmarks.md).
    """

    name = "functions"

    def trains(self, parameter: str) -> bool:
        return not parameter.startswith("charge_model.")

    def initialize(self, initialization: Initialization) -> None:
        initialization.scale_energies()

    def module(self, options: dict[str, Any], loss: Mapping[str, Any], offsets: SourceOffsets | None) -> StageModule:
        own = build_loss(loss, 0.0, options["mean_weight"])
        return FunctionModule(loss=own, offsets=offsets, **options)


class JointStage(EnergyStage):
    """All parameters, from all labels, on the schedule of the energies."""

    name = "joint"
    continues = True
    trains_charges = True

    def trains(self, parameter: str) -> bool:
        return True

    def initialize(self, initialization: Initialization) -> None:
        """Nothing: the stage before has done it."""


def stages_of(config: DictConfig, learns_functions: bool) -> list[Stage]:
    """Stages of the training, in their order.

    :param learns_functions: whether symmetry functions are to be learned, and not taken from a model
    """
    epochs = config.trainer.max_epochs
    if config.charges.kind == "none":
        return [EnergyStage(epochs)]
    first: list[Stage] = [FunctionStage(epochs, is_last=False)] if learns_functions else []
    first.append(ChargeStage(config.charges.max_epochs, is_last=False))
    joint_epochs = config.charges.joint_epochs
    if joint_epochs == 0:
        return [*first, EnergyStage(epochs, after_functions=learns_functions)]
    share = epochs / (epochs + joint_epochs)
    energies = EnergyStage(epochs, (0.0, share), is_last=False, after_functions=learns_functions)
    joint = JointStage(joint_epochs, (share, 1.0), charge_weight=config.charges.joint_charge_weight)
    return [*first, energies, joint]
