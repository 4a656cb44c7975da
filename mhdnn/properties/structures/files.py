"""Structure files that commands write."""

from __future__ import annotations

from pathlib import Path

import ase.io
from ase import Atoms
from ase.io.formats import UnknownFileTypeError

from mhdnn.errors import ConfigError


def write_structure(atoms: Atoms | list[Atoms], file: Path, key: str) -> None:
    """Write a structure, or several, in the format that the suffix tells; a reader finds the old file or the new one.

    :param key: of the command, for the error
    :raises ConfigError: if the format can't hold it, or the file can't be written
    """
    aside = file.with_name(f".part-{file.name}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        ase.io.write(aside, atoms)
        aside.replace(file)
    except (UnknownFileTypeError, ValueError, OSError) as error:
        raise ConfigError(f"`{key}`: {file} could not be written ({error}); choose .extxyz, .cif or .vasp") from error
    finally:
        aside.unlink(missing_ok=True)
