"""The core (`mhdnn/core`) as a library for Python: compiled once for this machine, called by ctypes.

Its functions, and what their arguments mean, stand in ``core/mhdnn.h``. A wheel with operators brings it.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from mhdnn.compilation import (
    announced,
    cache_root,
    compile_library,
    compiler,
    compiler_flags,
    flags_for,
    only_one,
    source_digest,
)
from mhdnn.errors import BuildError, ModelError
from mhdnn.kernels.build import CORE_FOLDER, SOURCE_FOLDER
from mhdnn.kernels.loading import VARIABLE, load_operators
from mhdnn.kernels.shipped import core_name, shipped_core

LIBRARY_NAME = "mhdnn_core"
FLAGS = ("-std=c++17", "-fPIC", "-fvisibility=hidden", "-Wno-psabi")
DOUBLES, INTEGERS, LONGS = (ctypes.POINTER(kind) for kind in (ctypes.c_double, ctypes.c_int, ctypes.c_int64))
NOT_FINITE = 2


class CAtoms(ctypes.Structure):
    """``mhdnn_atoms``."""

    _fields_ = (
        ("num_atoms", ctypes.c_int64), ("atomic_numbers", INTEGERS), ("num_pairs", ctypes.c_int64), ("pairs", LONGS),
        ("vectors", DOUBLES), ("positions", DOUBLES), ("cell", DOUBLES), ("periodic", INTEGERS),
        ("total_charge", ctypes.c_double), ("shifts", DOUBLES), ("solver", ctypes.c_int),
    )  # fmt: skip


class CResult(ctypes.Structure):
    """``mhdnn_result``."""

    _fields_ = (
        ("energy", ctypes.c_double), ("virial", ctypes.c_double * 6), ("energies", DOUBLES), ("forces", DOUBLES),
        ("charges", DOUBLES), ("force_errors", DOUBLES), ("outside", INTEGERS), ("function_sums", DOUBLES),
    )  # fmt: skip


class CoreError(ModelError):
    """What the core says of its last failure."""


class CoreLibrary:
    """Functions of the library.

    :param path: of the library
    """

    def __init__(self, path: Path) -> None:
        self.functions = ctypes.CDLL(str(path))
        model = ctypes.c_void_p
        self.open = self._function("open", model, ctypes.c_char_p, ctypes.c_char_p)
        self.open_content = self._function(
            "open_content", model, ctypes.c_char_p, ctypes.c_int64, ctypes.c_char_p, ctypes.c_char_p
        )
        self.close = self._function("close", None, model)
        self.num_functions = self._function("num_functions", ctypes.c_int, model)
        self.compute = self._function("compute", ctypes.c_int, model, ctypes.POINTER(CAtoms), ctypes.POINTER(CResult))
        self.why_outside = self._function("why_outside", ctypes.c_char_p, model, ctypes.c_int64)
        self.set_num_threads = self._function("set_num_threads", None, ctypes.c_int)
        self.last_error = self._function("last_error", ctypes.c_char_p)

    def _function(self, name: str, result: Any, *arguments: Any) -> Any:
        function = self.functions[f"mhdnn_{name}"]
        function.restype, function.argtypes = result, arguments
        return function

    def error(self) -> CoreError:
        """The last failure of this thread."""
        return CoreError(os.fsdecode(self.last_error()))  # it may name a file in any bytes


def pointer(values: np.ndarray | None, kind: Any = DOUBLES) -> Any:
    """To the first of contiguous numbers."""
    return None if values is None else values.ctypes.data_as(kind)


@cache
def core_library() -> CoreLibrary | None:
    """The library, compiled where that was not done yet; None where operators are in plain torch, too.

    :raises BuildError: with the compiler's message
    """
    if load_operators().kind != "compiled":
        return None
    library = existing_library()
    if library is None and compiler() is not None:
        library = build()
    return None if library is None else CoreLibrary(library)


def existing_library() -> Path | None:
    """The library that was compiled here, or the wheel's; None if neither is there."""
    shipped = shipped_core() if os.environ.get(VARIABLE, "auto") == "auto" else None
    if shipped is not None:
        return shipped
    return library_path() if library_path().is_file() else None


def library_path() -> Path:
    """Where the library that is compiled on this machine is, or would be."""
    digest = source_digest(CORE_FOLDER, [source_digest(SOURCE_FOLDER, FLAGS)])
    return cache_root() / f"{LIBRARY_NAME}_{digest}" / f"{LIBRARY_NAME}.so"


def build(force: bool = False) -> Path:
    """Compile the library unless it is there; returns it.

    :param force: compile even if it is there
    :raises BuildError: with the compiler's message
    """
    library = library_path()
    with only_one(library.parent):
        if force or not library.is_file():
            with announced("the core"):
                _compile(library, compiler_flags())
    return library


def build_for_wheel(level: str, folder: Path) -> Path:
    """Compile the library for a level of `mhdnn.kernels.shipped`.

    :param folder: where it goes
    :raises BuildError: with the compiler's message
    """
    library = folder / core_name(level)
    folder.mkdir(parents=True, exist_ok=True)
    _compile(library, flags_for(level))
    return library


def _compile(library: Path, flags: Sequence[str]) -> None:
    sources = sorted(CORE_FOLDER.rglob("*.cpp"))
    command = [str(compiler()), *flags, *FLAGS, f"-I{CORE_FOLDER}", f"-I{SOURCE_FOLDER}"]
    compile_library(library, command, sources, _run)


def _run(command: Sequence[str]) -> None:
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        raise BuildError(
            f"the core could not be compiled with {compiler()}:\n{result.stderr}\n"
            "Repair the compiler, or set MHDNN_KERNELS=torch to do without"
        )
