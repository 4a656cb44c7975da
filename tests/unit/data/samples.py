"""For each reader a function that writes a minimal source which holds every label that the reader can give.

What robustness.sh mutates, and what `test_verified_labels.py` reads. A reader without a sample fails both.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

SAMPLES: dict[str, Callable[[Path], Path]] = {}
"""By the names of `READERS`: takes an empty folder, gives the source (a file or folder in it)."""
