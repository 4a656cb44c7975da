"""Settings that other files or the data decide: symmetry functions and the cutoff."""

from __future__ import annotations

from importlib.resources import files

import numpy as np
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from mhdnn.data.datamodule import parts_of
from mhdnn.data.joined import open_stores, sources_of
from mhdnn.descriptors.input_nn import settings_from_input_nn
from mhdnn.training.cutoff import cutoff_from_data
from mhdnn.training.initial_model import InitialModel, with_initial_model

console = Console()


def decided(config: DictConfig, initial: InitialModel | None = None) -> DictConfig:
    """The configuration with nothing left open of what the model is made of.

    :param initial: the model that the training starts from
    :raises ConfigError: if an input.nn can't be used, or a setting contradicts the initial model
    :raises DataError: if the training data can't be read
    """
    if initial is not None:
        return with_initial_model(config, initial)
    return with_cutoff_of_data(with_functions_of_input_nn(with_functions_for_elements(config)))


def with_functions_for_elements(config: DictConfig) -> DictConfig:
    """The configuration with the choice of symmetry functions for so many elements where it has ``descriptor=auto``.

    :raises DataError: if the training data can't be read
    """
    if "one_element" not in config.descriptor:
        return config
    if config.elements == "auto":
        reader = open_stores(config.data.train)
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
    reader = open_stores(config.data.train)
    chosen = np.flatnonzero(
        np.concatenate([parts_of(source, 0.0, "auto", 0) for source in sources_of(reader)]) == "train"
    )
    result = config.copy()
    result.cutoff = cutoff_from_data(reader, chosen)
    reader.close()
    console.print(f"cutoff: {result.cutoff} Å, from the neighbours in the data (`cutoff=` gives another)")
    return result
