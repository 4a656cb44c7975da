"""Model files of older formats.

- 3: ranges of all functions over all elements together, of a sample of the training set
- 4: the potential in one piece, instead of parts; the first ones have no expected errors
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import torch

from mhdnn.factory import build_potential
from mhdnn.potential import Potential

OLDER_FORMATS = (3, 4)


def rebuilt(script: torch.jit.ScriptModule, metadata: Mapping[str, Any]) -> Potential:
    """The potential that was scripted, with its weights (`mhdnn.potential` has what upgrades older ones).

    :param metadata: of the file
    """
    weights = script.state_dict()
    potential = build_potential(metadata["settings"])
    potential.load_state_dict(weights)
    return potential.to(weights["function_scale"].device).eval()


def upgraded(
    script: torch.jit.ScriptModule, metadata: Mapping[str, Any]
) -> tuple[torch.jit.ScriptModule, dict[str, Any]]:
    """The same potential as it would be written today; ranges that the file lacks stay unknown.

    :param script: as loaded
    :param metadata: of the file
    """
    potential = rebuilt(script, metadata)
    result = {key: value for key, value in metadata.items() if key not in ("function_minimum", "function_maximum")}
    result["training_domain"] = potential.domain.metadata()
    result["uncertainty"] = potential.uncertainty.metadata(potential.domain.symbols)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*torch.jit.*", category=DeprecationWarning)
        return torch.jit.script(potential), result
