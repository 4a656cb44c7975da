"""Operations that benchmarks/gpu.py counts: additions, multiplications and exponentials that the formulas of energy and
forces need.

For a pair of atoms, K Gaussians, N densities (K without coefficients) and H = (L + 1)² spherical harmonics:

    direction and cutoff function 40;  Gaussians and slopes 10 K;  contraction 4 N K;  harmonics and their gradient 9 H
    moments 2 N H;  gradients by harmonics and radial functions 4 N H

For an atom: products of moments and their gradient 3 N (N + 1) H; four-body functions of n densities up to degree l,
and their gradient, 8 n³ (2 l + 1)²; 6 for each weight of the network. Functions of pairs of neighbours (narrow) are
not counted.
"""

from __future__ import annotations

from mhdnn.descriptors.contracted import ContractedFunctions
from mhdnn.potential import Potential


def operations(potential: Potential, pairs_per_atom: float) -> float | None:
    """Operations for each atom, energy and forces; None for functions that are not counted."""
    total = 6.0 * sum(weight.numel() for weight in potential.short_range.network.parameters())
    for part in potential.descriptor.parts:
        if part.kind == "narrow":
            return None
        gaussians, harmonics = len(part.basis.etas), (part.max_degree + 1) ** 2
        densities = part.num_densities if isinstance(part, ContractedFunctions) else gaussians
        pair = 40 + 10 * gaussians + 6 * densities * harmonics + (9 * harmonics if harmonics > 1 else 0)
        if isinstance(part, ContractedFunctions):
            pair += 4 * densities * gaussians
            total += 8 * part.four_body_densities**3 * (2 * part.four_body_degree + 1) ** 2
        total += pair * pairs_per_atom
        if part.kind != "radial" and harmonics > 1:
            total += 3 * densities * (densities + 1) * harmonics
    return total


def operations_per_second(size: int, seconds: float) -> float:
    """What a product of square matrices reaches, from the seconds of one."""
    return 2.0 * size**3 / seconds
