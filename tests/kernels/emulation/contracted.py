"""The emulated CUDA kernels of contracted functions, called with tensors of the CPU."""

from __future__ import annotations

import ctypes
from typing import Any

import torch

from mhdnn.descriptors.couplings import couplings
from tests.kernels.contracted_cases import DensityCase, InvariantCase
from tests.kernels.emulation.library import CUTOFF_FUNCTION_NUMBERS, SMALL, Launch, OutOfSharedMemory

_LAUNCH = ("threads", "tile", "blocks", "device_shared_bytes")


def _structure(name: str, *groups: tuple[type, tuple[str, ...]]) -> type[ctypes.Structure]:
    fields = [(field, kind) for kind, names in groups for field in names]
    return type(name, (ctypes.Structure,), {"_fields_": fields})


_integer, _pointer = ctypes.c_int64, ctypes.c_void_p
EmulatedDensities = _structure(
    "EmulatedDensities",
    (_integer, (*_LAUNCH, "num_atoms", "num_pairs", "num_elements", "num_densities", "num_radial", "max_degree")),
    (_pointer, ("first_pair", "center_element", "neighbor_element", "pair_vectors", "pair_tangents", "coefficients")),
    (_pointer, ("coefficient_tangents", "etas", "shifts")),
    (ctypes.c_double, ("cutoff",)),
    (_integer, ("cutoff_function",)),
    (_pointer, ("cotangent", "moments", "vector_gradient", "coefficient_gradient")),
)
EmulatedInvariants = _structure(
    "EmulatedInvariants",
    (_integer, (*_LAUNCH, "num_atoms", "num_densities", "max_degree", "four_body_degree", "four_body_densities")),
    (_pointer, ("moments", "moment_tangents", "cotangent", "functions", "moment_gradient")),
)


def _nan(like: torch.Tensor, *shape: int) -> torch.Tensor:
    """So that what is not written shows."""
    return torch.full(shape, float("nan"), dtype=like.dtype)


def _call(library: ctypes.CDLL, name: str, call: ctypes.Structure, dtype: torch.dtype) -> None:
    status = getattr(library, f"mhdnn_{name}_{'float' if dtype == torch.float32 else 'double'}")(ctypes.byref(call))
    if status == 2:
        raise OutOfSharedMemory
    assert status == 0, "a write beyond the shared memory"


def _pointers(**arrays: torch.Tensor | None) -> dict[str, Any]:
    assert all(array is None or array.is_contiguous() for array in arrays.values())
    return {name: array.data_ptr() for name, array in arrays.items() if array is not None}


def emulate_densities(
    library: ctypes.CDLL,
    case: DensityCase,
    cotangent: torch.Tensor | None = None,
    tangents: tuple[torch.Tensor, torch.Tensor] | None = None,
    launch: Launch = SMALL,
    by_vectors: bool = True,
    by_coefficients: bool = True,
) -> tuple[torch.Tensor, ...]:
    """Moments; or with a cotangent both gradients; or with tangents derivatives of all three.

    :raises OutOfSharedMemory: if the plan asks for more than the device has
    """
    num_atoms = len(case.first_pair) - 1
    num_elements, _, num_densities, num_radial = case.coefficients.shape
    outputs = {}
    if cotangent is None or tangents is not None:
        outputs["moments"] = _nan(case.pair_vectors, num_atoms, num_densities, (case.max_degree + 1) ** 2)
    if cotangent is not None and by_vectors:
        outputs["vector_gradient"] = _nan(case.pair_vectors, *case.pair_vectors.shape)
    if cotangent is not None and by_coefficients:
        outputs["coefficient_gradient"] = _nan(case.pair_vectors, num_atoms, num_elements, num_densities, num_radial)
    pair_tangents, coefficient_tangents = tangents or (None, None)
    arrays = {name: value for name, value in vars(case).items() if isinstance(value, torch.Tensor)}
    call = EmulatedDensities(
        **vars(launch),
        num_atoms=num_atoms,
        num_pairs=len(case.pair_vectors),
        num_elements=num_elements,
        num_densities=num_densities,
        num_radial=num_radial,
        max_degree=case.max_degree,
        cutoff=case.cutoff,
        cutoff_function=CUTOFF_FUNCTION_NUMBERS[case.cutoff_function],
        **_pointers(
            **arrays,
            **outputs,
            pair_tangents=pair_tangents,
            coefficient_tangents=coefficient_tangents,
            cotangent=cotangent,
        ),
    )
    _call(library, "densities", call, case.pair_vectors.dtype)
    if "coefficient_gradient" in outputs:
        of_atoms = outputs["coefficient_gradient"]
        sums = torch.zeros_like(case.coefficients).index_add(0, case.center_element, of_atoms)
        outputs["coefficient_gradient"] = sums
    return tuple(outputs.values())


def emulate_invariants(
    library: ctypes.CDLL,
    case: InvariantCase,
    cotangent: torch.Tensor | None = None,
    tangents: torch.Tensor | None = None,
    launch: Launch = SMALL,
) -> tuple[torch.Tensor, ...]:
    """Functions; or with a cotangent the gradient; or with tangents derivatives of both."""
    num_atoms, num_densities, num_harmonics = case.moments.shape
    num_degrees = int(num_harmonics**0.5)
    outputs = {}
    if cotangent is None or tangents is not None:
        four_body = couplings(case.four_body_degree, case.four_body_densities)
        size = num_densities * (num_densities + 1) // 2 * num_degrees + sum(len(c.densities) for c in four_body)
        outputs["functions"] = _nan(case.moments, num_atoms, size)
    if cotangent is not None:
        outputs["moment_gradient"] = _nan(case.moments, *case.moments.shape)
    call = EmulatedInvariants(
        **vars(launch),
        num_atoms=num_atoms,
        num_densities=num_densities,
        max_degree=num_degrees - 1,
        four_body_degree=case.four_body_degree,
        four_body_densities=case.four_body_densities,
        **_pointers(moments=case.moments, moment_tangents=tangents, cotangent=cotangent, **outputs),
    )
    _call(library, "invariants", call, case.moments.dtype)
    return tuple(outputs.values())
