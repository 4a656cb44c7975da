"""An unfinished band in a file: a path that was interrupted continues from its last images."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from ase import Atoms

from mhdnn.files import write_text_atomically
from mhdnn.properties.journal import fingerprint


class BandFile:
    """The images of one path while it is relaxed.

    :param file: JSON; None keeps nothing
    """

    def __init__(self, file: str | Path | None) -> None:
        self.file = None if file is None else Path(file)

    def keep(self, images: Sequence[Atoms], climbing: bool) -> None:
        """Write the positions.

        :param climbing: whether an image climbs already
        """
        if self.file is not None:
            inner = [image.positions.tolist() for image in images[1:-1]]
            content = {"ends": _ends(images), "climbing": climbing, "positions": inner}
            write_text_atomically(self.file, json.dumps(content) + "\n")

    def restore(self, images: Sequence[Atoms]) -> bool:
        """Take the positions of the file, if it is of a band with these ends and as many images.

        :return: whether an image climbed already
        """
        if self.file is None or not self.file.is_file():
            return False
        try:
            content = json.loads(self.file.read_text(encoding="utf-8"))
            ends, positions = content["ends"], np.array(content["positions"], dtype=float)
        except (ValueError, KeyError, TypeError):  # it keeps a part of one path only
            return False
        if ends != _ends(images) or positions.shape != (len(images) - 2, len(images[0]), 3):
            return False
        for image, places in zip(images[1:-1], positions, strict=True):
            image.set_positions(places, apply_constraint=False)
        return bool(content["climbing"])

    def forget(self) -> None:
        """Remove the file."""
        if self.file is not None:
            self.file.unlink(missing_ok=True)


def _ends(images: Sequence[Atoms]) -> list[str]:
    return [fingerprint(images[0]), fingerprint(images[-1])]
