"""The datasets that come with the package; data/README.md says what they hold."""

from __future__ import annotations

from pathlib import Path

import mhdnn
from mhdnn.errors import ConfigError

PACKAGE = Path(mhdnn.__file__).parent
SUFFIXES = (".h5", ".extxyz")


def bundled_folder() -> Path:
    """Where they are: in the installed package, or in the checkout that it is installed from."""
    installed = PACKAGE / "bundled"
    return installed if installed.is_dir() else PACKAGE.parent / "data"


def bundled_files() -> list[Path]:
    """All of them."""
    return sorted(path for path in bundled_folder().iterdir() if path.suffix in SUFFIXES)


def bundled_path(name: str) -> Path:
    """The path of one of them; in settings ``${bundled:NAME}``.

    :raises ConfigError: if there is none of this name
    """
    files = bundled_files()
    for path in files:
        if path.name == name:
            return path
    raise ConfigError(f"`{name}`: no such bundled dataset; expected one of {', '.join(path.name for path in files)}")
