"""TorchANI's functions in its CUDA kernels (cuAEV) for benchmarks/gpu.py, where TorchANI has them compiled.

The system of benchmarks/descriptors.py in the same way as in descriptor_peers.py: as many functions as `wide` has, the
network of mhdnn, pairs given, each once. On the CPU (a test of the script) TorchANI's functions in plain torch.
"""

from __future__ import annotations

import importlib.util
import math
import os
from collections.abc import Callable

import torch
from descriptor_systems import NUM_RADIAL, gaussians, network_settings
from gpu_neighbors import DevicePairs

from mhdnn.factory import build_network
from mhdnn.potential import default_dtype

os.environ.setdefault("TORCHANI_NO_WARN_EXTENSIONS", "1")

NUM_DISTANCES, NUM_ANGLES = 3, 6


def is_there(device: str) -> bool:
    """Whether TorchANI is, and on a GPU its kernels."""
    if importlib.util.find_spec("torchani") is None:
        return False
    from torchani.csrc import CUAEV_IS_INSTALLED

    return device == "cpu" or bool(CUAEV_IS_INSTALLED)


def energy_and_forces(
    positions: torch.Tensor, pairs: DevicePairs, element: int, cutoff: float
) -> Callable[[], torch.Tensor]:
    """What evaluates energy and forces; the first call prepares TorchANI."""
    from torchani.aev import AEVComputer, ANIAngular, ANIRadial
    from torchani.neighbors import Neighbors

    device, dtype = positions.device, positions.dtype
    once = pairs.center_index < pairs.neighbor_index
    indices = torch.stack([pairs.neighbor_index[once], pairs.center_index[once]])  # its vectors point to the first
    radial, distances = gaussians(NUM_RADIAL["silicon"], cutoff), gaussians(NUM_DISTANCES, cutoff)
    functions = AEVComputer(
        ANIRadial(radial["etas"][0], radial["shifts"], cutoff),
        ANIAngular(
            distances["etas"][0], 8.0, distances["shifts"],
            [math.pi * (index + 0.5) / NUM_ANGLES for index in range(NUM_ANGLES)], cutoff,
        ),
        num_species=1,
        strategy="cuaev" if device.type == "cuda" else "pyaev",
    ).to(device=device, dtype=dtype)  # fmt: skip
    with default_dtype(dtype):
        network = build_network(network_settings(), [element], functions.out_dim).to(device).requires_grad_(False)
    elements = torch.zeros(1, len(positions), dtype=torch.long, device=device)
    shifts = pairs.vectors[once] - (positions[indices[0]] - positions[indices[1]])

    def evaluate() -> torch.Tensor:
        leaf = positions.detach().requires_grad_()
        vectors = leaf[indices[0]] - leaf[indices[1]] + shifts
        if device.type == "cuda":
            vectors = vectors.detach()  # the kernels' gradient is that by positions
        neighbors = Neighbors(indices, vectors.norm(2, -1), vectors)
        values = functions.compute_from_neighbors(elements, leaf.unsqueeze(0), neighbors).squeeze(0)
        (gradient,) = torch.autograd.grad(network(values, elements[0]).sum(), leaf)
        return -gradient

    return evaluate
