"""Labels of one structure: computed within a time limit, and kept at once where nothing that dies can harm them.

Each process appends lines of JSON to a file of its own and waits for the disk after each; a line that was cut by the
end of a process is left out when the files are read. So at most what a process was computing is lost.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import BaseCalculator, PropertyNotImplementedError, SCFError, all_changes

from mhdnn.data.ase_bridge import atoms_from_structure, record_from_atoms
from mhdnn.data.schema import Record, validate_structure
from mhdnn.data.store import StoreReader
from mhdnn.errors import ConfigError, DataError, UnconvergedError
from mhdnn.files import unwritable
from mhdnn.properties.adapted import start_afresh
from mhdnn.properties.calculators import resolve_calculator
from mhdnn.properties.journal import fingerprint
from mhdnn.structure import Structure

OPTIONAL = ("free_energy", "stress", "charges")
ARRAYS = ("forces", "stress", "charges")
BEGUN = "begun"
"""In lines of the journal that say nothing else; false where the user interrupted it."""
TIME_LIMIT, UNCONVERGED, DIED = "time limit", "unconverged", "died"
"""Kinds of failures beside the names of errors."""
MOST_BEGUN = 3
"""Times that a structure is begun; if no process came to its end, the calculator is taken to end the process."""


class TimeIsUp(BaseException):
    """Passes through the `except Exception` of foreign code."""


@dataclass(frozen=True)
class Calculation:
    """How the structures of a pool are labelled.

    :param calculator: as `resolve_calculator` takes it
    :param settings: of what makes it, as JSON
    :param folder: absolute, of the journals and of what programs write
    :param limit: for each structure, s; None for any time
    :param identity: of what computes the labels; results of others in the folder don't count
    """

    pool: Path
    calculator: str
    settings: str
    folder: Path
    limit: float | None = None
    identity: str = ""

    def label(self, number: int) -> None:
        """Compute the labels of a structure of the pool, or why there are none, and keep them."""
        reader = StoreReader(self.pool)
        structure = reader[number]
        reader.close()
        head = {"structure": number, "fingerprint": mark_of(structure), "calculator": self.identity}
        append_line(self.folder, head | {BEGUN: True})
        try:
            with time_limit(self.limit):
                result = labels_of(self._computed(structure, number))
        except KeyboardInterrupt:
            append_line(self.folder, head | {BEGUN: False})
            raise
        except TimeIsUp:
            result = failure(TIME_LIMIT, f"took longer than {self.limit:g} s")
        except (Exception, SystemExit) as error:  # whatever foreign code fails with, the other structures go on
            result = failure(UNCONVERGED if is_unconverged(error) else type(error).__name__, str(error))
        if "failure" in result:
            made_calculator.cache_clear()  # it may be in any state
        append_line(self.folder, head | result)

    def _computed(self, structure: Structure, number: int) -> Record:
        calculator = made_calculator(self.calculator, self.settings)
        start_afresh(calculator)
        if hasattr(calculator, "directory"):  # programs of several processes write files of the same names
            calculator.directory = str(self.folder / f"calculations/{number:06d}")
        return computed(atoms_from_structure(structure), calculator)


def is_unconverged(error: BaseException) -> bool:
    """Whether an error says so; programs have classes of their own for it (GPAW: KohnShamConvergenceError)."""
    names = [kind.__name__ for kind in type(error).__mro__]
    return isinstance(error, UnconvergedError | SCFError) or any("Convergence" in name for name in names)


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


def known_results(calculation: Calculation, marks: Sequence[str]) -> dict[int, dict[str, Any]]:
    """What the journals say of structures; labels count before failures, later before earlier.

    A structure that was begun `MOST_BEGUN` times and never came to an end has failed.

    :param marks: of the structures (`mark_of`)
    :return: by the positions of the structures
    """
    found: dict[str, dict[str, Any]] = {}
    begun: Counter[str] = Counter()
    for result in read_lines(calculation.folder):
        mark = result["fingerprint"]
        if result.get("calculator", calculation.identity) != calculation.identity:
            continue
        if BEGUN in result:
            begun[mark] += 1 if result[BEGUN] else -1
            continue
        begun[mark] = 0
        if mark not in found or "failure" in found[mark]:
            found[mark] = result
    for mark, count in begun.items():
        if count >= MOST_BEGUN and mark not in found:
            found[mark] = failure(DIED, f"the process ended {count} times while it was computed")
    return {number: found[mark] for number, mark in enumerate(marks) if mark in found}


def read_lines(folder: Path) -> Iterator[dict[str, Any]]:
    """All lines of all processes, in the order of the files' times; what was cut is left out."""
    for path in sorted(folder.glob("labels-*.jsonl"), key=lambda path: path.stat().st_mtime_ns):
        for line in path.read_bytes().split(b"\n"):
            try:
                result = json.loads(line)
            except ValueError:
                continue
            if isinstance(result, dict) and "fingerprint" in result:
                yield result
