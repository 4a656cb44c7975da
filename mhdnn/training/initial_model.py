"""The model that a training starts from (``init=``), and what it decides of the settings."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from ase.data import atomic_numbers as atomic_number_of
from ase.data import chemical_symbols
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from mhdnn.data.datamodule import StoreDataModule
from mhdnn.data.joined import UNKNOWN, known_parts, open_stores
from mhdnn.deploy.export import CHECKPOINT_KEY, potential_from_checkpoint, read_checkpoint
from mhdnn.deploy.model_file import first_line, is_model_file, load_model
from mhdnn.errors import ConfigError, ModelError
from mhdnn.factory import build_potential
from mhdnn.files import is_same_file
from mhdnn.potential import Potential
from mhdnn.training.configuration import default_config, group_choice
from mhdnn.training.resume import flat
from mhdnn.typed import shown

console = Console()
FINE_TUNING: dict[str, Any] = {
    "optimizer.lr": 1e-3,
    "trainer.max_epochs": 30,
    "charges.max_epochs": 20,
    "initialization.reference_energies": "keep",
}
"""Defaults of a training that starts from a model (docs/benchmarks.md has what was tried)."""
OF_THE_MODEL = ("cutoff", "dtype", "descriptor", "network", "repulsion", "charges", "ensemble")
"""Settings that the model has decided."""
LEVELS = ("functional", "energy_kind")
"""Attributes of datasets on which reference energies depend."""
OF_ITS_CHARGES = ("kind", "widths", "initial_hardness", "screening", "accuracy", "network")


@dataclass(frozen=True)
class InitialModel:
    """What a training starts from.

    :param path: of the file
    :param potential: with its weights
    :param settings: plain ones it was built from
    :param training: where its training data came from (`mhdnn.training.assembly.provenance`)
    """

    path: Path
    potential: Potential
    settings: dict[str, Any]
    training: dict[str, Any]

    @property
    def atomic_numbers(self) -> list[int]:
        return [int(number) for number in self.settings["atomic_numbers"]]

    @property
    def trained_on(self) -> list[str]:
        """Names of the files that it was trained on; empty where they are not known."""
        names: str = self.training.get("data", {}).get("train", "")
        return names.split(", ") if names else []

    @property
    def num_trained_on(self) -> int:
        """Number of structures that it was trained on; 0 where it is not known."""
        return int(self.training.get("num_structures", {}).get("train", 0))


def read_initial(path: Path | str) -> InitialModel:
    """A model file or a checkpoint as something to start from.

    :raises ModelError: if the file can't be read, or holds a potential that can't be trained
    """
    path = Path(path)
    if zipfile.is_zipfile(path) and not is_model_file(path):
        checkpoint = read_checkpoint(path)
        potential, settings = potential_from_checkpoint(checkpoint)
        return InitialModel(path, potential, settings, checkpoint[CHECKPOINT_KEY].get("training", {}))
    script, metadata = load_model(path)
    settings = metadata["settings"]
    if settings["network"]["kind"] == "layers":
        raise ModelError(f"{path}: `init`: potentials of other programs can't be trained further; give one of mhdnn's")
    try:
        potential = build_potential(settings)
        potential.load_state_dict(script.state_dict())
    except (KeyError, RuntimeError) as error:
        raise ModelError(f"{path}: its settings and weights don't fit together ({first_line(error)})") from error
    return InitialModel(path, potential, settings, metadata.get("training", {}))


def check_stays(path: Path | str, folder: Path) -> None:
    """Refuse to replace what a training starts from.

    :param folder: where the training writes
    :raises ConfigError: if the model or checkpoint is what the training writes there
    """
    home = Path(os.path.realpath(path)).parent
    if is_same_file(Path(path), folder / "model.pt") or is_same_file(home, folder / "checkpoints"):
        raise ConfigError(
            f"`hydra.run.dir`: expected another folder than {folder}, where the training would replace {path}, which "
            "it starts from (`init`); choose a new one"
        )


def with_initial_model(config: DictConfig, model: InitialModel) -> DictConfig:
    """The configuration with what the model has decided, and with the defaults of fine-tuning.

    :raises ConfigError: if a setting contradicts the model
    """
    given = given_keys()
    result = config.copy()
    OmegaConf.set_struct(result, False)
    decided = settings_of(model, config)
    check_contradictions(config, decided, given, model)
    for key, value in decided.items():
        result[key] = value
    result.data.dispersion = not model.settings.get("dispersion_left_out")
    if config.elements == "auto":
        numbers = sorted({*model.atomic_numbers, *open_stores(config.data.train).elements()})
        result.elements = [chemical_symbols[number] for number in numbers]
    check_elements(result, model)
    changed = []
    standard = default_values()
    for key, value in FINE_TUNING.items():
        has_key = OmegaConf.select(result, key) is not None
        if has_key and key not in given and OmegaConf.select(result, key) == standard.get(key):
            OmegaConf.update(result, key, value)
            changed.append(f"{key}={shown(value)}")
    console.print(f"starts from {model.path}; defaults of fine-tuning: {', '.join(changed) or 'none'}", soft_wrap=True)
    return result


def settings_of(model: InitialModel, config: DictConfig) -> dict[str, Any]:
    """The groups of the configuration as the model has them; how long charges are trained stays."""
    network = dict(model.settings["network"])
    size = int(network.pop("num_members", 1))
    repulsion = model.settings.get("repulsion")
    result = {
        "cutoff": float(model.settings["cutoff"]),
        "dtype": model.settings["dtype"],
        "descriptor": model.settings["descriptor"],
        "network": network,
        "repulsion": {"kind": "zbl", **repulsion} if repulsion else {"kind": "none"},
        "charges": {"kind": "none"},
        "ensemble": {"size": size},
    }
    if model.settings.get("charges"):
        own: Mapping[str, Any] = (
            config.charges if config.charges.kind != "none" else group_choice("charges", "equilibration")
        )
        duration = {key: value for key, value in own.items() if key not in OF_ITS_CHARGES}
        result["charges"] = {"kind": "equilibration", **model.settings["charges"], **duration}
    return result


def given_keys() -> set[str]:
    """Keys and groups that the user has given on the command line; empty where Hydra has none."""
    if not HydraConfig.initialized():
        return set()
    return {override.lstrip("+~").partition("=")[0] for override in HydraConfig.get().overrides.task}


@cache
def default_values() -> Mapping[str, Any]:
    """All defaults by their dotted names."""
    return flat(OmegaConf.to_container(default_config([]), resolve=False))  # type: ignore[arg-type]


def check_contradictions(
    config: DictConfig, decided: Mapping[str, Any], given: Iterable[str], model: InitialModel
) -> None:
    """Refuse settings that would make another model: given ones, and those that an experiment has changed.

    :raises ConfigError: naming all of them
    """
    standard, given = default_values(), set(given)
    plain = {
        key: OmegaConf.to_container(config[key], resolve=True) if OmegaConf.is_config(config[key]) else config[key]
        for key in decided
    }
    wanted = flat(plain)
    own = flat(decided)
    found = []
    for name, value in wanted.items():
        if name.startswith("charges") and name.partition(".")[2].partition(".")[0] not in OF_ITS_CHARGES:
            continue
        is_given = name in given or (name.partition(".")[0] in given and value != standard.get(name))
        changed = is_given or name not in standard or value != standard[name]
        if changed and value != "auto" and own.get(name) != value:
            has = shown(own[name]) if name in own else "no such setting"
            found.append(f"{name}={shown(value)} (the model: {has})")
    left_out = bool(model.settings.get("dispersion_left_out"))
    if not left_out and not config.data.dispersion:
        found.append("data.dispersion=false (the model: true)")
    if left_out and "data.dispersion" in given and config.data.dispersion:
        found.append("data.dispersion=true (the model: false)")
    if found:
        raise ConfigError(
            f"`init`: {model.path} has decided its form, these settings contradict it: {', '.join(found)}; leave them "
            "out, or train from nothing"
        )


def check_elements(config: DictConfig, model: InitialModel) -> None:
    """Refuse to take elements away, and new ones that the functions are not defined for.

    :raises ConfigError: naming them
    """
    wanted = {atomic_number_of[symbol] for symbol in config.elements}
    if missing := sorted(set(model.atomic_numbers) - wanted):
        raise ConfigError(
            f"`elements`: the model of `init` has {symbols(missing)}, too; add them, or leave elements=auto"
        )
    added = sorted(wanted - set(model.atomic_numbers))
    if added and "functions" in config.descriptor:
        raise ConfigError(
            f"`init`: the symmetry functions of {model.path} are given one by one, none for {symbols(added)}; "
            "train from nothing, with functions for all elements"
        )


def symbols(numbers: Iterable[int]) -> str:
    """Chemical symbols with commas."""
    return ", ".join(chemical_symbols[number] for number in numbers)


def check_same_level(model: InitialModel, data: StoreDataModule, config: DictConfig) -> None:
    """Refuse energies of another functional or kind than the model's where its reference energies stay.

    :raises ConfigError: naming both
    """
    if config.initialization.reference_energies != "keep" or data.offsets:
        return
    of_model, of_data = model.training.get("attributes", {}), data.train_reader.attributes
    for name in LEVELS:
        before, now = (known_parts(attributes.get(name, UNKNOWN)) for attributes in (of_model, of_data))
        if before and now - before:
            raise ConfigError(
                f"`init`: {model.path} was trained on energies with {name} {of_model[name]}, the data have "
                f"{of_data[name]}; let the reference energies follow them by initialization.reference_energies=fit"
            )


def check_same_dispersion(model: InitialModel, data: StoreDataModule) -> None:
    """Refuse data that leave another dispersion correction out than the model does.

    :raises ConfigError: naming both
    """
    of_model = model.settings.get("dispersion_left_out")
    if data.dispersion_left_out != of_model:
        raise ConfigError(
            f"`init`: {model.path} was trained without dispersion {of_model!r}, the data leave out "
            f"{data.dispersion_left_out!r}; give data with the same correction"
        )
