"""What a property's command leaves behind: numbers as JSON, a picture, structures."""

from __future__ import annotations

import io
import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
from ase import Atoms
from matplotlib.figure import Figure

from mhdnn.evaluation.plots import DOTS_PER_INCH
from mhdnn.files import write_atomically, write_text_atomically
from mhdnn.properties.frames import for_a_file

PICTURES = ("png", "pdf", "svg")
"""For the screen, and for print."""


@dataclass(frozen=True)
class Curve:
    """A curve that those of other calculators can be laid over.

    :param x: shape (num_points,)
    :param y: shape (num_points,)
    :param x_label: with its unit
    :param y_label: with its unit
    """

    x: np.ndarray
    y: np.ndarray
    x_label: str
    y_label: str


@dataclass
class Report:
    """Results of a property.

    :param name: name of its files
    :param values: results; each key ends with the unit. Numbers, text, arrays, and lists and dictionaries of them
    :param figure: their picture
    :param warnings: what the reader of the numbers should know; printed, and kept in the JSON
    :param structures: that were relaxed or computed, for further use
    :param curves: by name, for pictures of several calculators
    :param files: further texts, by the name of their file
    """

    name: str
    values: dict[str, Any]
    figure: Figure
    warnings: list[str] = field(default_factory=list)
    structures: list[Atoms] = field(default_factory=list)
    curves: dict[str, Curve] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)

    def write(self, folder: str | Path) -> list[Path]:
        """Write NAME.json, the picture as PNG, PDF and SVG, and NAME.extxyz with the structures if there are some.

        A reader finds the old file or the new one, never half of one. Numbers that are not finite become null: JSON
        does not have them.

        :return: the files, JSON first
        """
        folder = Path(folder)
        values = self.values | ({"warnings": self.warnings} if self.warnings else {})
        files = [folder / f"{self.name}.json"]
        write_text_atomically(files[0], json.dumps(plain(values), indent=2) + "\n")
        for kind in PICTURES:
            content = io.BytesIO()
            # without a date: the same numbers give the same file
            metadata = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(kind)
            self.figure.savefig(content, format=kind, dpi=DOTS_PER_INCH, facecolor="white", metadata=metadata)
            files.append(folder / f"{self.name}.{kind}")
            write_atomically(files[-1], content.getvalue())
        if self.structures:
            text = io.StringIO()
            ase.io.write(text, [for_a_file(atoms) for atoms in self.structures], format="extxyz")
            files.append(folder / f"{self.name}.extxyz")
            write_text_atomically(files[-1], text.getvalue())
        for name, content_of_file in self.files.items():
            files.append(folder / name)
            write_text_atomically(files[-1], content_of_file)
        return files


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
