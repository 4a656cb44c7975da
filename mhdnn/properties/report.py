"""What a property's command leaves behind: numbers as JSON and a picture."""

from __future__ import annotations

import json
import math
import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from mhdnn.evaluation.plots import save_figure
from mhdnn.files import write_text_atomically


@dataclass
class Report:
    """Results of a property.

    :param name: name of its files
    :param values: results; each key ends with the unit. Numbers, text, arrays, and lists and dictionaries of them
    :param figure: their picture
    :param warnings: what the reader of the numbers should know; printed, and kept in the JSON
    """

    name: str
    values: dict[str, Any]
    figure: Figure
    warnings: list[str] = field(default_factory=list)

    def write(self, folder: str | Path) -> None:
        """Write NAME.json and NAME.png; a reader finds the old file or the new one, never half of one.

        Numbers that are not finite become null: JSON does not have them.
        """
        folder = Path(folder)
        values = self.values | ({"warnings": self.warnings} if self.warnings else {})
        write_text_atomically(folder / f"{self.name}.json", json.dumps(plain(values), indent=2) + "\n")
        with tempfile.TemporaryDirectory(dir=folder, prefix=f".{self.name}.") as aside:
            os.replace(save_figure(self.figure, Path(aside) / "figure.png"), folder / f"{self.name}.png")


def plain(value: Any) -> Any:
    """The same as what JSON has: numpy's numbers and arrays as Python's, paths as text.

    :raises TypeError: for anything else, by `json.dumps`
    """
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
