"""The settings of `mhdnn train`, with their types and ranges (those of ``configs/``, which has their meaning)."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, Optional, Union

import pytorch_lightning as pl
from ase.data import atomic_numbers, chemical_symbols
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import InterpolationResolutionError, MissingMandatoryValue

from mhdnn.errors import ConfigError
from mhdnn.networks import ACTIVATIONS
from mhdnn.potential import DTYPES
from mhdnn.training.descriptor_settings import AutomaticFunctions, CutoffFunction, Functions, InputNN, Listed, Path
from mhdnn.typed import ANYTHING, NOT_EMPTY, Count, CountOrZero, NotNegative, Positive, Range, Rule, check, one_of

Element = Annotated[
    str,
    Rule(
        lambda symbol: symbol in atomic_numbers and symbol != "X", "a chemical symbol", {"enum": chemical_symbols[1:]}
    ),
]
Seed = Annotated[int, Range(least=0, most=2**32 - 1)]
Activation = Annotated[str, one_of(ACTIVATIONS)]
Paths = Union[Path, Annotated[list[Path], NOT_EMPTY]]
Precision = Annotated[str, one_of(DTYPES)]


@dataclass
class Network:
    """Of the energies, or of the electronegativities."""

    kind: Literal["shared", "per_element"]
    species_feature: Literal["embedding", "atomic_number"]
    embedding_dimension: Count
    hidden: Annotated[list[Count], NOT_EMPTY]
    activation: Activation
    linear_skip: bool


@dataclass
class Screening:
    """Å."""

    inner: NotNegative
    outer: Optional[Positive]
    function: CutoffFunction = "cosine"


@dataclass
class NoCharges:
    """A short-range potential."""

    kind: Literal["none"]


@dataclass
class Equilibration:
    """Charge equilibration."""

    kind: Literal["equilibration"]
    widths: Union[Literal["covalent"], dict[Element, Positive]]
    initial_hardness: Positive
    screening: Union[None, Literal["self"], Screening]
    accuracy: Annotated[float, Range(above=0, below=1e-2)]
    network: Network
    max_epochs: Count
    joint_epochs: CountOrZero
    joint_charge_weight: NotNegative


@dataclass
class NoRepulsion:
    """Nuclei repel each other as the network has it."""

    kind: Literal["none"]


@dataclass
class UniversalRepulsion:
    """Radii as fractions of the shortest distance of each pair of elements in the training set."""

    kind: Literal["zbl"]
    inner: NotNegative
    outer: Positive


@dataclass
class EnergyWeight:
    """From the first step to the last."""

    start: NotNegative
    end: NotNegative


@dataclass
class LossThresholds:
    """From which on errors count linearly: eV/atom, eV/Å, GPa."""

    energy: Positive
    force: Positive
    stress: Positive


@dataclass
class LossWeights:
    """Of energies, forces and stress."""

    energy_weight: EnergyWeight
    force_weight: NotNegative
    stress_weight: NotNegative
    thresholds: Optional[LossThresholds] = None


@dataclass
class Store:
    """The datasets and their split."""

    train: Paths
    validation: Optional[Paths]
    test: Optional[Paths]
    validation_fraction: Annotated[float, Range(least=0, below=1)]
    split_by: Literal["auto", "group", "structure"]
    split_seed: Seed
    dispersion: bool
    total_charge: Optional[float]
    weights: Optional[dict[str, NotNegative]]
    fractions: Optional[list[Positive]]
    offsets: bool
    batch_size: Count
    num_workers: CountOrZero
    cache_megabytes: NotNegative


@dataclass
class Initialization:
    """What is fitted before training."""

    reference_energies: Union[Literal["fit", "keep"], dict[Element, float]]
    scaling_atoms: Count
    ridge_atoms: Count
    ridge_energy_weight: NotNegative


@dataclass
class Ensemble:
    """Networks on the same symmetry functions."""

    size: Count


@dataclass
class Trainer:
    """Keywords of Lightning's Trainer; those that are not here are its own affair."""

    _target_: str
    max_epochs: Count
    accelerator: str
    devices: Union[str, Count, list[CountOrZero]]
    num_nodes: Count
    strategy: Union[str, dict[str, Any]]
    gradient_clip_val: Optional[NotNegative]
    log_every_n_steps: Count
    check_val_every_n_epoch: Optional[Union[Literal["auto"], Count]]
    max_steps: Union[Literal[-1], Count]
    enable_model_summary: bool
    enable_progress_bar: bool
    num_sanity_val_steps: Annotated[int, Range(least=-1)]
    inference_mode: bool
    use_distributed_sampler: bool
    MORE: ClassVar[tuple[str, ...]] = tuple(inspect.signature(pl.Trainer).parameters)


