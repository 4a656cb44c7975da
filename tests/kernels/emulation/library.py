"""The emulated CUDA kernels: compiled with g++, called with tensors of the CPU."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import torch

from mhdnn.kernels.build import SOURCE_FOLDER
from tests.kernels.cases import Case

FOLDER = Path(__file__).parent
COMPILER = shutil.which("g++")
COMPILER_FLAGS = ("-O1", "-std=c++17", "-pthread", "-Wall", "-Wextra", "-Werror", f"-I{SOURCE_FOLDER}")

KIND_NUMBERS = {"radial": 0, "legendre": 1, "degrees": 2, "narrow": 3, "wide": 4}
CUTOFF_FUNCTION_NUMBERS = {"cosine": 0, "polynomial": 1, "tanh": 2}

_INTEGERS_BEFORE = ("threads", "tile", "blocks", "device_shared_bytes")
_SIZES = ("num_atoms", "num_pairs", "num_elements", "num_channels", "num_radial")
_INPUTS = (
    "first_pair", "neighbor_element", "pair_vectors", "pair_tangents", "channel_table", "table_tangents", "etas",
    "shifts",
)  # fmt: skip
_OUTPUTS = ("functions", "vector_gradient", "table_gradient")
_SHAPE = ("kind", "max_degree", "cross_terms", "num_angular", "num_powers")
_LISTS = ("radial_index", "power_index", "zetas", "lambdas")


class EmulatedCall(ctypes.Structure):
    """The structure of the same name in emulated.cpp."""

    _fields_ = [
        *((name, ctypes.c_int64) for name in _INTEGERS_BEFORE + _SIZES),
        *((name, ctypes.c_void_p) for name in _INPUTS),
        ("cutoff", ctypes.c_double),
        ("cutoff_function", ctypes.c_int64),
        *((name, ctypes.c_void_p) for name in ("cotangent", *_OUTPUTS)),
        *((name, ctypes.c_int64) for name in _SHAPE),
        *((name, ctypes.c_void_p) for name in _LISTS),
    ]


@dataclass(frozen=True)
class Launch:
    """Threads of a block, neighbours in its shared memory, blocks; 0: what the plan for the device says."""

    threads: int = 5
    tile: int = 8
    blocks: int = 3
    device_shared_bytes: int = 1 << 20


SMALL = Launch()


class OutOfSharedMemory(Exception):
    """The shape needs more than the device has."""


def compile_with(*arguments: str | Path) -> None:
    result = subprocess.run(
        [COMPILER, *COMPILER_FLAGS, *map(str, arguments)], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr


def compile_library(folder: Path) -> ctypes.CDLL:
    library = folder / "emulated.so"
    sources = (FOLDER / "emulated.cpp", FOLDER / "emulated_contracted.cpp")
    compile_with("-shared", "-fPIC", *sources, "-o", library)
    return ctypes.CDLL(str(library))


def _lists(case: Case) -> dict[str, torch.Tensor]:
    powers = list(zip(case.zetas, case.lambdas, strict=True))
    distinct = list(dict.fromkeys(powers))
    return {
        "radial_index": torch.tensor(case.radial_index, dtype=torch.int64),
        "power_index": torch.tensor([distinct.index(power) for power in powers], dtype=torch.int64),
        "zetas": torch.tensor([zeta for zeta, _ in distinct], dtype=torch.int64),
        "lambdas": torch.tensor([lambda_ for _, lambda_ in distinct], dtype=torch.int64),
    }


def _num_functions(case: Case) -> int:
    num_channels, num_radial = case.channel_table.shape[1], len(case.etas)
    channel_pairs, size = num_channels * (num_channels + 1) // 2, num_channels * num_radial
    if case.kind == "radial":
        return size
    if case.kind in ("narrow", "wide"):
        return channel_pairs * len(case.radial_index)
    pairs = size * (size + 1) // 2 if case.cross_terms else channel_pairs * num_radial
    return pairs * (case.max_degree + 1)


def _outputs(case: Case, has_functions: bool, has_gradients: bool) -> dict[str, torch.Tensor]:
    """Filled with NaN, so that what is not written shows."""
    num_atoms = len(case.first_pair) - 1
    nan = torch.tensor(float("nan"), dtype=case.pair_vectors.dtype)
    outputs = {}
    if has_functions:
        outputs["functions"] = nan.repeat(num_atoms, _num_functions(case))
    if has_gradients:
        outputs["vector_gradient"] = nan.repeat(*case.pair_vectors.shape)
        outputs["table_gradient"] = nan.repeat(num_atoms, *case.channel_table.shape)
    return outputs


def emulate(
    library: ctypes.CDLL,
    case: Case,
    cotangent: torch.Tensor | None = None,
    tangents: tuple[torch.Tensor, torch.Tensor] | None = None,
    launch: Launch = SMALL,
) -> tuple[torch.Tensor, ...]:
    """Functions; or with a cotangent both gradients; or with tangents derivatives of all three.

    :raises OutOfSharedMemory: if the plan asks for more than the device has
    """
    lists = _lists(case)
    outputs = _outputs(case, cotangent is None or tangents is not None, cotangent is not None)
    pair_tangents, table_tangents = tangents or (None, None)
    arrays = {
        **{name: getattr(case, name, None) for name in _INPUTS},
        "pair_tangents": pair_tangents,
        "table_tangents": table_tangents,
        "cotangent": cotangent,
        **outputs,
        **lists,
    }
    assert all(array is None or array.is_contiguous() for array in arrays.values())
    call = EmulatedCall(
        **vars(launch),
        num_atoms=len(case.first_pair) - 1,
        num_pairs=len(case.pair_vectors),
        num_elements=case.channel_table.shape[0],
        num_channels=case.channel_table.shape[1],
        num_radial=len(case.etas),
        cutoff=case.cutoff,
        cutoff_function=CUTOFF_FUNCTION_NUMBERS[case.cutoff_function],
        kind=KIND_NUMBERS[case.kind],
        max_degree=case.max_degree,
        cross_terms=case.cross_terms,
        num_angular=len(case.radial_index),
        num_powers=len(lists["zetas"]),
        **{name: array.data_ptr() for name, array in arrays.items() if array is not None},
    )
    name = "mhdnn_emulated_float" if case.pair_vectors.dtype == torch.float32 else "mhdnn_emulated_double"
    status = getattr(library, name)(ctypes.byref(call))
    if status == 2:
        raise OutOfSharedMemory
    assert status == 0, "a write beyond the shared memory"
    if "table_gradient" in outputs:
        outputs["table_gradient"] = outputs["table_gradient"].sum(0)
    return tuple(outputs.values())
