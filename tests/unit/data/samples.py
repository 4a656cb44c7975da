"""For each reader a function that writes a minimal source which holds every label that the reader can give.

What robustness.sh mutates, and what `test_verified_labels.py` reads. A reader without a sample fails both.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from mhdnn.data.readers import ReadOptions
from tests.unit.data.code_samples import CODE_SAMPLES
from tests.unit.data.format_samples import FORMAT_SAMPLES

SAMPLES: dict[str, Callable[[Path], Path]] = {**FORMAT_SAMPLES, **CODE_SAMPLES}
"""By the names of `READERS`: takes an empty folder, gives the source (a file or folder in it)."""


def options_for(form: str) -> ReadOptions:
    """What has to be said to read the sample of a format."""
    return ReadOptions(format=form, units="ev-angstrom" if form == "n2p2" else None)
