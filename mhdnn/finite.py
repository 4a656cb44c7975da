"""NaN and infinity are no results: where they first appear in a prediction."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from mhdnn.structure import Geometry

QUANTITIES = ("energy", "forces", "virial", "charges")
PER_STRUCTURE = ("energy", "virial")


def first_not_finite(quantities: Mapping[str, torch.Tensor | None], geometry: Geometry) -> tuple[int, str] | None:
    """The first of several structures of which something is NaN or infinite, and what; None if all is well.

    :param quantities: fields of a `mhdnn.prediction.Prediction` by their names
    """
    chosen = {name: values for name in QUANTITIES if (values := quantities.get(name)) is not None}
    sums = [values.detach().sum().double() for values in chosen.values()]
    if not sums or bool(torch.isfinite(torch.stack(sums)).all()):
        return None  # one question to a GPU, not four
    for name, values in chosen.items():
        bad = torch.nonzero(~torch.isfinite(values.detach()).reshape(len(values), -1).all(1))
        if len(bad):
            row = int(bad[0])
            return (row if name in PER_STRUCTURE else int(geometry.structure_index[row])), name
    return None  # the sum alone is too large for a number
