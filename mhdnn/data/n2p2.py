"""Reading n2p2 and RuNNer ``input.data`` files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from ase.data import atomic_numbers

from mhdnn.errors import DataError
from mhdnn.structure import Structure
from mhdnn.units import BOHR, HARTREE

SCALES = {"ev-angstrom": (1.0, 1.0), "hartree-bohr": (HARTREE, BOHR)}
"""Energy and length of one unit of the file, in eV and Å."""


def blocks(path: Path) -> Iterator[list[str]]:
    """The lines between each ``begin`` and ``end``, one block after the other.

    :raises DataError: if the file ends within a block, or holds something between blocks
    """
    block: list[str] | None = None
    with path.open(encoding="utf-8", errors="replace") as lines:
        for number, line in enumerate(lines, start=1):
            word = line.split(maxsplit=1)[0].lower() if line.strip() else ""
            if word == "begin" and block is None:
                block = []
            elif word == "end" and block is not None:
                yield block
                block = None
            elif block is not None and word != "begin":
                block.append(line)
            elif word:
                raise DataError(
                    f"{path}: line {number}: expected {'`end`' if word == 'begin' else '`begin`'}, "
                    f"found {line.strip()!r}; the file is cut or is no n2p2 data"
                )
    if block is not None:
        raise DataError(f"{path}: the last block has no `end`; the file is cut, copy it again")


def structure_from_block(block: list[str], units: str, group: str, name: str) -> Structure:
    """One structure from the lines of a block.

    The format always has charges; where all of them are zero they are taken as missing.

    :param units: ``ev-angstrom`` or ``hartree-bohr``
    :param name: what error messages call it
    :raises DataError: if a line is not understood
    """
    energy_unit, length_unit = SCALES[units]
    lattice: list[list[float]] = []
    atoms: list[list[float]] = []
    scalars: dict[str, float] = {}
    for line in block:
        word, _, rest = line.strip().partition(" ")
        try:
            _read_line(word, rest.split(), lattice, atoms, scalars)
        except (ValueError, KeyError, IndexError) as error:
            raise DataError(
                f"{name}: can't read the line {line.strip()!r} ({error}); expected `atom x y z element "
                "charge n fx fy fz`, `lattice x y z`, `energy E`, `charge Q` or `comment`"
            ) from error
    if len(lattice) not in (0, 3):
        raise DataError(f"{name}: expected 0 or 3 `lattice` lines, found {len(lattice)}; correct the file")
    rows = np.array(atoms).reshape(-1, 8)
    charges = rows[:, 4]
    return Structure(
        atomic_numbers=rows[:, 3].astype(np.int64),
        positions=rows[:, :3] * length_unit,
        cell=np.array(lattice or np.zeros((3, 3))) * length_unit,
        pbc=np.full(3, bool(lattice)),
        energy=scalars["energy"] * energy_unit if "energy" in scalars else None,
        forces=rows[:, 5:8] * energy_unit / length_unit,
        charges=charges if charges.any() else None,
        total_charge=scalars.get("charge"),
        group=group,
    )


def _read_line(
    word: str,
    values: list[str],
    lattice: list[list[float]],
    atoms: list[list[float]],
    scalars: dict[str, float],
) -> None:
    if word == "atom":
        numbers = [float(value) for value in values[:3]]
        numbers.append(atomic_numbers[values[3]])
        numbers.append(float(values[4]))
        numbers.extend(float(values[column]) for column in (6, 7, 8))
        atoms.append(numbers)
    elif word == "lattice":
        x, y, z = (float(value) for value in values)
        lattice.append([x, y, z])
    elif word in ("energy", "charge"):
        scalars[word] = float(values[0]) + 0.0
    elif word and word != "comment":
        raise ValueError(f"unknown keyword {word!r}")
