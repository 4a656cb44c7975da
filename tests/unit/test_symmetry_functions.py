"""Symmetry functions value by value against plain Python loops over neighbours and triplets."""

import itertools
import math

import numpy as np
import pytest
import torch
from numpy.polynomial.legendre import Legendre

from mhdnn.descriptors import build_descriptor
from mhdnn.descriptors.groups import legendre_expansion
from mhdnn.errors import ConfigError
from mhdnn.potential import default_dtype
from tests.builders import behler_settings, geometry_of, legendre_settings, model_settings, structures
from tests.tolerances import ROUND_OFF, SINGLE_PRECISION

CUTOFF = 4.5
ELEMENTS = [6, 14, 50]


def descriptor_for(angular, dtype=torch.float64, **changes):
    """With one angular part; kind ``wide_by_moments`` is wide without the choice by number of neighbours."""
    settings = model_settings(ELEMENTS, **changes)["descriptor"]
    by_moments = angular["kind"] == "wide_by_moments"
    if by_moments:
        angular = {**angular, "kind": "wide"}
    with default_dtype(dtype):
        descriptor = build_descriptor({**settings, "angular": {"only": angular}}, ELEMENTS, CUTOFF)
    if by_moments:
        descriptor.parts[1].fewest_neighbors = 0.0
    return descriptor


def evaluate(descriptor, atoms, dtype=torch.float64):
    geometry = geometry_of(atoms, cutoff=CUTOFF)
    vectors = geometry.pair_vectors()
    element = torch.tensor([ELEMENTS.index(z) for z in geometry.atomic_numbers.tolist()])
    neighbors = element[geometry.neighbor_index]
    values = descriptor(vectors.to(dtype), geometry.center_index, element, neighbors)
    return values.detach(), geometry, vectors


def neighbors_of(atom, geometry, vectors):
    for pair in torch.nonzero(geometry.center_index == atom).squeeze(1).tolist():
        yield vectors[pair].numpy(), int(geometry.atomic_numbers[geometry.neighbor_index[pair]])


def cosine_cutoff(r):
    return 0.5 * (1 + math.cos(math.pi * r / CUTOFF)) if r < CUTOFF else 0.0


def gaussian(r, eta, shift):
    return math.exp(-eta * (r - shift) ** 2) * cosine_cutoff(r)


def radial_by_loops(atom, geometry, vectors, parameters, weights):
    return [
        sum(w[z] * gaussian(np.linalg.norm(v), eta, shift) for v, z in neighbors_of(atom, geometry, vectors))
        for w in weights
        for eta, shift in parameters
    ]


def angular_by_loops(atom, geometry, vectors, settings, weights, narrow):
    neighbors = list(neighbors_of(atom, geometry, vectors))
    radial = settings["radial"]
    values = []
    for first, second in itertools.combinations_with_replacement(range(len(weights)), 2):
        for eta, shift, zeta, lambda_ in itertools.product(
            radial["etas"], radial["shifts"], settings["zetas"], settings["lambdas"]
        ):
            total = 0.0
            for (v, z), (w, y) in itertools.combinations(neighbors, 2):
                r, s = np.linalg.norm(v), np.linalg.norm(w)
                factor = weights[first][z] * weights[second][y]
                if first != second:
                    factor += weights[first][y] * weights[second][z]
                term = (1 + lambda_ * (v @ w) / (r * s)) ** zeta * gaussian(r, eta, shift) * gaussian(s, eta, shift)
                if narrow:
                    side = np.linalg.norm(v - w)
                    term *= math.exp(-eta * side**2) * cosine_cutoff(side)
                total += factor * term
            values.append(2.0 ** (1 - zeta) * total)
    return values


def resolved_weights():
    return [{z: float(z == element) for z in ELEMENTS} for element in ELEMENTS]


@pytest.mark.parametrize("name", list(structures()))
@pytest.mark.parametrize("kind", ["wide", "wide_by_moments", "wide_by_triplets", "narrow"])
def test_resolved_functions_against_loops(name, kind):
    settings = behler_settings(kind)
    descriptor = descriptor_for(settings)
    values, geometry, vectors = evaluate(descriptor, structures()[name])
    basis = descriptor.parts[0].basis
    parameters = list(zip(basis.etas.tolist(), basis.shifts.tolist(), strict=True))
    for atom in range(min(geometry.num_atoms, 3)):
        expected = radial_by_loops(atom, geometry, vectors, parameters, resolved_weights())
        expected += angular_by_loops(atom, geometry, vectors, settings, resolved_weights(), kind == "narrow")
        scale = max(1.0, np.abs(expected).max())
        np.testing.assert_allclose(values[atom].numpy(), expected, atol=ROUND_OFF * scale, rtol=0)


@pytest.mark.parametrize("channels", ["weighted", "learned"])
@pytest.mark.parametrize("kind", ["wide", "wide_by_moments", "narrow"])
def test_weighted_channels_against_loops(channels, kind):
    settings = behler_settings(kind)
    descriptor = descriptor_for(settings, channels=channels)
    table = descriptor.channels.table.detach().numpy()
    weights = [dict(zip(ELEMENTS, column, strict=True)) for column in table.T]
    values, geometry, vectors = evaluate(descriptor, structures()["molecule"])
    basis = descriptor.parts[0].basis
    parameters = list(zip(basis.etas.tolist(), basis.shifts.tolist(), strict=True))
    for atom in range(3):
        expected = radial_by_loops(atom, geometry, vectors, parameters, weights)
        expected += angular_by_loops(atom, geometry, vectors, settings, weights, kind == "narrow")
        scale = max(1.0, np.abs(expected).max())
        np.testing.assert_allclose(values[atom].numpy(), expected, atol=ROUND_OFF * scale, rtol=0)


