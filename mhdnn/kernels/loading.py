"""Loading of the operators, once in a process."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from mhdnn.compilation import compiler
from mhdnn.errors import BuildError, ConfigError
from mhdnn.kernels import build
from mhdnn.kernels.shipped import shipped_library

VARIABLE = "MHDNN_KERNELS"

SCHEMAS = {
    "symmetry_functions": "Tensor pair_vectors, Tensor channel_table, Tensor first_pair, Tensor neighbor_element, "
    "Tensor etas, Tensor shifts, float cutoff, str cutoff_function, str kind, int max_degree, bool cross_terms, "
    "int[] radial_index, int[] zetas, int[] lambdas, int[] elements=[]",
    "contracted_functions": "Tensor pair_vectors, Tensor coefficients, Tensor first_pair, Tensor center_element, "
    "Tensor neighbor_element, Tensor etas, Tensor shifts, float cutoff, str cutoff_function, int max_degree, str kind, "
    "int four_body_degree, int four_body_densities",
}
"""What models call."""


@dataclass(frozen=True)
class OperatorState:
    """What ``torch.ops.mhdnn`` is made of.

    :param kind: compiled, torch or absent (not loaded yet)
    :param library: the compiled library
    """

    kind: str
    library: Path | None = None


_state = OperatorState("absent")
_torch_library: torch.library.Library | None = None  # the registration lives as long as this
_in_plain_torch: dict[str, Callable[..., torch.Tensor]] = {}


def in_plain_torch(function: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
    """Decorator of what stands in, where nothing can be compiled, for the operator of the same name.

    It is a composition of torch's own operators, from which all derivatives follow.
    """
    _in_plain_torch[function.__name__] = function
    if _torch_library is not None:
        _define(_torch_library, function)
    return function


def operator_state() -> OperatorState:
    """Which operators this process has loaded."""
    return _state


def load_operators() -> OperatorState:
    """Make ``torch.ops.mhdnn`` available, compiling it where that was not done yet.

    The environment variable MHDNN_KERNELS chooses: ``auto`` (default: those of the wheel, else compiled here, or plain
    torch with a warning where there is no compiler), ``compiled`` (here, for this very processor), or ``torch``.

    :raises BuildError: if the compilation fails, or a compiler is demanded and there is none
    :raises ConfigError: if the variable has another value
    """
    global _state
    if _state.kind != "absent":
        return _state
    wanted = os.environ.get(VARIABLE, "auto")
    if wanted not in ("auto", "compiled", "torch"):
        raise ConfigError(f"`{VARIABLE}`: expected auto, compiled or torch, got {wanted!r}")
    if wanted == "torch":
        _state = _register_torch()
    elif wanted == "auto" and (shipped := usable_library()) is not None:
        torch.ops.load_library(str(shipped))
        _state = OperatorState("compiled", shipped)
    elif compiler() is None and not build.library_path().is_file():
        remedy = "install g++ (Debian, Ubuntu: apt install g++)"
        if wanted == "compiled":
            raise BuildError(f"`{VARIABLE}=compiled`: no C++ compiler was found; {remedy}")
        warnings.warn(
            f"no C++ compiler was found: symmetry functions run in plain torch, many times slower; {remedy}",
            stacklevel=2,
        )
        _state = _register_torch()
    else:
        library = build.build()
        torch.ops.load_library(str(library))
        _state = OperatorState("compiled", library)
    return _state


def compiled_for(tensor: torch.Tensor) -> bool:
    """Whether there are compiled operators for small numbers of a tensor's atoms: on the CPU."""
    return tensor.device.type == "cpu" and load_operators().kind == "compiled"


def usable_library() -> Path | None:
    """The library of the wheel, unless one for a GPU can be compiled."""
    return None if build.cuda_compiler() else shipped_library()


def _register_torch() -> OperatorState:
    global _torch_library
    _torch_library = torch.library.Library("mhdnn", "DEF")
    for function in _in_plain_torch.values():
        _define(_torch_library, function)
    return OperatorState("torch")


def _define(library: torch.library.Library, function: Callable[..., torch.Tensor]) -> None:
    library.define(f"{function.__name__}({SCHEMAS[function.__name__]}) -> Tensor")
    library.impl(function.__name__, function, "CompositeImplicitAutograd")
