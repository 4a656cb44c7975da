"""From a checkpoint, or a model file of an older version, to a model file."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from mhdnn.archive import read_archive, write_archive
from mhdnn.deploy.model_file import check_weights, first_line, is_model_file, load_model, metadata_of, save_model
from mhdnn.deploy.older_format import rebuilt
from mhdnn.errors import MHDNNError, ModelError
from mhdnn.factory import build_potential
from mhdnn.files import refuse_to_overwrite
from mhdnn.potential import Potential

CHECKPOINT_KEY = "mhdnn"
STATE_PREFIX = "potential."


def read_checkpoint(path: Path | str) -> dict[str, Any]:
    """A checkpoint of `mhdnn train`, read without unpickling code.

    :raises ModelError: if the file does not exist, is damaged, or comes from elsewhere
    """
    path = Path(path)
    if path.is_dir():
        raise ModelError(f"{path}: is a folder; expected a checkpoint, such as last.ckpt in it")
    if not path.is_file():
        raise ModelError(f"{path}: no such checkpoint; `mhdnn train` writes checkpoints/last.ckpt in its run folder")
    content = read_archive(path)
    try:
        checkpoint = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:  # of the unpickler; its advice to unpickle whatever comes is not for this place
        raise ModelError(f"{path}: not a checkpoint of `mhdnn train` ({type(error).__name__})") from error
    if not isinstance(checkpoint, dict) or CHECKPOINT_KEY not in checkpoint:
        raise ModelError(f"{path}: expected a checkpoint written by `mhdnn train`, got another file")
    own = checkpoint[CHECKPOINT_KEY]
    if not (isinstance(own, dict) and isinstance(own.get("settings"), dict)):
        raise ModelError(f"{path}: lacks the settings of its model; expected a checkpoint written by `mhdnn train`")
    if not isinstance(checkpoint.get("state_dict"), dict):
        raise ModelError(f"{path}: lacks the weights of its model; expected a checkpoint written by `mhdnn train`")
    return checkpoint


def write_checkpoint(checkpoint: Mapping[str, Any], path: Path) -> None:
    """Write a checkpoint, sealed (`mhdnn.archive`) and atomically.

    :raises ModelError: if a weight is NaN or infinite; what was there before stays
    :raises OutputError: if the file can't be written
    """
    for state in ("state_dict", "current_model_state"):  # averaged weights, and those that the optimiser has
        check_weights(_of_the_potential(checkpoint.get(state, {})), path)
    content = io.BytesIO()  # torch's own writer aborts the process when the disk is full
    torch.save(checkpoint, content)
    write_archive(path, content.getvalue())


def _of_the_potential(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name.removeprefix(STATE_PREFIX): value for name, value in state.items() if name.startswith(STATE_PREFIX)}


def potential_from_checkpoint(checkpoint: Mapping[str, Any]) -> tuple[Potential, dict[str, Any]]:
    """The potential with the weights of a checkpoint (averaged, if averages were kept), and its settings.

    :raises ModelError: if settings and weights don't fit together
    """
    settings = checkpoint[CHECKPOINT_KEY]["settings"]
    try:
        potential = build_potential(settings)
        potential.load_state_dict(_of_the_potential(checkpoint["state_dict"]))
    except MHDNNError:
        raise
    except (KeyError, TypeError, AttributeError, ValueError, RuntimeError) as error:
        raise ModelError(
            f"checkpoint: its settings and weights don't fit together ({first_line(error)}); "
            "it was damaged, or written by another version of mhdnn"
        ) from error
    return potential, settings


def export_checkpoint(checkpoint_path: Path | str, output: Path | str) -> Path:
    """Write the model file of a checkpoint, or a model file as it is written today; returns its path.

    :raises ConfigError: if the output is what is read
    """
    refuse_to_overwrite([Path(checkpoint_path)], Path(output))
    if is_model_file(Path(checkpoint_path)):
        script, metadata = load_model(checkpoint_path)
        kept = {key: metadata[key] for key in ("mhdnn_version", "torch_version") if key in metadata}
        potential = rebuilt(script, metadata)
        save_model(potential, Path(output), metadata_of(potential, metadata["settings"], metadata["training"]) | kept)
        return Path(output)
    checkpoint = read_checkpoint(checkpoint_path)
    potential, settings = potential_from_checkpoint(checkpoint)
    training = checkpoint[CHECKPOINT_KEY].get("training", {})
    save_model(potential, Path(output), metadata_of(potential, settings, training))
    return Path(output)