@pytest.mark.parametrize("cross_terms", [True, False])
@pytest.mark.parametrize("name", ["tiny", "molecule"])
def test_legendre_functions_against_double_sums(name, cross_terms):
    settings = legendre_settings(cross_terms, max_degree=4, num=3)
    descriptor = descriptor_for(settings)
    values, geometry, vectors = evaluate(descriptor, structures()[name])
    angular = descriptor.parts[1]
    basis = angular.basis
    parameters = list(zip(basis.etas.tolist(), basis.shifts.tolist(), strict=True))
    flat = [(z, eta, shift) for z in ELEMENTS for eta, shift in parameters]
    offset = descriptor.parts[0].num_functions
    for atom in range(2):
        neighbors = list(neighbors_of(atom, geometry, vectors))
        expected = []
        pairs = [
            (a, b)
            for a, b in itertools.combinations_with_replacement(range(len(flat)), 2)
            if cross_terms or a % 3 == b % 3
        ]
        if not cross_terms:  # by pair of elements, then by radial function
            pairs.sort(key=lambda pair: (pair[0] // 3, pair[1] // 3, pair[0] % 3))
        for a, b in pairs:
            for degree in range(5):
                polynomial = Legendre.basis(degree)
                expected.append(
                    sum(
                        gaussian(np.linalg.norm(v), *flat[a][1:])
                        * gaussian(np.linalg.norm(w), *flat[b][1:])
                        * polynomial((v @ w) / np.linalg.norm(v) / np.linalg.norm(w))
                        for (v, z), (w, y) in itertools.product(neighbors, neighbors)
                        if z == flat[a][0] and y == flat[b][0]
                    )
                )
        scale = max(1.0, np.abs(expected).max())
        np.testing.assert_allclose(values[atom, offset:].numpy(), expected, atol=ROUND_OFF * scale, rtol=0)


@pytest.mark.parametrize("zeta", [1, 2, 3, 8, 16])
def test_legendre_expansion_of_the_angular_factor(zeta):
    x = np.linspace(-1, 1, 21)
    np.testing.assert_allclose(Legendre(legendre_expansion(zeta))(x), 2.0 ** (1 - zeta) * (1 + x) ** zeta, atol=1e-13)


@pytest.mark.parametrize(
    "angular", [behler_settings("wide_by_moments"), behler_settings("narrow"), legendre_settings()]
)
def test_single_precision(angular):
    atoms = structures()["triclinic"]
    exact, *_ = evaluate(descriptor_for(angular), atoms)
    single, *_ = evaluate(descriptor_for(angular, torch.float32), atoms, torch.float32)
    assert single.dtype == torch.float32
    assert (single - exact).abs().max() < SINGLE_PRECISION * exact.abs().max()


@pytest.mark.parametrize(
    "angular",
    [behler_settings("wide"), behler_settings("wide_by_moments"), behler_settings("narrow"), legendre_settings()],
)
@pytest.mark.parametrize("num_atoms", [0, 1, 3])
def test_atoms_without_neighbors(angular, num_atoms):
    descriptor = descriptor_for(angular)
    none = torch.zeros(0, dtype=torch.long)
    values = descriptor(torch.zeros(0, 3, dtype=torch.float64), none, torch.zeros(num_atoms, dtype=torch.long), none)
    assert values.shape == (num_atoms, descriptor.num_functions)
    assert bool((values == 0).all())


@pytest.mark.parametrize("zetas", [[1, 2], [1, 16], [20], [24]])
def test_moments_and_pairs_agree_for_every_zeta(zetas):
    """And the cheaper one is chosen: pairs for few neighbours, moments for many, pairs beyond the highest degree."""
    settings = {**behler_settings("wide"), "zetas": zetas}
    descriptor = descriptor_for(settings)
    group = descriptor.parts[1]
    assert math.isinf(group.fewest_neighbors) == (max(zetas) > 20)
    values, geometry, _ = evaluate(descriptor, structures()["triclinic"])
    pairs, *_ = evaluate(descriptor_for({**settings, "kind": "wide_by_triplets"}), structures()["triclinic"])
    assert (values - pairs).abs().max() < ROUND_OFF * pairs.abs().max()
    if max(zetas) <= 20:
        moments, *_ = evaluate(descriptor_for({**settings, "kind": "wide_by_moments"}), structures()["triclinic"])
        assert (moments - pairs).abs().max() < ROUND_OFF * pairs.abs().max()
        few = len(geometry.center_index) / geometry.num_atoms < group.fewest_neighbors
        assert torch.equal(values, pairs if few else moments)


def test_every_function_has_a_name():
    for angular in (behler_settings("wide"), behler_settings("narrow"), legendre_settings()):
        descriptor = descriptor_for(angular)
        names = descriptor.names(ELEMENTS)
        assert len(set(names)) == descriptor.num_functions


@pytest.mark.parametrize(
    ("change", "message"),
    [({"kind": "broad"}, "legendre, wide"), ({"zetas": [1.5]}, "positive integers"), ({"lambdas": [0]}, r"\+1 or -1")],
)
def test_wrong_settings_are_named(change, message):
    with pytest.raises(ConfigError, match=message):
        descriptor_for({**behler_settings("wide"), **change})
