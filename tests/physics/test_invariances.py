"""What the energy must not depend on, and how it must behave at the cutoff."""

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import make_supercell
from scipy.spatial.transform import Rotation

from mhdnn.prediction import predict
from tests.builders import behler_settings, geometry_of, legendre_settings, random_potential, structures
from tests.tolerances import ROUND_OFF

ELEMENTS = [6, 14, 50]


def energies(potential, *many):
    return predict(potential, geometry_of(*many)).energy.numpy()


@pytest.mark.parametrize("name", list(structures()))
@pytest.mark.parametrize("angular", [legendre_settings(), behler_settings("narrow")], ids=["legendre", "narrow"])
def test_rotation_reflection_translation(name, angular):
    atoms = structures()[name]
    potential = random_potential(ELEMENTS, angular={"a": angular})
    reference = predict(potential, geometry_of(atoms))
    for seed, sign in ((1, 1.0), (2, -1.0)):
        rotation = sign * Rotation.random(random_state=seed).as_matrix()
        turned = atoms.copy()
        turned.set_cell(atoms.cell[:] @ rotation)
        turned.positions = atoms.positions @ rotation + [0.3, -2.0, 1.1]
        found = predict(potential, geometry_of(turned))
        scale = max(1.0, abs(reference.energy.item()))
        assert abs(found.energy.item() - reference.energy.item()) < ROUND_OFF * scale, (seed, sign)
        np.testing.assert_allclose(found.forces, reference.forces.numpy() @ rotation, atol=ROUND_OFF * scale)


@pytest.mark.parametrize("name", list(structures()))
def test_permutation(name):
    atoms = structures()[name]
    order = np.random.default_rng(0).permutation(len(atoms))
    potential = random_potential(ELEMENTS)
    first, second = energies(potential, atoms, atoms[order])
    assert abs(first - second) < ROUND_OFF * max(1.0, abs(first))


def test_exchange_of_equal_atoms():
    atoms = structures()["molecule"]
    i, j = np.flatnonzero(atoms.numbers == 14)[:2]
    exchanged = atoms.copy()
    exchanged.positions[[i, j]] = atoms.positions[[j, i]]
    first, second = energies(random_potential(ELEMENTS), atoms, exchanged)
    assert abs(first - second) < ROUND_OFF * max(1.0, abs(first))


def test_exchange_of_different_atoms_changes_the_energy():
    atoms = structures()["molecule"]
    other = atoms.copy()
    tin, silicon = np.flatnonzero(atoms.numbers == 50)[0], np.flatnonzero(atoms.numbers == 14)[0]
    other.numbers[[tin, silicon]] = 14, 50
    first, second = energies(random_potential(ELEMENTS), atoms, other)
    assert abs(first - second) > 1e-6


@pytest.mark.parametrize("name", ["tiny", "slab", "triclinic"])
def test_extensive(name):
    atoms = structures()[name]
    repeats = [2, 3, 2 if atoms.pbc[2] else 1]
    larger = make_supercell(atoms, np.diag(repeats))
    larger.pbc = atoms.pbc
    first, second = energies(random_potential(ELEMENTS), atoms, larger)
    assert abs(second - np.prod(repeats) * first) < ROUND_OFF * max(1.0, abs(second))


def test_batching_changes_nothing():
    many = list(structures().values())
    potential = random_potential(ELEMENTS)
    together = predict(potential, geometry_of(*many))
    alone = [predict(potential, geometry_of(atoms)) for atoms in many]
    np.testing.assert_allclose(together.energy, torch.cat([p.energy for p in alone]), rtol=ROUND_OFF)
    scale = together.forces.abs().max().item()
    np.testing.assert_allclose(together.forces, torch.cat([p.forces for p in alone]), atol=ROUND_OFF * scale)
    np.testing.assert_allclose(together.virial, torch.cat([p.virial for p in alone]), atol=1e-9)


@pytest.mark.parametrize("angular", [legendre_settings(), behler_settings("wide"), behler_settings("narrow")])
def test_smooth_at_the_cutoff(angular):
    """A third atom leaves the sphere: energy and force go to their limits continuously."""
    potential = random_potential(ELEMENTS, angular={"a": angular})

    def at(distance):
        atoms = Atoms("CSiSn", positions=[[0, 0, 0], [1.9, 0, 0], [0, distance, 0]])
        prediction = predict(potential, geometry_of(atoms))
        return prediction.energy.item(), prediction.forces.numpy()

    outside = at(4.5 + 1e-9)
    for gap in (1e-3, 1e-4, 1e-5):
        inside = at(4.5 - gap)
        assert abs(inside[0] - outside[0]) < 10 * gap**2
        assert np.abs(inside[1] - outside[1]).max() < 10 * gap


def test_isolated_atom_has_its_own_energy():
    potential = random_potential(ELEMENTS)
    atoms = Atoms("Sn", positions=[[0, 0, 0]])
    far = Atoms("Sn2", positions=[[0, 0, 0], [0, 0, 50.0]])
    first, second = energies(potential, atoms, far)
    assert second == pytest.approx(2 * first, abs=1e-12)
