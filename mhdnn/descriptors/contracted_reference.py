"""The operators of contracted functions in plain torch: the oracle of the compiled kernels, and what stands in for them
where there is no compiler.
"""

from __future__ import annotations

import math

import torch

from mhdnn.descriptors.couplings import couplings, gaunt
from mhdnn.descriptors.cutoff import cutoff_value
from mhdnn.descriptors.neighborhood import neighbor_table
from mhdnn.descriptors.spherical_harmonics import normalization_table, spherical_harmonics
from mhdnn.kernels import in_plain_torch


def density_moments(
    pair_vectors: torch.Tensor,
    coefficients: torch.Tensor,
    first_pair: torch.Tensor,
    center_element: torch.Tensor,
    neighbor_element: torch.Tensor,
    etas: torch.Tensor,
    shifts: torch.Tensor,
    cutoff: float,
    cutoff_function: str,
    max_degree: int,
) -> torch.Tensor:
    r"""Moments :math:`A_{lm}^n = \sum_j g_n^{Z_i Z_j}(r_{ij}) Y_{lm}(\mathbf u_{ij})` of contracted densities.

    :math:`g_n^{ab}(r) = \sum_k c_{nk}^{ab} f_k(r)` for the centre's element a and the neighbour's element b, with
    :math:`f_k(r) = e^{-\eta_k (r - r_{s,k})^2} f_c(r)`.

    :param pair_vectors: from centre to neighbour, sorted by centre, shape (num_pairs, 3), Å
    :param coefficients: c, shape (num_elements, num_elements, num_densities, num_radial); centre first
    :param first_pair: where the pairs of each centre begin, and their number at the end, shape (num_atoms + 1,)
    :param center_element: row of the atom's element, shape (num_atoms,)
    :param neighbor_element: row of the neighbour's element, shape (num_pairs,)
    :param etas: η, shape (num_radial,), Å⁻²
    :param shifts: r_s, shape (num_radial,), Å
    :param cutoff: Å
    :param cutoff_function: as in `mhdnn.descriptors.cutoff`
    :return: shape (num_atoms, num_densities, (max_degree + 1)²), in the order l, m = -l..l
    """
    table = neighbor_table(first_pair, len(pair_vectors))
    vectors = torch.cat([pair_vectors, pair_vectors.new_tensor([[2.0 * cutoff, 0.0, 0.0]])])[table]
    element = torch.cat([neighbor_element, neighbor_element.new_zeros(1)])[table]
    distance = torch.sqrt((vectors * vectors).sum(-1))
    offset = distance.unsqueeze(-1) - shifts
    radial = torch.exp(-etas * offset * offset) * cutoff_value(cutoff_function, distance, cutoff).unsqueeze(-1)
    chosen = coefficients[center_element.unsqueeze(1), element]
    densities = (chosen @ radial.unsqueeze(-1)).squeeze(-1)
    norms = normalization_table(max_degree).to(pair_vectors)
    harmonics = spherical_harmonics(vectors / distance.unsqueeze(-1), max_degree, norms)
    return densities.transpose(1, 2) @ harmonics


def density_invariants(moments: torch.Tensor, four_body_degree: int, four_body_densities: int) -> torch.Tensor:
    r"""Invariants of moments under rotations, shape (num_atoms, num_functions).

    - three-body: :math:`\sum_m A_{lm}^n A_{lm}^{n'}` for the pairs n ≤ n' and l = 0..L, degree last
    - four-body: :math:`\sum G^{l_1 l_2 l_3}_{m_1 m_2 m_3} A_{l_1 m_1}^{n_1} A_{l_2 m_2}^{n_2} A_{l_3 m_3}^{n_3}` as
      listed by `mhdnn.descriptors.couplings.couplings`

    :param moments: shape (num_atoms, num_densities, (L + 1)²)
    :param four_body_degree: highest degree of the four-body functions; 0 for none
    :param four_body_densities: of how many densities, from the first on, four-body functions are made
    """
    num_densities, num_degrees = moments.shape[1], math.isqrt(moments.shape[2])
    blocks = [moments[..., degree**2 : (degree + 1) ** 2] for degree in range(num_degrees)]
    products = torch.stack([block @ block.transpose(1, 2) for block in blocks], -1)
    first, second = torch.triu_indices(num_densities, num_densities, device=moments.device)
    result = [products[:, first, second].flatten(1)]
    for degrees, triples in couplings(four_body_degree, four_body_densities):
        result.append(_coupled(blocks, degrees, torch.tensor(triples, device=moments.device)))
    return torch.cat(result, 1)


@in_plain_torch
def contracted_functions(
    pair_vectors: torch.Tensor,
    coefficients: torch.Tensor,
    first_pair: torch.Tensor,
    center_element: torch.Tensor,
    neighbor_element: torch.Tensor,
    etas: torch.Tensor,
    shifts: torch.Tensor,
    cutoff: float,
    cutoff_function: str,
    max_degree: int,
    kind: str,
    four_body_degree: int,
    four_body_densities: int,
) -> torch.Tensor:
    """Contracted functions, shape (num_atoms, num_functions): radial are the moments of degree 0 themselves, angular
    the `density_invariants` of the `density_moments`.
    """
    if kind not in ("radial", "angular"):
        raise ValueError(f"`kind`: expected radial or angular, got {kind}")
    moments = density_moments(
        pair_vectors,
        coefficients,
        first_pair,
        center_element,
        neighbor_element,
        etas,
        shifts,
        cutoff,
        cutoff_function,
        0 if kind == "radial" else max_degree,
    )
    if kind == "radial":
        return moments.squeeze(2)
    return density_invariants(moments, four_body_degree, four_body_densities)


def _coupled(blocks: list[torch.Tensor], degrees: tuple[int, int, int], densities: torch.Tensor) -> torch.Tensor:
    """Invariants of three moments, shape (num_atoms, num_triples)."""
    coefficients = gaunt(*degrees).to(blocks[0])
    moments = [blocks[degree][:, density] for degree, density in zip(degrees, densities.T, strict=True)]
    return torch.einsum("abc,ita,itb,itc->it", coefficients, *moments)
