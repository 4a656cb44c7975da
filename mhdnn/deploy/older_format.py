"""Model files of format 3: ranges of all functions over all elements together, of a sample of the training set."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import torch

from mhdnn.factory import build_potential

FORMAT_VERSION = 3


def upgraded(
    script: torch.jit.ScriptModule, metadata: Mapping[str, Any]
) -> tuple[torch.jit.ScriptModule, dict[str, Any]]:
    """The same potential as it would be written today; ranges that the file lacks stay unknown.

    :param script: as loaded
    :param metadata: of the file
    """
    weights = script.state_dict()
    potential = build_potential(metadata["settings"])
    potential.load_state_dict(weights)
    potential.to(weights["reference_energies"].device)
    result = {key: value for key, value in metadata.items() if key not in ("function_minimum", "function_maximum")}
    result["training_domain"] = potential.domain.metadata()
    result["uncertainty"] = potential.uncertainty.metadata(potential.domain.symbols)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*torch.jit.*", category=DeprecationWarning)
        return torch.jit.script(potential.eval()), result
