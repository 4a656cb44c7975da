"""Which settings a training has: groups, their choices, defaults."""

from __future__ import annotations

import importlib.resources
from collections.abc import Iterator, Sequence
from typing import cast

from hydra import compose, initialize_config_module
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf

CONFIGS = "mhdnn.configs"


def choices(group: str) -> list[str]:
    """Names of the files of a group."""
    folder = importlib.resources.files(CONFIGS).joinpath(group)
    return sorted(path.name.removesuffix(".yaml") for path in folder.iterdir() if path.name.endswith(".yaml"))


def groups() -> list[str]:
    """Names of all groups."""
    folder = importlib.resources.files(CONFIGS)
    return sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith("_"))


def group_choice(group: str, choice: str) -> DictConfig:
    """The settings of a choice of a group, by themselves."""
    text = importlib.resources.files(CONFIGS).joinpath(group, f"{choice}.yaml").read_text("utf-8")
    return cast(DictConfig, OmegaConf.create(text))


def default_config(arguments: Sequence[str]) -> DictConfig:
    """The settings with those choices of groups among the arguments that exist, and nothing else changed."""
    chosen = []
    for argument in arguments:
        group, _, choice = argument.partition("=")
        if group in groups() and choice in choices(group):
            chosen.append(argument)
    GlobalHydra.instance().clear()
    with initialize_config_module(CONFIGS, version_base="1.3"):
        return compose("train", overrides=chosen)


def setting_names(config: DictConfig, prefix: str = "") -> Iterator[str]:
    """Dotted names of all settings."""
    for key in map(str, config):
        node = config._get_node(key)
        if isinstance(node, DictConfig) and not node._is_none() and not node._is_missing():
            yield from setting_names(node, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}"
