"""Settings that other files or the data decide: symmetry functions and the cutoff."""

from __future__ import annotations

from importlib.resources import files

import numpy as np
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from mhdnn.data.store import StoreReader
from mhdnn.descriptors.input_nn import settings_from_input_nn
from mhdnn.training.cutoff import cutoff_from_data

console = Console()


def decided(config: DictConfig) -> DictConfig:
    """The configuration with nothing left open of what the model is made of.

    :raises ConfigError: if an input.nn can't be used
    :raises DataError: if the training data can't be read
    """
    return with_cutoff_of_data(with_functions_of_input_nn(with_functions_for_elements(config)))


def with_functions_for_elements(config: DictConfig) -> DictConfig:
    """The configuration with the choice of symmetry functions for so many elements where it has ``descriptor=auto``.

    :raises DataError: if the training data can't be read
    """
    if "one_element" not in config.descriptor:
        return config
    if config.elements == "auto":
        reader = StoreReader(config.data.train)
        num_elements = len(reader.elements())
        reader.close()
    else:
        num_elements = len(config.elements)
    name = config.descriptor.one_element if num_elements == 1 else config.descriptor.more_elements
    result = config.copy()
    OmegaConf.set_struct(result, False)
    result.descriptor = OmegaConf.create(files("mhdnn.configs").joinpath(f"descriptor/{name}.yaml").read_text("utf-8"))
    number = "one element" if num_elements == 1 else f"{num_elements} elements"
    console.print(f"descriptor: {name}, for {number} (`descriptor=` gives another)")
    return result


def with_functions_of_input_nn(config: DictConfig) -> DictConfig:
    """The configuration with symmetry functions and cutoff of the file that it names, if it names one."""
    if "input_nn" not in config.descriptor:
        return config
    settings, cutoff = settings_from_input_nn(config.descriptor)
    console.print(f"cutoff: {cutoff:.4f} Å ({config.descriptor.input_nn})", soft_wrap=True)
    result = config.copy()
    OmegaConf.set_struct(result, False)
    result.descriptor, result.cutoff = settings, cutoff
    return result


def with_cutoff_of_data(config: DictConfig) -> DictConfig:
    """The configuration with a number as cutoff: from the training data where it says ``auto``.

    :raises DataError: if they can't be read
    """
    if config.cutoff != "auto":
        return config
    reader = StoreReader(config.data.train)
    chosen = np.arange(len(reader)) if reader.split is None else np.flatnonzero(reader.split == "train")
    result = config.copy()
    result.cutoff = cutoff_from_data(reader, chosen)
    reader.close()
    console.print(f"cutoff: {result.cutoff} Å, from the neighbours in the data (`cutoff=` gives another)")
    return result