@dataclass
class Other:
    """Something that Hydra makes, with keywords of its own."""

    _target_: str
    MORE: ClassVar[str] = ANYTHING


@dataclass
class AdamW:
    """Keywords of `mhdnn.training.optimization.adamw`."""

    _target_: str
    _partial_: bool
    lr: Positive
    linear_lr: Positive
    contraction_lr: Optional[Positive]
    weight_decay: NotNegative
    amsgrad: bool = False


@dataclass
class WarmupCosine:
    """Keywords of `mhdnn.training.optimization.warmup_cosine`."""

    _target_: str
    _partial_: bool
    warmup_steps: CountOrZero


@dataclass
class Plateau:
    """Keywords of torch's ReduceLROnPlateau."""

    _target_: str
    _partial_: bool
    factor: Annotated[float, Range(above=0, below=1)]
    patience: CountOrZero
    min_lr: NotNegative
    MORE: ClassVar[tuple[str, ...]] = ("mode", "threshold", "threshold_mode", "cooldown", "eps")


@dataclass
class Average:
    """Keywords of `mhdnn.training.callbacks.MovingAverage`."""

    _target_: str
    decay: Annotated[float, Range(least=0, below=1)]


@dataclass
class EarlyStopping:
    """Keywords of Lightning's EarlyStopping."""

    _target_: str
    monitor: str
    patience: Count
    MORE: ClassVar[str] = ANYTHING


TARGETS = {
    "mhdnn.training.optimization.adamw": AdamW,
    "mhdnn.training.optimization.warmup_cosine": WarmupCosine,
    "torch.optim.lr_scheduler.ReduceLROnPlateau": Plateau,
    "mhdnn.training.callbacks.MovingAverage": Average,
    "pytorch_lightning.callbacks.EarlyStopping": EarlyStopping,
}
"""What is known of the keywords of what Hydra makes."""


@dataclass
class Settings:
    """All of them; a group that Hydra makes something of is checked by its ``_target_``."""

    data: Store
    descriptor: Union[AutomaticFunctions, Functions, InputNN, Listed]
    network: Network
    charges: Union[NoCharges, Equilibration]
    repulsion: Union[NoRepulsion, UniversalRepulsion]
    loss: LossWeights
    optimizer: Other
    trainer: Trainer
    callbacks: dict[str, Optional[Other]]
    logger: dict[str, Optional[Other]]
    name: Annotated[str, NOT_EMPTY]
    seed: Seed
    dtype: Precision
    cutoff: Union[Literal["auto"], Annotated[float, Range(above=0, unit="Å")]]
    elements: Union[Literal["auto"], Annotated[list[Element], NOT_EMPTY]]
    init: Optional[Path]
    resume: Optional[Path]
    resume_changed: bool
    weights: Literal["last", "best"]
    final_fit: bool
    report: bool
    initialization: Initialization
    ensemble: Ensemble
    scheduler: Optional[Other] = None


LATER = ("callbacks", "logger")
"""Groups that name the folder of the run, which is not known before it begins."""


def check_settings(config: DictConfig) -> dict[str, Any]:
    """Refuse settings of the wrong type or out of range, before anything is read or built.

    :param config: composed from mhdnn.configs
    :return: the settings as plain values
    :raises ConfigError: naming the key, what is expected and what came
    """
    settings: dict[str, Any] = {}
    for key in map(str, config):
        if OmegaConf.is_missing(config, key):
            raise ConfigError(f"`{key}`: is missing")
        node = config._get_node(key)
        try:
            is_group = OmegaConf.is_config(node)
            resolve = key not in LATER
            settings[key] = (
                OmegaConf.to_container(node, resolve=resolve, throw_on_missing=True) if is_group else config[key]
            )
        except MissingMandatoryValue as error:
            name = error.full_key or key
            raise ConfigError(f"`{name}`: has no value yet; give one, as in {name}=...") from error
        except InterpolationResolutionError as error:
            raise ConfigError(f"`{error.full_key or key}`: {str(error).splitlines()[0]}") from error
    check(settings, Settings)
    for key in ("optimizer", "scheduler"):
        if settings.get(key):
            check(settings[key], TARGETS.get(settings[key]["_target_"], Other), key)
    for group in LATER:
        for name, entry in settings[group].items():
            if entry:
                check(entry, TARGETS.get(entry["_target_"], Other), f"{group}.{name}")
    if not any(_weights(settings["loss"])):
        raise ConfigError("`loss`: expected at least one weight greater than 0, got none; nothing would be trained")
    return settings


def _weights(loss: dict[str, Any]) -> list[float]:
    return [loss["energy_weight"]["end"], loss["force_weight"], loss["stress_weight"]]
