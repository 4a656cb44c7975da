"""The field of a crack against matscipy's (Sih, Paris and Irwin), and against isotropic elasticity by hand."""

import numpy as np
import pytest
from matscipy.fracture_mechanics.crack import RectilinearAnisotropicCrack, barnett_lothe_L

from mhdnn.errors import PropertyError
from mhdnn.properties.elastic_tensor import rotated
from mhdnn.properties.fracture.crack_field import CrackField

ANGLES = np.linspace(-3.1, 3.1, 9)
PLACES = 2.3 * np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=1)
MODES = {"mode I": (0.0, 1.3, 0.0), "mode II": (0.7, 0.0, 0.0), "both": (0.4, 1.1, 0.0)}


def cubic(c11: float, c12: float, c44: float) -> np.ndarray:
    stiffness = np.diag([c11 - c12] * 3 + [c44] * 3)
    stiffness[:3, :3] += c12
    return stiffness


def in_crack_axes() -> np.ndarray:
    """A cubic crystal with the crack plane (111) and the front [1-10], across which there is a mirror."""
    axes = np.array([[1, 1, -2], [1, 1, 1], [-1, 1, 0]]) / np.sqrt([[6], [3], [2]])
    return rotated(cubic(0.95, 0.4, 0.35), axes)


@pytest.mark.parametrize("intensities", MODES.values(), ids=MODES)
def test_field_of_a_cubic_crystal(intensities):
    stiffness = in_crack_axes()
    s = np.linalg.inv(stiffness)
    theirs = RectilinearAnisotropicCrack()
    theirs.set_plane_strain(
        s[0, 0], s[1, 1], s[2, 2], s[0, 1], s[0, 2], s[1, 2], s[0, 5], s[1, 5], s[2, 5], s[5, 5]
    )  # fmt: skip
    ours = CrackField.of(stiffness)
    found = ours.displacements(PLACES, np.array(intensities))
    u, v = theirs.displacements(np.full(9, 2.3), ANGLES, intensities[1], intensities[0])
    np.testing.assert_allclose(found, np.stack([u, v, np.zeros(9)], axis=1), atol=1e-12)
    xx, yy, xy = theirs.stresses(np.full(9, 2.3), ANGLES, intensities[1], intensities[0])
    stresses = ours.stresses(PLACES, np.array(intensities))
    np.testing.assert_allclose(stresses[:, :, :2], np.moveaxis([[xx, xy], [xy, yy]], -1, 0), atol=1e-12)
    assert ours.griffith(0.2) == pytest.approx(theirs.k1g(0.1), rel=1e-12)
    np.testing.assert_allclose(np.linalg.inv(ours.compliance), barnett_lothe_L(stiffness), atol=1e-12)


def test_an_isotropic_crystal_has_no_degenerate_field():
    r"""G = K² (1 - ν²)/E, and the textbook's displacements (1 + ν)/E √(r/2π) ... of mode I in plane strain."""
    lame, shear = 0.4, 0.275
    poisson = 0.5 * lame / (lame + shear)
    young = 2 * shear * (1 + poisson)
    field = CrackField.of(cubic(lame + 2 * shear, lame, shear))
    assert field.energy_release(0.6) == pytest.approx(0.6**2 * (1 - poisson**2) / young, rel=1e-5)
    assert field.compliance[2, 2] == pytest.approx(1 / shear, rel=1e-5)
    found = field.displacements(PLACES, np.array([0.0, 1.0, 0.0]))
    size = np.sqrt(2.3 / (2 * np.pi)) / (2 * shear)
    bracket = 3 - 4 * poisson - np.cos(ANGLES)
    expected = size * bracket[:, None] * np.stack([np.cos(ANGLES / 2), np.sin(ANGLES / 2)], axis=1)
    np.testing.assert_allclose(found[:, :2], expected, atol=1e-5)
    np.testing.assert_allclose(found[:, 2], 0.0, atol=1e-5)


def test_a_triclinic_crystal_is_in_equilibrium():
    """Any stiffness: faces free of traction, stress K/√(2πr) ahead, and the stresses are those of the strains."""
    generator = np.random.default_rng(3)
    matrix = generator.normal(size=(6, 6))
    stiffness = matrix @ matrix.T + 3 * np.eye(6)
    field, intensities = CrackField.of(stiffness), np.array([0.3, 1.0, -0.2])
    faces = field.stresses(np.array([[-2.0, 1e-13], [-2.0, -1e-13]]), intensities)
    np.testing.assert_allclose(faces[:, 1], 0.0, atol=1e-10)
    ahead = field.stresses(np.array([[2.0, 0.0]]), intensities)[0, 1]
    np.testing.assert_allclose(ahead, intensities / np.sqrt(2 * np.pi * 2.0), rtol=1e-10)
    place, step = np.array([1.3, -0.8]), 1e-5
    gradient = np.zeros((3, 3))
    for axis in range(2):
        shift = step * np.eye(2)[axis]
        above, below = (field.displacements((place + sign * shift)[None], intensities)[0] for sign in (1, -1))
        gradient[:, axis] = (above - below) / (2 * step)
    xx, yy, zz = np.diag(gradient)
    yz, xz, xy = (gradient[i, j] + gradient[j, i] for i, j in ((1, 2), (0, 2), (0, 1)))
    stress = stiffness @ [xx, yy, zz, yz, xz, xy]
    found = field.stresses(place[None], intensities)[0]
    np.testing.assert_allclose(found[0], [stress[0], stress[5], stress[4]], atol=1e-8)
    np.testing.assert_allclose(found[1], [stress[5], stress[1], stress[3]], atol=1e-8)


def test_what_has_no_crack():
    with pytest.raises(PropertyError, match="expected a stable crystal"):
        CrackField.of(cubic(0.3, 0.4, 0.2))
    with pytest.raises(PropertyError, match="expected surfaces that cost energy"):
        CrackField.of(in_crack_axes()).griffith(-0.1)
