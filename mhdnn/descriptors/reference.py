r"""The symmetry-function operator in plain torch: the oracle of the compiled kernels.

It also stands in for them where there is no compiler; every derivative comes from torch.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from mhdnn.descriptors.cutoff import cutoff_value
from mhdnn.descriptors.neighborhood import Neighborhood, neighborhood_of
from mhdnn.descriptors.spherical_harmonics import normalization_table, spherical_harmonics
from mhdnn.kernels import in_plain_torch


@in_plain_torch
def symmetry_functions(
    pair_vectors: torch.Tensor,
    channel_table: torch.Tensor,
    first_pair: torch.Tensor,
    neighbor_element: torch.Tensor,
    etas: torch.Tensor,
    shifts: torch.Tensor,
    cutoff: float,
    cutoff_function: str,
    kind: str,
    max_degree: int,
    cross_terms: bool,
    radial_index: Sequence[int],
    zetas: Sequence[int],
    lambdas: Sequence[int],
    elements: Sequence[int] = (),
) -> torch.Tensor:
    r"""Symmetry functions of one kind, shape (num_atoms, num_functions).

    With :math:`g_n(r) = e^{-\eta_n (r - r_{s,n})^2} f_c(r)` and channel weights :math:`w_c(Z)`, densities
    p = (channel, n) and moments :math:`A_{lm}^p = \sum_j w_c(Z_j) g_n(r_{ij}) Y_{lm}(\mathbf u_{ij})`:

    - radial: :math:`\sum_j w_c g_n`, channel-major
    - legendre: :math:`\sum_m A_{lm}^p A_{lm}^q` for the pairs p ≤ q (``cross_terms``: also of different n) and
      l = 0..max_degree, degree last
    - degrees: the same for equal n, as sums over pairs of different neighbours, each pair once;
      for the pairs of channels a ≤ b, n, l
    - narrow, wide: :math:`2^{1-\zeta} \sum_{j<k} (1+\lambda\cos\theta_{jik})^\zeta g(r_{ij}) g(r_{ik})`, narrow
      times :math:`e^{-\eta r_{jk}^2} f_c(r_{jk})`; for the pairs of channels, then in the order of the lists

    With ``elements`` none of these is resolved by channels: radial functions n count neighbours of the element
    elements[n] (there is one function for each n); narrow and wide functions of n count pairs of neighbours of the
    elements elements[2n] ≤ elements[2n + 1], and the third side has the shift of n, too:
    :math:`e^{-\eta (r_{jk} - r_s)^2} f_c(r_{jk})`.

    :param pair_vectors: from centre to neighbour, sorted by centre, shape (num_pairs, 3), Å
    :param channel_table: :math:`w_c(Z)`, shape (num_elements, num_channels)
    :param first_pair: where the pairs of each centre begin, and their number at the end, shape (num_atoms + 1,)
    :param neighbor_element: row of the neighbour's element in the table, shape (num_pairs,)
    :param etas: η, shape (num_radial,), Å⁻²
    :param shifts: r_s, shape (num_radial,), Å
    :param cutoff: Å
    :param cutoff_function: as in `mhdnn.descriptors.cutoff`
    :param radial_index: n of each narrow or wide function
    :param zetas: ζ of each narrow or wide function
    :param lambdas: λ of each narrow or wide function
    :param elements: of the neighbours that each radial function is for, or none
    """
    if elements:
        channel_table = torch.eye(len(channel_table), dtype=pair_vectors.dtype, device=pair_vectors.device)
    neighbors = neighborhood_of(pair_vectors, channel_table, first_pair, neighbor_element, cutoff)
    offset = neighbors.distance.unsqueeze(-1) - shifts
    cutoff_values = cutoff_value(cutoff_function, neighbors.distance, cutoff).unsqueeze(-1)
    radial = torch.exp(-etas * offset * offset) * cutoff_values
    if kind == "radial" and elements:
        return (neighbors.channel_weight[..., elements] * radial).sum(1)
    if kind == "radial":
        sums = neighbors.channel_weight.transpose(1, 2) @ radial
        return sums.flatten(1)
    if kind == "legendre":
        return _legendre(neighbors, radial, max_degree, cross_terms)
    if kind == "degrees":
        return _degrees(neighbors, radial, max_degree)
    if kind not in ("narrow", "wide"):
        raise ValueError(f"`kind`: expected radial, legendre, degrees, narrow or wide, got {kind}")
    shift = shifts if elements else torch.zeros_like(shifts)
    third = _third_sides(neighbors, etas, shift, cutoff, cutoff_function) if kind == "narrow" else None
    functions = list(zip(radial_index, zetas, lambdas, strict=True))
    if not elements:
        return _triplets(neighbors, radial, third, functions)
    own = [
        _triplets(neighbors, radial, third, [function])[:, _pair_number(elements, function[0], len(channel_table))]
        for function in functions
    ]
    return torch.stack(own, 1)


def _pair_number(elements: Sequence[int], radial_index: int, num_elements: int) -> int:
    """Place of the pair of elements of a radial function among all unordered pairs."""
    first, second = density_pairs(num_elements, 1, False)
    pair = (elements[2 * radial_index], elements[2 * radial_index + 1])
    return list(zip(first, second, strict=True)).index(pair)


def _densities(neighbors: Neighborhood, radial: torch.Tensor) -> torch.Tensor:
    """:math:`w_c g_n` of each neighbour, shape (num_atoms, max_neighbors, num_channels · num_radial)."""
    return (neighbors.channel_weight.unsqueeze(-1) * radial.unsqueeze(-2)).flatten(2)


def _products_by_degree(neighbors: Neighborhood, density: torch.Tensor, max_degree: int) -> torch.Tensor:
    r""":math:`\sum_m A_{lm}^p A_{lm}^q` of all p, q; shape (num_atoms, num_densities, num_densities, L + 1)."""
    norms = normalization_table(max_degree).to(density)
    harmonics = spherical_harmonics(neighbors.direction, max_degree, norms)
    moments = density.transpose(1, 2) @ harmonics
    blocks = [moments[..., degree**2 : (degree + 1) ** 2] for degree in range(max_degree + 1)]
    return torch.stack([block @ block.transpose(1, 2) for block in blocks], -1)


def density_pairs(num_channels: int, num_radial: int, cross_terms: bool) -> tuple[list[int], list[int]]:
    """Densities p and q of the pairs p ≤ q, in the order of the functions."""
    if cross_terms:
        size = num_channels * num_radial
        pairs = [(p, q) for p in range(size) for q in range(p, size)]
    else:
        pairs = [
            (a * num_radial + n, b * num_radial + n)
            for a in range(num_channels)
            for b in range(a, num_channels)
            for n in range(num_radial)
        ]
    first, second = zip(*pairs, strict=True)
    return list(first), list(second)


def _legendre(neighbors: Neighborhood, radial: torch.Tensor, max_degree: int, cross_terms: bool) -> torch.Tensor:
    products = _products_by_degree(neighbors, _densities(neighbors, radial), max_degree)
    first, second = density_pairs(neighbors.channel_weight.shape[-1], radial.shape[-1], cross_terms)
    return products[:, first, second].flatten(1)


def _degrees(neighbors: Neighborhood, radial: torch.Tensor, max_degree: int) -> torch.Tensor:
    density = _densities(neighbors, radial)
    products = _products_by_degree(neighbors, density, max_degree)
    own_terms = density.transpose(1, 2) @ density
    first, second = density_pairs(neighbors.channel_weight.shape[-1], radial.shape[-1], False)
    ordered = products[:, first, second] - own_terms[:, first, second].unsqueeze(-1)
    # equal channels: both orders of a pair of neighbours were counted
    count = ordered.new_tensor([0.5 if p == q else 1.0 for p, q in zip(first, second, strict=True)])
    return (ordered * count.unsqueeze(-1)).flatten(1)


def _third_sides(
    neighbors: Neighborhood, etas: torch.Tensor, shifts: torch.Tensor, cutoff: float, cutoff_function: str
) -> torch.Tensor:
    r""":math:`e^{-\eta_n (r_{jk} - r_{s,n})^2} f_c(r_{jk})`.

    :return: shape (num_atoms, max_neighbors, max_neighbors, num_radial)
    """
    vectors = neighbors.direction * neighbors.distance.unsqueeze(-1)
    sides = vectors.unsqueeze(2) - vectors.unsqueeze(1)
    # no two neighbours are this close; keeps the root's gradient finite for j = k and empty places
    square = torch.clamp((sides * sides).sum(-1), min=1e-6)
    distance = torch.sqrt(square)
    offset = distance.unsqueeze(-1) - shifts
    return torch.exp(-etas * offset * offset) * cutoff_value(cutoff_function, distance, cutoff).unsqueeze(-1)


def _power(base: torch.Tensor, exponent: int) -> torch.Tensor:
    """Integer power by squaring; its gradient at 0 is finite for every exponent."""
    result = torch.ones_like(base)
    while exponent > 0:
        result = result * base if exponent % 2 else result
        base, exponent = base * base, exponent // 2
    return result


def _triplets(
    neighbors: Neighborhood, radial: torch.Tensor, third: torch.Tensor | None, functions: list[tuple[int, int, int]]
) -> torch.Tensor:
    cosine = neighbors.direction @ neighbors.direction.transpose(1, 2)
    different = 1.0 - torch.eye(cosine.shape[1], dtype=cosine.dtype, device=cosine.device)
    first, second = density_pairs(neighbors.channel_weight.shape[-1], 1, False)
    count = cosine.new_tensor([0.5 if a == b else 1.0 for a, b in zip(first, second, strict=True)])
    terms = []
    for n, zeta, lambda_ in functions:
        angular = different * _power(1.0 + lambda_ * cosine, zeta) * 2.0 ** (1 - zeta)
        if third is not None:
            angular = angular * third[..., n]
        weighted = neighbors.channel_weight * radial[..., n : n + 1]
        sums = weighted.transpose(1, 2) @ angular @ weighted
        terms.append(sums[:, first, second] * count)
    return torch.stack(terms, -1).flatten(1)
