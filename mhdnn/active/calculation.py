"""Labels of one structure: computed within a time limit, and kept at once where nothing that dies can harm them.

Each process appends lines of JSON to a file of its own and waits for the disk after each; a line that was cut by the
end of a process is left out when the files are read. So at most what a process was computing is lost.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import (
    BaseCalculator,
    CalculatorError,
    PropertyNotImplementedError,
    SCFError,
    all_changes,
)

from mhdnn.data.ase_bridge import atoms_from_structure, record_from_atoms
from mhdnn.data.schema import Record, validate_structure
from mhdnn.data.store import StoreReader
from mhdnn.errors import ConfigError, DataError, MHDNNError, UnconvergedError
from mhdnn.files import unwritable
from mhdnn.properties.adapted import start_afresh
from mhdnn.properties.calculators import resolve_calculator
from mhdnn.properties.journal import fingerprint
from mhdnn.structure import Structure

FAILURES = (
    MHDNNError, CalculatorError, NotImplementedError, ArithmeticError, ValueError, LookupError, RuntimeError, OSError,
    TypeError, AttributeError, AssertionError, EOFError, MemoryError, subprocess.SubprocessError,
)  # fmt: skip
"""What foreign calculators and the programs that they start fail with; it is told, and the other structures go on."""
OPTIONAL = ("free_energy", "stress", "charges")
ARRAYS = ("forces", "stress", "charges")
TIME_LIMIT, UNCONVERGED = "time limit", "unconverged"
"""Kinds of failures beside the names of errors."""


class TimeIsUp(BaseException):
    """Passes through the `except Exception` of foreign code."""


@dataclass(frozen=True)
class Calculation:
    """How the structures of a pool are labelled.

    :param calculator: as `resolve_calculator` takes it
    :param settings: of what makes it, as JSON
    :param folder: absolute, of the journals and of what programs write
    :param limit: for each structure, s; None for any time
    """

    pool: Path
    calculator: str
    settings: str
    folder: Path
    limit: float | None = None

    def label(self, number: int) -> None:
        """Compute the labels of a structure of the pool, or why there are none, and keep them."""
        reader = StoreReader(self.pool)
        structure = reader[number]
        reader.close()
        result = {"structure": number, "fingerprint": mark_of(structure)}
        try:
            with time_limit(self.limit):
                record = self._computed(structure, number)
            result |= labels_of(record)
        except TimeIsUp:
            result |= failure(TIME_LIMIT, f"took longer than {self.limit:g} s")
        except FAILURES as error:
            unconverged = isinstance(error, UnconvergedError | SCFError) or "Convergence" in type(error).__name__
            result |= failure(UNCONVERGED if unconverged else type(error).__name__, str(error))
        if "failure" in result:
            made_calculator.cache_clear()  # it may be in any state
        append_line(self.folder, result)

    def _computed(self, structure: Structure, number: int) -> Record:
        calculator = made_calculator(self.calculator, self.settings)
        start_afresh(calculator)
        if hasattr(calculator, "directory"):  # programs of several processes write files of the same names
            calculator.directory = str(self.folder / f"calculations/{number:06d}")
        return computed(atoms_from_structure(structure), calculator)


@lru_cache(maxsize=1)
def made_calculator(calculator: str, settings: str) -> BaseCalculator:
    """Made once for each process."""
    return resolve_calculator(calculator, json.loads(settings))


def computed(atoms: Atoms, calculator: BaseCalculator) -> Record:
    """The structure with the labels of a calculator: energy, forces, and stress and charges where it has them.

    :raises UnconvergedError: if the calculator says that it has not converged
    :raises DataError: if a label is not finite
    """
    atoms.calc = calculator
    periodic = atoms.cell.rank == 3 and atoms.pbc.any()
    able = [name for name in OPTIONAL if name in calculator.implemented_properties and (name != "stress" or periodic)]
    if hasattr(calculator, "calculate"):  # all at once: a program that is asked for one more begins anew
        with suppress_missing():
            calculator.calculate(atoms, ["energy", "forces", *able], all_changes)
    atoms.get_forces()
    atoms.get_potential_energy()
    for name in able:
        with suppress_missing():
            calculator.get_property(name, atoms)
    if getattr(calculator, "converged", None) is False:
        raise UnconvergedError("the calculator says `converged = False`; allow more steps, or change the mixing")
    if not periodic:
        calculator.results.pop("stress", None)
    record = record_from_atoms(atoms)
    if record.structure.energy is None or record.structure.forces is None:
        raise DataError("`calculator`: expected energy and forces, found none; choose another")
    validate_structure(record.structure, "labels")
    return record


@contextmanager
def suppress_missing() -> Iterator[None]:
    """A calculator may list a property that it has not for this structure."""
    try:
        yield
    except PropertyNotImplementedError:
        return


@contextmanager
def time_limit(seconds: float | None) -> Iterator[None]:
    """Raise `TimeIsUp` in the block after so many seconds; compiled code ends before it is heard.

    :raises ConfigError: outside the main thread, which alone hears alarms
    """
    if seconds is None:
        yield
        return
    if threading.current_thread() is not threading.main_thread():
        raise ConfigError("`limit`: expected the main thread of a process, got another; label without a limit there")

    def ring(number: int, frame: Any) -> None:
        raise TimeIsUp

    previous = signal.signal(signal.SIGALRM, ring)
    try:
        signal.setitimer(signal.ITIMER_REAL, seconds)
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, previous)


def mark_of(structure: Structure) -> str:
    """What tells a structure with its total charge from others."""
    return f"{fingerprint(atoms_from_structure(structure))} {structure.total_charge}"


def failure(kind: str, reason: str) -> dict[str, Any]:
    """As it stands in the journal."""
    return {"failure": {"kind": kind, "reason": " ".join(reason.split()) or kind}}


def labels_of(record: Record) -> dict[str, Any]:
    """Labels as they stand in the journal: JSON keeps every digit."""
    structure = record.structure
    assert structure.energy is not None  # `computed` sees to it
    arrays = {name: getattr(structure, name) for name in ARRAYS}
    return {
        "energy": float(structure.energy),
        "energy_kind": record.energy_kind,
        "charge_scheme": record.charge_scheme,
        **{name: np.asarray(array, dtype=float).tolist() for name, array in arrays.items() if array is not None},
    }


def labelled(record: Record, result: dict[str, Any]) -> Record:
    """A record of the pool with the labels of the journal; group, total charge, weight and split stay."""
    arrays: dict[str, Any] = {name: np.array(result[name]) if name in result else None for name in ARRAYS}
    structure = replace(record.structure, energy=result["energy"], **arrays)
    return Record(structure, None, record.split, result["energy_kind"], charge_scheme=result["charge_scheme"])


def append_line(folder: Path, result: dict[str, Any]) -> None:
    """Append a result to the file of this process; it begins a new line after one that may have been cut.

    :raises OutputError: if the disk is full ...
    """
    path = folder / f"labels-{socket.gethostname()}-{os.getpid()}.jsonl"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as stream:
            stream.write(b"\n" + json.dumps(result).encode() + b"\n")
            stream.flush()
            os.fsync(stream.fileno())
    except OSError as error:
        raise unwritable(path, error) from error


def read_lines(folder: Path) -> Iterator[dict[str, Any]]:
    """All results of all processes; what was cut is left out."""
    for path in sorted(folder.glob("labels-*.jsonl"), key=lambda path: path.stat().st_mtime_ns):
        for line in path.read_bytes().split(b"\n"):
            try:
                result = json.loads(line)
            except ValueError:
                continue
            if isinstance(result, dict) and "fingerprint" in result:
                yield result
