"""The C++ charge equilibration as functions: compiled once for its source, called by ctypes."""

from __future__ import annotations

import ctypes
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from mhdnn.compilation import cache_root, compiler, compiler_flags, digest_of, only_one, source_digest, threads
from mhdnn.deploy.lammps.plugin import CORE_FOLDER, KERNEL_FOLDER

DRIVER = Path(__file__).parent / "electrostatics_driver.cpp"
ELECTROSTATICS = CORE_FOLDER / "electrostatics"
SOLVERS = ("auto", "dense", "iterative")
DOUBLES = ctypes.POINTER(ctypes.c_double)
ATOM_INPUTS = ("positions", "widths", "hardness", "electronegativity", "gradient", "start", "p", "q")
EARLIER = ("earlier_positions", "earlier_widths", "earlier_cell")
OUTPUT_WIDTHS = {"charges": 1, "potential": 1, "adjoint": 1, "derivatives": 3, "strain": 0, "strain_per_atom": 6}


class Input(ctypes.Structure):
    _fields_ = (
        ("cell", ctypes.c_double * 9),
        ("periodic", ctypes.c_int * 3),
        ("num_atoms", ctypes.c_int64),
        *((name, DOUBLES) for name in (*ATOM_INPUTS, *EARLIER)),
        ("total_charge", ctypes.c_double),
        ("accuracy", ctypes.c_double),
        ("solver", ctypes.c_int),
        ("num_processes", ctypes.c_int),
    )


class Output(ctypes.Structure):
    _fields_ = (
        *((name, DOUBLES) for name in OUTPUT_WIDTHS),
        ("iterations", ctypes.c_int * 2),
        ("exchanges", ctypes.c_int * 2),
    )


class ChargeSystemError(RuntimeError):
    """What all processes threw."""


def build() -> Path:
    """The library, from the cache if it was compiled before."""
    arguments = [str(compiler()), *compiler_flags(), "-std=c++17", "-fPIC", "-Wall", "-Wextra", "-Werror", "-Wno-psabi"]
    arguments += [f"-I{CORE_FOLDER}", f"-I{KERNEL_FOLDER}"]
    shared = [CORE_FOLDER / f"{name}.{kind}" for name in ("threads", "buffer") for kind in ("cpp", "h")]
    texts = [path.read_text() for path in (DRIVER, *shared)]
    digest = digest_of(ELECTROSTATICS, [*texts, source_digest(KERNEL_FOLDER, [])])
    folder = cache_root() / "mhdnn_tests" / digest
    library = folder / "electrostatics.so"
    with only_one(folder):
        if library.exists():
            return library
        sources = [DRIVER, *shared[::2], *sorted(ELECTROSTATICS.glob("*.cpp"))]
        objects = [folder / f"{source.stem}.o" for source in sources]
        with ThreadPoolExecutor(2) as pool:
            commands = [
                [*arguments, "-c", str(source), "-o", str(target)]
                for source, target in zip(sources, objects, strict=True)
            ]
            list(pool.map(run, commands))
        aside = folder / "aside.so"
        run([arguments[0], "-shared", *threads(), *map(str, objects), "-o", str(aside)])
        aside.replace(library)
    return library


def run(command: list[str]) -> None:
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def array(values: Any) -> np.ndarray:
    return np.ascontiguousarray(values, dtype=np.float64)


def pointer(values: np.ndarray | None) -> Any:
    return None if values is None else values.ctypes.data_as(DOUBLES)


class Engine:
    """The functions of the library; arrays instead of pointers."""

    def __init__(self, path: Path) -> None:
        self.library = ctypes.CDLL(str(path))
        self.library.good_size.restype = ctypes.c_int64
        self.library.good_size.argtypes = (ctypes.c_double,)

    def numbers(self, name: str, count: int, *arguments: float) -> list[float]:
        """What a function writes to its last argument."""
        result = np.empty(count)
        getattr(self.library, name)(*map(ctypes.c_double, arguments), pointer(result))
        return result.tolist()

    def solve(
        self,
        case: Any,
        accuracy: float = 1e-6,
        solver: str = "auto",
        num_processes: int = 1,
        earlier: Any = None,
        **vectors: np.ndarray,
    ) -> dict[str, Any]:
        """Charges, their potential, adjoint charges for ``gradient``, derivatives of p A q.

        :param case: of `tests.coulomb`
        :param earlier: the same some steps before, from which neighbours are remembered
        :param vectors: gradient, start, p and q, each shape (num_atoms,)
        """
        num_atoms = len(case.positions)
        arrays = {name: array(getattr(case, name)) for name in ATOM_INPUTS[:4]}
        for name in ("gradient", "p", "q"):
            arrays[name] = array(vectors.get(name, np.zeros(num_atoms)))
        if "start" in vectors:
            arrays["start"] = array(vectors["start"])
        if earlier is not None:
            for name in EARLIER:
                arrays[name] = array(getattr(earlier, name.removeprefix("earlier_")))
        given = Input(
            (ctypes.c_double * 9)(*array(case.cell).ravel()),
            (ctypes.c_int * 3)(*map(int, case.pbc)),
            num_atoms,
            *(pointer(arrays.get(name)) for name in (*ATOM_INPUTS, *EARLIER)),
            float(case.total_charge),
            accuracy,
            SOLVERS.index(solver),
            num_processes,
        )
        results: dict[str, Any] = {
            name: np.full({0: 6, 1: num_atoms}.get(width, (num_atoms, width)), np.nan)
            for name, width in OUTPUT_WIDTHS.items()
        }
        output = Output(*(pointer(results[name]) for name in OUTPUT_WIDTHS))
        message = ctypes.create_string_buffer(1000)
        thrown = self.library.solve(ctypes.byref(given), ctypes.byref(output), message, len(message))
        if thrown:
            assert thrown == num_processes, "some processes threw, others would wait for them"
            raise ChargeSystemError(message.value.decode())
        return {**results, "iterations": list(output.iterations), "exchanges": list(output.exchanges)}
