"""Gaunt coefficients and four-body functions against Cartesian forms and exact values."""

import itertools
import math

import pytest
import torch

from mhdnn.descriptors.contracted_reference import density_invariants
from mhdnn.descriptors.couplings import couplings, gaunt
from mhdnn.descriptors.spherical_harmonics import normalization_table, spherical_harmonics
from tests.tolerances import ROUND_OFF

NUM_ATOMS, NUM_DENSITIES = 6, 3


def weighted_neighbors():
    """Weights g_n of random neighbours and their directions, and the moments of degree 2."""
    generator = torch.Generator().manual_seed(0)
    weights = torch.randn(NUM_ATOMS, NUM_DENSITIES, 9, generator=generator, dtype=torch.float64)
    vectors = torch.randn(NUM_ATOMS, 9, 3, generator=generator, dtype=torch.float64)
    directions = vectors / vectors.norm(dim=-1, keepdim=True)
    return weights, directions, weights @ spherical_harmonics(directions, 2, normalization_table(2))


def four_body(moments, degree=2):
    num_three_body = NUM_DENSITIES * (NUM_DENSITIES + 1) // 2 * 3
    return density_invariants(moments, degree, NUM_DENSITIES)[:, num_three_body:]


def test_gaunt_coefficients_of_exact_value():
    """Mean of Y_1m Y_1m Y_20 over the sphere: that of z² (3z² - 1)/2 is 2/15, of x² and y² minus half of it."""
    values = gaunt(1, 1, 2)[:, :, 2]
    expected = torch.diag(torch.tensor([-1.0, 2.0, -1.0], dtype=torch.float64)) / 15.0
    assert (values - expected).abs().max() < ROUND_OFF


@pytest.mark.parametrize("degrees", [(1, 2, 2), (1, 1, 3), (1, 1, 4)])
def test_gaunt_coefficients_that_vanish(degrees):
    """Odd sums, and degrees that are no triangle."""
    assert gaunt(*degrees).abs().max() < ROUND_OFF


def test_gaunt_coefficients_multiply_harmonics():
    """Y_l1m1 Y_l2m2 = sum (2 l3 + 1) G Y_l3m3, in any direction."""
    directions = weighted_neighbors()[1].flatten(0, 1)
    harmonics = spherical_harmonics(directions, 5, normalization_table(5))
    blocks = [harmonics[:, degree**2 : (degree + 1) ** 2] for degree in range(6)]
    product = torch.einsum("pa,pb->pab", blocks[2], blocks[3])
    terms = [(2 * n + 1) * torch.einsum("abc,pc->pab", gaunt(2, 3, n), blocks[n]) for n in range(6)]
    assert (product - sum(terms)).abs().max() < ROUND_OFF


def test_functions_of_degree_two_are_cartesian_forms():
    """v·M·v and tr MMM of the vectors v = sum g u and the quadrupoles M = sum g (u⊗u - 1/3), up to factors that make
    them the mean over the sphere of the product of Legendre polynomials where all neighbours are in one direction.
    """
    weights, directions, moments = weighted_neighbors()
    vectors = torch.einsum("inj,ija->ina", weights, directions)
    products = torch.einsum("ija,ijb->ijab", directions, directions) - torch.eye(3, dtype=torch.float64) / 3.0
    quadrupoles = torch.einsum("inj,ijab->inab", weights, products)
    expected = []
    (_, of_vectors), (_, of_quadrupoles) = couplings(2, NUM_DENSITIES)
    for a, b, c in of_vectors:
        form = torch.einsum("ix,iy,ixy->i", vectors[:, a], vectors[:, b], quadrupoles[:, c])
        expected.append(form / 5.0)
    for a, b, c in of_quadrupoles:
        form = torch.einsum("ixy,iyz,izx->i", quadrupoles[:, a], quadrupoles[:, b], quadrupoles[:, c])
        expected.append(form * 9.0 / 35.0)
    found = four_body(moments)
    assert found.shape[1] == len(expected) == 18 + 10
    assert (found - torch.stack(expected, 1)).abs().max() < ROUND_OFF * found.abs().max()


@pytest.mark.parametrize(
    ("degree", "num_densities", "number"), [(2, 3, 28), (2, 4, 60), (1, 4, 0), (3, 2, 24), (0, 3, 0)]
)
def test_number_of_functions(degree, num_densities, number):
    assert sum(len(densities) for _, densities in couplings(degree, num_densities)) == number


def test_all_orders_of_densities_give_listed_functions():
    """Whatever order the densities of equal degrees are taken in, the function is that of the listed order."""
    moments = weighted_neighbors()[2]
    blocks = [moments[..., degree**2 : (degree + 1) ** 2] for degree in range(3)]
    place = 0
    found = four_body(moments)
    for degrees, listed in couplings(2, NUM_DENSITIES):
        for triple in listed:
            for order in itertools.permutations(range(3)):
                if tuple(degrees[i] for i in order) != degrees:
                    continue
                factors = [blocks[degrees[k]][:, triple[i]] for k, i in enumerate(order)]
                value = torch.einsum("abc,ia,ib,ic->i", gaunt(*degrees), *factors)
                assert (value - found[:, place]).abs().max() < ROUND_OFF * max(1.0, found.abs().max())
            place += 1


def test_degrees_that_are_coupled_are_all_that_give_invariants():
    """Counted independently: triangles with an even perimeter."""
    expected = {
        (a, b, c)
        for a, b, c in itertools.product(range(1, 5), repeat=3)
        if a <= b <= c and c - b <= a and math.remainder(a + b + c, 2) == 0
    }
    assert {degrees for degrees, _ in couplings(4, 1)} == expected
