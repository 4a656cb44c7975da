"""Reading n2p2 and RuNNer ``input.data`` files."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
from ase.data import atomic_numbers

from mhdnn.data.reading import Frame, ReadOptions, default_group, lines_of
from mhdnn.data.schema import Record
from mhdnn.errors import DataError
from mhdnn.structure import Structure
from mhdnn.units import BOHR, HARTREE

SCALES = {"ev-angstrom": (1.0, 1.0), "hartree-bohr": (HARTREE, BOHR)}
"""Energy and length of one unit of the file, in eV and Å."""


def recognised(head: bytes) -> bool:
    """Whether a file that begins so is n2p2 data: its first word outside of comments is ``begin``."""
    for line in head.removeprefix(b"\xef\xbb\xbf").splitlines():
        if line.strip() and not line.lstrip().startswith((b"#", b"!")):
            return line.split()[0].lower() == b"begin"
    return False


def frames(path: Path, options: ReadOptions) -> Iterator[Frame]:
    """A function for each block that makes its record.

    :raises DataError: if the units were not said
    """
    if options.units not in SCALES:
        raise DataError(
            f"{path}: n2p2 data does not say its units; give `--units`, one of {', '.join(SCALES)} "
            f"(n2p2's examples are hartree-bohr), found {options.units}"
        )
    for number, (block, problem) in enumerate(_blocks(lines_of(path))):
        yield partial(_record, block, problem, options.units, default_group(path), f"{path}: frame {number}")


def _blocks(lines: Iterator[str]) -> Iterator[tuple[list[str], str | None]]:
    """The lines between each ``begin`` and ``end``, and what is wrong with the block, if anything.

    Text between blocks is a block with a problem, too.
    """
    block: list[str] | None = None
    stray = False
    for number, line in enumerate(lines, start=1):
        words = line.split(maxsplit=1)
        word = words[0].lower() if words else ""
        if not word or word.startswith(("#", "!")):
            continue
        if word == "begin":
            if block is not None:
                yield block, f"line {number}: expected `end`, found 'begin'; the block before it is cut"
            block, stray = [], False
        elif word == "end" and block is not None:
            yield block, None
            block = None
        elif block is not None:
            block.append(line)
        elif not stray:
            stray = True  # the rest of it would be reported again
            yield (
                [],
                f"line {number}: expected `begin`, found {line.strip()[:60]!r}; the file is cut or is no n2p2 data",
            )
    if block is not None:
        yield block, "the last block has no `end`; the file is cut, copy it again"


def _record(block: list[str], problem: str | None, units: str, group: str, name: str) -> Record:
    """One structure from the lines of a block.

    The format always has charges; where all of them are zero they are taken as missing.
    """
    if problem is not None:
        raise DataError(f"{name}: {problem}")
    energy_unit, length_unit = SCALES[units]
    lattice: list[list[float]] = []
    atoms: list[list[float]] = []
    scalars: dict[str, float] = {}
    for line in block:
        word, *values = line.partition("#")[0].split()
        try:
            _read_line(word.lower(), values, lattice, atoms, scalars)
        except (ValueError, KeyError, IndexError) as error:
            raise DataError(
                f"{name}: can't read the line {line.strip()[:120]!r} ({error}); expected `atom x y z element "
                "charge n fx fy fz`, `lattice x y z`, `energy E`, `charge Q` or `comment`"
            ) from error
    if len(lattice) not in (0, 3):
        raise DataError(f"{name}: expected 0 or 3 `lattice` lines, found {len(lattice)}; correct the file")
    rows = np.array(atoms).reshape(-1, 8)
    charges = rows[:, 4]
    structure = Structure(
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
    return Record(structure)


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
        if word in scalars:
            raise ValueError("it stands twice")
        scalars[word] = float(values[0]) + 0.0
    elif word != "comment":
        raise ValueError(f"unknown keyword {word!r}")
