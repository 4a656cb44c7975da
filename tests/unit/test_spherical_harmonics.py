"""Spherical harmonics against SciPy's and against the addition theorem."""

import numpy as np
import pytest
import torch
from scipy.special import eval_legendre, sph_harm_y

from mhdnn.descriptors.spherical_harmonics import normalization_table, spherical_harmonics

MAX_DEGREE = 16


@pytest.fixture
def directions():
    vectors = np.random.default_rng(0).normal(size=(40, 3))
    vectors = np.vstack([vectors, np.eye(3), -np.eye(3)])
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def values(directions):
    return spherical_harmonics(torch.tensor(directions), MAX_DEGREE, normalization_table(MAX_DEGREE)).numpy()


def test_against_scipy(directions):
    found = values(directions)
    theta = np.arccos(np.clip(directions[:, 2], -1, 1))
    phi = np.arctan2(directions[:, 1], directions[:, 0])
    for degree in range(MAX_DEGREE + 1):
        racah = np.sqrt(4 * np.pi / (2 * degree + 1))
        for order in range(degree + 1):
            # SciPy's functions carry the Condon-Shortley phase, these don't
            reference = racah * sph_harm_y(degree, order, theta, phi) * (-1) ** order
            factor = 1.0 if order == 0 else np.sqrt(2)
            place = degree * degree + degree
            np.testing.assert_allclose(found[:, place + order], factor * reference.real, atol=1e-12)
            if order > 0:
                np.testing.assert_allclose(found[:, place - order], factor * reference.imag, atol=1e-12)


def test_addition_theorem(directions):
    found = values(directions)
    cosine = directions @ directions.T
    for degree in range(MAX_DEGREE + 1):
        block = found[:, degree**2 : (degree + 1) ** 2]
        np.testing.assert_allclose(block @ block.T, eval_legendre(degree, cosine), atol=1e-12)
