"""Stress term by term, eqs. (9)-(13) of the paper the project grew from: the explicit radial and angular
sums, written out over neighbours and triplets with derivatives by hand, against autograd.
"""

import itertools
import math

import numpy as np
import torch

from mhdnn.prediction import predict
from mhdnn.structure import VOIGT
from tests.builders import behler_settings, geometry_of, random_potential, structures
from tests.tolerances import ROUND_OFF

CUTOFF = 4.5


def cutoff_function(r):
    if r >= CUTOFF:
        return 0.0, 0.0
    x = math.pi * r / CUTOFF
    return 0.5 * (1 + math.cos(x)), -0.5 * math.pi / CUTOFF * math.sin(x)


def gaussian(r, eta, shift):
    """g(r) and its derivative."""
    value, slope = cutoff_function(r)
    factor = math.exp(-eta * (r - shift) ** 2)
    return factor * value, factor * (slope - 2 * eta * (r - shift) * value)


def radial_stress(vectors, eta, shift):
    """Σ_j r_ij ⊗ ∂G/∂r_ij of a radial function."""
    total = np.zeros((3, 3))
    for v in vectors:
        r = np.linalg.norm(v)
        total += gaussian(r, eta, shift)[1] / r * np.outer(v, v)
    return total


def angular_stress(first_vectors, second_vectors, same, eta, shift, zeta, lambda_):
    """Σ r ⊗ ∂G/∂r of a wide function: two radial terms and the bending term of every triplet."""
    total = np.zeros((3, 3))
    pairs = itertools.combinations(first_vectors, 2) if same else itertools.product(first_vectors, second_vectors)
    for v, w in pairs:
        r, s = np.linalg.norm(v), np.linalg.norm(w)
        cosine = v @ w / (r * s)
        (g, dg), (h, dh) = gaussian(r, eta, shift), gaussian(s, eta, shift)
        base = 1 + lambda_ * cosine
        bend = zeta * lambda_ * base ** (zeta - 1) * g * h
        total += base**zeta * (dg * h / r * np.outer(v, v) + g * dh / s * np.outer(w, w))
        total += bend * np.outer(v, w / (r * s) - cosine * v / r**2)
        total += bend * np.outer(w, v / (r * s) - cosine * w / s**2)
    return 2.0 ** (1 - zeta) * total


def stress_of_functions(atom, geometry, vectors, descriptor, settings, elements):
    """One 3×3 sum for every symmetry function of an atom."""
    near = {z: [] for z in elements}
    for pair in torch.nonzero(geometry.center_index == atom).squeeze(1).tolist():
        near[int(geometry.atomic_numbers[geometry.neighbor_index[pair]])].append(vectors[pair].numpy())
    basis = descriptor.parts[0].basis
    parameters = list(zip(basis.etas.tolist(), basis.shifts.tolist(), strict=True))
    sums = [radial_stress(near[z], eta, shift) for z in elements for eta, shift in parameters]
    radial = settings["radial"]
    for a, b in itertools.combinations_with_replacement(elements, 2):
        for eta, shift, zeta, lambda_ in itertools.product(
            radial["etas"], radial["shifts"], settings["zetas"], settings["lambdas"]
        ):
            sums.append(angular_stress(near[a], near[b], a == b, eta, shift, zeta, lambda_))
    return np.array(sums)


def test_explicit_sums_equal_autograd():
    elements = [6, 14]
    settings = behler_settings("wide")
    atoms = structures()["triclinic"]
    potential = random_potential(elements, angular={"a": settings})
    geometry = geometry_of(atoms)
    vectors = geometry.pair_vectors()

    # ∂E/∂G of every atom: the network's derivative, by autograd on the network alone
    element = potential.element_index(geometry.atomic_numbers)
    functions = potential.scaled_functions(
        vectors, geometry.center_index, geometry.neighbor_index, element, geometry.num_atoms
    )
    functions = functions.detach().requires_grad_()
    (network_gradient,) = torch.autograd.grad(potential.short_range.network(functions, element).sum(), functions)
    slope = (network_gradient * potential.function_scale).numpy()

    total = np.zeros((3, 3))
    for atom in range(geometry.num_atoms):
        sums = stress_of_functions(atom, geometry, vectors, potential.descriptor, settings, elements)
        total += np.einsum("f,fab->ab", slope[atom], sums)
    explicit = np.array([total[a, b] for a, b in VOIGT]) / atoms.get_volume()
    found = predict(potential, geometry).virial.numpy()[0] / atoms.get_volume()
    np.testing.assert_allclose(total, total.T, atol=ROUND_OFF * np.abs(total).max())
    np.testing.assert_allclose(found, explicit, atol=ROUND_OFF * np.abs(explicit).max(), rtol=0)
