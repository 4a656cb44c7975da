"""Everything that ASE reads: trajectories, databases, and outputs that no reader of our own is for.

Where a source gives an energy and a free energy (a calculation with smearing), the free energy is taken, whose
gradient the forces are. Where there is only one number nobody knows which of both it is.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import ase.db
import ase.io
from ase import Atoms
from ase.db.row import AtomsRow

from mhdnn.data.ase_bridge import record_from_atoms
from mhdnn.data.reading import Frame, ReadOptions, default_group
from mhdnn.data.schema import Record
from mhdnn.errors import DataError


def frames(path: Path, options: ReadOptions, form: str | None = None) -> Iterator[Frame]:
    """A function for each frame that ASE reads.

    :param form: ASE's name of the format; None lets ASE recognise it
    :raises DataError: if ASE can't read the file on
    """
    number = 0
    images = None
    while True:
        try:
            if images is None:
                images = ase.io.iread(str(path), index=":", format=form, do_not_split_by_at_sign=True)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # about what is irrelevant here, such as spin or charge flags
                atoms = next(images, None)
        except Exception as error:  # parsers of foreign formats raise anything
            raise DataError(
                f"{path}: frame {number}: ASE can't read it ({type(error).__name__}: {error}); "
                "check that the calculation is complete, or give `--format`"
            ) from error
        if atoms is None:
            return
        yield partial(_record, partial(_same, atoms), path, number, options)
        number += 1


def database_frames(path: Path, options: ReadOptions) -> Iterator[Frame]:
    """A function for each row of an ASE database.

    :raises DataError: if the file is no complete database
    """
    number = 0
    try:
        with ase.db.connect(str(path), type="db") as database:
            for row in database.select():
                yield partial(_record, partial(_row_atoms, row), path, number, options)
                number += 1
    except DataError:
        raise
    except Exception as error:  # sqlite, JSON, numpy and ASE's own
        raise DataError(
            f"{path}: frame {number}: ASE can't read the database on ({type(error).__name__}: {error}); copy it again, "
            "or let `sqlite3 FILE .recover` mend it"
        ) from error


def _same(atoms: Atoms) -> Atoms:
    return atoms


def _row_atoms(row: AtomsRow) -> Atoms:
    atoms = row.toatoms()
    atoms.info.update(row.key_value_pairs)
    atoms.info.update(row.data)
    return atoms


def _record(parse: Callable[[], Atoms], path: Path, number: int, options: ReadOptions) -> Record:
    name = f"{path}: frame {number}"
    try:
        atoms = parse()
    except Exception as error:  # parsers of foreign formats raise anything
        raise DataError(
            f"{name}: ASE can't read it ({type(error).__name__}: {error}); correct the frame or remove it"
        ) from error
    return record_from_atoms(atoms, options.keys, default_group(path), name)
