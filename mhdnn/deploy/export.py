"""From a checkpoint to a model file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from mhdnn.deploy.model_file import metadata_of, save_model
from mhdnn.errors import ModelError
from mhdnn.potential import Potential, build_potential

CHECKPOINT_KEY = "mhdnn"
STATE_PREFIX = "potential."


def read_checkpoint(path: Path | str) -> dict[str, Any]:
    """A checkpoint of `mhdnn train`, read without unpickling code.

    :raises ModelError: if the file does not exist, is broken, or comes from elsewhere
    """
    path = Path(path)
    if not path.is_file():
        raise ModelError(f"{path}: no such checkpoint; `mhdnn train` writes checkpoints/last.ckpt in its run folder")
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, UnpicklingError, EOFError, KeyError) as error:
        raise ModelError(f"{path}: not a checkpoint ({str(error).splitlines()[0]})") from error
    if not isinstance(checkpoint, dict) or CHECKPOINT_KEY not in checkpoint:
        raise ModelError(f"{path}: expected a checkpoint written by `mhdnn train`, got another file")
    return checkpoint


def potential_from_checkpoint(checkpoint: Mapping[str, Any]) -> tuple[Potential, dict[str, Any]]:
    """The potential with the weights of a checkpoint (averaged, if averages were kept), and its settings."""
    settings = checkpoint[CHECKPOINT_KEY]["settings"]
    potential = build_potential(settings)
    state = {
        name.removeprefix(STATE_PREFIX): value
        for name, value in checkpoint["state_dict"].items()
        if name.startswith(STATE_PREFIX)
    }
    potential.load_state_dict(state)
    return potential, settings


def export_checkpoint(checkpoint_path: Path | str, output: Path | str) -> Path:
    """Write the model file of a checkpoint; returns its path."""
    checkpoint = read_checkpoint(checkpoint_path)
    potential, settings = potential_from_checkpoint(checkpoint)
    training = checkpoint[CHECKPOINT_KEY].get("training", {})
    save_model(potential, Path(output), metadata_of(potential, settings, training))
    return Path(output)
